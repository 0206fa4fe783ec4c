"""What peaks between the nodes of every level is refused, and answered where nodes lie closer."""

import numpy as np
import pytest

from hjbdsl.errors import SolverError
from hjbdsl.frontend.load import loads_problem
from hjbdsl.methods import grid
from hjbdsl.model.solution import Accepted
from hjbdsl.symbolic.derive import derive

STOPPING = """
state x in R
noise W
stopping tau in [0, inf]
dx = 0.4 dW
maximize E exp(-0.5*tau)*max(1 - |x(tau) - 0.1234|/{width}, 0)
region x in [{low}, {high}]
"""
PAID = """
state x in R
noise W
dx = {drift} dt + 0.4 dW
evaluate E {paid}
region x in [-1, 1]
"""


def test_a_peak_at_which_to_stop():
    """V = exp(-2.5 |x - 0.1234|) but for the tip: stop at the peak."""
    with pytest.raises(SolverError, match=r"what stopping pays peaks between two nodes, near x = 0\.123"):
        grid.solve(derive(loads_problem(STOPPING.format(width=0.0005, low=-1, high=1))))
    answer = grid.solve(derive(loads_problem(STOPPING.format(width=0.05, low=-1, high=1))))
    assert isinstance(answer, Accepted)
    x = np.array([-0.8, 0.5])
    found = answer.solution.function.evaluate(np.zeros(2), x[:, None], np.zeros(2, dtype=np.int64))
    assert np.all(np.abs(found.value - np.exp(-2.5 * np.abs(x - 0.1234))) <= found.error)


@pytest.mark.parametrize(
    ("paid", "what"),
    [
        ("integral(0, inf) exp(-t)*exp(-((x - 0.1234)/1e-4)^2)/1e-4 dt", "the running reward"),
        ("exp(-((x(1) - 0.1234)/5e-4)^2)/5e-4", "the terminal reward"),
        ("integral(0, 1) (3 + exp(-((x - 0.1234)/1e-4)^2)/1e-4) dt", "the running reward"),
    ],
)
def test_a_peak_of_what_is_paid(paid, what):
    with pytest.raises(SolverError, match=what):
        grid.solve(derive(loads_problem(PAID.format(drift="0", paid=paid))))


@pytest.mark.parametrize("paid", ["integral(0, inf) exp(-t)*indicator(x > 0.1234) dt", "max(x(1) - 0.1234, 0)", "sin(20*x(1))"])
def test_what_nodes_see_is_answered(paid):
    assert isinstance(grid.solve(derive(loads_problem(PAID.format(drift="-x", paid=paid)))), Accepted)
