"""Merton and his relatives: power, logarithmic and exponential utility against formulas derived by hand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from hjbdsl.errors import HjbError
from hjbdsl.frontend.load import loads_problem
from hjbdsl.methods.closed_form.ansatz import propose
from hjbdsl.methods.closed_form.family import Proposal
from hjbdsl.methods.closed_form.verify import verify
from hjbdsl.model.solution import Evidence, Rejected
from hjbdsl.symbolic.derive import derive


def solve(text):
    """The proposal, which must pass its proof."""
    equation = derive(loads_problem("problem p\n" + text))
    proposal = propose(equation)
    assert isinstance(proposal, Proposal), proposal
    evidence = verify(equation, proposal)
    assert isinstance(evidence, Evidence), evidence
    return proposal


def at(proposal, x, t=0.0, mode=0):
    x = np.atleast_2d(np.asarray(x, dtype=float))
    return proposal.function.evaluate(np.full(len(x), t), x, np.full(len(x), mode))


MARKET = """param r = 0.03, mu = 0.08, sigma = 0.2, gamma = {gamma}, rho = 0.05, T = 5, B = 3
state x > 0
control w in R, c >= 0
noise W
dx = (r*x + w*(mu - r){unit} - c) dt + w{unit}*sigma dW
"""


def growth(gamma):
    return 0.03 + 0.05**2 / (2 * gamma * 0.04)


def annuity(gamma, horizon, bequest):
    """G with V = G^gamma x^(1-gamma)/(1-gamma): G' = nu G - 1 backwards from B^(1/gamma)."""
    nu = (0.05 - (1 - gamma) * growth(gamma)) / gamma
    return (1 - np.exp(-nu * horizon)) / nu + bequest ** (1 / gamma) * np.exp(-nu * horizon)


@pytest.mark.parametrize("gamma", [0.7, 2, 5.5])
@pytest.mark.parametrize("unit", ["*x", ""])
def test_infinite_horizon(gamma, unit):
    found = solve(MARKET.format(gamma=gamma, unit=unit) + "maximize E integral(0, inf) exp(-rho*t)*c^(1-gamma)/(1-gamma) dt\n")
    k = (0.05 - (1 - gamma) * growth(gamma)) / gamma
    point = at(found, [[0.4], [2.0]])
    x = np.array([0.4, 2.0])
    np.testing.assert_allclose(point.value, k**-gamma * x ** (1 - gamma) / (1 - gamma), rtol=1e-12)
    share = 0.05 / (gamma * 0.04) * (np.ones(2) if unit else x)
    np.testing.assert_allclose(point.control, np.stack([share, k * x], axis=1), rtol=1e-10)
    assert found.formula.conditions[0][1] == pytest.approx(0.05 - (1 - gamma) * growth(gamma))
    assert {n.text for n, *_ in found.formula.where} == {"M", "A"}


@pytest.mark.parametrize(("gamma", "bequest"), [(0.7, 0), (2, 0), (4, 3), (0.5, 3)])
def test_finite_horizon_with_and_without_bequest(gamma, bequest):
    reward = "integral(0, T) exp(-rho*t)*c^(1-gamma)/(1-gamma) dt"
    reward = f"[ {reward} + B*exp(-rho*T)*x(T)^(1-gamma)/(1-gamma) ]" if bequest else reward
    found = solve(MARKET.format(gamma=gamma, unit="*x") + f"maximize E {reward}\n")
    for t in (0.0, 2.0, 4.9):
        g = annuity(gamma, 5 - t, bequest)
        point = at(found, [[1.3]], t)
        np.testing.assert_allclose(point.value, g**gamma * 1.3 ** (1 - gamma) / (1 - gamma), rtol=1e-10)
        np.testing.assert_allclose(point.control[0, 1], 1.3 / g, rtol=1e-10)
    if not bequest:
        assert abs(at(found, [[1.3]], 5.0).value[0]) < 1e-6


def test_a_constant_in_the_utility_is_paid_for_apart():
    text = MARKET.format(gamma=2, unit="")
    with_constant = solve(text + "maximize E integral(0, T) exp(-rho*t)*(c^(1-gamma) - 1)/(1-gamma) dt\n")
    expected = -(annuity(2, 5, 0) ** 2) / 1.3 + (1 - np.exp(-0.25)) / 0.05
    assert at(with_constant, [[1.3]]).value[0] == pytest.approx(expected, rel=1e-10)


def test_logarithm_with_bequest_is_the_monte_carlo_free_formula():
    """V = a log x + b with a' = rho a - 1, and b from its own linear equation by quadrature."""
    found = solve(
        MARKET.format(gamma=2, unit="*x") + "maximize E [ integral(0, T) exp(-rho*t)*log(c) dt + B*exp(-rho*T)*log(x(T)) ]\n"
    )
    nodes, weights = np.polynomial.legendre.leggauss(40)
    s = 2.5 + 2.5 * nodes
    a = (1 - np.exp(-0.05 * (5 - s))) / 0.05 + 3 * np.exp(-0.05 * (5 - s))
    b = 2.5 * (weights * np.exp(-0.05 * s) * (-np.log(a) + a * (0.03 + 0.05**2 / 0.08) - 1)).sum()
    a0 = (1 - np.exp(-0.25)) / 0.05 + 3 * np.exp(-0.25)
    assert at(found, [[1.3]]).value[0] == pytest.approx(a0 * np.log(1.3) + b, rel=1e-11)


