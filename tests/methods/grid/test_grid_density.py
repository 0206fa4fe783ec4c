"""Laws of the controlled process and free boundaries against formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.methods.grid.reflected import DRIFT_TO_A_WALL
from tests.methods.grid.test_grid_known_answers import LQ, solved


def test_law_of_a_regulated_state_is_normal() -> None:
    solution = solved(LQ, nx=401)
    c = 0.3**2 / 0.6
    P = (-1 + math.sqrt(1 + 4 * c * 1.4)) / (2 * c)
    variance = 0.25 / (2 * (0.4 + 0.3 * 0.3 * P / 0.6))
    x, law = solution.tables["law_nodes_0"], solution.tables["law"]
    assert law.shape == (1, 1, x.size)
    exact = np.exp(-(x**2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)
    assert np.max(np.abs(law[0, 0] - exact)) < 2e-4
    assert abs(np.trapezoid(law[0, 0], x) - 1) < 1e-4


def test_law_between_reflecting_walls_is_exponential() -> None:
    solution = solved(DRIFT_TO_A_WALL, nx=401)
    x, law = solution.tables["law_nodes_0"], solution.tables["law"][0, 0]
    k = 2 * 0.7 / 0.25
    assert np.max(np.abs(law - k * np.exp(-k * x) / (1 - math.exp(-k)))[1:-1]) < 1e-3  # the ends stand for half cells
    width = np.diff(x)
    assert abs(np.sum(width * (law[1:] + law[:-1])) / 2 - 1) < 1e-10


def test_law_over_two_modes() -> None:
    """The chain is alone with its rates; within it the state relaxes to a mean of its own: E x by linear algebra."""
    text = """problem weather
state x in R
noise W
mode z in {calm, wild}
rate calm -> wild = 0.4, wild -> calm = 1.1
param m(z) = {calm: 0.5, wild: -1}
dx = 2*(m(z) - x) dt + 0.3 dW
evaluate E integral(0, inf) exp(-0.2*t)*x^2 dt
region x in [-1, 1]
"""
    solution = solved(text, nx=401)
    x, law = solution.tables["law_nodes_0"], solution.tables["law"][0]
    share = np.trapezoid(law, x, axis=1)
    assert np.max(np.abs(share - np.array([1.1, 0.4]) / 1.5)) < 1e-4
    moments = np.trapezoid(law * x, x, axis=1)
    # 0 = 2 (m_z p_z - E[x; z]) + sum over z' of E[x; z'] q_z'z
    exact = np.linalg.solve(np.array([[2 + 0.4, -1.1], [-0.4, 2 + 1.1]]), 2 * np.array([0.5, -1]) * share)
    assert np.max(np.abs(moments - exact)) < 1e-4


def test_law_of_a_wandering_state_moves_and_leaves() -> None:
    """Brownian motion that ends at |x| = 1: what remains at time 1 by the eigenfunctions of the interval."""
    text = """problem stay
state x in R
noise W
dx = 1 dW
exit tau in [0, 1] when |x| >= 1
evaluate E x(tau)^2
region x in [-1, 1]
"""
    solution = solved(text, nx=201)
    mass, times = solution.tables["law_mass"], solution.tables["law_times"]
    k = np.arange(1, 80, 2)
    signs = np.where(k % 4 == 1, 1.0, -1.0)
    for t, left in zip(times[8::8], mass[8::8], strict=True):
        assert abs(left - np.sum(4 / (k * math.pi) * signs * np.exp(-((k * math.pi) ** 2) * t / 8))) < 2e-3


def test_no_law_of_a_process_that_goes_to_infinity() -> None:
    text = """problem growth
state x > 0
noise W
dx = 0.3*x dt + 0.1*x dW
evaluate E integral(0, inf) exp(-0.9*t)*x dt
region x in [1, 2]
"""
    assert "law" not in solved(text, nx=201).tables


@pytest.mark.slow
@pytest.mark.parametrize(("r", "sigma"), [(0.05, 0.4), (0.08, 0.25)])
def test_free_boundary_of_a_perpetual_put(r: float, sigma: float) -> None:
    text = f"""problem put
state x > 0
noise W
dx = {r}*x dt + {sigma}*x dW
stopping tau in [0, inf]
maximize E exp(-{r}*tau)*max(10 - x(tau), 0)
region x in [2, 20]
"""
    b = 2 * r / sigma**2
    ((t, state, point, error),) = solved(text).tables["free_boundary"]
    assert (t, state) == (0.0, 0.0)
    assert abs(point - 10 * b / (1 + b)) < error < 0.05
