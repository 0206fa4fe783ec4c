"""The choice of the domain against a closed form whose value grows fast towards one end."""

from __future__ import annotations

import numpy as np
import pytest

from hjbdsl.frontend.load import loads_problem
from hjbdsl.methods import closed_form
from hjbdsl.methods.grid import solve
from hjbdsl.model.solution import Accepted
from hjbdsl.symbolic.derive import derive

STOCHASTIC_VARIANCE = """\
param r = 0.02, lam = 1.5, kap = 3, th = 0.05, xi = 0.3, gamma = 3, rho = -0.5, T = 1
state x > 0, v > 0
control w in [0, 2]
noise W, B
dW dB = rho dt
dx = x*(r + w*lam*v) dt + x*w*sqrt(v) dW
dv = kap*(th - v) dt + xi*sqrt(v) dB
maximize E x(T)^(1-gamma)/(1-gamma)
region x in [0.5, 2], v in [0.02, 0.1]
"""


@pytest.mark.slow
def test_ends_are_not_so_far_out_that_the_mesh_is_too_coarse_for_v() -> None:
    """V is of size 1 on the region and 1e5 where the search for the ends once stopped."""
    equation = derive(loads_problem(STOCHASTIC_VARIANCE))
    grid, exact = solve(equation, {"nx": 81}), closed_form.solve(equation)
    assert isinstance(grid, Accepted)
    assert isinstance(exact, Accepted)
    random = np.random.default_rng(1)
    points = np.column_stack([random.uniform(0.5, 2.0, 100), random.uniform(0.02, 0.1, 100)])
    time, mode = random.uniform(0.0, 1.0, 100), np.zeros(100, np.int64)
    found, true = grid.solution.function.evaluate(time, points, mode), exact.solution.function.evaluate(time, points, mode)
    error = np.abs(found.value - true.value)
    assert grid.solution.status == "converged"
    assert np.all(error <= found.error)
    assert np.max(error) < 1e-2
    assert np.max(found.error) < 0.1
