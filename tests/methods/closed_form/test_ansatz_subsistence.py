"""Utilities with affine risk tolerance: subsistence and income shift wealth, and only where the state may go there."""

from __future__ import annotations

import numpy as np
import pytest

from hjbdsl.frontend.load import loads_problem
from hjbdsl.methods.closed_form.ansatz import propose
from hjbdsl.methods.closed_form.family import Proposal
from hjbdsl.methods.closed_form.verify import verify
from hjbdsl.model.solution import Evidence
from hjbdsl.symbolic.derive import derive
from tests.methods.closed_form.test_ansatz_utility import at, solve

MARKET = """param r = 0.03, mu = 0.08, sigma = 0.2, gamma = 2, rho = 0.05, cb = 0.01, y = 0.06
state x {domain}
control a in R, c >= {floor}
noise W
dx = (r*x + a*(mu - r) + {income} - c) dt + a*sigma dW
maximize E integral(0, inf) exp(-rho*t)*{utility} dt
region x in [1, 5]
"""


def test_subsistence_consumption_infinite_horizon():
    """Wealth beyond cb/r is invested as Merton does."""
    found = solve(MARKET.format(domain="> 0", floor="cb", income="0", utility="(c - cb)^(1-gamma)/(1-gamma)"))
    k = (0.05 + 0.03 + 0.05**2 / 0.16) / 2
    free = np.array([1.0, 4.0]) - 0.01 / 0.03
    point = at(found, [[1.0], [4.0]])
    np.testing.assert_allclose(point.value, -(k**-2) / free, rtol=1e-11)
    np.testing.assert_allclose(point.control, np.stack([0.05 / 0.08 * free, 0.01 + k * free], axis=1), rtol=1e-9)


def test_subsistence_with_logarithm():
    found = solve(MARKET.format(domain="> 0", floor="cb", income="0", utility="log(c - cb)"))
    free = 2.5 - 0.01 / 0.03
    expected = np.log(0.05 * free) / 0.05 + (0.03 + 0.05**2 / 0.08 - 0.05) / 0.0025
    assert at(found, [[2.5]]).value[0] == pytest.approx(expected, rel=1e-11)


def test_floor_on_terminal_wealth():
    found = solve(
        """param r = 0.03, mu = 0.08, sigma = 0.2, gamma = 3, T = 2, F = 0.4
state x > 0
control a in R
noise W
dx = (r*x + a*(mu - r)) dt + a*sigma dW
maximize E (x(T) - F)^(1-gamma)/(1-gamma)
region x in [1, 5]
"""
    )
    free = 1.7 - 0.4 * np.exp(-0.03 * 1.5)
    point = at(found, [[1.7]], t=0.5)
    assert point.value[0] == pytest.approx(np.exp(-2 * (0.03 + 0.05**2 / 0.24) * 1.5) * free**-2 / -2, rel=1e-11)
    assert point.control[0, 0] == pytest.approx(0.05 / 0.12 * free, rel=1e-10)


@pytest.mark.parametrize(("domain", "proved"), [("in R", True), ("> 0", False)])
def test_income_is_borrowed_against_only_where_wealth_may_be_negative(domain, proved):
    """V = A (x + y/r)^(1-gamma)/(1-gamma) needs debts of up to y/r; with x > 0 it is the value of another problem."""
    text = MARKET.format(domain=domain, floor="0", income="y", utility="c^(1-gamma)/(1-gamma)")
    equation = derive(loads_problem("problem p\n" + text))
    proposal = propose(equation)
    accepted = isinstance(proposal, Proposal) and isinstance(verify(equation, proposal), Evidence)
    assert accepted == proved
    if accepted:
        k = (0.05 + 0.03 + 0.05**2 / 0.16) / 2
        assert at(proposal, [[1.5]]).value[0] == pytest.approx(-(k**-2) / 3.5, rel=1e-11)
