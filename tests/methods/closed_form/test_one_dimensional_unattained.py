"""Perpetual stopping whose best value is only approached: payoffs that grow exactly as fast as discounting takes away.

Oracle: the best exit from an interval (a, b), b far away, by the two fundamental solutions.
"""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from hjbdsl.errors import HjbError
from hjbdsl.frontend.load import loads_problem
from hjbdsl.methods.closed_form.family import Proposal
from hjbdsl.methods.closed_form.one_dimensional import propose_perpetual_stopping
from hjbdsl.methods.closed_form.verify import verify
from hjbdsl.model.solution import Evidence
from hjbdsl.symbolic.derive import derive

TEXT = """
param r = {r}
state S > 0
noise W
dS = {drift}*S dt + 0.3*S dW
stopping nu in [0, inf]
{sense} E exp(-r*nu)*{payoff}
region S in [1, 60]
"""


def proposed(payoff, r=0.05, drift="r", sense="maximize"):
    equation = derive(loads_problem(TEXT.format(r=r, drift=drift, payoff=payoff, sense=sense)))
    proposal = propose_perpetual_stopping(equation)
    assert isinstance(proposal, Proposal), proposal
    assert isinstance(verify(equation, proposal), Evidence)
    return proposal


def value(proposal, x):
    return float(proposal.function.evaluate(np.zeros(1), np.array([[float(x)]]), np.zeros(1, dtype=int)).value[0])


def exits_best(payoff, r, x, far=1e9):
    """sup over a of the value of leaving (a, far)."""
    down, up = -2 * r / 0.09, 1.0

    def left_at(a):
        matrix = np.array([[a**down, a**up], [far**down, far**up]])
        c = np.linalg.solve(matrix / matrix.max(axis=1)[:, None], np.array([payoff(a), payoff(far)]) / matrix.max(axis=1))
        return c[0] * x**down + c[1] * x**up

    return -minimize_scalar(lambda a: -left_at(a), bounds=(1e-3, x), method="bounded", options={"xatol": 1e-10}).fun


@pytest.mark.parametrize("strike", [1, 10, 40])
def test_a_call_without_dividends_is_the_stock_and_never_exercised(strike):
    proposal = proposed(f"max(S(nu) - {strike}, 0)")
    assert [value(proposal, x) for x in (2.0, 10.0, 55.0)] == pytest.approx([2.0, 10.0, 55.0], rel=1e-13)
    assert "not attained" in proposal.warnings[0]
    assert not proposal.function.evaluate(np.zeros(1), np.array([[50.0]]), np.zeros(1, dtype=int)).stop.any()


@pytest.mark.parametrize("r", [0.03, 0.08])
def test_a_straddle_stops_below_and_waits_above(r):
    proposal = proposed("abs(S(nu) - 10)", r=r)
    for x in (4.0, 15.0, 50.0):
        assert value(proposal, x) == pytest.approx(exits_best(lambda s: abs(s - 10), r, x), rel=1e-6)
    assert "not attained" in proposal.warnings[0]


def test_the_lower_end():
    # without drift and with r = sigma^2 the exponents are -1 and 2
    proposal = proposed("max(3/S(nu) - 1, 0)", r=0.09, drift="0")
    assert value(proposal, 2.0) == pytest.approx(1.5, rel=1e-13)
    assert "S -> 0" in proposal.warnings[0]


def test_a_minimiser():
    proposal = proposed("min(5 - S(nu), 5)", sense="minimize")
    assert value(proposal, 20.0) == pytest.approx(-20.0, rel=1e-13)
    assert "infimum" in proposal.warnings[0]


def test_with_a_dividend_the_supremum_is_attained():
    proposal = proposed("max(S(nu) - 10, 0)", drift="0.02")
    assert not proposal.warnings


def test_growing_faster_is_infinite():
    with pytest.raises(HjbError) as raised:
        propose_perpetual_stopping(derive(loads_problem(TEXT.format(r=0.05, drift="0.0501", payoff="S(nu)", sense="maximize"))))
    assert raised.value.diagnostics[0].code == "HJB120"
