"""Hopf-Cole where E exp(-kappa cost) diverges: by hand, -a y^2 against the variance v needs kappa a < 1/(2 v)."""

import numpy as np
import pytest
from scipy.integrate import quad

from hjbdsl.errors import HjbError
from hjbdsl.methods import closed_form
from hjbdsl.model.solution import Accepted, Rejected
from tests.methods.closed_form.solving import equation, point, solved

LINE = """
param T = {end}
state y in R
control u in R
noise W
dy = u dt + 0.5 dW
{sense} E [ integral(0, T) {cost} dt + {terminal} ]
region y in [-1, 1]
"""


def text(terminal, end=1.0, sense="minimize"):
    return LINE.format(end=end, sense=sense, cost="u^2/2" if sense == "minimize" else "-u^2/2", terminal=terminal)


def diagnostic(source):
    with pytest.raises(HjbError) as raised:
        closed_form.solve(equation(source))
    (found,) = raised.value.diagnostics
    assert found.code == "HJB121"
    return found


@pytest.mark.parametrize("bounded", ["cos(y(T))", "abs(y(T))", "log(1 + y(T)^2)"])
def test_escape_time_of_a_negative_quadratic(bounded):
    # lambda = 1/4 = sigma^2: kappa a = 4 * 0.6, variance t/4, infinite from t = 1/(2 * 0.6) on
    found = diagnostic(text(f"{bounded} - 0.6*y(T)^2"))
    assert "0.8333" in found.message
    assert found.source_line.startswith("param T")


def test_before_the_escape_the_value_is_that_of_an_adaptive_quadrature():
    value, _ = point(solved(text("cos(y(T)) - 0.6*y(T)^2", end=0.7), "Hopf-Cole"), 0.4)
    variance = 0.25 * 0.7

    def integrand(y):
        exponent = -4 * (np.cos(y) - 0.6 * y * y) - (y - 0.4) ** 2 / (2 * variance)
        return np.exp(exponent) / np.sqrt(2 * np.pi * variance)

    total = quad(integrand, -25, 25, points=[0, 2.5], limit=500, epsabs=0, epsrel=1e-11)[0]
    assert value == pytest.approx(-np.log(total) / 4, rel=1e-9)


@pytest.mark.parametrize("terminal", ["-y(T)^4", "-abs(y(T))^3", "y(T)^3"])
def test_faster_than_quadratic_is_infinite_at_once(terminal):
    assert "at every time before the end" in diagnostic(text(terminal)).message


def test_the_maximiser_gains_without_bound():
    diagnostic(text("0.6*y(T)^2 + cos(y(T))", sense="maximize"))
    assert isinstance(closed_form.solve(equation(text("cos(y(T)) - 0.6*y(T)^2", sense="maximize"))), Accepted)


def test_a_cap_that_is_far_away_is_not_mistaken_for_growth():
    assert isinstance(closed_form.solve(equation(text("max(-0.6*y(T)^2, -9) + cos(y(T))"))), Accepted)


def test_on_the_border_no_number_is_given():
    assert isinstance(closed_form.solve(equation(text("cos(y(T)) - 0.5*y(T)^2"))), Rejected)


def test_several_dimensions():
    source = """
param n = {n}
state X in R^n
control M in R^n
noise W in R^n
dX = M dt + 0.6 dW
minimize E [ integral(0, 1) |M|^2/2 dt + {terminal} ]
region X in [-1, 1]
"""
    diagnostic(source.format(n=5, terminal="|X(1)| - 0.6*|X(1)|^2"))
    diagnostic(source.format(n=2, terminal="cos(X(1)[1]) - 0.3*(X(1)[1] + X(1)[2])^2 + abs(X(1)[2])"))
