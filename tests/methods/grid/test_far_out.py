"""Where what lies far beyond the region decides: growth without end, slow decay; and values on the wrong side of 0."""

import numpy as np
import pytest

from hjbdsl.frontend.load import loads_problem
from hjbdsl.methods import grid
from hjbdsl.methods.grid.refusals import wrong_sign
from hjbdsl.model.solution import Accepted
from hjbdsl.symbolic.derive import derive

GROWTH = """
param A = {A}, rho = {rho}
state k > 0
control c > 0
dk = ((A - 0.05)*k - c) dt
maximize integral(0, inf) exp(-rho*t)*log(c) dt
region k in [0.5, 4]
"""
SLOW = """
param alpha = {alpha}
state x in R
control u in R
noise W
dx = alpha*x dt + 0.3 dW
maximize E integral(0, inf) exp(-0.1*t)*(-x^2 - u^2) dt
region x in [-2, 2]
"""


def solved(text):
    answer = grid.solve(derive(loads_problem(text)))
    assert isinstance(answer, Accepted), answer
    return answer.solution


def within(solution, x, wanted):
    found = solution.function.evaluate(np.zeros(len(x)), np.asarray(x)[:, None], np.zeros(len(x), dtype=np.int64))
    return np.all(np.abs(found.value - wanted) <= found.error)


@pytest.mark.parametrize(("A", "rho"), [(0.3, 0.06), (0.3, 0.03), (0.6, 0.06)])
def test_capital_that_grows_beyond_every_bound(A, rho):
    """V = log(rho k)/rho + (A - 0.05 - rho)/rho^2: consumption is reached that is 10^12 times what is consumed now."""
    k = np.array([0.5, 1.0, 4.0])
    assert within(solved(GROWTH.format(A=A, rho=rho)), k, np.log(rho * k) / rho + (A - 0.05 - rho) / rho**2)


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.03, 0.04, 0.045])
def test_an_influence_of_the_ends_that_falls_like_a_power(alpha):
    """Nothing can be done: V = -(x^2 + 0.09/0.1)/(0.1 - 2 alpha)."""
    solution = solved(SLOW.format(alpha=alpha))
    x = np.array([0.0, 1.0, 2.0])
    assert solution.status != "converged" or within(solution, x, -(x**2 + 0.9) / (0.1 - 2 * alpha))


def test_a_value_on_the_wrong_side_of_nothing():
    costs = derive(loads_problem(SLOW.format(alpha=0.03)))
    assert wrong_sign(costs, np.array([-1.0, 0.1]), np.array([0.1, 0.2])) is None
    assert "positive though nothing paid is" in str(wrong_sign(costs, np.array([-1.0, 0.3]), np.array([0.1, 0.2])))
    either = derive(loads_problem(SLOW.format(alpha=0.03).replace("-x^2 - u^2", "x - u^2")))
    assert wrong_sign(either, np.array([-1.0, 0.3]), np.array([0.1, 0.2])) is None


@pytest.mark.slow
def test_noises_that_nearly_coincide_at_the_rim_of_the_region():
    """V depends on x - y alone, of variance 0.0054; the cells beyond the region widen, and spread it along the diagonals."""
    text = """
state x in R, y in R
noise W, B
dW dB = 0.97 dt
dx = 0.3 dW
dy = 0.3 dB
evaluate E max(1 - |x(1) - y(1)|, 0)
region x in [-1, 1], y in [-1, 1]
"""
    s, share = np.sqrt(0.0054), np.linspace(-1.0, 1.0, 200_001)
    points = np.array([(0.0, 0.0), (0.5, 0.5), (0.8, 0.8), (0.9, 0.9), (1.0, 1.0), (1.0, 0.9), (-0.95, -1.0), (1.0, -1.0)])
    weight = np.exp(-(((share - (points[:, :1] - points[:, 1:])) / s) ** 2) / 2) / (s * np.sqrt(2 * np.pi))
    wanted = np.trapezoid((1 - np.abs(share)) * weight, share)
    found = solved(text).function.evaluate(np.zeros(8), points, np.zeros(8, dtype=np.int64))
    assert np.all(np.abs(found.value - wanted) <= found.error)
