"""Additive constants of a utility stand in the formula that is shown, as they do in the numbers."""

from __future__ import annotations

import numpy as np
import pytest

from hjbdsl.frontend.load import loads_problem
from hjbdsl.methods.closed_form.ansatz import propose
from hjbdsl.methods.closed_form.ansatz.constants import Level
from hjbdsl.methods.closed_form.family import Proposal
from hjbdsl.model.problem import TIME
from hjbdsl.symbolic.derive import derive


def test_the_formula_holds_the_value_of_the_constant():
    """No stock, its premium is negative: k = (rho + (g - 1) r)/g and V = k^-g x^(1-g)/(1-g) + 1/((g-1) rho), with g = 3."""
    proposal = propose(
        derive(
            loads_problem("""problem p
state w > 0
control f in [0, 0.6], C >= 0
noise B
dw = ((0.02 - 0.03*f)*w - C) dt + 0.3*f*w dB
maximize E integral(0, inf) exp(-0.06*t)*(C^(-2) - 1)/(-2) dt
""")
        )
    )
    assert isinstance(proposal, Proposal)
    value = proposal.function.evaluate(np.zeros(1), np.array([[2.0]]), np.array([0])).value[0]
    expected = -(((0.06 + 2 * 0.02) / 3) ** -3) / 8 + 1 / (2 * 0.06)
    assert value == pytest.approx(expected, rel=1e-12)
    assert proposal.formula is not None
    assert proposal.formula.value["V"].text == "8.333333 - 13500.0/w^2"


@pytest.mark.parametrize("level", [Level(0.5, 1.5, 0.06, 2.0), Level(0.5, 1.5, 0.0, 2.0), Level(0.5, 0.0, 0.06, np.inf)])
def test_the_expression_of_a_level_is_its_number(level):
    for t in (0.0, 0.7, 1.9):
        assert float(level.expression().subs(TIME, t)) == pytest.approx(level.at(np.array([t]))[0][0], rel=1e-7)
