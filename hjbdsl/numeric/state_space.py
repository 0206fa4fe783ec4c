"""Where a problem lives: its region, its last time, which states belong to the state space, which have left it.

In: a `ControlProblem`, rows of states. Out: numbers and masks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.model.problem import TIME, Bounds, ControlProblem, VariableGroup
from hjbdsl.model.solution import Array


def control_groups(problem: ControlProblem) -> tuple[VariableGroup, ...]:
    """Controls, then adversaries, in the order of `PointValues.control`; for `reverse` the derived control."""
    derived = () if problem.reversal is None else (problem.reversal.control,)
    return (*problem.controls, *problem.adversaries, *derived)


def horizon(problem: ControlProblem) -> float:
    """The last time at which the problem is still running: the earliest finite end that the file states, else infinity."""
    ends = [problem.objective.end]
    ends += [rule.latest for rule in (problem.stopping, problem.exit) if rule is not None]
    if problem.reversal is not None:
        ends.append(problem.reversal.end)
    return min(number(problem, end) for end in ends)


def number(problem: ControlProblem, expression: sp.Basic) -> float:
    """A constant expression of the problem as a float; NaN where it is not a real number."""
    value = sp.sympify(problem.numeric(expression)).evalf(17)
    if value in (sp.oo, -sp.oo) or value.is_Float or value.is_Integer or value.is_Rational:
        return float(value)
    return math.nan


def region_of(problem: ControlProblem) -> Array:
    """The region, (n, 2): lower and upper end for every state component."""
    return np.array([[number(problem, low), number(problem, high)] for low, high in problem.region], dtype=float).reshape(-1, 2)


def anywhere(
    problem: ControlProblem, symbols: Sequence[sp.Symbol], end: float, random: np.random.Generator, shape: tuple[int, ...]
) -> list[Array]:
    """Random values of `symbols`: states within the region, the time up to `end` where that is finite, all else in [-1, 1]."""
    ranges = dict(zip(problem.state_symbols, region_of(problem), strict=True))
    if math.isfinite(end):
        ranges[TIME] = np.array([0.0, end])
    usual = np.array([-1.0, 1.0])
    return [random.uniform(low, high, shape) for low, high in (ranges.get(symbol, usual) for symbol in symbols)]


def lattice_points(problem: ControlProblem, bounds: Bounds) -> Array:
    """The points of a finite set."""
    return np.array([number(problem, point) for point in bounds.points], dtype=float)


def inside(problem: ControlProblem, states: Array) -> NDArray[np.bool_]:
    """Which rows of `states` (k, n) lie in the state space: domains with their open ends, and constraints on states."""
    result = np.ones(len(states), dtype=bool)
    for i, bounds in enumerate(problem.state_bounds):
        if bounds.periodic:
            continue
        column = states[:, i]
        if bounds.is_finite_set:
            result &= np.isclose(column[:, None], lattice_points(problem, bounds)[None, :], atol=1e-9).any(axis=1)
            continue
        low, high = number(problem, bounds.lower), number(problem, bounds.upper)
        slack = 1e-12 * (1 + np.abs(column))
        result &= (column > low) if bounds.lower_open else (column >= low - slack)
        result &= (column < high) if bounds.upper_open else (column <= high + slack)
    for constraint in problem.constraints:
        if constraint.role == "state":
            condition = problem.numeric(constraint.condition)
            result &= np.array([_holds(condition, problem, row) for row in states], dtype=bool)
    return result


def exited(problem: ControlProblem, states: Array) -> NDArray[np.bool_]:
    """Which rows satisfy the exit condition: there the process has ended."""
    condition = problem.numeric(problem.exit.condition) if problem.exit is not None else sp.false
    return np.array([_holds(condition, problem, row) for row in states], dtype=bool)


def _holds(condition: sp.Basic, problem: ControlProblem, row: Array) -> bool:
    return bool(condition.xreplace({s: sp.Float(v) for s, v in zip(problem.state_symbols, row, strict=True)}) == sp.true)
