"""Boundary-value problems in one state against formulas, scipy's collocation, Riccati equations; and what must be declined."""

import numpy as np
import pytest
from scipy.integrate import solve_bvp

from hjbdsl.frontend.load import loads_problem
from hjbdsl.methods.closed_form.one_dimensional import propose_boundary_value
from hjbdsl.model.solution import Rejected
from hjbdsl.symbolic.derive import derive
from tests.methods.closed_form.solving import along, proved


def solve(text):
    return proved(propose_boundary_value, text)


def declined(text):
    proposal = propose_boundary_value(derive(loads_problem(text)))
    assert isinstance(proposal, Rejected)
    return proposal.reason


def test_hopf_cole_exit_with_different_costs():
    s, k, left, right = 0.7, 0.5, 0.2, 1.0
    proposal = solve("""
param s = 0.7, k = 0.5
state x in R
control a in R
noise W
dx = a dt + s dW
exit tau when x <= -1 or x >= 2
minimize E [ integral(0, tau) (k + a^2/2) dt + if(x(tau) < 0, 0.2, 1) ]
region x in [-1, 2]
""")
    x = np.linspace(-1, 2, 31)
    m, pl, pr = np.sqrt(2 * k) / s**2, np.exp(-left / s**2), np.exp(-right / s**2)
    inside = (pl * np.sinh(m * (2 - x)) + pr * np.sinh(m * (x + 1))) / np.sinh(3 * m)
    slope = -(s**2) * (-pl * m * np.cosh(m * (2 - x)) + pr * m * np.cosh(m * (x + 1))) / np.sinh(3 * m) / inside
    found = along(proposal, x)
    np.testing.assert_allclose(found.value, -(s**2) * np.log(inside), atol=1e-12)
    np.testing.assert_allclose(found.gradient[:, 0], slope, atol=1e-11)
    np.testing.assert_allclose(found.control[:, 0], -slope, atol=1e-11)
    outside = along(proposal, [-3.0, 4.0])
    np.testing.assert_allclose(outside.value, [0.2, 1.0])


def test_one_sided_exit_and_hitting_time():
    effort = solve("""
param s = 0.8, q = 0.6
state x in R
control a in R
noise W
dx = a dt + s dW
exit tau when x <= 0
minimize E integral(0, tau) (q + a^2/2) dt
region x in [0, 3]
""")
    x = np.linspace(0, 3, 13)
    np.testing.assert_allclose(along(effort, x).value, np.sqrt(1.2) * x, atol=1e-12)
    hitting = solve("""
param m = 0.2, s = 0.7, r = 0.3
state x in R
noise W
dx = m dt + s dW
exit tau when x <= 0
evaluate E exp(-r*tau)*1
region x in [0, 3]
""")
    rate = (0.2 + np.sqrt(0.04 + 0.6 * 0.49)) / 0.49
    np.testing.assert_allclose(along(hitting, x).value, np.exp(-rate * x), atol=1e-12)


def test_bounded_dividends():
    # Asmussen and Taksar (1997): pay nothing below a threshold, everything above; scale-function formula derived by hand
    proposal = solve("""
param m = 0.5, s = 1, r = 0.1, K = 0.8
state x in R
control c in [0, K]
noise W
dx = (m - c) dt + s dW
exit tau when x <= 0
maximize E integral(0, tau) exp(-r*t)*c dt
region x in [0, 5]
""")
    m, s, r, rate = 0.5, 1.0, 0.1, 0.8
    low, high = (-m - np.sqrt(m * m + 2 * r * s * s)) / s**2, (-m + np.sqrt(m * m + 2 * r * s * s)) / s**2
    tail = (-(m - rate) - np.sqrt((m - rate) ** 2 + 2 * r * s * s)) / s**2

    def growth(y):
        return np.exp(high * y) - np.exp(low * y)

    def slope(y):
        return high * np.exp(high * y) - low * np.exp(low * y)

    # V = A growth below b, K/r + B e^(tail (x - b)) above, V'(b) = 1 from both sides
    found = along(proposal, [0.5, 1.0, 2.0, 4.0])
    from scipy.optimize import brentq  # noqa: PLC0415

    b = brentq(lambda y: growth(y) / slope(y) - rate / r - 1 / tail, 0.01, 20)
    x = np.array([0.5, 1.0, 2.0, 4.0])
    expected = np.where(x <= b, growth(x) / slope(b), rate / r + np.exp(tail * (x - b)) / tail)
    np.testing.assert_allclose(found.value, expected, atol=1e-11)
    np.testing.assert_allclose(found.control[:, 0], np.where(x < b, 0.0, rate))


