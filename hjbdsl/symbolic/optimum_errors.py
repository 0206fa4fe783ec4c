"""The diagnostics of the optimisation: no maximum (HJB114), no saddle point (HJB115)."""

from __future__ import annotations

import sympy as sp

from hjbdsl.errors import Diagnostic, HjbError
from hjbdsl.model.problem import ControlProblem, VariableGroup


def group_of(problem: ControlProblem, symbol: sp.Symbol) -> VariableGroup:
    for group in (*problem.controls, *problem.adversaries):
        if symbol in group.symbols:
            return group
    raise KeyError(symbol)


def no_maximum(problem: ControlProblem, symbol: sp.Symbol, how: str, maximised: bool) -> HjbError:
    """HJB114 at the declaration of the control; `how` says what makes the Hamiltonian unbounded."""
    group = group_of(problem, symbol)
    word = "maximum" if maximised else "minimum"
    cost = "-" if maximised else "+"
    remedy = (
        f"{how}, and nothing bounds it: bound the {group.role}, as in `{group.role} {group.name} in [-1, 1]`, "
        f"or add a cost to the objective (line {problem.objective.span.line}) such as `{cost} {group.name}^2`"
    )
    message = f"the Hamiltonian has no {word} over `{group.name}`"
    return HjbError((Diagnostic("HJB114", message, remedy, group.span, problem.source.line(group.span)),))


def no_saddle_point(problem: ControlProblem, symbol: sp.Symbol, gap: str) -> HjbError:
    """HJB115 at the declaration of the adversary."""
    group = group_of(problem, symbol)
    controls = ", ".join(f"`{g.name}`" for g in problem.controls)
    message = (
        f"the order of play matters: max min and min max of the Hamiltonian over {controls} and `{group.name}` differ ({gap})"
    )
    remedy = (
        "the Isaacs condition fails, so the game has no value; let the controls enter in separate terms, "
        "or make the objective concave in the maximiser's and convex in the minimiser's controls"
    )
    return HjbError((Diagnostic("HJB115", message, remedy, group.span, problem.source.line(group.span)),))
