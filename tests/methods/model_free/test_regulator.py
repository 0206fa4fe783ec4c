"""q-learning finds the regulator that the Riccati equation gives, whatever the time step; the plain target does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hjbdsl.methods.model_free import Lesson, learn
from tests.methods.model_free.problems import Regulator, evaluated, relative

X = np.linspace(-2, 2, 41)


@pytest.mark.parametrize("dt", [0.5, 0.1, 0.01])
@pytest.mark.parametrize("regulator", [Regulator(), Regulator(alpha=0.4, beta=2.0, ra=0.5, rho=0.3)], ids=["stable", "unstable"])
def test_value_and_gain_within_two_percent_at_any_step(regulator: Regulator, dt: float) -> None:
    solution = learn(regulator.equation(), Lesson(dt), data=regulator.data(dt, 100_000, seed=3)).solution
    value, control = evaluated(solution, X)
    assert solution.status == "bracketed"
    assert relative(value, -regulator.P * X**2 / 2 - regulator.constant) < 0.02
    assert relative(control, -regulator.gain * X) < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("dt", [0.5, 0.1])
def test_the_bracket_holds_at_nearly_every_point(dt: float) -> None:
    regulator = Regulator()
    held = []
    for seed in range(6):
        solution = learn(regulator.equation(), Lesson(dt, degree=2), data=regulator.data(dt, 20_000, seed)).solution
        at = solution.function.evaluate(np.zeros(41), X[:, None], np.zeros(41, dtype=np.int64))
        held.append(np.abs(at.value + regulator.P * X**2 / 2 + regulator.constant) <= at.error)
    assert np.mean(held) >= 0.9


@pytest.mark.parametrize(("dt", "least"), [(0.5, 0.4), (0.1, 0.1), (0.05, 0.05)])
def test_the_plain_target_is_biased_by_the_step(dt: float, least: float) -> None:
    regulator = Regulator()
    data = regulator.data(dt, 100_000, seed=3)
    plain = learn(regulator.equation(), Lesson(dt, "td"), data=data).solution
    _, control = evaluated(plain, X)
    assert relative(control, -regulator.gain * X) > least
    assert np.isnan(plain.function.evaluate(np.zeros(1), np.zeros((1, 1)), np.zeros(1, dtype=np.int64)).error).all()


def test_costs_stay_costs_under_minimize() -> None:
    regulator = Regulator()
    data = regulator.data(0.1, 50_000, seed=5, minimise=True)
    value, control = evaluated(learn(regulator.equation(minimise=True), Lesson(0.1), data=data).solution, X)
    assert relative(value, regulator.P * X**2 / 2 + regulator.constant) < 0.02
    assert relative(control, -regulator.gain * X) < 0.02


@pytest.mark.parametrize("dt", [0.2, 0.02])
def test_long_run_average(dt: float) -> None:
    regulator = Regulator(rho=0.0)
    data = regulator.data(dt, 100_000, seed=7, minimise=True)
    solution = learn(regulator.equation(minimise=True), Lesson(dt), data=data).solution
    value, control = evaluated(solution, X)
    assert solution.average == pytest.approx(regulator.constant, abs=solution.average_error)
    assert solution.average == pytest.approx(regulator.constant, rel=0.02)
    assert relative(control, -regulator.gain * X) < 0.02
    exact = regulator.P * X**2 / 2
    assert relative(value - value.mean(), exact - exact.mean()) < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("off_policy", [False, True])
def test_learning_from_the_simulator(off_policy: bool) -> None:
    regulator = Regulator()
    solution = learn(regulator.equation(), Lesson(0.1, steps=60_000, off_policy=off_policy, seed=1)).solution
    value, control = evaluated(solution, X)
    assert relative(value, -regulator.P * X**2 / 2 - regulator.constant) < 0.02
    assert relative(control, -regulator.gain * X) < 0.02


def test_a_seed_fixes_every_number() -> None:
    equation = Regulator().equation()
    first, second = (learn(equation, Lesson(0.1, steps=10_000, seed=4)).solution for _ in range(2))
    assert np.array_equal(evaluated(first, X)[0], evaluated(second, X)[0])


def test_mean_rewards_are_taken_back_to_rates() -> None:
    """A reward averaged over a step of 0.5 is far from the rate at its start; told so, the learner finds the same regulator."""
    regulator, dt = Regulator(), 0.5
    data = regulator.data(dt, 100_000, seed=9)
    # E int_0^dt x_s^2 ds/dt in closed form, given x and a: x_s = e^{alpha s} x + (e^{alpha s} - 1) c + noise, c = beta a/alpha
    s, weight = np.polynomial.legendre.leggauss(12)
    s, weight = dt * (s + 1) / 2, weight / 2
    growth = np.exp(regulator.alpha * s)
    mean = growth * data.x + (growth - 1) * regulator.beta / regulator.alpha * data.a
    square = (mean**2 + regulator.sigma**2 * (growth**2 - 1) / (2 * regulator.alpha)) @ weight
    averaged = data.with_rewards(-(regulator.q * square + regulator.ra * data.a[:, 0] ** 2) / 2, data.payoff)
    solution = learn(regulator.equation(), Lesson(dt), data=replace(averaged, reward="mean")).solution
    value, control = evaluated(solution, X)
    assert relative(control, -regulator.gain * X) < 0.02
    assert relative(value, -regulator.P * X**2 / 2 - regulator.constant) < 0.02
