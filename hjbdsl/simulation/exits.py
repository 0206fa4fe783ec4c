"""Leaving the domain during a step, between the times of the grid too.

In: states before and after a step. Out: who has left, where, and after which fraction of the step. Each relation of the exit
condition is a level g > 0 inside. Between two grid times a path is a Brownian bridge: with distances g, g' to a straight
boundary it touches it with probability exp(-2 g g'/(v dt)), v the variance rate of g (Gobet, Stoch. Proc. Appl. 87, 2000).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.errors import SolverError
from hjbdsl.model.equation import BoundaryCondition
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Array
from hjbdsl.numeric.state_space import number
from hjbdsl.simulation.compiled import At, Compiled, compile_at
from hjbdsl.simulation.spread import Spread

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Way:
    """One way out: levels g_1.. (all must fail at once), each with its gradient; `equal` where g is an equality. `payoff` is
    what is paid there (None: the exit value of the objective)."""

    levels: Compiled
    gradients: Compiled
    equal: tuple[bool, ...]
    payoff: Compiled | None


@dataclass(frozen=True, slots=True)
class Left:
    """`way` (k,) the number of the way out taken, -1 inside; `fraction` (k,) of the step; `x` (k, n) the place."""

    way: NDArray[np.int64]
    fraction: Array
    x: Array


def ways_out(problem: ControlProblem, conditions: tuple[BoundaryCondition, ...]) -> tuple[Way, ...]:
    """The exit rule's, then the written boundary values'. Raises `SolverError` for a condition that is no comparison."""
    result = []
    if problem.exit is not None:
        for part in sp.Or.make_args(sp.to_dnf(problem.exit.condition)):
            result.append(_way(problem, part, None))
    for condition in conditions:
        if condition.kind == "value" and np.isfinite(number(problem, condition.location)):
            state = problem.state_symbols[condition.state]
            relation = sp.Le if condition.side == "lower" else sp.Ge
            result.append(_way(problem, relation(state, condition.location, evaluate=False), condition.amount))
    return tuple(result)


def _way(problem: ControlProblem, condition: sp.Basic, payoff: sp.Expr | None) -> Way:
    levels, equal = [], []
    for relation in sp.And.make_args(condition):
        match relation:
            case sp.GreaterThan() | sp.StrictGreaterThan():
                levels.append(relation.rhs - relation.lhs)
            case sp.LessThan() | sp.StrictLessThan() | sp.Equality():
                levels.append(relation.lhs - relation.rhs)
            case _:
                raise SolverError(f"the exit condition {condition} is no comparison, and cannot be simulated")
        equal.append(isinstance(relation, sp.Equality))
    gradients = [sp.diff(level, x) for level in levels for x in problem.state_symbols]
    amount = None if payoff is None else compile_at(problem, [payoff])
    return Way(compile_at(problem, levels), compile_at(problem, gradients), tuple(equal), amount)


def left(ways: tuple[Way, ...], before: At, x: Array, spread: Spread, dt: float, uniform: Array) -> Left:
    """Who leaves on the way from `before` to `x`; `uniform` (k,) decides the bridges."""
    way, fraction, place = np.full(len(x), -1), np.ones(len(x)), x.copy()
    after = At(before.t + dt, x, before.mode, before.control)
    for index, candidate in enumerate(ways):
        gone, share, where = _through(candidate, before, after, spread, dt, uniform)
        first = gone & ((way < 0) | (share < fraction))
        way[first], fraction[first], place[first] = index, share[first], where[first]
    return Left(way, fraction, place)


def outside(ways: tuple[Way, ...], at: At) -> NDArray[np.int64]:
    """The way out by which a place lies outside already, -1 inside."""
    result = np.full(len(at.t), -1)
    for index, way in enumerate(ways):
        levels = way.levels(at)
        equal = np.array(way.equal)[:, None]
        gone = np.where(equal, np.abs(levels) <= 1e-12, levels <= 0).all(axis=0)
        # the language writes x >= 1 as 1 - x <= 0; an equality holds on a set of measure zero
        result = np.where(gone & (result < 0), index, result)
    return result


def _through(way: Way, before: At, after: At, spread: Spread, dt: float, uniform: Array) -> tuple[Mask, Array, Array]:
    """Who passes one way out: mask (k,), fraction of the step, place."""
    g0, g1 = way.levels(before), way.levels(after)
    n = before.x.shape[1]
    if len(g0) > 1 or way.equal[0]:
        return _several(way, before, after, g0, g1)
    g0, g1 = g0[0], g1[0]
    gradient = way.gradients(before).reshape(n, -1).T
    variance = spread.along(gradient) * dt
    with np.errstate(all="ignore"):
        touch = np.where((variance > 0) & (g0 > 0) & (g1 > 0), np.exp(-2 * g0 * g1 / variance), 0.0)
    crossed = g1 <= 0
    gone = crossed | (uniform < touch)
    with np.errstate(all="ignore"):
        share = np.where(gone, np.clip(np.abs(g0) / np.maximum(np.abs(g0) + np.abs(g1), 1e-300), 0.0, 1.0), 1.0)
    x = before.x + share[:, None] * (after.x - before.x)
    return gone, share, np.where(gone[:, None], _on_level(way, before, x), x)


def _on_level(way: Way, before: At, x: Array) -> Array:
    """x moved onto the level g = 0 along the gradient (two Newton steps)."""
    for _ in range(2):
        at = At(before.t, x, before.mode, before.control)
        level = way.levels(at)[0]
        gradient = way.gradients(at).reshape(x.shape[1], -1).T
        square = np.maximum((gradient**2).sum(axis=1), 1e-300)
        x = x - np.nan_to_num(level / square)[:, None] * gradient
    return x


def _several(way: Way, before: At, after: At, g0: Array, g1: Array) -> tuple[Mask, Array, Array]:
    """All of several comparisons at once, or a target of measure zero: the nearest place of the segment to the target, which
    counts as hit within half the length of the segment (no path on a grid of times hits a point)."""
    equal = np.array(way.equal)[:, None]
    step = g1 - g0
    lack0 = np.where(equal, g0, np.maximum(g0, 0.0))
    lack1 = np.where(equal, g1, np.maximum(g1, 0.0))
    slope = lack1 - lack0
    square = (slope**2).sum(axis=0)
    share = np.where(square > 0, np.clip(-(lack0 * slope).sum(axis=0) / np.where(square > 0, square, 1.0), 0.0, 1.0), 1.0)
    rest = lack0 + share * slope
    near = np.sqrt((rest**2).sum(axis=0)) <= 0.5 * np.sqrt((step**2).sum(axis=0)) * bool(equal.any()) + 1e-12
    if len(g0) == 1:  # one equality is a wall: passed where the sign changes
        near = (np.sign(g0[0]) * np.sign(g1[0]) <= 0) & (g0[0] != g1[0])
    return near, np.where(near, share, 1.0), before.x + np.where(near, share, 1.0)[:, None] * (after.x - before.x)
