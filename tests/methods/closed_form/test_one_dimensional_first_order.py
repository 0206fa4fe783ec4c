"""Deterministic flows against Euler equations integrated by scipy, steady states, and linear-quadratic formulas."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from hjbdsl.frontend.load import loads_problem
from hjbdsl.methods.closed_form.one_dimensional import propose_first_order
from hjbdsl.model.solution import Rejected
from hjbdsl.symbolic.derive import derive
from tests.methods.closed_form.solving import along, proved


def solve(text):
    return proved(propose_first_order, text)


GROWTH = """
param al = 0.3, d = 0.05, rho = 0.04
state k > 0
control c >= 0
dk = (k^al - d*k - c) dt
maximize integral(0, inf) exp(-rho*t)*log(c) dt
region k in [1, 8]
"""


def test_ramsey_growth_by_its_euler_equation():
    proposal = solve(GROWTH)
    al, d, rho = 0.3, 0.05, 0.04
    steady = (al / (rho + d)) ** (1 / (1 - al))
    c = steady**al - d * steady
    assert along(proposal, [steady]).value[0] == pytest.approx(np.log(c) / rho, rel=1e-10)
    # dc/dk = c (f' - d - rho)/(f - d k - c); at the steady state its slope is the positive eigenvalue of the linearised system
    curvature = al * (al - 1) * steady ** (al - 2) * c
    slope = (rho + np.sqrt(rho**2 - 4 * curvature)) / 2
    for end in (1.0, 8.0):
        offset = 1e-4 * np.sign(end - steady)
        start = [c + slope * offset]
        path = solve_ivp(
            lambda k, y: [y[0] * (al * k ** (al - 1) - d - rho) / (k**al - d * k - y[0])],
            (steady + offset, end), start, rtol=1e-11, atol=1e-12, method="DOP853",
        )  # fmt: skip
        assert along(proposal, [end]).control[0, 0] == pytest.approx(path.y[0, -1], abs=1e-6)


def test_bounded_regulator_inside_and_outside_the_bound():
    proposal = solve("""
state x in R
control a in [-1, 1]
dx = (-0.2*x + a) dt
minimize integral(0, inf) exp(-0.2*t)*(x^2 + 0.5*a^2) dt
region x in [-2, 2]
""")
    p = 0.5 * (np.sqrt(0.36 + 8) - 0.6) / 2
    inner = np.array([-0.4, 0.1, 0.5])
    assert np.abs(2 * p * inner).max() < 1
    np.testing.assert_allclose(along(proposal, inner).value, p * inner**2, atol=1e-11)
    # outside, follow a = -1 from x = 2 down to where the linear law takes over
    edge = 0.5 / p
    arrival = np.log((2 + 5) / (edge + 5)) / 0.2
    times, weights = np.polynomial.legendre.leggauss(60)
    times, weights = arrival * (times + 1) / 2, arrival * weights / 2
    path = (2 + 5) * np.exp(-0.2 * times) - 5
    cost = np.sum(weights * np.exp(-0.2 * times) * (path**2 + 0.5)) + np.exp(-0.2 * arrival) * p * edge**2
    assert along(proposal, [2.0]).value[0] == pytest.approx(cost, rel=1e-11)
    np.testing.assert_allclose(along(proposal, [2.0]).control, [[-1.0]])


def test_borrowing_limit_against_the_euler_equation():
    proposal = solve("""
param rho = 0.06, r = 0.03
state a >= 0
control c >= 0
da = (r*a + 1 - c) dt
maximize integral(0, inf) exp(-rho*t)*(-1/c) dt
region a in [0, 3]
""")
    # gamma = 2: consumption falls at rate (rho - r)/2 until the limit is reached with c = 1
    fall = (0.06 - 0.03) / 2

    def assets_before(time):
        found = solve_ivp(lambda s, a: [-(0.03 * a[0] + 1 - np.exp(fall * s))], (0, time), [0.0], rtol=1e-12, atol=1e-13)
        return found.y[0, -1]

    for time in (5.0, 12.0):
        a = assets_before(time)
        at = along(proposal, [a])
        assert at.control[0, 0] == pytest.approx(np.exp(fall * time), rel=1e-8)
        times = np.linspace(0, time, 20001)
        utility = np.trapezoid(-np.exp(-0.06 * times) / np.exp(fall * (time - times)), times) - np.exp(-0.06 * time) / 0.06
        assert at.value[0] == pytest.approx(utility, rel=1e-7)
    at_limit = along(proposal, [0.0])
    assert at_limit.value[0] == pytest.approx(-1 / 0.06, rel=1e-11)
    assert at_limit.control[0, 0] == pytest.approx(1.0, abs=1e-9)


def test_two_incomes_satisfy_the_envelope_condition_at_the_resting_point():
    proposal = solve("""
param gamma = 1.5, rho = 0.06, r = 0.025
mode  z in {low, high}
rate  low -> high = 0.7, high -> low = 0.4
param y(z) = {low: 0.6, high: 1.3}
state   a >= -0.3
control c >= 0
da = (r*a + y(z) - c) dt
maximize E integral(0, inf) exp(-rho*t)*c^(1 - gamma)/(1 - gamma) dt
region a in [-0.3, 1.5]
""")
    # simulate the jump-free stretches backward: (rho + q) V = u + q V' + b V_a must hold off the sample of the verifier too
    a = np.linspace(-0.29, 1.5, 40)
    low, high = along(proposal, a, 0), along(proposal, a, 1)
    for here, other, rate, income in ((low, high, 0.7, 0.6), (high, low, 0.4, 1.3)):
        c = here.control[:, 0]
        residual = (
            -2 / np.sqrt(c)
            + (0.025 * a + income - c) * here.gradient[:, 0]
            + rate * (other.value - here.value)
            - 0.06 * here.value
        )
        np.testing.assert_allclose(residual, 0, atol=1e-9)
    limit = along(proposal, [-0.3], 0)
    assert limit.control[0, 0] == pytest.approx(0.6 - 0.3 * 0.025, abs=1e-9)


@pytest.mark.parametrize(
    "body",
    [
        "control a in [-1, 1]\nexit tau when |x| >= 1\ndx = a dt\nminimize tau",
        "control a in [-1, 1]\nnoise W\ndx = a dt + dW\nminimize E integral(0, inf) exp(-t)*x^2 dt",
        "control a in [-1, 1]\ndx = (2*x + a) dt\nminimize integral(0, inf) exp(-t)*(x^2 + a^2) dt",
    ],
)
def test_declines(body):
    assert isinstance(propose_first_order(derive(loads_problem(f"state x in R\n{body}\nregion x in [-0.9, 0.9]\n"))), Rejected)
