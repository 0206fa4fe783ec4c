"""Feynman-Kac expectations against published formulas, scipy's adaptive quadrature and simulation."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate
from scipy.stats import norm

from hjbdsl.methods.closed_form.expectation.feynman_kac import propose
from hjbdsl.model.solution import Rejected
from tests.methods.closed_form.expectation_problems import at, proposed, proved

STOCK = """problem stock
param r = 0.04, sigma = 0.3, K = 90, T = 1.5
state x > 0
noise W
dx = r*x dt + sigma*x dW
evaluate E exp(-r*T)*({payoff})
region x in [60, 130]
"""
SPRING = """problem spring
param k = 0.7, m = 0.4, s = 0.5, T = 2
state x in R
noise W
dx = k*(m - x) dt + s dW
evaluate E ({payoff})
region x in [-1.5, 2]
"""
R, S, K, T = 0.04, 0.3, 90.0, 1.5
PRICES = np.array([62.0, 90.0, 101.3, 128.0])


def black_scholes(x, tau, strike=K):
    d1 = (np.log(x / strike) + (R + S**2 / 2) * tau) / (S * np.sqrt(tau))
    return x * norm.cdf(d1) - strike * np.exp(-R * tau) * norm.cdf(d1 - S * np.sqrt(tau)), norm.cdf(d1)


def lognormal(payoff, x, tau, breaks=()):
    """Discounted expectation by scipy's adaptive quadrature in the standard normal variable."""
    mean, sd = np.log(x) + (R - S**2 / 2) * tau, S * np.sqrt(tau)
    cuts = sorted((np.log(b) - mean) / sd for b in breaks)
    ends = [-12.0, *[c for c in cuts if -12 < c < 12], 12.0]
    total = sum(
        integrate.quad(lambda z: payoff(np.exp(mean + sd * z)) * norm.pdf(z), a, b, epsabs=1e-13, epsrel=1e-13)[0]
        for a, b in pairwise(ends)
    )
    return np.exp(-R * tau) * total


def test_call_is_black_scholes_with_its_delta():
    solution = proved(propose, STOCK.format(payoff="max(x(T) - K, 0)"))
    for t in (0.0, 0.6, 1.45):
        point = at(solution, t, PRICES[:, None])
        price, delta = black_scholes(PRICES, T - t)
        assert np.allclose(point.value, price, rtol=0, atol=2e-11)
        assert np.allclose(point.gradient[:, 0], delta, rtol=0, atol=1e-11)
        assert np.all(np.abs(point.value - price) <= point.error)
    assert "Phi(" in solution.formula.value["V"].text


def test_call_at_the_end_is_its_payoff():
    solution = proved(propose, STOCK.format(payoff="max(x(T) - K, 0)"))
    assert at(solution, T, PRICES[:, None]).value == pytest.approx(np.maximum(PRICES - K, 0), abs=1e-12)


@pytest.mark.parametrize(
    ("payoff", "function", "breaks"),
    [
        ("max(K - x(T), 0)", lambda y: max(K - y, 0), [K]),
        ("indicator(x(T) > K)", lambda y: float(y > K), [K]),
        ("if(x(T) > K and x(T) < 110, 1, 0)", lambda y: float(K < y < 110), [K, 110]),
        ("max(x(T) - 80, 0) - 2*max(x(T) - K, 0) + max(x(T) - 100, 0)",
         lambda y: max(y - 80, 0) - 2 * max(y - K, 0) + max(y - 100, 0), [80, K, 100]),
        ("if(x(T) > K, x(T)^2/100, 3)", lambda y: y**2 / 100 if y > K else 3.0, [K]),
        ("min(x(T), K)", lambda y: min(y, K), [K]),
        ("abs(log(x(T)/K))", lambda y: abs(np.log(y / K)), [K]),
        ("sin(x(T)/20)", lambda y: np.sin(y / 20), []),
        ("sqrt(x(T)) + 1/x(T)", lambda y: np.sqrt(y) + 1 / y, []),
        ("max(sqrt(x(T)) - 9, 0)^2", lambda y: max(np.sqrt(y) - 9, 0) ** 2, [81]),
    ],
)  # fmt: skip
def test_payoffs_of_a_stock(payoff, function, breaks):
    solution = proved(propose, STOCK.format(payoff=payoff))
    point = at(solution, 0.3, PRICES[:, None])
    exact = [lognormal(function, x, T - 0.3, breaks) for x in PRICES]
    assert np.allclose(point.value, exact, rtol=1e-11, atol=1e-10)


