"""Perpetual stopping formulas against textbook free boundaries and a hand-written verification of the equation."""

import numpy as np
import pytest
import sympy as sp
from one_dimensional_problems import R, bounds, equation

from hjbdsl.errors import HjbError
from hjbdsl.methods.closed_form.family import Proposal
from hjbdsl.methods.closed_form.one_dimensional.perpetual_formula import propose_perpetual_stopping
from hjbdsl.model.exact import with_numbers
from hjbdsl.model.solution import Rejected

X = sp.Symbol("x", positive=True)
r, mu, sigma, K = sp.symbols("r mu sigma K", positive=True)
POSITIVE = bounds(0, sp.oo)


def values_at(proposal, points):
    points = np.asarray(points, dtype=float)
    return proposal.function.evaluate(np.zeros(len(points)), points[:, None], np.zeros(len(points), dtype=int))


@pytest.mark.parametrize(
    ("rate", "vol", "strike"),
    [(R(6, 100), R(3, 10), 20), (R(1, 100), R(1, 2), 7), (R(1, 5), R(1, 10), 100), (R("0.0401"), R("0.292531377"), 100)],
)
@pytest.mark.parametrize("payoff", [sp.Max(K - X, 0), K - X])
def test_american_put(rate, vol, strike, payoff):
    problem = equation(
        X, r * X, sigma * X, state_bounds=POSITIVE, region=(strike / 4, 3 * strike),
        values={r: rate, sigma: vol, K: sp.Integer(strike)}, discount=r, stop=payoff,
    )  # fmt: skip
    proposal = propose_perpetual_stopping(problem)
    assert isinstance(proposal, Proposal)
    b = float(2 * rate / vol**2)
    boundary = strike * b / (1 + b)
    points = np.linspace(strike / 4, 3 * strike, 201)
    expected = np.where(points <= boundary, strike - points, (strike - boundary) * (points / boundary) ** (-b))
    found = values_at(proposal, points)
    np.testing.assert_allclose(found.value, expected, rtol=1e-13)
    np.testing.assert_array_equal(found.stop, points <= boundary)
    assert "if(x <= x_s" in proposal.formula.value["V"].text
    there = with_numbers(proposal.symbolic[()], {**problem.problem.values, X: sp.Integer(strike)})
    assert float(there) == pytest.approx((strike - boundary) * (strike / boundary) ** (-b), rel=1e-12)


def test_dividend_call():
    problem = equation(
        X, mu * X, sigma * X, state_bounds=POSITIVE, region=(1, 5),
        values={r: R(8, 100), mu: R(3, 100), sigma: R(1, 5), K: sp.Integer(2)}, discount=r, stop=sp.Max(X - K, 0),
    )  # fmt: skip
    proposal = propose_perpetual_stopping(problem)
    half = 0.5 - 0.03 / 0.04
    beta = half + np.sqrt(half**2 + 2 * 0.08 / 0.04)
    boundary = 2 * beta / (beta - 1)
    points = np.linspace(1, 5, 41)
    expected = np.where(points >= boundary, points - 2, (boundary - 2) * (points / boundary) ** beta)
    np.testing.assert_allclose(values_at(proposal, points).value, expected, rtol=1e-12)


def test_abandonment_with_running_profit():
    # profit x - c until abandoned for a scrap value: V = x/(r - mu) - c/r + A x^beta above it (Dixit and Pindyck, 7.1)
    problem = equation(
        X, mu * X, sigma * X, state_bounds=POSITIVE, region=(R(1, 10), 4), values={r: R(1, 10), mu: R(2, 100), sigma: R(3, 10)},
        discount=r, running=X - 1, stop=2,
    )  # fmt: skip
    proposal = propose_perpetual_stopping(problem)
    rate, drift, vol = 0.1, 0.02, 0.3
    half = 0.5 - drift / vol**2
    beta = half - np.sqrt(half**2 + 2 * rate / vol**2)
    boundary = beta / (beta - 1) * (1 / rate + 2) * (rate - drift)
    constant = (2 + 1 / rate - boundary / (rate - drift)) / boundary**beta
    points = np.linspace(0.1, 4, 79)
    expected = np.where(points <= boundary, 2, points / (rate - drift) - 1 / rate + constant * points**beta)
    np.testing.assert_allclose(values_at(proposal, points).value, expected, rtol=1e-12)


