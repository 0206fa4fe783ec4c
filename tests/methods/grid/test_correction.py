"""Upwind rows made second order: against closed forms where V is smooth, and left alone where V has kinks."""

from __future__ import annotations

import numpy as np
import pytest

from hjbdsl.frontend.load import loads_problem
from hjbdsl.methods import closed_form
from hjbdsl.methods.grid import solve
from hjbdsl.methods.grid.function import GridFunction
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Accepted, Array, Solution
from hjbdsl.symbolic.derive import derive

LINE = """\
state x in R
control a in [-1, 1]
noise W
dx = a dt + 0.05 dW
minimize E integral(0, inf) exp(-0.5*t)*abs(x) dt
region x in [-1, 1]
"""
CORRELATED = """\
param rho = 0.95
state x in R, y in R
control a in R, b in R
noise W, B
dW dB = rho dt
dx = (-0.5*x + 0.3*y + a) dt + 0.4 dW
dy = (0.2*x - 0.3*y + b) dt + 0.5 dB
minimize E integral(0, inf) exp(-0.3*t)*(x^2 + 0.7*y^2 + 0.5*a^2 + b^2) dt
region x in [-1, 1], y in [-1, 1]
"""
DEGENERATE = """\
state x in R, v in R
control a in R
noise W
dx = v dt
dv = (-0.5*x - 0.3*v + a) dt + 0.4 dW
minimize E integral(0, inf) exp(-0.3*t)*(x^2 + 0.4*v^2 + 0.5*a^2) dt
region x in [-1, 1], v in [-1, 1]
"""
AVERAGE = """\
state x in R, y in R
control a in R
noise W, B
dx = (-0.5*x + y) dt + 0.1 dB
dy = a dt + 0.3 dW
minimize average E (x^2 + 0.5*y^2 + a^2)
region x in [-1, 1], y in [-1, 1]
"""
KINK = """\
state x in R
control a in [-1, 1]
dx = a*(1 + 0.5*x) dt
exit tau when x <= -1 or x >= 1
minimize integral(0, tau) 1 dt
region x in [-1, 1]
"""


def both(text: str) -> tuple[ControlProblem, Solution, Solution]:
    equation = derive(loads_problem(text))
    grid, exact = solve(equation), closed_form.solve(equation)
    assert isinstance(grid, Accepted)
    assert isinstance(exact, Accepted)
    return equation.problem, grid.solution, exact.solution


def errors(problem: ControlProblem, grid: Solution, exact: Solution) -> tuple[Array, Array]:
    """The true error and the claimed one at points of the region [-1, 1]^d."""
    points = np.random.default_rng(3).uniform(-1.0, 1.0, (300, len(problem.state_symbols)))
    time, mode = np.zeros(300), np.zeros(300, np.int64)
    found, true = grid.function.evaluate(time, points, mode), exact.function.evaluate(time, points, mode)
    return np.abs(found.value - true.value), found.error


def corrected(solution: Solution) -> bool:
    assert isinstance(solution.function, GridFunction)
    return solution.function.left is not None


SLOWLY = pytest.param(CORRELATED, 1e-3, marks=pytest.mark.slow)


@pytest.mark.parametrize(("text", "accuracy"), [(LINE, 1e-6), SLOWLY, pytest.param(DEGENERATE, 1e-3, marks=pytest.mark.slow)])
def test_a_strong_drift_is_of_second_order(text: str, accuracy: float) -> None:
    problem, grid, exact = both(text)
    error, band = errors(problem, grid, exact)
    assert grid.status == "converged"
    assert corrected(grid)
    assert grid.evidence.numbers["order"] > 1.8
    assert np.mean(error <= band) > 0.99
    assert np.mean(band) < accuracy


@pytest.mark.slow
def test_so_is_a_long_run_average() -> None:
    problem, grid, exact = both(AVERAGE)
    error, band = errors(problem, grid, exact)
    assert corrected(grid)
    assert np.mean(error <= band) > 0.99
    assert grid.average is not None
    assert exact.average is not None
    assert grid.average_error is not None
    assert abs(grid.average - exact.average) < grid.average_error < 1e-4


def test_a_kink_keeps_the_monotone_scheme() -> None:
    problem, grid, exact = both(KINK)
    error, band = errors(problem, grid, exact)
    assert not corrected(grid)
    assert np.mean(error <= band) > 0.99