@pytest.mark.parametrize(
    ("payoff", "function"),
    [
        ("x(T)^3 - x(T)", lambda y: y**3 - y),
        ("abs(x(T))", abs),
        ("max(x(T), 0)^2", lambda y: max(y, 0) ** 2),
        ("tanh(3*x(T))", lambda y: np.tanh(3 * y)),
        ("exp(-2*x(T)^2)", lambda y: np.exp(-2 * y**2)),
        ("sign(x(T) - 0.2)*x(T)", lambda y: np.sign(y - 0.2) * y),
        ("max(min(x(T), 0.5), -0.5)", lambda y: np.clip(y, -0.5, 0.5)),
    ],
)
def test_payoffs_of_a_spring(payoff, function):
    solution = proved(propose, SPRING.format(payoff=payoff))
    x, tau = np.array([-1.2, 0.1, 1.7]), 1.4
    mean, sd = 0.4 + (x - 0.4) * np.exp(-0.7 * tau), 0.5 * np.sqrt((1 - np.exp(-1.4 * tau)) / 1.4)
    point = at(solution, 0.6, x[:, None])
    for value, m in zip(point.value, mean, strict=True):
        pieces = [-10, *sorted((b - m) / sd for b in (-0.5, 0.0, 0.2, 0.5)), 10]
        exact = sum(
            integrate.quad(lambda z, m=m: function(m + sd * z) * norm.pdf(z), a, b, epsabs=1e-14)[0] for a, b in pairwise(pieces)
        )
        assert value == pytest.approx(exact, abs=1e-12)


def test_exchange_of_two_stocks_is_margrabe():
    text = """problem exchange
param s1 = 0.2, s2 = 0.4, c = -0.3, q = 0.05, T = 2
state a > 0, b > 0
noise W, B
dW dB = c dt
da = -q*a dt + s1*a dW
db = s2*b dB
evaluate E max(a(T) - b(T), 0)
region a in [50, 70], b in [40, 80]
"""
    solution = proved(propose, text)
    x = np.array([[50.0, 60.0], [66.0, 45.0]])
    tau = 1.5
    s = np.sqrt(0.2**2 + 0.4**2 - 2 * -0.3 * 0.2 * 0.4)
    first = x[:, 0] * np.exp(-0.05 * tau)
    d1 = (np.log(first / x[:, 1]) + s**2 * tau / 2) / (s * np.sqrt(tau))
    exact = first * norm.cdf(d1) - x[:, 1] * norm.cdf(d1 - s * np.sqrt(tau))
    assert np.allclose(at(solution, 0.5, x).value, exact, rtol=0, atol=1e-10)


@pytest.mark.slow
def test_basket_against_a_dense_grid():
    text = """problem basket
param s1 = 0.2, s2 = 0.4, c = 0.5, T = 1
state a > 0, b > 0
noise W, B
dW dB = c dt
da = s1*a dW
db = s2*b dB
evaluate E max(0.6*a(T) + 0.4*b(T) - 100, 0)
region a in [95, 105], b in [95, 105]
"""
    solution = proved(propose, text)
    value = at(solution, 0.0, [[100.0, 98.0]]).value[0]

    # condition on the second stock: a Black-Scholes call with a random strike, integrated by scipy
    def inner(z):
        b = 98 * np.exp(-0.08 + 0.4 * z)
        strike = (100 - 0.4 * b) / 0.6
        forward = 100 * np.exp(0.2 * 0.5 * z - 0.2**2 * 0.25 / 2)
        sd = 0.2 * np.sqrt(0.75)
        if strike <= 0:
            return 0.6 * (forward - strike)
        d1 = (np.log(forward / strike) + sd**2 / 2) / sd
        return 0.6 * (forward * norm.cdf(d1) - strike * norm.cdf(d1 - sd))

    exact, _ = integrate.quad(lambda z: inner(z) * norm.pdf(z), -11, 11, epsabs=1e-12, epsrel=1e-13, points=[0, 2], limit=200)
    assert value == pytest.approx(exact, abs=1e-9)


def test_sum_of_correlated_brownian_motions_needs_one_dimension():
    text = """problem sum
param n = 6, K = 1, T = 1
state x in R^n
noise W in R^n
dx = -0.5*x dt + 0.7 dW
evaluate E max(sum(x(T)[i] for i in 1..n) - K, 0)
region x in [-1, 1]
"""
    solution = proved(propose, text)
    x = np.linspace(-1, 1, 6)
    mean, sd = x.sum() * np.exp(-0.5), 0.7 * np.sqrt(6 * (1 - np.exp(-1)))
    d = (mean - 1) / sd
    assert at(solution, 0.0, x).value[0] == pytest.approx((mean - 1) * norm.cdf(d) + sd * norm.pdf(d), abs=1e-12)


