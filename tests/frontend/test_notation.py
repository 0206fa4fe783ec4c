"""Formulas for the eye: what a person would write, and that it is well-formed LaTeX."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hjbdsl.frontend import ast
from hjbdsl.frontend.notation_latex import LatexPrinter
from hjbdsl.frontend.notation_text import plain
from hjbdsl.frontend.parse import parse_text
from hjbdsl.model.problem import ControlProblem
from tests.frontend.lowering import lowered

PRINTER = LatexPrinter(lambda e: isinstance(e, ast.Name) and e.id in ("X", "m"), lambda name: name != "u")


def expression(text: str) -> ast.Expr:
    (statement,) = parse_text(f"let f = {text}", "<test>").statements
    assert isinstance(statement, ast.Let)
    return statement.body


LATEX = {
    "r*x + pi*(mu - r)*x": r"r x + \pi (\mu - r) x",
    "-(q*x^2 + r*a^2)/2": r"-\frac{q x^{2} + r a^{2}}{2}",
    "exp(-rho*t)*u(k*x)": r"e^{-\rho t} u(k x)",
    "X'*Q*X": r"X^{\top} Q X",
    "|X|^2 + |x|": r"\left\lVert X \right\rVert^{2} + \left\lvert x \right\rvert",
    "c^(1 - gamma)/(1 - gamma)": r"\frac{c^{1 - \gamma}}{1 - \gamma}",
    "sqrt(x)/2*y": r"\frac{\sqrt{x}}{2} y",
    "2*3*x": r"2 \cdot 3 x",
    "lam*sigma": r"\mathrm{lam} \, \sigma",
    "sum(x[i]^2 for i in 1..n)": r"\sum_{i=1}^{n} x_{i}^{2}",
    "max(x - K, 0)": r"\max\left\{x - K, 0\right\}",
    "if(x > 0, x, if(y <= 1, 2, 3))": r"\begin{cases} x & \text{if } x > 0 \\ 2 & \text{if } y \le 1 \\ "
    r"3 & \text{otherwise} \end{cases}",
    "indicator(q < 4)": r"\mathbf{1}\left\{q < 4\right\}",
    "x^(1/2)": "x^{1/2}",
    "1e-3*x": "10^{-3} x",
    "log(x)": r"\log x",
    "log(1 + x)": r"\log(1 + x)",
    "-(a - b)": "-(a - b)",
    "a - (b - c)": "a - (b - c)",
    "a/(b*c)": r"\frac{a}{b c}",
    "(a + b)^2": "(a + b)^{2}",
    "x[2] + A[i, j]": "x_{2} + A_{i j}",
}


@pytest.mark.parametrize("text", LATEX)
def test_latex_reads_as_written_by_hand(text: str) -> None:
    assert PRINTER.show(expression(text)) == LATEX[text]


def well_formed(latex: str) -> bool:
    depth = 0
    for mark in re.findall(r"\\[{}]|[{}]", latex):
        depth += {"{": 1, "}": -1}.get(mark, 0)
        if depth < 0:
            return False
    opened = re.findall(r"\\begin\{(\w+)\}", latex)
    return (
        depth == 0
        and latex.count(r"\left") - latex.count(r"\leftarrow") == latex.count(r"\right")
        and opened == re.findall(r"\\end\{(\w+)\}", latex)
    )


atoms = st.sampled_from(["x", "sigma", "2", "0.5", "X[1]", "u(x)", "kappa_2"])
texts = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner),
        st.builds("({})^({})".format, inner, inner),
        st.builds("(-{})".format, inner),
        st.builds("{}({})".format, st.sampled_from(["exp", "log", "sqrt", "abs", "tanh", "Phi"]), inner),
        st.builds("max({}, {})".format, inner, inner),
        st.builds("if({} < {}, {}, 0)".format, inner, inner, inner),
        st.builds("|{}|".format, inner),
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(texts)
def test_any_expression_gives_well_formed_latex_and_text_that_reads_back(text: str) -> None:
    tree = expression(text)
    assert well_formed(PRINTER.show(tree))
    assert expression(plain(tree, longest=10_000)) == tree


def notation(problem: ControlProblem, *key: str) -> tuple[str, str]:
    found = problem.notation[key]
    return found.text, found.latex


def test_the_pieces_of_a_problem() -> None:
    problem = lowered(
        "param A : R^(2,2) = eye(2), rho = 0.1, sigma = 0.3, lam = 1",
        "state x in R^2",
        "control u in R^2",
        "noise W in R^2",
        "jump N rate lam*exp(-rho*t)",
        "dx = (A*x + u) dt + sigma dW - 2*x dN",
        "minimize E [ integral(0, 3) exp(-rho*t)*(x'*A*x + |u|^2) dt + exp(-rho*3)*|x(3)|^2 ]",
    )
    assert notation(problem, "drift", "x") == ("A x + u", "A x + u")
    assert notation(problem, "diffusion", "x", "W") == ("σ", r"\sigma")
    assert notation(problem, "jump", "x", "N") == ("-2 x", "-2 x")
    assert notation(problem, "rate", "N")[1] == r"\mathrm{lam} \, e^{-\rho t}"
    assert notation(problem, "running")[0] == "xᵀ A x + |u|²"
    assert notation(problem, "terminal")[1] == r"\left\lVert x \right\rVert^{2}"
    assert notation(problem, "discount")[1] == r"\rho"
    text, latex = notation(problem, "objective")
    assert text.startswith("min over u of E[∫₀^3 exp(-ρ t) (xᵀ A x + |u|²) dt")
    assert latex.startswith(r"\min_{u} \mathbb{E}\left[\int_{0}^{3} e^{-\rho t} \left(x^{\top} A x")
    assert all(well_formed(n.latex) for n in problem.notation.values())


def test_what_is_shown_is_what_is_solved() -> None:
    problem = lowered(
        "param rho = 0.1",
        "state x in R",
        "control a in R",
        "dx = a dt",
        "minimize integral(0, 3) (exp(-rho*t)*x^2 + exp(-2*rho*t)*a^2) dt + x(3)^2",
    )
    assert problem.objective.discount == 0
    assert "exp" in notation(problem, "running")[0]
    mixed = lowered("param rho = 0.1", "state x in R", "control a in R", "dx = a dt",
                    "minimize integral(0, 3) exp(-rho*t)*(x^2 + a^2) dt + x(3)^2")  # fmt: skip
    assert notation(mixed, "running")[0] == "x² + a²"
    assert "exp" in notation(mixed, "terminal")[0]
