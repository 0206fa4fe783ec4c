"""The formula that is printed is text of the language itself: put back into the file as a check, it holds."""

from __future__ import annotations

import numpy as np
import pytest

from hjbdsl.frontend.load import loads_problem
from hjbdsl.model.problem import TIME
from hjbdsl.numeric.compile import compile_expressions
from tests.methods.closed_form.solving import solved

PARAMETERS = "param alpha = 0.3, beta = 0.8, q = 1.2, r = 0.5, s = 0.4, rho = 0.9, T = 1.4, lam = 0.3, m = 0.7, theta = 0.2\n"
HEAD = PARAMETERS + "state x in R\ncontrol a in R\nnoise W\n"
LINEAR = "dx = (alpha*x + beta*a) dt + s dW\n"
DISCOUNTED = "E integral(0, inf) exp(-rho*t)*"
PROBLEMS = {
    "discounted": HEAD + LINEAR + f"minimize {DISCOUNTED}(q*x^2 + r*a^2) dt\n",
    "halves": HEAD + LINEAR + f"maximize {DISCOUNTED}(-(q*x^2 + r*a^2)/2) dt\n",
    "affine": HEAD + LINEAR.replace("alpha*x", "alpha*(x - m)") + f"minimize {DISCOUNTED}(q*(x - 1)^2 + r*a^2 + m*a) dt\n",
    "cross": HEAD + LINEAR.replace("s dW", "s*x dW") + f"maximize {DISCOUNTED}(-q*x^2 - r*a^2 + m*x*a + 1) dt\n",
    "explore": HEAD + LINEAR + f"explore a with temperature lam\nmaximize {DISCOUNTED}(-(q*x^2 + r*a^2)/2) dt\n",
    "no control in the cost of states": HEAD + LINEAR.replace("alpha", "-alpha") + f"minimize {DISCOUNTED}(r*a^2 + q*x) dt\n",
    "finite": HEAD + LINEAR + "minimize E [ integral(0, T) (q*x^2 + r*a^2) dt + m*x(T)^2 ]\n",
    "finite halves": HEAD + LINEAR + "maximize E [ integral(0, T) (-(q*x^2 + r*a^2)/2) dt - m*x(T)^2/2 ]\n",
    "risk": HEAD + LINEAR + "minimize risk(theta) [ integral(0, T) (q*x^2 + r*a^2) dt + m*x(T)^2 ]\n",
    "deterministic": HEAD + "dx = (alpha*x + beta*a) dt\nminimize integral(0, T) exp(-rho*t)*(q*x^2 + r*a^2) dt\n",
    "game": PARAMETERS
    + "state x in R\ncontrol a in R\nadversary b in R\nnoise W\ndx = (alpha*x + beta*a + m*b) dt + s dW\n"
    + f"minimize {DISCOUNTED}(q*x^2 + r*a^2 - 3*b^2) dt\n",
    "average": HEAD + LINEAR + "minimize average q*x^2 + r*a^2\n",
    "two controls": PARAMETERS
    + "state x in R\ncontrol u in R^2\nnoise W\ndx = (alpha*x + u[1] - beta*u[2]) dt + s dW\n"
    + f"minimize {DISCOUNTED}(q*x^2 + r*|u|^2 + u[1]*u[2]/5) dt\n",
    "evaluate": PARAMETERS + f"state x in R\nnoise W\ndx = alpha*x dt + s dW\nevaluate {DISCOUNTED}q*x^2 dt\n",
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_formula_as_a_check(name: str) -> None:
    text = PROBLEMS[name]
    solution = solved(text)
    assert "residual 0 (symbolic" in solution.evidence.statements[0] or "40-digit" in solution.evidence.statements[0]
    formula = solution.formula
    assert formula is not None
    lets = [f"let {letter.text} = {meaning.text}" for letter, meaning, _ in reversed(formula.where)]
    checks = [f"check {target} = {written.text}" for target, written in {**formula.value, **formula.controls}.items()]
    problem = loads_problem(text + "\n".join([*lets, *checks]) + "\n")
    times = np.linspace(0, 1.4, 5) if "finite" in name or name in {"risk", "deterministic"} else np.zeros(5)
    x = np.linspace(-1, 2, 5)
    point = solution.function.evaluate(times, x[:, None], np.zeros(5, dtype=np.int64))
    claimed = (
        [point.value[:, None], point.control[:, :1], point.control[:, 1:]]
        if name == "game"
        else [point.value[:, None], point.control]
    )
    for check, values in zip(problem.checks, claimed, strict=False):
        expected = compile_expressions((TIME, *problem.state_symbols), [problem.numeric(e) for e in check.expected])(times, x)
        np.testing.assert_allclose(values.T, expected, rtol=1e-9, atol=1e-10)
    assert len(problem.checks) == 1 + len(problem.controls) + len(problem.adversaries)


def test_matrices_and_modes_are_written_with_numbers() -> None:
    modes = "mode z in {g, b}\nrate g -> b = 1, b -> g = 2\nparam k(z) = {g: 0.2, b: -0.3}\n"
    motion = "state x in R, y in R\ncontrol a in R\nnoise W\ndx = (k(z)*x + y) dt + 0.2 dW\ndy = a dt\n"
    text = modes + motion + "minimize E integral(0, inf) exp(-t)*(x^2 + y^2 + a^2) dt\n"
    formula = solved(text).formula
    assert formula is not None
    assert set(formula.value) == {"V[g]", "V[b]"}
    assert set(formula.controls) == {"a[g]", "a[b]"}
