"""Terminal and exit values as they are written. In: a problem and its `Writer`. Out: `Notation`."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from hjbdsl.model.problem import ControlProblem, GaussianMixture, Notation
from hjbdsl.symbolic.horizon import last_time, terminal_value
from hjbdsl.symbolic.latex import latex_symbol
from hjbdsl.symbolic.terms.notation import drift_name
from hjbdsl.symbolic.text import text_symbol
from hjbdsl.symbolic.writing import Writer, equal, join, times

_MOST_COMPONENTS, _MOST_DIMENSIONS = 4, 3


def terminal_notation(problem: ControlProblem, writer: Writer) -> Notation:
    """V(T, x) = g(x); -log p_0 of the data under `reverse`."""
    value, time = terminal_value(problem), writer.write(last_time(problem))
    names = [g.name for g in problem.states] + [chain.name for chain in problem.modes]
    text = ", ".join([time.text, *map(text_symbol, names)])
    latex = ", ".join([time.latex, *map(latex_symbol, names)])
    if problem.reversal is not None:
        written = surprise(problem)
    else:
        key = "running" if problem.objective.form in ("running_min", "running_max") else "terminal"
        key = key if problem.objective.terminal is not None or key == "running" else "stop"
        written = writer.written(key, value if value is not None else sp.Integer(0))
    return Notation(f"V({text}) = {written.text}", f"V({latex}) = {written.latex}")


def surprise(problem: ControlProblem, at: str = "") -> Notation:
    """-log p₀ of the state, which V is at the end of the reversed process."""
    text = ", ".join(text_symbol(g.name) + at for g in problem.states)
    latex = ", ".join(latex_symbol(g.name) + at for g in problem.states)
    return Notation(f"-log p₀({text})", rf"-\log p_0({latex})")


def data_law(problem: ControlProblem, writer: Writer) -> list[Notation]:
    """p₀, the law of the data, where it is a short mixture; nothing without `reverse`."""
    if problem.reversal is None:
        return []
    law = problem.reversal.law
    if not isinstance(law, GaussianMixture):
        return [Notation("p₀: the density of the samples", r"p_0:\ \text{the density of the samples}")]
    if len(law.weights) > _MOST_COMPONENTS or problem.dimension > _MOST_DIMENSIONS:
        words = f"a mixture of {len(law.weights)} normal laws in {problem.dimension} dimensions"
        return [Notation(f"p₀: {words}", rf"p_0:\ \text{{{words}}}")]
    pieces = []
    for weight, means, spread in zip(law.weights, law.means, law.covariances, strict=True):
        mean, variance = _array(writer, means), _spread(writer, spread)
        normal = Notation(f"normal({mean.text}, {variance.text})", rf"\mathcal{{N}}({mean.latex},\, {variance.latex})")
        pieces.append(normal if len(law.weights) == 1 else times(writer.write(weight), normal))
    return [equal(Notation("p₀", "p_0"), join(pieces))]


def reversed_drift(problem: ControlProblem, writer: Writer) -> list[Notation]:
    """b(y, u) of a reversed process in several dimensions, which the equation names; nothing elsewhere."""
    if problem.reversal is None or not writer.vector:
        return []
    name, end = drift_name(problem, problem.states[0], False), writer.write(last_time(problem))
    return [
        Notation(
            f"{name.text} = -f + Σ u,  f and Σ of the forward process at time {end.text} - t",
            rf"{name.latex} = -f + \Sigma u, \qquad f, \Sigma \text{{ of the forward process at time }} {end.latex} - t",
        )
    ]


def _array(writer: Writer, entries: Sequence[sp.Expr]) -> Notation:
    written = [writer.write(entry) for entry in entries]
    if len(written) == 1:
        return written[0]
    return Notation(f"[{', '.join(w.text for w in written)}]", rf"({', '.join(w.latex for w in written)})")


def _spread(writer: Writer, matrix: sp.Matrix) -> Notation:
    """A variance; `v I` for a multiple of the identity."""
    size = matrix.rows
    if size == 1:
        return writer.write(matrix[0, 0])
    if matrix == matrix[0, 0] * sp.eye(size):
        return Notation("I", "I") if matrix[0, 0] == 1 else times(writer.write(matrix[0, 0]), Notation("I", "I"))
    rows = [[writer.write(matrix[i, j]) for j in range(size)] for i in range(size)]
    text = "[" + ", ".join("[" + ", ".join(w.text for w in row) + "]" for row in rows) + "]"
    body = r" \\ ".join(" & ".join(w.latex for w in row) for row in rows)
    return Notation(text, rf"\begin{{pmatrix}} {body} \end{{pmatrix}}")


def exit_notation(problem: ControlProblem, writer: Writer) -> Notation:
    """V = what is paid, where the exit condition holds."""
    assert problem.exit is not None
    value = problem.objective.exit_value
    paid = writer.written("exit", value) if value is not None else Notation("0", "0")
    condition = writer.write(problem.exit.condition)
    return Notation(f"V = {paid.text} where {condition.text}", rf"V = {paid.latex} \quad \text{{where }} {condition.latex}")
