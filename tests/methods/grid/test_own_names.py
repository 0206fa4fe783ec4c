"""A user's names in the generated program never meet the program's own, nor Python's."""

from __future__ import annotations

import ast

import pytest

from hjbdsl import pipeline
from hjbdsl.methods.grid import emit, formulas
from hjbdsl.methods.grid.mark_rules import MarkRules
from hjbdsl.methods.grid.recast import recast

STOPPED = """\
param first = 0.03, second = 0.05, third = 0.3, fourth = 50, T = 1.5
mode z in {calm, wild}
rate calm -> wild = first, wild -> calm = 0.7
state s1 > 0, q in {0..2}
control c in [0, 1], d in {0, 1}
noise W
jump N rate first*indicator(q < 2) mark J ~ normal(0, 0.01)
ds1 = (first - second + c - d*c^2)*s1 dt + third*s1 dW + s1*J*c dN
dq = 1 dN
stopping tau in [0, T]
maximize E exp(-first*tau)*max(fourth - s1(tau) - q(tau), 0)
"""
PLANE = """\
param first = 0.3, second = 1.5
state s1 in R, s2 in R
control c in [-1, 1]
adversary b in [-first, first]
noise W, B
dW dB = first dt
ds1 = (s2 + b) dt + second*c dW
ds2 = c dt + first dB
exit tau in [0, 1] when s1^2 + s2^2 >= second
minimize E integral(0, tau) s1^2 + |c| - b^2 dt
"""


def names_within(node: ast.AST) -> set[str]:
    found = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} | {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
    for n in ast.walk(node):
        if isinstance(n, ast.FunctionDef):
            found.add(n.name)
        if isinstance(n, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in n.names}
    return found


@pytest.mark.parametrize("text", [STOPPED, PLANE])
def test_names_that_formulas_stand_beside_are_reserved(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = formulas.spelled
    monkeypatch.setattr(formulas, "spelled", lambda name: "user_" + original(name))
    form = recast(pipeline.derive(pipeline.loads(text)))
    tree = ast.parse(emit.emit(form, MarkRules.of(form.equation).counts))
    dangerous: set[str] = set()
    for node in tree.body:
        beside = names_within(node)
        mixed = not isinstance(node, ast.FunctionDef) or any(name.startswith("user_") for name in beside)
        dangerous |= beside if mixed else {node.name}
    assert len(dangerous) > 50
    assert [name for name in dangerous if not name.startswith("user_") and original(name) == name] == []


@pytest.mark.parametrize("name", ["yield", "class", "None", "range", "JUMPS", "LEVELS", "np", "njit", "march", "mode_rate"])
def test_python_and_the_templates_keep_their_names(name: str) -> None:
    assert formulas.spelled(name) == name + "_"


def test_spellings_of_different_names_differ() -> None:
    text = """\
param x_1 = 2, yield = 3, yield_ = 5
state x in R^2
noise W in R^2
dx = -yield*x dt + x_1*yield_ dW
evaluate E integral(0, 1) max(x[1], 0) dt
"""
    emitter = formulas.Emitter(pipeline.derive(pipeline.loads(text)))
    assert len(set(emitter.names.values())) == len(emitter.names)
