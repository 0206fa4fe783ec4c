"""Marches in time whose formulas never see the optimum: refused, since levels would agree on a wrong V."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hjbdsl import pipeline
from hjbdsl.errors import SolverError
from hjbdsl.methods import closed_form, grid

GALLERY = Path(__file__).parents[3] / "problems"
CAKE = """problem cake
state k >= 0
control c >= 0
dk = -c dt
maximize integral(0, 2) sqrt(c) dt
region k in [0.5, 3]
"""
GOAL = """problem deadline
state x in [0, 1]
control p in R
noise W
dx = 0.1*p dt + 0.25*p dW
exit tau in [0, 1] when x <= 0 or x >= 1
maximize E if(x(tau) >= 1, 1, 0)
region x in [0.05, 0.95]
"""
MERTON = """problem merton
state x > 0
control p in R
noise W
dx = x*(0.02 + 0.06*p) dt + 0.3*p*x dW
maximize E x(1)^(1/2)
region x in [0.5, 2]
solve grid(nx = 65)
"""


@pytest.mark.slow
@pytest.mark.parametrize("text", [CAKE, GOAL])
def test_a_control_without_bound_that_gains_for_ever_is_no_zero(text: str) -> None:
    """V = sqrt(2 k), and Phi(Phi^-1(x) + 0.4) by Browne (1999): the maximiser's formula is 0/0 or infinite where V is flat."""
    with pytest.raises(SolverError, match="without a bound"):
        grid.solve(pipeline.derive(pipeline.loads(text)))


@pytest.mark.slow
def test_a_portfolio_without_bound_has_an_optimum() -> None:
    answer = grid.solve(pipeline.derive(pipeline.loads(MERTON)))
    assert answer.solution.status == "converged"


@pytest.mark.slow
def test_a_portfolio_under_random_variance_has_an_optimum() -> None:
    """Kraft's formula (2005): the coarsest mesh cannot tell that the policy is an optimum, no end may reflect noise."""
    equation = pipeline.derive(pipeline.load(str(GALLERY / "heston_portfolio.hjb")))
    answer = grid.solve(equation).solution
    assert answer.status == "converged"
    exact = closed_form.solve(equation).solution
    x = np.array([[0.5, 0.01], [1.0, 0.05], [2.0, 0.15], [0.7, 0.1]])
    got, right = (function.evaluate(np.zeros(4), x, np.zeros(4, int)) for function in (answer.function, exact.function))
    assert np.all(np.abs(got.value - right.value) <= got.error)
    np.testing.assert_allclose(got.value, right.value, rtol=2e-3)


EATEN_AT_THE_END = """problem saver
state x > 0
control w in [0, 1.5], k > 0
noise W
dx = (0.01 + 0.05*w - 0.01*exp(w) - k)*x dt + 0.2*w*x dW
maximize E integral(0, inf) exp(-0.05*t)*(k*x)^(-2)/(-2) dt
"""


@pytest.mark.slow
def test_boundless_consumption_on_the_artificial_end_is_no_answer() -> None:
    # with k without end V is next to 0, and so is every gain: -56087 at x = 1 is right, by the closed form
    with pytest.raises(SolverError, match="not optimal"):
        grid.solve(pipeline.derive(pipeline.loads(EATEN_AT_THE_END)))