def test_time_dependent_coefficients_and_discount():
    text = """problem seasonal
param T = 1
state x > 0
noise W
dx = 0.1*cos(3*t)*x dt + (0.2 + 0.1*t)*x dW
discount 0.03 + 0.02*t
evaluate E [ integral(0, T) 0 dt + max(x(T) - 1, 0) ]
region x in [0.5, 2]
"""
    solution = proved(propose, text)
    t, x = 0.25, np.array([[0.7], [1.1], [1.9]])
    variance = integrate.quad(lambda s: (0.2 + 0.1 * s) ** 2, t, 1)[0]
    growth = integrate.quad(lambda s: 0.1 * np.cos(3 * s), t, 1)[0]
    rate = integrate.quad(lambda s: 0.03 + 0.02 * s, t, 1)[0]
    forward, sd = x[:, 0] * np.exp(growth), np.sqrt(variance)
    d1 = (np.log(forward) + variance / 2) / sd
    exact = np.exp(-rate) * (forward * norm.cdf(d1) - norm.cdf(d1 - sd))
    assert np.allclose(at(solution, t, x).value, exact, rtol=0, atol=2e-11)


def test_option_under_a_random_short_rate():
    """A call on a zero-coupon-bond-like payoff: Gaussian rate as discount, simulated exactly."""
    text = """problem rate
param k = 0.5, m = 0.03, s = 0.02, T = 2
state r in R
noise W
dr = k*(m - r) dt + s dW
discount r
evaluate E [ integral(0, T) 0 dt + max(r(T) - 0.03, 0) ]
region r in [0, 0.08]
"""
    solution = proved(propose, text)
    k, s, r, tau = 0.5, 0.02, 0.04, 2.0
    b = (1 - np.exp(-k * tau)) / k
    mean_r, mean_y = 0.03 + (r - 0.03) * np.exp(-k * tau), 0.03 * tau + (r - 0.03) * b
    var_r = s**2 * (1 - np.exp(-2 * k * tau)) / (2 * k)
    var_y = s**2 / k**2 * (tau - 2 * b + (1 - np.exp(-2 * k * tau)) / (2 * k))
    cov = s**2 / (2 * k**2) * (1 - np.exp(-k * tau)) ** 2
    forward, sd = mean_r - cov, np.sqrt(var_r)
    d = (forward - 0.03) / sd
    exact = np.exp(-mean_y + var_y / 2) * ((forward - 0.03) * norm.cdf(d) + sd * norm.pdf(d))
    assert at(solution, 0.0, [[r]]).value[0] == pytest.approx(exact, rel=1e-10)


@pytest.mark.slow
def test_running_reward_and_terminal_together():
    text = """problem accrued
param T = 1.5, rho = 0.2
state x in R
noise W
dx = -0.4*x dt + 0.6 dW
evaluate E [ integral(0, T) exp(-rho*t)*(abs(x) + t*cos(x)) dt + exp(-rho*T)*x(T)^4 ]
region x in [-1, 1]
"""
    solution = proved(propose, text)
    t, x = 0.5, 0.3

    def moments(s):
        return x * np.exp(-0.4 * s), 0.6 * np.sqrt((1 - np.exp(-0.8 * s)) / 0.8)

    def folded(s):
        m, sd = moments(s)
        return sd * np.sqrt(2 / np.pi) * np.exp(-(m**2) / (2 * sd**2)) + m * (1 - 2 * norm.cdf(-m / sd))

    def cosine(s):
        m, sd = moments(s)
        return np.cos(m) * np.exp(-(sd**2) / 2)

    accrued, _ = integrate.quad(lambda s: np.exp(-0.2 * s) * (folded(s) + (t + s) * cosine(s)), 1e-14, 1.0, epsabs=1e-13)
    m, sd = moments(1.0)
    exact = accrued + np.exp(-0.2) * (m**4 + 6 * m**2 * sd**2 + 3 * sd**4)
    assert at(solution, t, [[x]]).value[0] == pytest.approx(exact, abs=1e-10)


