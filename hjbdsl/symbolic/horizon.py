"""The time axis of the equation: stationary or not, and the condition at the end.

In: a problem. Out: whether V has no t, the last time, and what V is there.
"""

from __future__ import annotations

import sympy as sp

from hjbdsl.model.problem import TIME, ControlProblem
from hjbdsl.symbolic.transform import risk_weight


def last_time(problem: ControlProblem) -> sp.Expr:
    """The end of the horizon, of the stopping interval or of the exit interval, whichever is finite; oo without one."""
    ends = [problem.objective.end]
    if problem.stopping is not None:
        ends.append(problem.stopping.latest)
    if problem.exit is not None:
        ends.append(problem.exit.latest)
    if problem.reversal is not None:
        ends.append(problem.reversal.end)
    finite = [end for end in ends if end != sp.oo]
    return sp.Min(*finite) if finite else sp.oo


def is_stationary(problem: ControlProblem) -> bool:
    """No finite end and no explicit time in coefficients, rewards or rates."""
    if last_time(problem) != sp.oo:
        return False
    objective = problem.objective
    parts: list[sp.Basic] = [*problem.drift, *problem.diffusion.values(), *problem.correlation.values()]
    parts += [objective.running, objective.discount, objective.stop_value or 0, objective.exit_value or 0]
    parts += [jump.rate for jump in problem.jumps]
    parts += [d for jump in problem.jumps for d in jump.displacement.values()]
    parts += [rate for chain in problem.modes for rate in chain.rates.values()]
    parts += [end for group in (*problem.controls, *problem.adversaries) for b in group.bounds for end in (b.lower, b.upper)]
    weight = risk_weight(problem)
    parts.append(weight if weight is not None else sp.Integer(0))
    return all(TIME not in sp.sympify(part).free_symbols for part in parts)


def terminal_value(problem: ControlProblem) -> sp.Expr | None:
    """V at the last time; None without a finite end."""
    if last_time(problem) == sp.oo:
        return None
    objective = problem.objective
    if objective.form in ("running_min", "running_max"):
        return objective.running
    for value in (objective.terminal, objective.stop_value, objective.exit_value):
        if value is not None:
            return value
    return sp.Integer(0)
