"""Expressions are set as a person sets them."""

from __future__ import annotations

import pytest
import sympy as sp

from hjbdsl.symbolic.latex import to_latex
from hjbdsl.symbolic.printing import DERIVATIVE_RANK
from hjbdsl.symbolic.text import to_text

x, k, mu, r, sigma, gamma, r_a = sp.symbols("x k mu r sigma gamma r_a", positive=True)
slope, bend = sp.symbols("p M", real=True)
TEXT = {slope: "V'", bend: "V''"}
RANKS = {x: 4, k: 3, slope: DERIVATIVE_RANK, bend: DERIVATIVE_RANK + 1}


def rank(symbol):
    return RANKS.get(symbol, 0)


CASES = [
    (sp.Rational(7, 100) * x, "0.07 x", "0.07 x"),
    (x / 3, "1/3 x", r"\tfrac13 x"),
    (x / 2, "½ x", r"\tfrac12 x"),
    (1 - gamma, "1 - γ", r"1 - \gamma"),
    (-x, "-x", "-x"),
    (x**-2, "1/x²", r"\frac{1}{x^2}"),
    (sp.sqrt(x**2 + 1), "√(x² + 1)", r"\sqrt{x^2 + 1}"),
    ((k * x) ** (1 - gamma) / (1 - gamma), "(k x)^(1 - γ)/(1 - γ)", r"\frac{(k x)^{1 - \gamma}}{1 - \gamma}"),
    (-(mu - r) * slope / (sigma**2 * x * bend), "(r - μ) V'/(σ² x V'')", r"\frac{(r - \mu) V'}{\sigma^2 x V''}"),
    (slope ** (-1 / gamma) / x, "V'^(-1/γ)/x", r"\frac{(V')^{-1/\gamma}}{x}"),
    (sigma**2 * x**2 * bend / 2, "½ σ² x² V''", r"\tfrac12 \sigma^2 x^2 V''"),
    (r_a * x, "r_a x", "r_a x"),
    (sp.exp(-r * x), "e^(-r x)", "e^{-r x}"),
    (sp.log(x / k), "log(x/k)", r"\log\left(\frac{x}{k}\right)"),
    (sp.Abs(slope), "|V'|", r"\left|V'\right|"),
    (sp.Piecewise((x, x > k), (0, True)), "{x if x > k, 0 otherwise}",
     r"\begin{cases} x & \text{if } x > k \\ 0 & \text{otherwise} \end{cases}"),
    (2 * x * (1 - k), "2 (1 - k) x", "2 (1 - k) x"),
    (sp.Symbol("x[2]", real=True) ** 2, "x[2]²", "x_2^2"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "text", "latex"), CASES)
def test_as_a_person_writes(expression, text, latex):
    assert to_text(expression, TEXT, rank) == text
    assert to_latex(expression, TEXT, rank) == latex


def test_no_trace_of_the_algebra_system():
    everything = [to_latex(e, TEXT, rank) + to_text(e, TEXT, rank) for e, _, _ in CASES]
    for mark in ("Derivative", "Subs", "**", "1.0", "sqrt("):
        assert not any(mark in written for written in everything)


def test_numbers_of_many_digits_are_rounded_for_the_eye():
    x = sp.Symbol("x", positive=True)
    assert to_text(sp.Rational(4556376277489, 200000000000000) * x) == "0.022781881 x"
    assert to_text(-sp.Rational(5123450000000, 4556376277489) / x) == "-1.1244572/x"
    assert to_text(sp.Rational(355, 113) * x) == "355/113 x"
