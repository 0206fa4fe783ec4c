"""Where a proposal is tested: seeded points of region x [0, T] x modes, and the control sets there.

In: the problem. Out: arrays in the order of `ControlProblem.state_symbols` and of controls then adversaries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.model.problem import TIME, Bounds, ControlProblem
from hjbdsl.model.solution import Array
from hjbdsl.numeric.compile import compile_expressions
from hjbdsl.numeric.landing import landings

_UNBOUNDED_REGION = 2.0
"""Half-width used for a component whose region has no finite end."""


@dataclass(frozen=True, slots=True)
class Samples:
    """k points: `t` (k,), `x` (k, n), `mode` (k,) indices into `mode_tuples()`."""

    t: Array
    x: Array
    mode: NDArray[np.int64]

    @property
    def count(self) -> int:
        return len(self.t)

    def take(self, index: NDArray) -> Samples:
        return Samples(self.t[index], self.x[index], self.mode[index])


def horizon(problem: ControlProblem) -> float:
    """The last time at which the process can still run: T of the objective, of `stopping` or of `exit`; inf without one."""
    ends = [problem.objective.end]
    ends += [rule.latest for rule in (problem.stopping, problem.exit) if rule is not None]
    return min(float(problem.numeric(end)) for end in ends)


def sample(problem: ControlProblem, count: int, seed: int = 20240607) -> Samples:
    """About `count` points inside region, state domain and constraints, and outside the exit set; t uniform on [0, T)."""
    random = np.random.default_rng(seed)
    limit = horizon(problem)
    modes = len(problem.mode_tuples())
    size = 8 * count
    columns = [_component(problem, i, size, random) for i in range(problem.dimension)]
    x = np.array(columns).reshape(problem.dimension, size).T  # a problem of modes alone has no column
    t = random.uniform(0.0, limit, size) if np.isfinite(limit) else np.zeros(size)
    keep = np.flatnonzero(admissible_state(problem)(t, x))[:count]
    return Samples(t[keep], x[keep], np.arange(len(keep), dtype=np.int64) % modes)


def _component(problem: ControlProblem, index: int, size: int, random: np.random.Generator) -> Array:
    bounds = problem.state_bounds[index]
    low, high = (float(problem.numeric(end)) for end in problem.region[index])
    if bounds.is_finite_set:
        values = np.array([float(problem.numeric(point)) for point in bounds.points])
        inside = values[(values >= low) & (values <= high)]
        return random.choice(inside if len(inside) else values, size)
    low = low if np.isfinite(low) else -_UNBOUNDED_REGION
    high = high if np.isfinite(high) else max(low + 1.0, _UNBOUNDED_REGION)
    return random.uniform(low, high, size)


def admissible_state(problem: ControlProblem) -> Callable[[Array, Array], NDArray[np.bool_]]:
    """A test of (t, x): inside the domain of every state and the state constraints, and not where the process has ended."""
    conditions: list[sp.Basic] = [c.condition for c in problem.constraints if c.role == "state"]
    if problem.exit is not None:
        conditions.append(sp.Not(problem.exit.condition))
    for symbol, bounds in zip(problem.state_symbols, problem.state_bounds, strict=True):
        if not bounds.is_finite_set and not bounds.periodic:
            conditions += [symbol > bounds.lower if bounds.lower_open else symbol >= bounds.lower]
            conditions += [symbol < bounds.upper if bounds.upper_open else symbol <= bounds.upper]
    return condition_test(problem, conditions)


def condition_test(problem: ControlProblem, conditions: list[sp.Basic]) -> Callable[[Array, Array], NDArray[np.bool_]]:
    """Whether all `conditions` (Booleans in t and the states) hold at points t (k,), x (k, n)."""
    pieces = [sp.Piecewise((1, sp.sympify(problem.numeric(c))), (0, True)) for c in conditions]
    function = compile_expressions((TIME, *problem.state_symbols), pieces)

    def test(t: Array, x: Array) -> NDArray[np.bool_]:
        values = function(t, *x.T)
        return np.logical_and.reduce([v > 0.5 for v in values]) if values else np.ones(len(t), dtype=bool)

    return test


@dataclass(frozen=True, slots=True)
class ControlSet:
    """The set the controls (then adversaries) live in, for one joint mode.

    `limits(t, x)` gives lower and upper (k, m); `points[i]` is the finite set of component i or None;
    `joint(t, x, a)` tells which rows satisfy the joint constraints.
    """

    limits: Callable[[Array, Array], tuple[Array, Array]]
    points: tuple[Array | None, ...]
    joint: Callable[[Array, Array, Array], NDArray[np.bool_]]
    controllers: int

    def contains(self, t: Array, x: Array, a: Array, slack: float = 1e-9) -> NDArray[np.bool_]:
        """Which rows of `a` are admissible, up to `slack` relative to 1 + |a|."""
        lower, upper = self.limits(t, x)
        room = slack * (1 + np.abs(a))
        inside = np.all((a >= lower - room) & (a <= upper + room), axis=1) & self.joint(t, x, a)
        for i, points in enumerate(self.points):
            if points is not None:
                inside &= np.min(np.abs(a[:, i, None] - points), axis=1) <= slack
        return np.asarray(inside)


def control_set(problem: ControlProblem, mode: tuple[int, ...]) -> ControlSet:
    """The control set in the joint mode `mode`, with the parameters' numbers in: without the controls after which a jump could
    leave a state's domain. Joint constraints are given a slack of 1e-9. Raises `ValueError` where jumps cannot be bounded."""

    def exact(expression: sp.Basic) -> sp.Basic:
        return problem.numeric(problem.at_mode(expression, mode))

    bounds: tuple[Bounds, ...] = tuple(b for g in (*problem.controls, *problem.adversaries) for b in g.bounds)
    symbols = (*problem.control_symbols, *problem.adversary_symbols)
    arguments = (TIME, *problem.state_symbols)
    lower = compile_expressions(arguments, [exact(b.lower) if not b.is_finite_set else -sp.oo for b in bounds])
    upper = compile_expressions(arguments, [exact(b.upper) if not b.is_finite_set else sp.oo for b in bounds])
    relations = [r for c in problem.constraints if c.role != "state" for r in margins(exact(c.condition))]
    for landing in landings(problem, uncontrolled=False):  # of the law's whole support, which no quadrature node reaches
        relations.append(exact(landing.guarded(-landing.excess, sp.S.One)))
    slack = compile_expressions((*arguments, *symbols), relations)

    def limits(t: Array, x: Array) -> tuple[Array, Array]:
        if not bounds:
            return np.empty((len(t), 0)), np.empty((len(t), 0))
        return np.column_stack(lower(t, *x.T)), np.column_stack(upper(t, *x.T))

    def joint(t: Array, x: Array, a: Array) -> NDArray[np.bool_]:
        values = slack(t, *x.T, *a.T)
        return np.logical_and.reduce([v >= -1e-9 for v in values]) if values else np.ones(len(t), dtype=bool)

    points = tuple(np.array([float(exact(p)) for p in b.points]) if b.is_finite_set else None for b in bounds)
    return ControlSet(limits, points, joint, len(problem.control_symbols))


def margins(condition: sp.Basic) -> list[sp.Expr]:
    """Expressions that are >= 0 where `condition` holds (its closure: strict inequalities count as weak)."""
    match condition:
        case sp.And():
            return [m for part in condition.args for m in margins(part)]
        case sp.Le() | sp.Lt():
            return [condition.rhs - condition.lhs]
        case sp.Ge() | sp.Gt():
            return [condition.lhs - condition.rhs]
        case sp.Eq():
            return [-sp.Abs(condition.lhs - condition.rhs)]
        case _:
            return [sp.Piecewise((1, condition), (-1, True))]
