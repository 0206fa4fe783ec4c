"""Last stage: where a solution is tabulated, and its values there.

In: equation, value function. Out: `Tabulation`, `PointValues` on it. Up to four continuous states: a tensor grid over the region
and half its width beyond, as far as the state space goes. More: lines along each axis through the centre, and random points.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import Bounds, ControlProblem
from hjbdsl.model.solution import Array, PointValues, ValueFunction
from hjbdsl.numeric.compile import compile_expressions
from hjbdsl.numeric.points import Points
from hjbdsl.numeric.state_space import horizon, lattice_points, number, region_of

MOST_CONTINUOUS = 4
_NODES = {False: {0: 1, 1: 401, 2: 121, 3: 41, 4: 15}, True: {0: 1, 1: 201, 2: 61, 3: 25, 4: 11}}
"""Nodes over the region on each axis, by whether there is time and the number of continuous states; odd, so that every other one
is a table of its own."""
_TIMES = {0: 201, 1: 41, 2: 33, 3: 17, 4: 9}
_LINE_NODES = 41
_RANDOM_POINTS = 500
_MOST_POINTS = 400_000
_FEWEST_NODES = 9
_BEYOND = 0.5
_GEOMETRIC_FROM = 8.0
_ENDLESS = 10.0
"""The last time tabulated where the problem has time and no end."""
SECONDS = 30.0
"""Processor time that a table may take; a function that is slow to evaluate is tabulated on fewer nodes."""


@dataclass(frozen=True, slots=True)
class Tabulation:
    """A tensor grid: `times` (one where nothing depends on time), the points of each state component, the number of joint modes.
    Points run over times, then modes, then states, the last one fastest."""

    times: Array
    states: tuple[Array, ...]
    modes: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.times), self.modes, *(len(axis) for axis in self.states))

    def points(self) -> Points:
        lines = [self.times, np.arange(self.modes, dtype=float), *self.states]
        t, mode, *x = (part.ravel() for part in np.meshgrid(*lines, indexing="ij"))
        return Points(t, np.column_stack(x) if x else np.zeros((t.size, 0)), mode.astype(np.int64))


@dataclass(frozen=True, slots=True)
class Lines:
    """Single points for many dimensions: `line[k]` is the state component along which point k lies, -1 for a random one."""

    points: Points
    line: NDArray[np.int64]


def tabulation(equation: HJBEquation, function: ValueFunction) -> Tabulation:
    """The tensor grid of a problem of at most four continuous states, coarse enough to be evaluated in time."""
    build = partial(_tensor, equation)
    grid = build(1)
    cost = _seconds_a_point(equation.problem, function, grid)
    coarsening = 1
    while math.prod(grid.shape) > _MOST_POINTS or cost * math.prod(grid.shape) > SECONDS:
        coarsening *= 2
        coarser = build(coarsening)
        if coarser.shape == grid.shape:
            break
        grid = coarser
    return grid


def lines(equation: HJBEquation) -> Lines:
    """Lines through the centre of the region and random points, at t = 0 in the first mode; random modes at the random points."""
    problem = equation.problem
    region = region_of(problem)
    generator = np.random.default_rng(0)
    free = problem.continuous_states
    centre = region.mean(axis=1)
    for i in problem.lattice_states:
        points = lattice_points(problem, problem.state_bounds[i])
        centre[i] = points[np.argmin(np.abs(points - centre[i]))]
    along = np.tile(centre, (len(free) * _LINE_NODES, 1))
    for k, i in enumerate(free):
        along[k * _LINE_NODES : (k + 1) * _LINE_NODES, i] = np.linspace(region[i, 0], region[i, 1], _LINE_NODES)
    random = region[:, 0] + (region[:, 1] - region[:, 0]) * generator.random((_RANDOM_POINTS, problem.dimension))
    for i in problem.lattice_states:
        random[:, i] = generator.choice(lattice_points(problem, problem.state_bounds[i]), _RANDOM_POINTS)
    x = np.concatenate([along, random])
    line = np.concatenate([np.repeat(np.array(free, dtype=np.int64), _LINE_NODES), np.full(_RANDOM_POINTS, -1)])
    mode = np.where(line < 0, generator.integers(0, len(problem.mode_tuples()), len(x)), 0)
    return Lines(Points(np.zeros(len(x)), x, mode), line)


def evaluated(problem: ControlProblem, function: ValueFunction, points: Points) -> PointValues:
    """The function at the points, NaN at those outside the state space."""
    inside = _in_state_space(problem, points.x)
    found = function.evaluate(points.t[inside], points.x[inside], points.mode[inside])
    if inside.all():
        return found
    whole: dict[str, Any] = {entry.name: getattr(found, entry.name) for entry in fields(found)}
    arrays = {name: _spread_out(part, inside) for name, part in whole.items() if isinstance(part, np.ndarray)}
    return PointValues(**(whole | arrays))


def _tensor(equation: HJBEquation, coarsening: int) -> Tabulation:
    problem = equation.problem
    timed, count = not equation.stationary, len(problem.continuous_states)
    nodes = _coarser(_NODES[timed][count], coarsening)
    region = region_of(problem)
    axes = [
        lattice_points(problem, bounds) if bounds.is_finite_set else _axis(problem, bounds, low, high, nodes)
        for bounds, (low, high) in zip(problem.state_bounds, region, strict=True)
    ]
    times = np.zeros(1)
    if timed:
        end = horizon(problem)
        end = end if math.isfinite(end) else _ENDLESS
        # dense at the end, where kinks of the terminal value smooth out
        times = end * (1.0 - np.linspace(1.0, 0.0, _coarser(_TIMES[count], coarsening)) ** 2)
    return Tabulation(times, tuple(axes), len(problem.mode_tuples()))


def _coarser(nodes: int, coarsening: int) -> int:
    """Fewer nodes, still 4 k + 1 of them."""
    return max(_FEWEST_NODES, 4 * round((nodes - 1) / (4 * coarsening)) + 1) if nodes > 1 else 1


def _axis(problem: ControlProblem, bounds: Bounds, low: float, high: float, nodes: int) -> Array:
    """`nodes` over the region, even or in even ratios, and an eighth as many beyond each end."""
    lower, upper = number(problem, bounds.lower), number(problem, bounds.upper)
    if bounds.periodic or not high > low:
        return np.linspace(low, high, nodes)
    geometric = lower == 0 and low > 0 and high / low >= _GEOMETRIC_FROM
    inner = np.geomspace(low, high, nodes) if geometric else np.linspace(low, high, nodes)
    inner[0], inner[-1] = low, high
    first = low * (low / high) ** (_BEYOND / 2) if geometric else low - _BEYOND * (high - low)
    last = high * (high / low) ** (_BEYOND / 2) if geometric else high + _BEYOND * (high - low)
    first = _held(first, lower, bounds.lower_open, low)
    last = _held(last, upper, bounds.upper_open, high)
    count = 2 * max(2, nodes // 16)
    before = np.linspace(first, low, count, endpoint=False) if first < low else np.zeros(0)
    after = np.linspace(high, last, count + 1)[1:] if last > high else np.zeros(0)
    return np.concatenate([before, inner, after])


def _held(end: float, bound: float, is_open: bool, near: float) -> float:
    """An end beyond the region, inside the state space: at a closed bound, short of an open one."""
    beyond = end <= bound if bound <= near else end >= bound
    if not beyond:
        return end
    return bound + 0.25 * (near - bound) if is_open else bound


def _in_state_space(problem: ControlProblem, x: Array) -> NDArray[np.bool_]:
    """Which points are in the state space as the bounds and the constraints on states say."""
    result = np.ones(len(x), dtype=bool)
    for i, bounds in enumerate(problem.state_bounds):
        if bounds.is_finite_set or bounds.periodic:
            continue
        low, high = number(problem, bounds.lower), number(problem, bounds.upper)
        slack = 1e-12 * (1.0 + np.abs(x[:, i]))
        result &= (x[:, i] > low) if bounds.lower_open else (x[:, i] >= low - slack)
        result &= (x[:, i] < high) if bounds.upper_open else (x[:, i] <= high + slack)
    conditions = [c.condition for c in problem.constraints if c.role == "state"]
    if conditions:
        result &= condition_mask(problem, sp.And(*conditions))(x)
    return result


def condition_mask(problem: ControlProblem, condition: sp.Basic) -> Callable[[Array], NDArray[np.bool_]]:
    """A condition on states as a function of points (k, n)."""
    indicator = sp.Piecewise((sp.S.One, problem.numeric(condition)), (sp.S.Zero, True))
    compiled = compile_expressions(problem.state_symbols, [indicator])
    return lambda x: np.broadcast_to(compiled(*x.T)[0] > 0.5, len(x))


def _spread_out(values: Array, inside: NDArray[np.bool_]) -> Array:
    empty = False if values.dtype == np.bool_ else np.nan
    whole = np.full((len(inside), *values.shape[1:]), empty, dtype=values.dtype)
    whole[inside] = values
    return whole


def _seconds_a_point(problem: ControlProblem, function: ValueFunction, grid: Tabulation) -> float:
    """Processor seconds that one point takes among many, from every so many-th point of the grid."""
    points = grid.points()
    chosen = np.linspace(0, len(points) - 1, min(len(points), 400)).astype(np.int64)
    sample = Points(points.t[chosen], points.x[chosen], points.mode[chosen])
    evaluated(problem, function, sample)
    began = time.process_time()
    evaluated(problem, function, sample)
    return (time.process_time() - began) / len(chosen)
