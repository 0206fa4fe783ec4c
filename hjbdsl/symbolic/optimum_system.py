"""The maximiser of a smooth block, neither quadratic nor a line: sympy's solver on the first-order conditions, in a budget.

In: a block of two or three controls. Out: `BlockOptimum`; `reason` says why where the system has no explicit solution.
"""

from __future__ import annotations

import sympy as sp

from hjbdsl.budget import BudgetExceeded, time_budget
from hjbdsl.model.problem import ControlProblem
from hjbdsl.symbolic.optimum_blocks import Block, BlockOptimum, Branch
from hjbdsl.symbolic.optimum_constraints import Inequality
from hjbdsl.symbolic.optimum_quadratic import negative_definite

_SOLVE_SECONDS = 3.0
_MOST_CONTROLS = 3


def maximise_smooth(problem: ControlProblem, block: Block, rows: tuple[Inequality, ...] | None, maximised: bool) -> BlockOptimum:
    sense = 1 if maximised else -1
    stationarity = {a: sense * sp.diff(block.objective, a) for a in block.controls}
    closed = [row for row in rows or () if not (row.opened or _at_zero(row))]
    names = ", ".join(a.name for a in block.controls)
    if rows is None or block.constraints or closed or len(block.controls) > _MOST_CONTROLS:
        return BlockOptimum((), stationarity, (), f"the maximiser over {names} jointly is not explicit on this control set")
    try:
        with time_budget(_SOLVE_SECONDS):
            return _solved(problem, block, stationarity, maximised)
    except (BudgetExceeded, NotImplementedError, ValueError, TypeError, AttributeError, RecursionError):
        return BlockOptimum((), stationarity, (), f"the first-order conditions for {names} have no explicit solution")


def _at_zero(row: Inequality) -> bool:
    return len(row.normal) == 1 and row.limit == 0


def _solved(problem: ControlProblem, block: Block, stationarity: dict[sp.Symbol, sp.Expr], maximised: bool) -> BlockOptimum:
    dummies = {
        a: sp.Dummy(a.name, positive=True) if b.lower == 0 else sp.Dummy(a.name, real=True)
        for a, b in zip(block.controls, block.bounds, strict=True)
    }
    objective = block.objective.xreplace(dummies)
    unknowns = list(dummies.values())
    slopes = [sp.diff(objective, u) for u in unknowns]
    found = sp.solve(slopes, unknowns, dict=True)
    names = ", ".join(a.name for a in block.controls)
    if len(found) != 1 or set(found[0]) != set(unknowns):
        return BlockOptimum((), stationarity, (), f"the first-order conditions for {names} have no single explicit solution")
    (solution,) = found
    if any(sp.simplify(slope.subs(solution)) != 0 for slope in slopes):
        return BlockOptimum((), stationarity, (), f"the solution found for {names} does not satisfy its equations")
    curvature = sp.hessian(objective, unknowns).subs(solution)
    definite, needed = negative_definite(problem, curvature, maximised)
    if definite is False:
        return BlockOptimum((), stationarity, (), f"the stationary point in {names} is not a maximum")
    controls = {a: sp.simplify(solution[dummies[a]]) for a in block.controls}
    return BlockOptimum((Branch("interior", "interior", controls, sp.And(*needed)),), stationarity, needed)
