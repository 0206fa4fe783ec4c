"""The ends of the equation told: terminal value, exit, boundaries, average, Q-function. In: equation, composition. Out: steps."""

from __future__ import annotations

import sympy as sp

from hjbdsl.model.equation import HJBEquation, Step
from hjbdsl.model.problem import Notation
from hjbdsl.symbolic.boundary_text import boundary_lines
from hjbdsl.symbolic.composition import Composition
from hjbdsl.symbolic.ends_text import exit_notation, terminal_notation
from hjbdsl.symbolic.horizon import last_time
from hjbdsl.symbolic.latex import latex_symbol
from hjbdsl.symbolic.letters import average_letter, step_letter
from hjbdsl.symbolic.text import text_symbol
from hjbdsl.symbolic.value_text import value_name
from hjbdsl.symbolic.writing import bracketed, factor

_MOST_LINES = 8


def average_step(_equation: HJBEquation, parts: Composition) -> Step | None:
    if parts.problem.objective.form != "average":
        return None
    eta = average_letter(parts.problem)
    words = (
        f"Over a long time T the value grows as {eta.text} T plus a part V that remembers the start. "
        f"V is fixed up to a constant, and the number {eta.text} is found together with it."
    )
    name = value_name(parts.problem, parts.writer)
    arguments, marks = name.text.removeprefix("V"), name.latex.removeprefix("V")
    formula = Notation(f"V_T{arguments} = {eta.text} T + {name.text} + o(1)",
                       rf"V_T{marks} = {eta.latex} T + {name.latex} + o(1)")  # fmt: skip
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
            moving = [*(["X"] if parts.problem.states else []), *(chain.name for chain in parts.problem.modes)]
            there = Notation(f"V({', '.join(f'{text_symbol(n)}_t' for n in moving)})",
                             f"V({', '.join(f'{latex_symbol(n)}_t' for n in moving)})")  # fmt: skip
            fading = rf"e^{{-{bracketed(rate.latex)} t}}"
            formula = Notation(f"lim e^(-{factor(rate.text)} t) E {there.text} = 0 as t → ∞",
                               rf"\lim_{{t \to \infty}} {fading}\, \mathbb{{E}}\, {there.latex} = 0")  # fmt: skip
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
    h = step_letter(parts.problem).text
    best = "maximum" if parts.problem.objective.sense == "maximize" else "minimum"
    optimum = "saddle value" if parts.problem.adversaries else f"{best} over the control"
    if parts.problem.exploration is not None:
        optimum = f"soft {best} over the control"
    words = (
        f"For a fixed step the Q-function of reinforcement learning collapses to V as {h} → 0; what survives is the advantage "
        f"rate lim (Q_{h} - V)/{h}, whose {optimum} is zero: the equation again."
    )
    if equation.q_function is not None:
        meeting = "it equals V at the optimal control" if parts.problem.exploration is None else "V is its soft optimum"
        words += f" Q here is (reward + generator)/discount; {meeting}."
    return Step("Q-function and advantage rate", words, formulas)
