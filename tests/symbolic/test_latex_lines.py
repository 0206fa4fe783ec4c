"""Long formulas on several lines: nothing lost, brackets paired, short ones left alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hjbdsl.frontend.load import load_problem, loads_problem
from hjbdsl.symbolic.account import account
from hjbdsl.symbolic.derive import derive
from hjbdsl.symbolic.latex_lines import on_lines
from hjbdsl.symbolic.render import render

LONG = r"\partial_t V + \max_{u} \left\{ " + " + ".join(rf"a_{{{i}}} (x - y) V_{{x}}" for i in range(14)) + r" \right\} = 0"
GALLERY = Path(__file__).parents[2] / "hjbdsl" / "gallery"


def content(latex):
    """The formula without what breaking adds."""
    for mark in (r"\begin{aligned}", r"\end{aligned}", r"\\", "&", r"\quad", "{}", r"\left", r"\right", r"\Bigl", r"\Bigr"):
        latex = latex.replace(mark, "")
    return re.sub(r"\s", "", latex)


def test_a_short_formula_stays():
    assert on_lines(r"\rho V = r x V'") == r"\rho V = r x V'"


def test_a_long_sum_is_broken_before_signs():
    broken = on_lines(LONG)
    assert broken.startswith(r"\begin{aligned}")
    assert content(broken) == content(LONG)
    continuations = broken.split(r"\\")[1:]
    assert continuations
    assert all(line.strip().startswith(r"& \quad {}+") for line in continuations)


def test_a_torn_pair_gets_fixed_sizes():
    broken = on_lines(LONG)
    for line in broken.split(r"\\"):
        assert line.count(r"\left") == line.count(r"\right")
    assert r"\Bigl\{" in broken
    assert r"\Bigr\}" in broken


def test_a_fraction_with_a_long_numerator_is_spread():
    numerator = " + ".join(rf"a_{{{i}}} b c d" for i in range(30))
    broken = on_lines(rf"V = \frac{{({numerator}) p}}{{2 q}}")
    assert r"\frac{1}{2 q}" in broken
    assert broken.count(r"\\") >= 1


def test_function_arguments_are_not_torn():
    jump = r"V(t, q + 1, s, x - s) - V"
    broken = on_lines(" + ".join([rf"\lambda ({jump})"] * 6))
    assert broken.count("V(t, q + 1, s, x - s)") == 6


@pytest.mark.parametrize("name", ["market_making", "air3d", "merton_two_assets"])
def test_gallery_formulas_keep_their_content(name):
    equation = derive(load_problem(str(GALLERY / f"{name}.hjb")))
    for entry in account(equation).entries:
        for formula in entry.formulas:
            broken = on_lines(formula.latex)
            if r"\frac{1}" not in broken:
                assert content(broken) == content(formula.latex)


def test_a_rate_of_several_letters_stands_apart() -> None:
    """Without the space `yield V` is set as `yieldV`."""
    text = "param yield = 0.1\nstate x in R\nnoise W\ndx = dW\nevaluate E integral(0, inf) exp(-yield*t)*x^2 dt\n"
    latex = render(derive(loads_problem(text)), "latex")
    assert r"\mathrm{yield}\, V" in latex
    assert r"e^{-\mathrm{yield}\, s}" in latex