def test_exponential_utility_of_consumption():
    found = solve(
        """param r = 0.04, mu = 0.1, sigma = 0.25, eta = 2, rho = 0.05
state x in R
control a in R, c in R
noise W
dx = (r*x + a*(mu - r) - c) dt + a*sigma dW
maximize E integral(0, inf) exp(-rho*t)*(-exp(-eta*c)/eta) dt
region x in [-1, 3]
"""
    )
    level = 1 - (0.05 + 0.06**2 / (2 * 0.0625)) / 0.04
    point = at(found, [[0.5], [2.0]])
    np.testing.assert_allclose(point.value, -np.exp(level - 0.08 * np.array([0.5, 2.0])) / 0.08, rtol=1e-11)
    np.testing.assert_allclose(point.control[:, 0], 0.06 / (0.08 * 0.0625), rtol=1e-9)


def test_a_bound_on_consumption_that_binds_far_away_is_not_overlooked():
    equation = derive(
        loads_problem(
            """problem p
param r = 0.04, mu = 0.1, sigma = 0.25, eta = 2, rho = 0.05
state x in R
control a in R, c >= 0
noise W
dx = (r*x + a*(mu - r) - c) dt + a*sigma dW
maximize E integral(0, inf) exp(-rho*t)*(-exp(-eta*c)/eta) dt
region x in [2, 3]
"""
        )
    )
    assert isinstance(propose(equation), Rejected)


@pytest.mark.slow
def test_short_sales_forbidden_with_three_assets_against_brute_force():
    """max over the simplex of w'm - gamma/2 w'Sw on a fine grid; k and A follow."""
    found = solve(
        """param r = 0.02, gamma = 3, rho = 0.06
param m : R^3 = [0.05, 0.02, 0.07]
param L : R^(3,3) = [[0.2, 0, 0], [0.15, 0.1, 0], [0.1, 0.1, 0.2]]
state x > 0
control w in [0, 1]^3, c >= 0
subject to sum(w[i] for i in 1..3) <= 1
noise W in R^3
dx = (r*x + x*w'*m - c) dt + x*w'*L dW
maximize E integral(0, inf) exp(-rho*t)*c^(1-gamma)/(1-gamma) dt
"""
    )
    covariance = np.array([[0.2, 0, 0], [0.15, 0.1, 0], [0.1, 0.1, 0.2]])
    covariance = covariance @ covariance.T
    grid = np.linspace(0, 1, 201)
    a, b = np.meshgrid(grid, grid, indexing="ij")
    best = -np.inf
    for c in grid:
        w = np.stack([a, b, np.full_like(a, c)], axis=-1)
        score = w @ np.array([0.05, 0.02, 0.07]) - 1.5 * np.einsum("...i,ij,...j->...", w, covariance, w)
        best = max(best, score[a + b + c <= 1 + 1e-12].max(initial=-np.inf))
    k = (0.06 + 2 * (0.02 + best)) / 3
    point = at(found, [[1.0]])
    assert point.value[0] == pytest.approx(-(k**-3) / 2, rel=2e-4)
    assert point.control[0, :3].sum() <= 1 + 1e-12
    assert point.control[0, 3] == pytest.approx(k, rel=1e-4)


@pytest.mark.parametrize("consumption", ["c", "c*x"])
def test_an_infinite_value_names_discount_and_risk_aversion(consumption):
    unit = "" if consumption == "c" else "*x"
    text = f"""problem p
param r = 0.03, mu = 0.09, sigma = 0.2, gamma = 0.4, rho = 0.02
state x > 0
control w in R, c >= 0
noise W
dx = (r*x + w*(mu - r)*x - c{unit}) dt + w*sigma*x dW
maximize E integral(0, inf) exp(-rho*t)*({consumption})^(1-gamma)/(1-gamma) dt
"""
    with pytest.raises(HjbError) as caught:
        propose(derive(loads_problem(text)))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "HJB120"
    assert diagnostic.span.line == 2
    threshold = 0.6 * (0.03 + 0.06**2 / (2 * 0.4 * 0.04))
    assert f"{threshold:.6g}" in diagnostic.help
    assert "rho" in diagnostic.message
    assert "gamma" in diagnostic.message


def test_long_fractions_are_read_as_decimals():
    """Three correlated assets: the weights solve S S' f = excess/2, and are printed with seven digits."""
    rows = [[0.3, 0.1, 0.02], [0, 0.25, 0.03], [0, 0, 0.31]]
    stated = derive(
        loads_problem(f"""problem three
param S = {rows}
state w > 0
control f in R^3, c >= 0
noise B in R^3
dw = (0.02 + f'*[0.03, 0.04, 0.05] - c)*w dt + w*f'*S dB
maximize E integral(0, inf) exp(-0.06*t)*(-1/(c*w)) dt
""")
    )
    proposal = propose(stated)
    assert isinstance(proposal, Proposal)
    assert proposal.formula is not None
    printed = proposal.formula.controls["f"].text
    matrix = np.array(rows)
    expected = np.linalg.solve(matrix @ matrix.T, [0.03, 0.04, 0.05]) / 2
    numbers = [Fraction(part) for part in printed.strip("[]").split(", ")]
    assert [float(n) for n in numbers] == pytest.approx(expected, rel=1e-6)
    assert all(len(part) <= 10 for part in printed.strip("[]").split(", "))
