"""Values that jump and games in time: marches whose levels, or whose iterations, tell less than they seem to."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from tests.methods.grid.test_grid_known_answers import solved

CARRIED = """problem carried
state x in R
dx = (x - x^3 + 0.5*sin(4*t)) dt
discount 0.1 + 0.3*sin(2*t)
evaluate indicator(x(1.2) > 0.4)
region x in [-1.5, 1.5]
"""
GAME = """problem game
state x in R
control a in [-1, 1]
adversary b in [-0.6, 0.6]
noise W
dx = (a + b*(1 + 0.3*cos(x)) + 0.2*t) dt + 0.25 dW
minimize E [ integral(0, 0.8) 0.3*a^2 - 0.5*b^2 dt + cos(3*x(0.8)) ]
region x in [-2, 2]
"""


@pytest.mark.slow
@pytest.mark.parametrize("t", [0.0, 0.6])
def test_a_jump_that_is_carried_along_is_in_the_band(t: float) -> None:
    # levels smear it alike, and where their profiles cross they agree
    function = solved(CARRIED).function
    x = np.concatenate([np.linspace(-1.5, 1.5, 101), np.linspace(-0.2, 0.5, 141)])
    ends = solve_ivp(lambda s, y: y - y**3 + 0.5 * np.sin(4.0 * s), (t, 1.2), x, rtol=1e-9, atol=1e-11).y[:, -1]
    exact = (ends > 0.4) * np.exp(-0.1 * (1.2 - t) + 0.15 * (np.cos(2.4) - np.cos(2.0 * t)))
    found = function.evaluate(np.full(x.size, t), x[:, None], np.zeros(x.size, np.int64))
    assert np.all(np.abs(found.value - exact) <= found.error)
    assert np.mean(found.error < 0.01) > 0.7


def game(x: np.ndarray, steps: int) -> np.ndarray:
    """V(0) by explicit central differences; both best answers are clipped lines in V'."""
    h, dt, V = x[1] - x[0], 0.8 / steps, np.cos(3.0 * x)
    for k in range(steps):
        t = 0.8 - k * dt
        p, q = np.gradient(V, h, edge_order=2), np.zeros_like(V)
        q[1:-1] = (V[2:] - 2.0 * V[1:-1] + V[:-2]) / h**2
        a, lever = np.clip(-p / 0.6, -1.0, 1.0), 1.0 + 0.3 * np.cos(x)
        b = np.clip(p * lever, -0.6, 0.6)
        V = V + dt * ((a + b * lever + 0.2 * t) * p + 0.03125 * q + 0.3 * a**2 - 0.5 * b**2)
    return V


@pytest.mark.slow
def test_a_game_in_time_whose_policy_iteration_goes_round_in_circles() -> None:
    solution = solved(GAME)
    assert solution.status == "converged"
    x, finer = np.linspace(-6.0, 6.0, 1201), np.linspace(-6.0, 6.0, 2401)
    # what steps in time err is of first order, what central differences err of second
    coarse, fine = (2.0 * game(nodes, 2 * steps) - game(nodes, steps) for nodes, steps in ((x, 1000), (finer, 3000)))
    exact = (4.0 * fine[::2] - coarse) / 3.0
    inner = np.abs(x) <= 2.0
    found = solution.function.evaluate(np.zeros(inner.sum()), x[inner][:, None], np.zeros(inner.sum(), np.int64))
    assert np.mean(np.abs(found.value - exact[inner]) <= found.error) > 0.95
    assert np.max(found.error) < 5e-4
