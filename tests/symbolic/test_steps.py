"""The derivation told: which steps a problem has, in order, and that nothing of the algebra system shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hjbdsl.errors import UsageError
from hjbdsl.frontend.load import load_problem, loads_problem
from hjbdsl.symbolic.derive import derive
from hjbdsl.symbolic.render import render

GALLERY = sorted((Path(__file__).parents[2] / "hjbdsl" / "gallery").glob("*.hjb"))

EVERYTHING = """problem everything
param rho = 0.1, lam = 0.5
mode z in {low, high}
rate low -> high = 0.3, high -> low = 0.4
state x in R, y in R
control a in [-1, 1]
noise W, B
dW dB = 0.5 dt
jump N rate lam mark J ~ {-1: 0.5, 1: 0.5}
dx = (a - x) dt + 0.2 dW + J dN
dy = -y dt + 0.3 dB
stopping tau in [0, inf]
maximize E [ integral(0, tau) exp(-rho*t)*(-a^2) dt + exp(-rho*tau)*(x(tau) + y(tau)) ]
"""


def titles(source):
    return [step.title for step in derive(loads_problem(source)).steps]


def test_every_axis_brings_its_step():
    found = titles(EVERYTHING)
    expected = [
        "The problem", "Dynamic programming over one step h", "Taylor and Itô", "Jumps", "Modes", "Discounting",
        "The Hamilton-Jacobi-Bellman equation", "The generator", "The Hamiltonian", "First-order condition",
        "Second-order condition", "The maximiser", "The reduced equation", "Transversality", "Boundary conditions",
        "Q-function and advantage rate",
    ]  # fmt: skip
    assert found == expected


def test_the_correlation_is_told():
    steps = derive(loads_problem(EVERYTHING)).steps
    ito = next(step for step in steps if step.title == "Taylor and Itô")
    assert any("dW dB = ½ dt" in f.text or "dW dB = 0.5 dt" in f.text for f in ito.formulas)
    assert any("V_xy" in f.text for f in ito.formulas)


def test_reversal_is_told_from_fokker_planck_to_score_matching():
    found = titles(
        "problem p\nparam T = 1\nstate y in R\nnoise W\ndy = -y dt + sqrt(2) dW\ndata y(0) ~ normal(0, 2)\nreverse y on [0, T]\n"
    )
    for title in ("Fokker-Planck", "Time reversal", "The HJB equation of -log p", "Verification", "Score matching"):
        assert title in found
    assert found.index("Fokker-Planck") < found.index("Time reversal") < found.index("Verification")


def test_names_of_lets_are_told_where_formulas_speak_them():
    reverse = (
        "param b0 = 0.1, b1 = 20, T = 1\nlet slope = b1 - b0\nlet beta = b0 + slope*t\nlet idle = 3\nstate y in R^2\n"
        "noise W in R^2\n"
        "dy = -beta/2*y dt + sqrt(beta) dW\ndata y(0) ~ normal([0, 1], 2)\nreverse y on [0, T]\n"
    )
    control = (
        "param T = 1\nlet slope = 1 + t\nlet beta = slope/2\nlet idle = 3\nstate y in R^2\ncontrol a in R^2\nnoise W in R^2\n"
        "dy = (a - beta*y) dt + dW\nminimize E [ integral(0, T) |a|^2 dt ]\n"
    )
    for text, first in ((reverse, "β = b0 + slope t"), (control, "β = slope/2")):
        formulas = [formula.text for formula in derive(loads_problem(text)).steps[0].formulas]
        assert first in formulas
        assert any(formula.startswith("slope = ") for formula in formulas)
        assert not any(formula.startswith("idle") for formula in formulas)
    page = render(derive(loads_problem(reverse)), "text", steps=False)
    assert "b(y, u) = -f + Σ u" in page
    assert "β" not in page  # at time T - t the equation is written out


@pytest.mark.parametrize("path", GALLERY, ids=lambda p: p.stem)
def test_gallery_renders_in_every_format(path):
    equation = derive(load_problem(str(path)))
    assert equation.steps
    text = render(equation, "text", steps=True)
    latex = render(equation, "latex", steps=True)
    page = render(equation, "html", steps=True)
    told = json.loads(render(equation, "json", steps=True))
    for mark in ("Derivative(", "Subs(", "**", "dV[", "d2V[", "Dummy", "zoo"):
        assert mark not in text
        assert mark not in latex
    assert told["equation"]["latex"] == equation.pde.latex
    assert len(told["steps"]) == len(equation.steps)
    assert latex.count(r"\[") == latex.count(r"\]")
    assert latex.count("{") - latex.count(r"\{") == latex.count("}") - latex.count(r"\}")
    assert "http" not in page
    assert "?" not in "".join(step.explanation for step in equation.steps)


def test_unknown_format():
    equation = derive(load_problem(str(GALLERY[0])))
    with pytest.raises(UsageError):
        render(equation, "word")
