"""Numbers put into expressions: exact where that is cheap, and never a hang where it is not."""

from __future__ import annotations

import mpmath
import pytest
import sympy as sp

from hjbdsl.model.exact import power_of, with_numbers

x, a, b = sp.Symbol("x", positive=True), sp.Symbol("a", positive=True), sp.Symbol("b", real=True)


def test_cheap_powers_stay_exact():
    assert with_numbers(a**b * x, {a: sp.Rational(9, 4), b: sp.Rational(-3, 2)}) == sp.Rational(8, 27) * x
    assert with_numbers(x**b, {b: sp.Rational(5, 3)}) == x ** sp.Rational(5, 3)
    assert with_numbers(a * x**2, {a: sp.Rational(1, 3)}) == x**2 / 3


@pytest.mark.timeout(10)
@pytest.mark.parametrize("fine", ["0.387123451", "-12.93719391", "731.0000001"])
def test_fine_powers_are_numbers_of_forty_digits(fine):
    base, exponent = sp.Rational("48.3789547"), sp.Rational(fine)
    found = with_numbers((x / a) ** b, {a: base, b: exponent}).xreplace({x: sp.Integer(3)})
    with mpmath.workdps(50):
        exact = (3 / mpmath.mpf("48.3789547")) ** mpmath.mpf(fine)
        assert abs(mpmath.mpf(str(sp.N(found, 38))) / exact - 1) < mpmath.mpf("1e-32")
    assert power_of(x, exponent) == x**exponent, "no number, nothing to round"


@pytest.mark.timeout(10)
def test_an_exponential_of_a_logarithm_is_a_power():
    # exp(c log y) becomes y^c by itself
    found = with_numbers(
        sp.exp(b * sp.log(a * sp.sqrt(x) + a**2) + a), {a: sp.Rational("1.0237731"), b: sp.Rational("7.3871234")}
    )
    exact = (1.0237731 * 2 + 1.0237731**2) ** 7.3871234 * sp.exp(1.0237731)
    assert float(found.xreplace({x: sp.Integer(4)})) == pytest.approx(float(exact), rel=1e-13)
