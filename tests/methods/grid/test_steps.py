"""Coefficients that jump between nodes, against closed forms worked by hand: right to second order, within the band."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import sympy as sp

from hjbdsl import pipeline
from hjbdsl.methods import grid
from hjbdsl.methods.grid.free_boundary import cost_of_jumps
from hjbdsl.methods.grid.steps import averaging
from hjbdsl.model.solution import Array

PROBLEM = """problem step
state x in R
noise W
dx = {drift} dt + {noise} dW
{further}evaluate E integral(0, inf) exp(-{rate}*t)*({reward}) dt
region x in [-1, 1.3]
"""
AT = np.append(np.linspace(-1.0, 1.3, 47), [0.13, 0.137, 0.14])


def assert_true(text: str, exact: Callable[[Array], Array], most: float) -> None:
    solution = grid.solve(pipeline.derive(pipeline.loads(text))).solution
    got = solution.function.evaluate(np.zeros(AT.size), AT[:, None], np.zeros(AT.size, np.int64))
    assert solution.status == "converged"
    assert np.all(np.abs(got.value - exact(AT)) <= got.error)
    assert np.max(np.abs(got.value - exact(AT))) < most


def pasted(x: Array, c: float, below: tuple[float, float], above: tuple[float, float]) -> Array:
    """v + A e^(k (x - c)) below c and w + B e^(-m (x - c)) above, once differentiable, from (v, k) and (w, m)."""
    (v, k), (w, m) = below, above
    A, B = np.linalg.solve([[1.0, -1.0], [k, m]], [w - v, 0.0])
    return np.where(x < c, v + A * np.exp(np.minimum(k * (x - c), 0.0)), w + B * np.exp(np.minimum(-m * (x - c), 0.0)))


def test_a_reward_that_jumps() -> None:
    text = PROBLEM.format(drift=0.2, noise=0.7, further="", rate=0.5, reward="indicator(x > 0.137)")
    root = np.sqrt(0.04 + 0.5 * 2 * 0.49)
    assert_true(text, lambda x: pasted(x, 0.137, (0.0, (root - 0.2) / 0.49), (2.0, (root + 0.2) / 0.49)), 3e-5)


def test_a_discount_that_jumps() -> None:
    text = PROBLEM.format(drift=0, noise=0.7, further="discount if(x > 0.137, 1.5, 0.5)\n", rate=0, reward="1")
    low, high = np.sqrt(2 * 0.5) / 0.7, np.sqrt(2 * 1.5) / 0.7
    assert_true(text.replace("exp(-0*t)*", ""), lambda x: pasted(x, 0.137, (2.0, low), (1 / 1.5, high)), 3e-5)


@pytest.mark.slow
def test_a_drift_that_jumps() -> None:
    text = PROBLEM.format(drift="-0.6*sign(x - 0.137)", noise=0.7, further="", rate=0.5, reward="x - 0.137")
    k = (-0.6 + np.sqrt(0.36 + 0.49)) / 0.49

    def exact(x: Array) -> Array:
        y = np.abs(x - 0.137)
        return np.sign(x - 0.137) * (y / 0.5 - 0.6 / 0.25 * (1.0 - np.exp(-k * y)))

    assert_true(text, exact, 3e-5)


@pytest.mark.slow
def test_noise_that_jumps() -> None:
    text = PROBLEM.format(drift=0, noise="if(x > 0.137, 1.1, 0.4)", further="", rate=0.5, reward="x^2")
    low, high = 1.0 / 0.4, 1.0 / 1.1
    assert_true(text, lambda x: 2 * x**2 + pasted(x, 0.137, (0.16 / 0.25, low), (1.21 / 0.25, high)), 1e-4)


@pytest.mark.slow
def test_a_payoff_that_jumps_is_known_to_a_cell() -> None:
    text = """problem digital
state x in R
noise W
dx = 0.7 dW
stopping tau in [0, inf]
maximize E exp(-0.5*tau)*indicator(x(tau) >= 0.137)
region x in [-1, 1.3]
"""
    assert_true(text, lambda x: np.exp(-np.maximum(0.137 - x, 0.0) / 0.7), 1e-2)


def test_the_share_of_a_cell() -> None:
    text = PROBLEM.format(drift=0, noise=0.7, further="", rate=0.5, reward="indicator(x > 0 and 2*x < 1) + sign(x)*x^2")
    equation = pipeline.derive(pipeline.loads(text))
    x, width = equation.problem.state_symbols[0], sp.Symbol("w", positive=True)
    reward, *others = averaging(equation, (), {x: width}).added
    at = [float(reward.subs({x: place, width: 0.1})) for place in (0.2, 0.025, 0.48, 0.0, -0.2)]
    share = 0.025**2 * (2 * 0.75 - 1) - 0.025**2  # of the sign
    assert at == pytest.approx([0.0, -0.25 + share, -0.3, 0.5, 0.0], abs=1e-9)
    assert others == [0, 0, 0]


def test_what_a_control_decides_is_missed() -> None:
    text = """problem chosen
state x in R
control a in [-1, 1]
noise W
dx = if(x > 0.1, a, 2*a) dt + 0.5 dW
minimize E integral(0, inf) exp(-t)*x^2 dt
region x in [-1, 1]
"""
    equation = pipeline.derive(pipeline.loads(text))
    x = equation.problem.state_symbols[0]
    averaged = averaging(equation, equation.problem.control_symbols, {x: sp.Symbol("w", positive=True)})
    assert averaged.missed
    assert not averaged.jumps


def test_a_jump_of_the_payoff_costs_the_change_of_V_over_a_cell() -> None:
    x = np.linspace(-1.0, 1.0, 41)
    payoff = (x > 0.13).astype(float)[None, None]
    V = np.exp(-np.maximum(0.13 - x, 0.0))[None, None]
    inner = np.ones(41, bool)
    assert cost_of_jumps(V, payoff, payoff > 0.5, inner) == pytest.approx(1.0 - np.exp(-0.03), rel=1e-9)
    assert cost_of_jumps(V, V, payoff > 0.5, inner) == 0.0
