"""The ends of the equation told: terminal value, exit, boundaries, average, Q-function. In: equation, composition. Out: steps."""

from __future__ import annotations

import sympy as sp

from hjbdsl.model.equation import HJBEquation, Step
from hjbdsl.model.problem import Notation
from hjbdsl.symbolic.boundary_text import boundary_lines
from hjbdsl.symbolic.composition import Composition
from hjbdsl.symbolic.ends_text import exit_notation, terminal_notation
from hjbdsl.symbolic.horizon import last_time

_MOST_LINES = 8


def average_step(_equation: HJBEquation, parts: Composition) -> Step | None:
    if parts.problem.objective.form != "average":
        return None
    words = (
        "Over a long time T the value grows as η T plus a part V(x) that remembers the start. "
        "V is fixed up to a constant, and the number η is found together with it."
    )
    formula = Notation("V_T(x) = η T + V(x) + o(1)", r"V_T(x) = \eta T + V(x) + o(1)")
    return Step("The average", words, (formula,))


def terminal_step(_equation: HJBEquation, parts: Composition) -> Step | None:
    if last_time(parts.problem) == sp.oo:
        if parts.problem.objective.form == "average":
            return None
        words = "There is no last moment: the solution wanted is the one whose discounted value dies out along the optimal path."
        if parts.problem.objective.discount == 0 or not parts.stationary:
            return None
        rate = parts.writer.written("discount", parts.problem.objective.discount)
        if parts.problem.objective.discount.free_symbols <= set(parts.problem.values):
            formula = Notation(f"lim e^(-{rate.text} t) E V(X_t) = 0 as t → ∞",
                               rf"\lim_{{t \to \infty}} e^{{-{rate.latex} t}}\, \mathbb{{E}}\, V(X_t) = 0")  # fmt: skip
            return Step("Transversality", words, (formula,))
        return Step("Transversality", words, ())
    words = "At the last moment nothing is left but what is paid there; the equation is solved backwards from it."
    return Step("The end", words, (terminal_notation(parts.problem, parts.writer),))


def exit_step(_equation: HJBEquation, parts: Composition) -> Step | None:
    if parts.problem.exit is None:
        return None
    words = "On the exit set the process is over and V is what is paid there: a boundary value for the equation outside it."
    return Step("Exit", words, (exit_notation(parts.problem, parts.writer),))


def boundary_step(equation: HJBEquation, parts: Composition) -> Step | None:
    lines = boundary_lines(equation, parts.writer)
    if not lines:
        return None
    shown = lines[:_MOST_LINES]
    words = "At the ends of the states: " + "; ".join(dict.fromkeys(line.condition.why for line in shown)) + "."
    formulas = tuple(
        Notation(f"{line.where.text}: {line.statement.text}", rf"{line.where.latex}: \quad {line.statement.latex}")
        for line in shown
    )
    return Step("Boundary conditions", words, formulas)


def values_step(equation: HJBEquation, parts: Composition) -> Step | None:
    formulas = tuple(n for n in (equation.q_function, equation.advantage) if n is not None)
    if not formulas or not parts.problem.controls:
        return None
    words = (
        "For a fixed step the Q-function of reinforcement learning collapses to V as h → 0; what survives is the advantage rate "
        "q = lim (Q_h - V)/h, whose optimum over the control is zero: the equation again."
    )
    if equation.q_function is not None:
        words += " Q here is (reward + generator)/discount, equal to V at the optimal control."
    return Step("Q-function and advantage rate", words, formulas)
