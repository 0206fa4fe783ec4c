"""What a quadratic value function cannot hold, told before anything is computed.

In: the problem. Out: the reason, or "".
"""

from __future__ import annotations

import sympy as sp

from hjbdsl.model.problem import ControlProblem


def inapplicable(problem: ControlProblem) -> str:
    """One line, empty where nothing speaks against a quadratic V."""
    return _form(problem) or _states(problem) or _controls(problem)


def _form(problem: ControlProblem) -> str:
    objective = problem.objective
    if problem.reversal is not None:
        return "V of a time reversal is -log p, not quadratic in general"
    if not problem.state_symbols:
        return "there is no state"
    if problem.stopping is not None:
        return "V of a stopping problem is not quadratic across the free boundary"
    if problem.exit is not None:
        return "the process ends at an exit, where a quadratic V does not fit"
    if objective.form in {"running_min", "running_max"}:
        return f"a {objective.form} objective has no quadratic V"
    if objective.form == "risk" and (problem.jumps or problem.modes):
        return "risk-sensitivity with jumps or modes is not quadratic"
    if objective.form == "risk" and objective.discount != 0:
        return "risk-sensitivity with a discount is not stationary in theta"
    return ""


def _states(problem: ControlProblem) -> str:
    for symbol, bounds in zip(problem.state_symbols, problem.state_bounds, strict=True):
        if bounds.is_finite_set:
            return f"state {symbol} lives in a finite set"
        if bounds.periodic:
            return f"state {symbol} lives on a circle"
    for statement in problem.boundaries:
        if statement.kind != "outflow":
            return f"a boundary condition is written at {statement.state} = {statement.location}"
    return ""


def _controls(problem: ControlProblem) -> str:
    explored = problem.exploration.controls if problem.exploration is not None else ()
    for group in (*problem.controls, *problem.adversaries):
        for symbol, bounds in zip(group.symbols, group.bounds, strict=True):
            if bounds.is_finite_set:
                return f"{symbol} lives in a finite set"
            if symbol in explored and (bounds.lower != -sp.oo or bounds.upper != sp.oo):
                return f"the policy of {symbol} is Gaussian only without bounds"
    if explored and any(constraint.role != "state" for constraint in problem.constraints):
        return "the random policy is Gaussian only without constraints"
    return ""
