"""What the scheme would answer wrongly, with a small band, is refused."""

from __future__ import annotations

import pytest

from hjbdsl.frontend.load import loads_problem
from hjbdsl.methods.grid import solve
from hjbdsl.methods.neural import refusals
from hjbdsl.model.solution import Rejected
from hjbdsl.symbolic.derive import derive

CONSTRAINED = """
state x >= 0
control u in {controls}
noise W
dx = u dt + 0.5 dW
minimize E integral(0, inf) exp(-0.1*t)*((x - 1)^2 + u^2) dt
region x in [0, 2]
"""
GROWING = """
state x in R
control a in [-1, 1]
noise W
dx = a dt + dW
exit tau when |x| >= 1
minimize E exp(3*tau)
"""


def test_a_constraint_kept_against_noise_has_a_layer() -> None:
    """V(0.2) = 3.266 by a boundary-value solver with the singular expansion; the scheme converges to 2.966."""
    equation = derive(loads_problem(CONSTRAINED.format(controls="R")))
    assert [end.kind for end in equation.boundaries] == ["constrain", "growth"]
    answer = solve(equation)
    assert isinstance(answer, Rejected)
    assert "kept against noise" in answer.reason


def test_bounded_controls_cannot_keep_it_and_the_end_reflects() -> None:
    equation = derive(loads_problem(CONSTRAINED.format(controls="[-2, 2]")))
    assert [end.kind for end in equation.boundaries] == ["reflect", "growth"]


@pytest.mark.parametrize("rate", ["3*tau", "0.5*tau"])
def test_growth_without_an_end_is_left_to_the_closed_forms(rate: str) -> None:
    answer = solve(derive(loads_problem(GROWING.replace("3*tau", rate))))
    assert isinstance(answer, Rejected)
    assert "negative" in answer.reason


def test_what_changes_with_time_and_never_ends_is_marched_back_from_nowhere() -> None:
    lines = "state x in R\ncontrol a in R\nnoise W\ndx = a dt + 0.2 dW\n"
    equation = derive(loads_problem(lines + "minimize E integral(0, inf) exp(-0.1*t)*(x^2 + a^2 + x*sin(t)) dt\n"))
    grid, network = solve(equation), refusals.policy_iteration(equation)
    assert isinstance(grid, Rejected)
    assert "never ends" in grid.reason
    assert network is not None
    assert "never ends" in network