def test_bound_that_binds_against_scipy():
    proposal = solve("""
param alpha = 0.1, q = 1, r = 0.3, sigma = 0.5, rho = 0.4
state   x in R
control a in [-1, 1]
noise   W
dx = (alpha*x + a) dt + sigma dW
minimize E integral(0, inf) exp(-rho*t)*(q*x^2 + r*a^2) dt
region x in [-2, 2]
""")

    def ode(x, v):
        a = np.clip(-v[1] / 0.6, -1, 1)
        return np.stack([v[1], 2 / 0.25 * (0.4 * v[0] - x**2 - 0.3 * a**2 - (0.1 * x + a) * v[1])])

    # far out a = -1 and V = A x^2 + B x + C + a decaying part: V' at x = 8 by matching powers
    big = 8.0
    quadratic = 1 / (0.4 - 0.2)
    linear = -2 * quadratic / (0.4 - 0.1)
    x = np.linspace(0, big, 4001)
    start = np.stack([quadratic * x**2, 2 * quadratic * x])
    slope = 2 * quadratic * big + linear
    found = solve_bvp(ode, lambda a, b: np.array([a[1], b[1] - slope]), x, start, tol=1e-9, max_nodes=200000)
    points = np.linspace(-2, 2, 17)
    np.testing.assert_allclose(along(proposal, points).value, found.sol(np.abs(points))[0], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(along(proposal, [1.5, -1.5]).control[:, 0], [-1, 1])


def test_average_cost_and_modes():
    average = solve("""
state   x in R
control a in R
noise   W
dx = (0.25*x + 0.9*a) dt + 0.4 dW
minimize average x^2 + 0.7*a^2
region x in [-1, 1]
""")
    p = 0.7 * (0.25 + np.sqrt(0.0625 + 0.81 / 0.7)) / 0.81
    assert average.average == pytest.approx(0.16 * p, rel=1e-12)
    x = np.linspace(-1, 1, 9)
    np.testing.assert_allclose(along(average, x).value, p * x**2, atol=1e-12)
    modes = solve("""
mode  z in {calm, wild}
rate  calm -> wild = 0.5, wild -> calm = 0.9
param alpha(z) = {calm: -0.2, wild: 0.4}, q(z) = {calm: 1, wild: 2}, s(z) = {calm: 0.2, wild: 0.6}
state   x in R
control a in R
noise   W
dx = (alpha(z)*x + a) dt + s(z) dW
minimize E integral(0, inf) exp(-0.3*t)*(q(z)*x^2 + 0.5*a^2) dt
region x in [-1, 1]
""")
    from scipy.optimize import fsolve  # noqa: PLC0415

    def riccati(y):
        one, two = y
        return [
            1 - 0.4 * one - 2 * one**2 - 0.3 * one + 0.5 * (two - one),
            2 + 0.8 * two - 2 * two**2 - 0.3 * two + 0.9 * (one - two),
        ]

    one, two = fsolve(riccati, [1.0, 1.0], xtol=1e-14)
    c = np.linalg.solve([[0.8, -0.5], [-0.9, 1.2]], [0.04 * one, 0.36 * two])
    np.testing.assert_allclose(along(modes, x, 0).value, one * x**2 + c[0], atol=1e-10)
    np.testing.assert_allclose(along(modes, x, 1).value, two * x**2 + c[1], atol=1e-10)


def test_reflection_against_scipy():
    proposal = solve("""
param s = 0.5
state x in [0, 1]
control a in [-1, 1]
noise W
dx = a dt + s dW
boundary x = 0 : reflect
boundary x = 1 : reflect
minimize average x^2 + 0.2*a^2
region x in [0, 1]
""")

    def ode(x, v, average):
        a = np.clip(-v[1] / 0.4, -1, 1)
        return np.stack([v[1], 8 * (average[0] - x**2 - 0.2 * a**2 - a * v[1])])

    x = np.linspace(0, 1, 401)
    found = solve_bvp(
        ode, lambda a, b, _: np.array([a[0], a[1], b[1]]), x, np.zeros((2, 401)), p=[0.1], tol=1e-10, max_nodes=50000
    )
    assert proposal.average == pytest.approx(found.p[0], abs=1e-9)
    points = np.linspace(0, 1, 11)
    np.testing.assert_allclose(along(proposal, points).value, found.sol(points)[0], atol=1e-8)


def test_manufactured_controlled_diffusion():
    # V = cos(x) solves its equation with the running reward made for it; the volatility takes its bounds where V'' changes sign
    proposal = solve("""
param r = 0.2
state x in R
control s in [0.3, 0.6]
noise W
dx = -0.1*x dt + s dW
exit tau when x <= -1 or x >= 2.5
let f = r*cos(x) - 0.1*x*sin(x) + 0.5*if(cos(x) > 0, 0.09, 0.36)*cos(x)
maximize E [ integral(0, tau) exp(-r*t)*f dt + exp(-r*tau)*cos(x(tau)) ]
region x in [-1, 2.5]
""")
    x = np.linspace(-1, 2.5, 41)
    found = along(proposal, x)
    np.testing.assert_allclose(found.value, np.cos(x), atol=1e-11)
    np.testing.assert_allclose(found.gradient[:, 0], -np.sin(x), atol=1e-10)
    np.testing.assert_allclose(found.control[:, 0], np.where(np.cos(x) > 0, 0.3, 0.6))


def test_far_from_the_region_the_error_is_not_claimed():
    proposal = solve("""
state x in R
noise W
dx = -x dt + 0.5 dW
evaluate E integral(0, inf) exp(-0.1*t)*x^4 dt
region x in [-1, 1]
""")
    # moments of the process: V = x^4/4.1 + 6 s^2/2 ... solved for a x^4 + b x^2 + c
    a = 1 / 4.1
    b = 6 * 0.25 * a / 2.1
    c = 0.25 * b / 0.1
    x = np.array([0.0, 0.5, 1.0, 1.5, 2.5])
    found = along(proposal, x)
    error = np.abs(found.value - (a * x**4 + b * x**2 + c))
    assert np.all(error <= found.error)
    assert found.error[0] < 1e-10
    assert np.isinf(along(proposal, [1e4]).error[0])


def test_growth_beyond_the_discount_rate_is_declined():
    reason = declined("""
state x > 0
noise W
dx = 0.08*x dt + 0.2*x dW
evaluate E integral(0, inf) exp(-0.05*t)*x dt
region x in [1, 2]
""")
    assert "transversality" in reason


@pytest.mark.parametrize(
    ("cost", "marginal"),
    [
        ("a^4 + a^2/5", lambda a: 4 * a**3 + 2 * a / 5),
        ("exp(a) + 0.3*a^2", lambda a: np.exp(a) + 0.6 * a),
    ],
)
def test_maximiser_without_a_formula(cost, marginal):
    proposal = solve(f"""
state x in R
control a in R
noise W
dx = (a - 0.2*x) dt + 0.6 dW
exit tau when x <= -1.5 or x >= 1.5
minimize E [ integral(0, tau) exp(-0.3*t)*(x^2 + {cost}) dt + exp(-0.3*tau)*2 ]
region x in [-1.5, 1.5]
""")
    found = along(proposal, np.linspace(-1.4, 1.4, 15))
    np.testing.assert_allclose(marginal(found.control[:, 0]), -found.gradient[:, 0], atol=1e-9)


@pytest.mark.slow
def test_dead_zone_of_a_proportional_cost():
    # far from |V'| = 1 the control sits at 0 or a bound; manufactured comparison by scipy's collocation
    proposal = solve("""
state x in R
control a in [-2, 2]
noise W
dx = a dt + 0.6 dW
exit tau when x <= -1.5 or x >= 1.5
minimize E [ integral(0, tau) (x^2 + |a|) dt + 3 ]
region x in [-1.5, 1.5]
""")

    def ode(x, v):
        return np.stack([v[1], -2 / 0.36 * (x**2 - 2 * np.maximum(np.abs(v[1]) - 1, 0))])

    x = np.linspace(-1.5, 1.5, 2001)
    found = solve_bvp(
        ode, lambda a, b: np.array([a[0] - 3, b[0] - 3]), x, np.stack([3 + 0 * x, 0 * x]), tol=1e-9, max_nodes=100000
    )
    points = np.linspace(-1.4, 1.4, 15)
    at = along(proposal, points)
    np.testing.assert_allclose(at.value, found.sol(points)[0], atol=1e-7)
    np.testing.assert_allclose(at.control[:, 0], np.where(np.abs(at.gradient[:, 0]) < 1, 0, -2 * np.sign(at.gradient[:, 0])))


def test_game_with_distant_bounds():
    proposal = solve("""
state     x in R
control   a in [-6, 6]
adversary b in [-4, 4]
noise     W
dx = (0.1*x + a + 0.8*b) dt + 0.3 dW
minimize E integral(0, inf) exp(-0.5*t)*(x^2 + 0.4*a^2 - 1.6*b^2) dt
region x in [-1, 1]
""")
    g = 1 / 0.4 - 0.64 / 1.6
    p = (np.sqrt(0.09 + 4 * g) - 0.3) / (2 * g)
    x = np.linspace(-1, 1, 9)
    found = along(proposal, x)
    np.testing.assert_allclose(found.value, p * x**2 + 0.09 * p / 0.5, atol=1e-11)
    np.testing.assert_allclose(found.control, np.stack([-p * x / 0.4, 0.8 * p * x / 1.6], axis=1), atol=1e-11)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        # the cost grows like e^t, the discount only like e^(-0.4 t): no finite value
        (
            "control a in [-1, 1]\nnoise W\ndx = (0.5*x + a) dt + 0.3 dW\nminimize E integral(0, inf) exp(-0.4*t)*(x^2 + a^2) dt",
            "",
        ),
        ("noise W\ndx = x dt + 0.3 dW\nminimize average x^2", ""),
        ("control a in [-1, 1]\ndx = a dt\nminimize integral(0, inf) exp(-0.4*t)*(x^2 + a^2) dt", "noise"),
        ("noise W\ndx = x dt + 0.3 dW\nstopping tau in [0, inf]\nmaximize E exp(-tau)*x(tau)", "stopping"),
    ],
)
def test_declines(text, word):
    assert word in declined(f"state x in R\n{text}\nregion x in [-1, 1]\n")


@pytest.mark.parametrize("interest", [0.0, 0.03])
def test_reaching_a_goal_before_ruin_with_unbounded_bets(interest):
    # Browne (1997): V' is proportional to (c - r x)^(mu^2 / (2 sigma^2 r)), to exp(-mu^2 x / (2 sigma^2 c)) without interest
    mu, sigma, c = 0.3, 0.5, 0.1
    proposal = solve(f"""
state x in [0, 2]
control f in R
noise W
dx = ({interest}*x + {mu}*f - {c}) dt + {sigma}*f dW
exit tau when x <= 0 or x >= 2
maximize E [ if(x(tau) >= 2, 1, 0) ]
region x in [0.1, 1.9]
""")
    x = np.linspace(0.1, 1.9, 19)

    def ruined(x):
        if interest == 0.0:
            return np.exp(-(mu**2) * x / (2 * sigma**2 * c))
        return (c - interest * x) ** (mu**2 / (2 * sigma**2 * interest) + 1)

    found = along(proposal, x)
    assert found.value == pytest.approx((ruined(0) - ruined(x)) / (ruined(0) - ruined(2)), rel=1e-10)
    assert found.control[:, 0] == pytest.approx(2 * (c - interest * x) / mu, rel=1e-8)
