"""Problems that scale with their states against formulas: exchange options, exits, powers, squares; others are declined."""

import numpy as np
import pytest

from hjbdsl.methods.closed_form.symmetry import homogeneous
from hjbdsl.model.solution import Rejected
from tests.methods.closed_form.solving import equation, proved

EXCHANGE = """
param r = {r}, a = {a}, b = {b}, s = {s}, q = {q}
state {first} in (0, inf), {second} in (0, inf)
noise W, B
dW dB = {corr} dt
stopping tau in [0, inf]
dx = a*x dt + s*x dW
dy = b*y dt + q*y dB
maximize E exp(-r*tau)*max(x(tau) - {price}*y(tau), 0)
region {first} in [0.5, 3], {second} in [0.5, 3]
"""
TRACKING = """
param r = {r}, m = 0.02, q = 0.2, s = 0.3
state x in R, y in (0, inf)
control u in R
noise W, B
dx = u dt + s*y dW
dy = m*y dt + q*y dB
minimize E integral(0, inf) exp(-r*t)*({cost} + u^2) dt
region x in [-2, 2], y in [0.5, 1.5]
"""
PAIR = """
state x in (0, inf), y in (0, inf)
noise W, B
dx = {drift} dt + 0.3*x dW
dy = 0.01*y dt + 0.2*y dB
{more}
evaluate E {paid}
region x in [2, 4], y in [0.5, 1.9]
"""


def solve(text):
    return proved(homogeneous.propose, text).function


def at(function, points):
    points = np.asarray(points, dtype=float)
    return function.evaluate(np.zeros(len(points)), points, np.zeros(len(points), dtype=int))


@pytest.mark.parametrize(
    "numbers",
    [
        {"r": 0.08, "a": 0.04, "b": 0.05, "s": 0.3, "q": 0.2, "corr": 0.0, "price": 2},
        {"r": 0.06, "a": 0.02, "b": -0.01, "s": 0.25, "q": 0.15, "corr": 0.6, "price": 1},
        {"r": 0.1, "a": 0.0, "b": 0.07, "s": 0.4, "q": 0.5, "corr": -0.7, "price": 0.5},
    ],
)
@pytest.mark.parametrize("names", ["xy", "yx"])
def test_perpetual_option_to_exchange(numbers, names):
    """McDonald and Siegel (1986): V = y (z* - K)(z/z*)^m below z* = K m/(m - 1), m the positive root of the quadratic."""
    function = solve(EXCHANGE.format(first=names[0], second=names[1], **numbers))
    r, a, b, s, q, corr, price = numbers.values()
    variance = s**2 + q**2 - 2 * corr * s * q
    m = max(np.roots([variance / 2, a - b - variance / 2, -(r - b)]))
    edge = price * m / (m - 1)
    x, y = np.random.default_rng(1).uniform(0.5, 3.0, (2, 40))
    z = x / y
    wanted = y * np.where(z < edge, (edge - price) * (z / edge) ** m, z - price)
    found = at(function, np.stack([x, y] if names == "xy" else [y, x], axis=1))
    np.testing.assert_allclose(found.value, wanted, rtol=1e-10)
    assert np.all(np.abs(found.value - wanted) <= found.error + 1e-13)
    np.testing.assert_array_equal(found.stop, z >= edge)


def test_until_one_overtakes_the_other():
    """x/(r - 0.03) - y/(r - 0.01) and the decaying power that makes it 0 where x = y."""
    text = PAIR.format(drift="0.03*x", more="exit tau when x <= y", paid="integral(0, tau) exp(-0.07*t)*(x - y) dt")
    x, y = np.random.default_rng(2).uniform([[2.0], [0.5]], [[4.0], [1.9]], (2, 30))
    m = min(np.roots([0.13 / 2, 0.02 - 0.13 / 2, -0.06]))
    wanted = x / 0.04 - y / 0.06 - (1 / 0.04 - 1 / 0.06) * y * (x / y) ** m
    np.testing.assert_allclose(at(solve(text), np.stack([x, y], axis=1)).value, wanted, rtol=1e-10)


def test_a_power_of_any_degree():
    text = PAIR.format(drift="0.03*x", more="", paid="integral(0, inf) exp(-0.5*t)*x^0.3*y^(-0.8) dt")
    x, y = np.random.default_rng(3).uniform([[2.0], [0.5]], [[4.0], [1.9]], (2, 30))
    rate = 0.5 - 0.3 * 0.03 + 0.8 * 0.01 - 0.5 * (0.3 * -0.7 * 0.09 + -0.8 * -1.8 * 0.04)
    function = solve(text)
    assert function.degree == -0.5
    np.testing.assert_allclose(at(function, np.stack([x, y], axis=1)).value, x**0.3 * y**-0.8 / rate, rtol=1e-10)


def test_a_control_that_scales_with_the_states():
    """V = a x^2 + b y^2 with r a = 1 - a^2 and (r - 2 m - q^2) b = 3 + s^2 a."""
    function = solve(TRACKING.format(r=0.4, cost="x^2 + 3*y^2"))
    a = (-0.4 + np.sqrt(0.16 + 4)) / 2
    b = (3 + 0.09 * a) / (0.4 - 0.04 - 0.04)
    x, y = np.random.default_rng(4).uniform([[-2.0], [0.5]], [[2.0], [1.5]], (2, 30))
    found = at(function, np.stack([x, y], axis=1))
    np.testing.assert_allclose(found.value, a * x**2 + b * y**2, rtol=1e-10)
    np.testing.assert_allclose(found.gradient, np.stack([2 * a * x, 2 * b * y], axis=1), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(found.control[:, 0], -a * x, atol=1e-9)


def test_costs_that_outgrow_the_discount_get_no_number():
    """y^2 grows at the rate 0.08: at r = 0.05 every policy costs without bound, though the reduced equation has a solution."""
    answer = homogeneous.propose(equation(TRACKING.format(r=0.05, cost="abs(x)^3/y")))
    assert isinstance(answer, Rejected)
    assert "the discount rate is negative" in answer.reason
    drifting = PAIR.format(drift="0.03*x", more="", paid="integral(0, inf) exp(-0.02*t)*sqrt(x^2 + y^2) dt")
    assert isinstance(homogeneous.propose(equation(drifting)), Rejected)


@pytest.mark.parametrize(
    ("drift", "more", "paid"),
    [
        ("0.03", "", "integral(0, inf) exp(-0.5*t)*(x + y) dt"),
        ("0.03*x", "", "integral(0, inf) exp(-0.5*t)*(x + y^2) dt"),
        ("0.03*x*max(1, x/8)", "", "integral(0, inf) exp(-0.5*t)*x^0.3*y^(-0.8) dt"),
        ("0.03*x", "exit tau when x <= 1", "integral(0, tau) exp(-0.5*t)*x*y dt"),
        ("0.03*x", "exit tau when x <= y", "exp(-0.5*tau)*(1 + x(tau))"),
        ("0.03*x", "", "integral(0, 2) exp(-0.5*t)*x*y dt"),
    ],
)
def test_declines_what_does_not_scale(drift, more, paid):
    assert isinstance(homogeneous.propose(equation(PAIR.format(drift=drift, more=more, paid=paid))), Rejected)
