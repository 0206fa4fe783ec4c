"""Horizons, exploration, finite actions, modes, bounds: each against a formula; and what the learner declines."""

from __future__ import annotations

import numpy as np
import pytest

from hjbdsl import pipeline
from hjbdsl.errors import SolverError
from hjbdsl.methods.model_free import Lesson, learn
from hjbdsl.model.solution import Accepted, Rejected
from tests.methods.model_free.problems import evaluated, relative

X = np.linspace(-1, 1, 21)


def _learned(text: str, dt: float, steps: int = 60_000) -> object:
    return learn(pipeline.derive(pipeline.loads(text)), Lesson(dt, steps=steps, seed=2)).solution


@pytest.mark.slow
def test_finite_horizon_with_exploration() -> None:
    """dx = a dt + s dW, cost x^2 + a^2/2 over [0, 1], temperature lam: Wang, Zariphopoulou and Zhou (2020)."""
    s, r, lam = 0.3, 0.5, 0.1
    text = f"""
state x in R
control a in R
noise W
dx = a dt + {s} dW
explore a with temperature {lam}
minimize E integral(0, 1) (x^2 + {r}*a^2) dt
"""
    solution = _learned(text, 0.05, 150_000)
    w = np.sqrt(1 / r)
    P = np.sqrt(r) * np.tanh(w)
    expected = P * X**2 + s**2 * r * np.log(np.cosh(w)) - lam / 2 * np.log(np.pi * lam / r)
    value, control = evaluated(solution, X)
    assert relative(value, expected) < 0.02
    assert relative(control, -P * X / r) < 0.03
    spread = solution.function.evaluate(np.zeros(1), np.zeros((1, 1)), np.zeros(1, dtype=np.int64)).spread  # type: ignore[attr-defined]
    assert spread[0, 0] == pytest.approx(np.sqrt(lam / (2 * r)), rel=0.02)


def test_finite_actions_softly() -> None:
    """Reward 0.4 d + x with d in {-1, 0, 1}: V = x/(rho + kappa) + lam log(sum exp(0.4 d/lam))/rho."""
    text = """
state x in R
control d in {-1, 0, 1}
noise W
dx = -0.6*x dt + 0.4 dW
explore d with temperature 0.3
maximize E integral(0, inf) exp(-0.5*t)*(0.4*d + x) dt
"""
    value, control = evaluated(_learned(text, 0.1, 20_000), X)
    weights = np.exp(0.4 * np.array([-1, 0, 1]) / 0.3)
    assert relative(value, X / 1.1 + 0.3 * np.log(weights.sum()) / 0.5) < 1e-3
    assert control == pytest.approx(weights @ [-1, 0, 1] / weights.sum(), rel=1e-3)


def test_modes_are_told_apart() -> None:
    """No control: rho V_z = c_z x + b_z V_z' + switching, solved as two 2 x 2 linear systems."""
    text = """
mode z in {up, down}
rate up -> down = 0.8, down -> up = 0.3
param b(z) = {up: 0.2, down: -0.4}
state x in R
noise W
dx = b(z) dt + 0.2 dW
evaluate E integral(0, inf) exp(-0.5*t)*x dt
"""
    solution = _learned(text, 0.1, 40_000)
    # V_z = 2 x + k_z: 0.5 k_up = 2*0.2 + 0.8 (k_down - k_up), 0.5 k_down = -2*0.4 + 0.3 (k_up - k_down)
    k = np.linalg.solve([[1.3, -0.8], [-0.3, 0.8]], [0.4, -0.8])
    for mode in (0, 1):
        at = solution.function.evaluate(np.zeros(21), X[:, None], np.full(21, mode))  # type: ignore[attr-defined]
        assert np.max(np.abs(at.value - 2 * X - k[mode])) < 0.05


@pytest.mark.slow
def test_bounded_controls_stay_inside() -> None:
    """Reward -x^2 with |u| <= 1 and no cost of control: push towards 0 as hard as may be."""
    text = """
state x in [-2, 2]
control u in [-1, 1]
noise W
dx = u dt + 0.3 dW
boundary x = -2 : reflect
boundary x = 2 : reflect
maximize E integral(0, inf) exp(-t)*(-x^2) dt
region x in [-1, 1]
"""
    _, control = evaluated(_learned(text, 0.05), np.array([-0.8, 0.8]))
    assert control == pytest.approx([1.0, -1.0])


def test_an_exit_between_two_steps() -> None:
    """Mean time to leave (-1, 1) from x with noise s: (1 - x^2)/s^2, and the end is paid 0.3 on top."""
    text = """
state x in R
noise W
dx = 0.5 dW
exit tau when |x| >= 1
evaluate E [ integral(0, tau) 1 dt + 0.3 ]
region x in [-1, 1]
"""
    at = _learned(text, 0.02, 40_000).function.evaluate(np.zeros(21), X[:, None], np.zeros(21, dtype=np.int64))  # type: ignore[attr-defined]
    assert relative(at.value, (1 - X**2) / 0.25 + 0.3) < 0.04


DOUBLE_WELL = """
state x in R
control u in R
noise W
dx = (x - x^3 + u) dt + 0.6 dW
minimize average x^2 + 0.5*u^2
region x in [-1.5, 1.5]
"""


def _least_average() -> float:
    """With V = -s^2 log psi the equation is linear: s^2/2 psi'' + (x - x^3) psi' - x^2/s^2 psi = -lambda/s^2 psi."""
    square, x = 0.36, np.linspace(-3.0, 3.0, 401)
    h, drift = x[1] - x[0], x - x**3
    low, high = square / 2 / h**2 - drift / 2 / h, square / 2 / h**2 + drift / 2 / h
    matrix = np.diag(-square / h**2 - x**2 / square) + np.diag(low[1:], -1) + np.diag(high[:-1], 1)
    return float(-square * np.max(np.linalg.eigvals(matrix).real))


@pytest.mark.slow
def test_an_average_in_a_class_that_is_too_small_is_as_far_off_as_the_next_class() -> None:
    answer = _learned(DOUBLE_WELL, 0.1, 40_000)
    assert abs(answer.average - _least_average()) <= answer.average_error  # type: ignore[attr-defined]


def test_a_degree_that_is_too_low_is_no_answer() -> None:
    answer = learn(pipeline.derive(pipeline.loads(DOUBLE_WELL)), Lesson(0.1, steps=20_000, degree=2))
    assert isinstance(answer, Accepted)
    assert answer.solution.status == "not_converged"
    assert any("does not hold V" in warning for warning in answer.solution.warnings)


def test_a_step_too_long_for_an_exit_is_said() -> None:
    text = """
state x in R
noise W
dx = dW
exit tau when |x| >= 1
evaluate E [ integral(0, tau) exp(-t) dt ]
region x in [-1, 1]
"""
    with pytest.raises(SolverError, match="take a smaller --dt"):
        _learned(text, 0.5, 4_000)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ("stopping tau in [0, inf]\nmaximize E [ integral(0, tau) exp(-t)*(x - a^2) dt + exp(-tau)*x(tau) ]", "without stopping"),
        ("discount 1 + x^2\nmaximize E integral(0, inf) (x - a^2) dt", "discount rate must be a constant"),
    ],
)
def test_what_is_declined_is_said(changed: str, reason: str) -> None:
    text = f"state x in R\ncontrol a in [-1, 1]\nnoise W\ndx = a dt + dW\n{changed}\n"
    answer = learn(pipeline.derive(pipeline.loads(text)), Lesson(0.1, steps=1000))
    assert isinstance(answer, Rejected)
    assert reason in answer.reason
