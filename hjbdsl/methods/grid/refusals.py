"""Problems whose scheme would converge, but not to the value: refused, since no refinement would tell.

In: an equation. Out: the reason, or None.
"""

from __future__ import annotations

import numpy as np
import sympy as sp

from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Array

_SHARE = 1e-2
"""Of the largest V, what steps in time of second order may leave where it is 0."""


def singular_constraint(equation: HJBEquation) -> str | None:
    """A state constraint kept against noise: V has a boundary layer of infinite slope there (Lasry and Lions 1989), which a
    scheme that drops the normal diffusion at the end does not see."""
    problem = equation.problem
    chosen = {*problem.control_symbols, *problem.adversary_symbols}
    for end in equation.boundaries:
        if end.kind != "constrain":
            continue
        state = problem.state_symbols[end.state]
        noise = sp.simplify(equation.covariance.get((end.state, end.state), sp.S.Zero).subs(state, end.location))
        if noise != 0 and not noise.free_symbols & chosen:
            return f"the constraint at {state} = {end.location} is kept against noise: V has a layer there that the scheme misses"
    return None


def thin_targets(equation: HJBEquation) -> dict[int, sp.Expr] | None:
    """Places on continuous states that an exit asks to be met exactly, as in `x == 0 and y == 0`: nodes are laid through them.
    None where an equation of the exit is not of this form."""
    problem = equation.problem
    if problem.exit is None:
        return {}
    axes = {problem.state_symbols[i]: i for i in problem.continuous_states}
    found: dict[int, sp.Expr] = {}
    for equality in problem.exit.condition.atoms(sp.Eq):
        for state, place in ((equality.lhs, equality.rhs), (equality.rhs, equality.lhs)):
            number = problem.numeric(place)
            if state in axes and number.is_number and found.get(axes[state], number) == number:
                found[axes[state]] = number
                break
        else:
            return None
    return found


def wrong_sign(equation: HJBEquation, values: Array, error: Array) -> str | None:
    """V on the wrong side of 0 by more than its `error` and a share of the largest, where all that is paid has one sign: the
    equation has several solutions, and this is another."""
    problem, objective = equation.problem, equation.problem.objective
    if objective.form != "expectation" or problem.exploration is not None:
        return None
    paid = [objective.running, objective.terminal, objective.exit_value]
    paid += [equation.obstacle.payoff] if equation.obstacle is not None else []
    amounts = [problem.numeric(part) for part in paid if part is not None]
    amounts += [problem.numeric(end.amount) for end in equation.boundaries if end.amount is not None]
    error = error + _SHARE * float(np.max(np.abs(values), initial=0.0))
    if all(part.is_nonnegative for part in amounts) and bool(np.any(values < -error)):
        return "V comes out negative though nothing paid is: the equation has another solution than the value"
    if all(part.is_nonpositive for part in amounts) and bool(np.any(values > error)):
        return "V comes out positive though nothing paid is: the equation has another solution than the value"
    return None
