"""Values of policies against closed forms, and whether the intervals are honest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hjbdsl
from hjbdsl.numeric.points import default_points
from hjbdsl.simulation import Clockwork, GivenPolicy, compile_process, policy_of, policy_value
from hjbdsl.simulation.trial import Settings, middle, try_out
from tests.simulation.processes import feedback, many, nothing_chosen, process_of

GALLERY = Path(__file__).parents[2] / "problems"
REGULATOR = (
    "param q = 1, c = 0.5, s = 0.4, rho = 0.2\nstate x in R\ncontrol a in R\nnoise W\ndx = (0.1*x + a) dt + s dW\n"
    "minimize E integral(0, inf) exp(-rho*t)*(q*x^2 + c*a^2) dt\n"
)


def _cost_of_gain(gain: float, x: float) -> float:
    """V = p x^2 + p s^2/rho with rho p = q + c k^2 + 2 (0.1 - k) p."""
    p = (1 + 0.5 * gain**2) / (0.2 - 2 * (0.1 - gain))
    return p * x**2 + p * 0.16 / 0.2


def test_a_linear_feedback_costs_what_its_equation_says() -> None:
    found = policy_value(process_of(REGULATOR), feedback(1.1), many(1, 0.7), Clockwork(0.05, 800), paths=4000, seed=0)
    assert abs(found.mean - _cost_of_gain(1.1, 0.7)) < found.half_width + found.bias + found.tail
    assert found.half_width < 0.1 * _cost_of_gain(1.1, 0.7)


def test_the_step_leaves_less_after_extrapolation() -> None:
    text = "state x > 0\nnoise W\ndx = 0.5*(1 - x) dt + 0.3*sqrt(x) dW\nevaluate E integral(0, 2) x^2 dt\n"
    process = process_of(text)
    t = np.linspace(0, 2, 4001)
    mean = 1 - 0.5 * np.exp(-0.5 * t)
    variance = 0.09 * (0.5 * (np.exp(-0.5 * t) - np.exp(-t)) / 0.5 + (1 - np.exp(-0.5 * t)) ** 2 / 1.0)
    exact = np.trapezoid(mean**2 + variance, t)
    found = policy_value(process, nothing_chosen(), many(1, 0.5), Clockwork(0.25, 8), paths=20_000, seed=1)
    assert abs(found.mean - exact) < found.half_width + found.bias
    assert found.bias < 0.02


@pytest.mark.slow
def test_intervals_cover_as_often_as_they_say() -> None:
    """90% intervals of 80 seeds, without the allowance for the step: between 80% and 98% of them hold."""
    process, exact = process_of(REGULATOR), _cost_of_gain(1.1, 0.7)
    clock = Clockwork(0.05, 800)
    held = []
    for seed in range(80):
        found = policy_value(process, feedback(1.1), many(1, 0.7), clock, paths=60, confidence=0.9, seed=seed)
        held.append(abs(found.mean - exact) < found.half_width)
    assert 0.8 <= np.mean(held) <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("name", ["merton", "gambler", "perpetual_put", "exploratory_bandit"])
def test_the_policy_of_a_proved_answer_earns_its_value(name: str) -> None:
    solution = hjbdsl.load(str(GALLERY / f"{name}.hjb")).solve(method="closed_form")
    start = middle(solution.equation, default_points(solution.equation.problem))
    trial = try_out(solution.equation, solution.solved, start, Settings(paths=200, seed=3))
    assert trial.verdict == "agrees"
    assert trial.earned.error < 0.6 * abs(trial.claimed)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "merton_jumps", "log_regimes", "reflected", "ball_exit", "huggett", "cir_bond",
        "heston_portfolio", "diffusion_mixture", "pursuit_lq", "risk_sensitive_lq", "ramsey_crra", "exploratory_lq",
        "almgren_chriss", "eikonal_well", "invest_when", "effort_exit", "lqr", "average_harvest",
        "machine_repair",
    ],
)  # fmt: skip
def test_and_so_does_every_other_kind(name: str) -> None:
    solution = hjbdsl.load(str(GALLERY / f"{name}.hjb")).solve(method="closed_form")
    start = middle(solution.equation, default_points(solution.equation.problem))
    trial = try_out(solution.equation, solution.solved, start, Settings(paths=200, seed=3))
    assert trial.verdict == "agrees"


def test_a_wrong_policy_is_seen_to_earn_less() -> None:
    solution = hjbdsl.loads(REGULATOR).solve(method="closed_form")
    process = compile_process(solution.equation)
    claimed = policy_of(solution.equation, process, solution.solved.function).claimed
    assert claimed is not None
    lazy = GivenPolicy(lambda _t, x, _mode: -0.5 * x, claimed)
    start = many(1, 0.7)
    found = policy_value(process, lazy, start, Clockwork(0.1, 320), paths=500, seed=4)
    assert found.lower > solution(x=0.7)
    assert abs(found.mean - _cost_of_gain(0.5, 0.7)) < found.error + 1e-3


@pytest.mark.slow
def test_the_control_variate_leaves_no_noise_where_v_is_right() -> None:
    solution = hjbdsl.load(str(GALLERY / "merton_jumps.hjb")).solve(method="closed_form")
    trial = try_out(solution.equation, solution.solved, many(1, 1.25), Settings(paths=24, dt=0.1))
    assert trial.earned.half_width < 1e-9
    assert trial.earned.raw_width > 1e-2


def test_risk_is_valued_by_its_exponential() -> None:
    text = "state x in R\ncontrol a in [-1, 1]\nnoise W\ndx = a dt + dW\nminimize risk(0.6) [ integral(0, 1) 0.5 dt + x(1) ]\n"
    down = GivenPolicy(lambda t, _x, _mode: np.full((len(t), 1), -1.0))
    found = policy_value(process_of(text), down, many(1, 0.2), Clockwork(0.25, 4), paths=20_000, seed=5)
    assert found.mean == pytest.approx(0.2 - 1 + 0.5 + 0.6 / 2, abs=found.half_width + found.bias)


def test_a_solution_simulates_itself() -> None:
    solution = hjbdsl.loads(REGULATOR).solve(method="closed_form")
    trial = solution.simulate(paths=50, dt=0.1, horizon=10, x=0.7)
    assert trial.verdict == "agrees"
    assert trial.claimed == pytest.approx(solution(x=0.7))
    assert trial.paths is not None
    assert trial.paths.x.shape == (50, 101, 1)
