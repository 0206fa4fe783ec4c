"""Points of a problem: the ones a person states, the ones given when none is stated, and samples of the region.

In: a `ControlProblem`. Out: `Points`, the arrays that `ValueFunction.evaluate` takes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.errors import UsageError
from hjbdsl.model.problem import TIME, Bounds, ControlProblem, VariableGroup
from hjbdsl.model.solution import Array

StatedPoint = Mapping[str, float | Sequence[float] | str]
"""Name -> number, list of numbers (vector states) or mode label; `t` is the time."""

_ALL_CORNERS_UP_TO = 4
_SPARSE_POINTS = {0: 1, 1: 33, 2: 13, 3: 7}
_RANDOM_POINTS = 400
_LONGEST_EXAMPLE = 6


@dataclass(frozen=True, slots=True)
class Points:
    """k points: time `t` (k,), states `x` (k, n) in the order of `state_symbols`, joint mode `mode` (k,)."""

    t: Array
    x: Array
    mode: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.t)


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


def stated_points(problem: ControlProblem, stationary: bool, points: Sequence[StatedPoint]) -> Points:
    """The points that a person states. A time that is left out is 0. Raises `UsageError` with the remedy for a state that is
    missing, unknown, of the wrong length or outside its domain."""
    rows = [_stated(problem, stationary, point) for point in points]
    return Points(
        np.array([row[0] for row in rows], dtype=float),
        np.array([row[1] for row in rows], dtype=float).reshape(len(rows), problem.dimension),
        np.array([row[2] for row in rows], dtype=np.int64),
    )


def default_points(problem: ControlProblem) -> Points:
    """Centre and corners of the region at t = 0 in every mode. Past four dimensions the corners would be too many: then the
    lowest and the highest one."""
    region = region_of(problem)
    centre = [_centre(bounds, *ends) for bounds, ends in zip(problem.state_bounds, region, strict=True)]
    ends = [_ends(bounds, low, high) for bounds, (low, high) in zip(problem.state_bounds, region, strict=True)]
    corners = (
        list(itertools.product(*ends))
        if len(ends) <= _ALL_CORNERS_UP_TO
        else [tuple(low for low, _ in ends), tuple(high for _, high in ends)]
    )
    states = np.array(list(dict.fromkeys([tuple(centre), *corners])), dtype=float).reshape(-1, problem.dimension)
    states = states[inside(problem, states)]
    return _in_every_mode(problem, np.zeros(1), states)


def sample_region(
    problem: ControlProblem,
    stationary: bool,
    fixed: Mapping[sp.Symbol, float],
    modes: Sequence[int],
    seed: int,
) -> Points:
    """Points of region x [0, T] x modes for a comparison, the symbols in `fixed` held (TIME among them).

    A tensor grid that includes the corners in up to three free dimensions, else the corners' two extremes, the centre and
    seeded random points. Points outside the state space (open ends, state constraints) are left out, and so are those where
    the process has left already: a formula for V means the states from which it still runs.
    """
    axes = [np.array([fixed[symbol]]) if symbol in fixed else np.array([math.nan]) for symbol in problem.state_symbols]
    region = region_of(problem)
    free = [i for i, axis in enumerate(axes) if math.isnan(axis[0])]
    sets = {i: _points_of(problem, problem.state_bounds[i]) for i in problem.lattice_states}
    if len(free) in _SPARSE_POINTS:
        for i in free:
            axes[i] = sets[i] if i in sets else np.linspace(region[i, 0], region[i, 1], _SPARSE_POINTS[len(free)])
        states = np.array(list(itertools.product(*axes)), dtype=float).reshape(-1, problem.dimension)
    else:
        states = _random_states(axes, free, sets, region, np.random.default_rng(seed))
    states = states[inside(problem, states)]
    if problem.exit is not None and free:
        states = states[~_exited(problem, states)]
    return _cross(_times(problem, stationary, fixed), states, modes)


def inside(problem: ControlProblem, states: Array) -> NDArray[np.bool_]:
    """Which rows of `states` (k, n) lie in the state space: domains with their open ends, and constraints on states."""
    result = np.ones(len(states), dtype=bool)
    for i, bounds in enumerate(problem.state_bounds):
        if bounds.periodic:
            continue
        column = states[:, i]
        if bounds.is_finite_set:
            result &= np.isclose(column[:, None], _points_of(problem, bounds)[None, :], atol=1e-9).any(axis=1)
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


def _exited(problem: ControlProblem, states: Array) -> NDArray[np.bool_]:
    condition = problem.numeric(problem.exit.condition) if problem.exit is not None else sp.false
    return np.array([_holds(condition, problem, row) for row in states], dtype=bool)


def _holds(condition: sp.Basic, problem: ControlProblem, row: Array) -> bool:
    return bool(condition.xreplace({s: sp.Float(v) for s, v in zip(problem.state_symbols, row, strict=True)}) == sp.true)


def _points_of(problem: ControlProblem, bounds: Bounds) -> Array:
    return np.array([number(problem, point) for point in bounds.points], dtype=float)


def _centre(bounds: Bounds, low: float, high: float) -> float:
    middle = (low + high) / 2
    if not bounds.is_finite_set:
        return middle
    return min((float(point) for point in bounds.points), key=lambda point: abs(point - middle))


def _ends(bounds: Bounds, low: float, high: float) -> tuple[float, float]:
    if not bounds.is_finite_set:
        return float(low), float(high)
    values = [float(point) for point in bounds.points if low - 1e-9 <= float(point) <= high + 1e-9]
    return min(values), max(values)


def _random_states(
    axes: list[Array], free: list[int], sets: Mapping[int, Array], region: Array, random: np.random.Generator
) -> Array:
    held = np.array([axis[0] for axis in axes])
    states = np.tile(held, (_RANDOM_POINTS + 3, 1))
    for i in free:
        low, high = region[i]
        states[:, i] = random.choice(sets[i], len(states)) if i in sets else random.uniform(low, high, len(states))
        if i not in sets:
            states[:3, i] = low, (low + high) / 2, high
    return states


def _times(problem: ControlProblem, stationary: bool, fixed: Mapping[sp.Symbol, float]) -> Array:
    if TIME in fixed:
        return np.array([fixed[TIME]])
    end = horizon(problem)
    if stationary or not math.isfinite(end):
        return np.zeros(1)
    return np.linspace(0.0, end, 7)


def _in_every_mode(problem: ControlProblem, times: Array, states: Array) -> Points:
    return _cross(times, states, range(len(problem.mode_tuples())))


def _cross(times: Array, states: Array, modes: Sequence[int]) -> Points:
    k, dimension = states.shape
    t = np.tile(np.repeat(times, k), len(modes))
    x = np.tile(states, (len(times) * len(modes), 1)).reshape(-1, dimension)
    return Points(t, x, np.repeat(np.array(modes, dtype=np.int64), k * len(times)))


def _stated(problem: ControlProblem, stationary: bool, point: StatedPoint) -> tuple[float, list[float], int]:
    chains = {chain.name: chain for chain in problem.modes}
    known = {group.name for group in problem.states} | chains.keys() | {"t"}
    template = _template(problem, stationary)
    for name in point:
        if name not in known:
            raise UsageError(f"the point names `{name}`, which is not a state of the problem; state it as {template}")
    missing = [name for name in (*(group.name for group in problem.states), *chains) if name not in point]
    if missing:
        raise UsageError(f"the point leaves out `{'`, `'.join(missing)}`; state it as {template}")
    row = [value for group in problem.states for value in _components(group, point[group.name])]
    if not inside(problem, np.array([row]).reshape(1, -1))[0]:
        raise UsageError(f"the point {_written(point)} lies outside the state space of the problem")
    labels = []
    for name, chain in chains.items():
        label = point[name]
        if label not in chain.labels:
            raise UsageError(f"`{name}` has no mode `{label}`; it has {', '.join(chain.labels)}")
        labels.append(chain.labels.index(str(label)))
    return _stated_time(problem, stationary, point), row, problem.mode_tuples().index(tuple(labels))


def _stated_time(problem: ControlProblem, stationary: bool, point: StatedPoint) -> float:
    time, end = point.get("t", 0.0), horizon(problem)
    if not isinstance(time, int | float) or math.isnan(time):
        raise UsageError(f"the time `{time}` is not a number")
    if not stationary and not -1e-12 <= time <= end * (1 + 1e-12):
        raise UsageError(f"the time {time:g} lies outside [0, {end:g}]")
    return float(time)


def _components(group: VariableGroup, value: float | Sequence[float] | str) -> list[float]:
    scalar = isinstance(value, int | float)
    if isinstance(value, str):
        raise UsageError(f"`{group.name}` wants a number, not `{value}`")
    if not group.shape and not scalar:
        raise UsageError(f"`{group.name}` is a scalar; state it as {_example(group)}")
    values = [float(value)] if isinstance(value, int | float) else [float(entry) for entry in value]
    if group.shape and (scalar or len(values) != len(group.symbols)):
        raise UsageError(f"`{group.name}` has {len(group.symbols)} components; state it as {_example(group)}")
    if not all(map(math.isfinite, values)):
        raise UsageError(f"`{group.name}` wants finite numbers")
    return [_wrapped(entry) if bounds.periodic else entry for entry, bounds in zip(values, group.bounds, strict=True)]


def _example(group: VariableGroup) -> str:
    if not group.shape:
        return f"{group.name}=1"
    entries = ["1"] * len(group.symbols)
    return f"{group.name}=[{','.join(entries if len(entries) <= _LONGEST_EXAMPLE else [*entries[:2], '…'])}]"


def _wrapped(angle: float) -> float:
    """The same angle in [-pi, pi]."""
    return angle if -math.pi <= angle <= math.pi else math.remainder(angle, 2 * math.pi)


def _template(problem: ControlProblem, stationary: bool) -> str:
    parts = [] if stationary else ["t=0"]
    parts += [_example(group) for group in problem.states]
    parts += [f"{chain.name}={chain.labels[0]}" for chain in problem.modes]
    return '"' + ",".join(parts) + '"'


def _written(point: StatedPoint) -> str:
    return ", ".join(f"{name}={value}" for name, value in point.items())
