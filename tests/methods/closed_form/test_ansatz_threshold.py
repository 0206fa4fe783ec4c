"""The threshold between finite and infinite values of a stationary problem: told by the constrained growth, near it too."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from scipy.integrate import quad
from solving import equation, point, solved

from hjbdsl.errors import HjbError
from hjbdsl.methods import closed_form
from hjbdsl.model.solution import Rejected


@pytest.mark.parametrize("discount", [0.0225, 0.0198, 0.0197])
def test_the_bound_on_the_stake_makes_the_value_finite(discount):
    """gamma = 1/2: without the bound infinite below rho = 0.0239; with f <= 1/2 the growth is M = 0.039375 and k = 2 rho - M."""
    text = f"""problem m
state w > 0
control f in [0, 0.5], C >= 0
noise B
dw = ((0.02 + f*0.05)*w - C) dt + f*0.3*w dB
maximize E integral(0, inf) exp(-{discount}*t)*2*sqrt(C) dt
"""
    k = (discount - 0.5 * (0.02 + 0.025 - 0.5 * 0.5 * 0.25 * 0.09)) / 0.5
    value, controls = point(solved(text, "power"), 2.0)
    assert value == pytest.approx(2 * np.sqrt(2) * k**-0.5, rel=1e-8)
    assert controls == pytest.approx([0.5, 2 * k])


def test_below_the_threshold_of_the_bounded_stake_the_value_is_infinite():
    text = """problem m
state w > 0
control f in [0, 0.5], C >= 0
noise B
dw = ((0.02 + f*0.05)*w - C) dt + f*0.3*w dB
maximize E integral(0, inf) exp(-0.0196*t)*2*sqrt(C) dt
"""
    with pytest.raises(HjbError, match="HJB120"):
        solved(text, "power")


@pytest.mark.parametrize(("gamma", "discount"), [(0.5, 0.04625), (0.625, 0.03), (0.25, 0.11625)])
def test_at_the_threshold_itself_nothing_is_proved(gamma, discount):
    """At rho = (1 - gamma) (r + m^2/(2 gamma s^2)) the value is infinite, and only rounding tells the root from that."""
    assert discount == pytest.approx((1 - gamma) * (0.03 + 0.05**2 / (2 * gamma * 0.2**2)))
    text = f"""problem m
param gamma = {gamma}
state w > 0
control f in R, C >= 0
noise B
dw = ((0.03 + f*0.05)*w - C) dt + f*0.2*w dB
maximize E integral(0, inf) exp(-{discount}*t)*C^(1 - gamma)/(1 - gamma) dt
"""
    with suppress(HjbError):  # HJB120: that the value is infinite
        assert isinstance(closed_form.solve(equation(text)), Rejected)


@pytest.mark.parametrize("horizon", [1.9150, 20])
def test_the_time_of_explosion_of_a_predictable_return(horizon):
    """V = x^p/p exp(C y^2/2 + ...) with C' = p/(1 - p) (1/sigma + corr s C)^2 + s^2 C^2 - 2 kappa C from 0 (Kim and Omberg 1996):
    the time to infinity is the integral of dC over the right-hand side."""
    text = f"""problem t
state x > 0, y in R
control w in R
noise W, B
dW dB = -0.9 dt
dx = (0.02 + w*y)*x dt + w*0.2*x dW
dy = 0.3*(0.05 - y) dt + 0.25 dB
maximize E x({horizon})^0.7/0.7
"""

    def speed(c: float) -> float:
        return 0.7 / 0.3 * (1 / 0.2 - 0.9 * 0.25 * c) ** 2 + 0.25**2 * c**2 - 2 * 0.3 * c

    escape = quad(lambda c: 1 / speed(c), 0, 100)[0] + quad(lambda c: 1 / speed(c), 100, np.inf)[0]
    with pytest.raises(HjbError, match=f"HJB121.*time-to-go {escape:.5f}"):
        solved(text, "power")


def test_disutility_minimised_is_utility_maximised():
    """min E of the integral of 1/(c w): V = A/w with A = (2/(rho + G))^2, G = r + m^2/(4 s^2)."""
    text = """problem m
state w > 0
control f in R, c >= 0
noise B
dw = (0.02 + f*0.05 - c)*w dt + f*0.3*w dB
minimize E integral(0, inf) exp(-0.06*t)/(c*w) dt
"""
    value, controls = point(solved(text, "power"), 2.0)
    assert value == pytest.approx((2 / (0.06 + 0.02 + 0.0025 / 0.36)) ** 2 / 2, rel=1e-10)
    assert controls[0] == pytest.approx(0.05 / 0.18)
