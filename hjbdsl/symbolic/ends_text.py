"""Terminal and exit values as they are written. In: a problem and its `Writer`. Out: `Notation`."""

from __future__ import annotations

import sympy as sp

from hjbdsl.model.problem import ControlProblem, Notation
from hjbdsl.symbolic.horizon import last_time, terminal_value
from hjbdsl.symbolic.latex import latex_symbol
from hjbdsl.symbolic.text import text_symbol
from hjbdsl.symbolic.writing import Writer


def terminal_notation(problem: ControlProblem, writer: Writer) -> Notation:
    """V(T, x) = g(x); -log p_0 of the data under `reverse`."""
    value, time = terminal_value(problem), writer.write(last_time(problem))
    names = [g.name for g in problem.states] + [chain.name for chain in problem.modes]
    text = ", ".join([time.text, *map(text_symbol, names)])
    latex = ", ".join([time.latex, *map(latex_symbol, names)])
    if problem.reversal is not None and problem.objective.terminal is None:
        states = ", ".join(map(text_symbol, names)), ", ".join(map(latex_symbol, names))
        written = Notation(f"-log p₀({states[0]})", rf"-\log p_0({states[1]})")
    else:
        key = "running" if problem.objective.form in ("running_min", "running_max") else "terminal"
        key = key if problem.objective.terminal is not None or key == "running" else "stop"
        written = writer.written(key, value if value is not None else sp.Integer(0))
    return Notation(f"V({text}) = {written.text}", f"V({latex}) = {written.latex}")


def exit_notation(problem: ControlProblem, writer: Writer) -> Notation:
    """V = what is paid, where the exit condition holds."""
    assert problem.exit is not None
    value = problem.objective.exit_value
    paid = writer.written("exit", value) if value is not None else Notation("0", "0")
    condition = writer.write(problem.exit.condition)
    return Notation(f"V = {paid.text} where {condition.text}", rf"V = {paid.latex} \quad \text{{where }} {condition.latex}")
