"""The boundary condition inferred for each end of each state, with its reason; a written statement wins."""

from __future__ import annotations

import pytest

from hjbdsl.frontend.load import loads_problem
from hjbdsl.symbolic.derive import derive


def ends(text):
    equation = derive(loads_problem(text))
    names = [s.name for s in equation.problem.state_symbols]
    return {(names[c.state], c.side): c for c in equation.boundaries}


def problem(
    state, dynamics, extra="", objective="minimize E integral(0, inf) exp(-t)*(x^2 + a^2) dt", control="control a in [-1, 1]"
):
    return f"problem p\nstate {state}\n{control}\nnoise W\n{dynamics}\n{extra}\n{objective}\n"


def test_open_end_is_never_reached():
    found = ends(problem("x > 0", "dx = a*x dt + x dW"))
    assert found["x", "lower"].kind == "natural"
    assert "never reached" in found["x", "lower"].why
    assert found["x", "upper"].kind == "growth"


def test_closed_end_with_a_control_is_a_state_constraint():
    found = ends(problem("x >= 0", "dx = a dt + x dW"))
    assert found["x", "lower"].kind == "constrain"


def test_closed_end_where_nothing_points_out_is_natural():
    found = ends(problem("x in [0, 1]", "dx = (0.5 - x)*2 dt + x*(1 - x) dW", control="control a in [-1, 1]"))
    assert found["x", "lower"].kind == found["x", "upper"].kind == "natural"
    assert "noise vanishes" in found["x", "lower"].why


def test_circle_is_periodic():
    found = ends(problem("x in circle", "dx = a dt + 0.1 dW", objective="minimize E integral(0, inf) exp(-t)*(cos(x) + a^2) dt"))
    assert {c.kind for c in found.values()} == {"periodic"}


@pytest.mark.parametrize(
    ("condition", "low", "high"), [("x <= -1 or x >= 2", -1, 2), ("|x| >= 3", -3, 3), ("x >= 1 or -x >= 2", None, 1)]
)
def test_exit_is_absorbing(condition, low, high):
    found = ends(
        problem("x in R", "dx = a dt + dW", f"exit tau when {condition}", "minimize E [ integral(0, tau) (1 + a^2) dt + x(tau) ]")
    )
    assert found["x", "upper"].kind == "absorbing"
    assert found["x", "upper"].location == high == found["x", "upper"].amount
    if low is not None:
        assert found["x", "lower"].kind == "absorbing"
        assert found["x", "lower"].location == low == found["x", "lower"].amount


def test_written_statement_wins():
    found = ends(problem("x in [0, 5]", "dx = a dt + dW", "boundary x = 0 : value 7\nboundary x = 5 : reflect"))
    assert (found["x", "lower"].kind, found["x", "lower"].amount) == ("value", 7)
    assert found["x", "upper"].kind == "reflect"
    assert found["x", "upper"].written
    assert "line" in found["x", "upper"].why