def test_minimised_cost_of_waiting():
    # minimise E[int e^{-rt} x dt + e^{-r tau} c]: stop where x is large
    problem = equation(
        X, 0, sigma * X, state_bounds=POSITIVE, region=(R(1, 2), 4), values={r: R(1, 10), sigma: R(3, 10)},
        discount=r, running=X, stop=10, sense="minimize",
    )  # fmt: skip
    proposal = propose_perpetual_stopping(problem)
    beta = 0.5 + np.sqrt(0.25 + 0.2 / 0.09)
    boundary = 10 * 0.1 * beta / (beta - 1)
    points = np.linspace(0.5, 4, 36)
    expected = np.where(points >= boundary, 10, 10 * points + (10 - 10 * boundary) * (points / boundary) ** beta)
    np.testing.assert_allclose(values_at(proposal, points).value, expected, rtol=1e-12)


def test_arithmetic_brownian_motion_and_its_numeric_boundary():
    y = sp.Symbol("y", real=True)
    linear = equation(y, mu, sigma, region=(-2, 2), values={r: R(1, 10), mu: R(1, 20), sigma: R(1, 2)}, discount=r, stop=y - 1)
    proposal = propose_perpetual_stopping(linear)
    m = (-0.05 + np.sqrt(0.0025 + 2 * 0.1 * 0.25)) / 0.25
    assert float(values_at(proposal, [0.0]).value[0]) == pytest.approx(np.exp(-m * (1 + 1 / m)) / m, rel=1e-12)
    # three exponents: the boundary has no formula; smooth fit must hold all the same
    mixed = equation(y, 0, 1, region=(-2, 2), discount=R(1, 2), stop=sp.Max(5 - sp.exp(y / 2) - sp.exp(y / 3), 0))
    found = propose_perpetual_stopping(mixed)
    assert isinstance(found, Proposal)
    boundary = found.function.boundaries[0]
    surplus = 5 - np.exp(boundary / 2) - np.exp(boundary / 3)
    slope = -np.exp(boundary / 2) / 2 - np.exp(boundary / 3) / 3
    assert slope == pytest.approx(-surplus, rel=1e-12)


def test_declines_and_diagnoses():
    growing = {r: R(2, 100), mu: R(5, 100), sigma: R(1, 5), K: sp.Integer(2)}
    call = equation(X, mu * X, sigma * X, state_bounds=POSITIVE, region=(1, 5), values=growing, discount=r, stop=sp.Max(X - K, 0))
    with pytest.raises(HjbError, match="not finite"):
        propose_perpetual_stopping(call)
    # without dividends the supremum is finite (V = x) but no stopping time attains it
    edge = equation(X, r * X, sigma * X, state_bounds=POSITIVE, region=(1, 5), values=growing, discount=r, stop=sp.Max(X - K, 0))
    waiting = propose_perpetual_stopping(edge)
    assert waiting.symbolic == {(): X}
    assert "not attained" in waiting.warnings[0]
    profit = equation(X, mu * X, sigma * X, state_bounds=POSITIVE, region=(1, 5), values=growing, discount=r, running=X, stop=1)
    with pytest.raises(HjbError):
        propose_perpetual_stopping(profit)
    straddle = equation(X, 0, sigma * X, state_bounds=POSITIVE, region=(1, 5), values=growing, discount=r, stop=sp.Abs(X - K))
    assert isinstance(propose_perpetual_stopping(straddle), Rejected)