@pytest.mark.slow
def test_discontinuous_payoff_of_two_states_is_a_bivariate_probability():
    text = """problem quadrant
param c = 0.6
state x in R, y in R
noise W, B
dW dB = c dt
dx = 0.1 dt + dW
dy = -0.2*y dt + 0.5 dB
evaluate E if(x(1) < 0.3 and y(1) < 0.2, 1, 0)
region x in [-0.5, 0.5], y in [-0.5, 0.5]
"""
    solution = proved(propose, text)
    x, y = 0.2, -0.1
    var_y = 0.25 * (1 - np.exp(-0.4)) / 0.4
    cov = 0.6 * 0.5 * (1 - np.exp(-0.2)) / 0.2
    mean_y = y * np.exp(-0.2)
    slope, rest = cov, np.sqrt(var_y - cov**2)  # y given the normal variable of x
    exact, _ = integrate.quad(
        lambda z: norm.pdf(z) * norm.cdf((0.2 - mean_y - slope * z) / rest), -12, 0.3 - x - 0.1, epsabs=1e-14
    )
    assert at(solution, 0.0, [[x, y]]).value[0] == pytest.approx(exact, abs=1e-11)


def test_infinite_horizon_in_two_dimensions():
    text = """problem forever
param rho = 0.5
state x in R, y in R
noise W, B
dx = -x dt + 0.5 dW
dy = (x - 0.6*y) dt + 0.3 dB
evaluate E integral(0, inf) exp(-rho*t)*cos(x + y) dt
region x in [-1, 1], y in [-1, 1]
"""
    solution = proved(propose, text)
    x, y = 0.4, -0.3

    def integrand(s):
        # e' exp(A s) for e = (1, 1), A = [[-1, 0], [1, -0.6]]
        b = np.exp(-0.6 * s)
        a = np.exp(-s) + (np.exp(-0.6 * s) - np.exp(-s)) / 0.4
        variance, _ = integrate.quad(
            lambda u: 0.25 * (np.exp(-u) + (np.exp(-0.6 * u) - np.exp(-u)) / 0.4) ** 2 + 0.09 * np.exp(-1.2 * u), 0, s
        )
        return np.exp(-0.5 * s - variance / 2) * np.cos(a * x + b * y)

    exact, _ = integrate.quad(integrand, 0, 80, epsabs=1e-12, limit=300)
    assert at(solution, 0.0, [[x, y]]).value[0] == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (STOCK.format(payoff="max(x(T) - K, 0)").replace("sigma*x dW", "sigma*sqrt(x) dW"), "neither constant nor proportional"),
        (SPRING.format(payoff="x(T)").replace("k*(m - x)", "k*(m - x^3)"), "not linear"),
        (SPRING.format(payoff="x(T)^2").replace("state x in R", "state x in [-2, 2]"), "bounded"),
    ],
)
def test_what_is_no_linear_law_is_declined_with_its_reason(text, reason):
    answer = proposed(propose, text)
    assert isinstance(answer, Rejected)
    assert reason in answer.reason


def test_smooth_payoff_of_three_states():
    text = """problem three
param T = 1
state x in R^3
noise W in R^3
dx = -0.3*x dt + 0.6 dW
evaluate E cos(x(T)[1]*x(T)[2] - x(T)[3])
region x in [-1, 1]
"""
    solution = proved(propose, text)
    x = np.array([0.5, -0.8, 0.3])
    mean, variance = x * np.exp(-0.3), 0.36 * (1 - np.exp(-0.6)) / 0.6
    # given x1, the angle is Gaussian
    grid = np.linspace(-10, 10, 4001)
    first = mean[0] + np.sqrt(variance) * grid
    inner = np.exp(-variance * (first**2 + 1) / 2) * np.cos(first * mean[1] - mean[2])
    exact = integrate.trapezoid(norm.pdf(grid) * inner, grid)
    assert at(solution, 0.0, x).value[0] == pytest.approx(exact, abs=1e-10)


@pytest.mark.slow
def test_reward_on_the_way_of_growing_prices_for_ever():
    text = """problem growing
state x > 0, y > 0
noise W, B
dx = 0.02*x dt + 0.2*x dW
dy = 0.01*y dt + 0.3*y dB
evaluate E integral(0, inf) exp(-0.3*t)*sqrt(x*y) dt
region x in [0.5, 2], y in [0.5, 2]
"""
    solution = proved(propose, text)
    rate = 0.3 - (0.02 + 0.01) / 2 + (0.2**2 + 0.3**2) / 8
    assert at(solution, 0.0, [[1.2, 0.7]]).value[0] == pytest.approx(np.sqrt(0.84) / rate, rel=1e-11)
    assert isinstance(proposed(propose, text.replace("sqrt(x*y)", "x^3*y^2")), Rejected)


def test_a_price_on_the_whole_line_is_answered_where_it_is_positive():
    text = STOCK.format(payoff="max(x(T) - K, 0)").replace("x > 0", "x in R")
    solution = proved(propose, text)
    assert np.allclose(at(solution, 0.0, PRICES[:, None]).value, black_scholes(PRICES, T)[0], rtol=0, atol=2e-11)
    assert "keeps its sign" in solution.warnings[0]
