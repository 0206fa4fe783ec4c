"""Points of a problem: the ones a person states, and the ones given when none is stated.

In: a `ControlProblem`. Out: `Points`, the arrays that `ValueFunction.evaluate` takes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hjbdsl.errors import UsageError
from hjbdsl.model.problem import Bounds, ControlProblem, VariableGroup
from hjbdsl.model.solution import Array
from hjbdsl.numeric.state_space import horizon, inside, region_of

StatedPoint = Mapping[str, float | Sequence[float] | str]
"""Name -> number, list of numbers (vector states) or mode label; `t` is the time."""

_ALL_CORNERS_UP_TO = 4
_LONGEST_EXAMPLE = 6
_LONGEST_CELL = 4


@dataclass(frozen=True, slots=True)
class Points:
    """k points: time `t` (k,), states `x` (k, n) in the order of `state_symbols`, joint mode `mode` (k,)."""

    t: Array
    x: Array
    mode: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.t)


def stated_points(problem: ControlProblem, stationary: bool, points: Sequence[StatedPoint]) -> Points:
    """The points that a person states one by one. A time that is left out is 0. Raises `UsageError` with the remedy for a state
    that is missing, unknown, of the wrong length or outside its domain."""
    return _joined([stated_array(problem, stationary, point, 1) for point in points], problem.dimension)


def stated_array(problem: ControlProblem, stationary: bool, point: Mapping[str, ArrayLike], count: int) -> Points:
    """`count` points stated together: every value is a number or an array (count,), of a vector state (n,) or (count, n), of a
    mode a label. Raises as `stated_points`."""
    chains = {chain.name: chain for chain in problem.modes}
    _names_known(problem, stationary, point)
    columns = [_components(group, point[group.name], count) for group in problem.states]
    x = np.concatenate([np.zeros((count, 0)), *columns], axis=1)
    outside = np.flatnonzero(~inside(problem, x))
    if outside.size:
        values = ", ".join(f"{s.name}={v:g}" for s, v in zip(problem.state_symbols, x[outside[0]], strict=True))
        raise UsageError(f"the point {values} lies outside the state space of the problem")
    labels = []
    for name, chain in chains.items():
        if not isinstance(point[name], str) or point[name] not in chain.labels:
            raise UsageError(f"`{name}` has no mode `{point[name]!s}`; it has {', '.join(chain.labels)}")
        labels.append(chain.labels.index(str(point[name])))
    mode = problem.mode_tuples().index(tuple(labels))
    return Points(_stated_time(problem, stationary, point, count), x, np.full(count, mode, dtype=np.int64))


def written(problem: ControlProblem, stationary: bool, points: Points, k: int) -> tuple[str, ...]:
    """The cells of a table that say where point k is."""
    cells = [] if stationary else [_cell(points.t[k])]
    start = 0
    for group in problem.states:
        values = [_cell(v) for v in points.x[k, start : start + len(group.symbols)]]
        start += len(group.symbols)
        if len(values) > _LONGEST_CELL:
            values = [*values[: _LONGEST_CELL - 1], f"… {len(values)}"]
        cells.append(f"[{', '.join(values)}]" if group.shape else values[0])
    labels = problem.mode_tuples()[int(points.mode[k])]
    cells += [chain.labels[label] for chain, label in zip(problem.modes, labels, strict=True)]
    return tuple(cells)


def _cell(value: float | np.floating) -> str:
    return f"{float(value) + 0.0:.6g}"


def _joined(parts: Sequence[Points], dimension: int) -> Points:
    if not parts:
        return Points(np.zeros(0), np.zeros((0, dimension)), np.zeros(0, dtype=np.int64))
    return Points(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("t", "x", "mode")))


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
    rows = list(dict.fromkeys([tuple(centre), *corners]))
    if problem.dimension == 1:
        rows.sort()
    states = np.array(rows, dtype=float).reshape(len(rows), problem.dimension)
    states = states[inside(problem, states)]
    return _in_every_mode(problem, np.zeros(1), states)


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


def _in_every_mode(problem: ControlProblem, times: Array, states: Array) -> Points:
    return crossed(times, states, range(len(problem.mode_tuples())))


def crossed(times: Array, states: Array, modes: Sequence[int]) -> Points:
    """Every time with every state in every mode."""
    k = len(states)
    t = np.tile(np.repeat(times, k), len(modes))
    x = np.tile(states, (len(times) * len(modes), 1))
    return Points(t, x, np.repeat(np.array(modes, dtype=np.int64), k * len(times)))


def _names_known(problem: ControlProblem, stationary: bool, point: Mapping[str, ArrayLike]) -> None:
    wanted = [group.name for group in problem.states] + [chain.name for chain in problem.modes]
    template = _template(problem, stationary)
    for name in point:
        if name not in {*wanted, "t"}:
            raise UsageError(f"the point names `{name}`, which is not a state of the problem; state it as {template}")
    missing = [name for name in wanted if name not in point]
    if missing:
        raise UsageError(f"the point leaves out `{'`, `'.join(missing)}`; state it as {template}")


def _stated_time(problem: ControlProblem, stationary: bool, point: Mapping[str, ArrayLike], count: int) -> Array:
    time, end = _numbers("t", point.get("t", 0.0)), horizon(problem)
    if np.isnan(time).any() or time.ndim > 1:
        raise UsageError(f"the time `{point['t']!s}` is not a number")
    wrong = np.extract((time < -1e-12) | (time > end * (1 + 1e-12)), time)
    if wrong.size and not stationary:
        raise UsageError(f"the time {wrong[0]:g} lies outside [0, {end:g}]")
    return np.array(np.broadcast_to(time, count))


def _numbers(name: str, value: ArrayLike) -> Array:
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise UsageError(f"`{name}` wants a number, not `{value!s}`") from None


def _components(group: VariableGroup, value: ArrayLike, count: int) -> Array:
    """The columns (count, n) of one declared state; angles wrapped into [-pi, pi]."""
    given, size = _numbers(group.name, value), len(group.symbols)
    if not group.shape and given.shape not in ((), (count,)):
        raise UsageError(f"`{group.name}` is a scalar; state it as {_example(group)}")
    if group.shape and given.shape not in ((size,), (count, size)):
        raise UsageError(f"`{group.name}` has {size} components; state it as {_example(group)}")
    if not np.all(np.isfinite(given)):
        raise UsageError(f"`{group.name}` wants finite numbers")
    table = np.array(np.broadcast_to(given if group.shape else given[..., None], (count, size)))
    for column, bounds in enumerate(group.bounds):
        if bounds.periodic:
            table[:, column] = _wrapped(table[:, column])
    return table


def _example(group: VariableGroup) -> str:
    if not group.shape:
        return f"{group.name}=1"
    entries = ["1"] * len(group.symbols)
    return f"{group.name}=[{','.join(entries if len(entries) <= _LONGEST_EXAMPLE else [*entries[:2], '…'])}]"


def _wrapped(angle: Array) -> Array:
    """The same angles in [-pi, pi]."""
    return np.where(np.abs(angle) <= math.pi, angle, np.remainder(angle + math.pi, 2 * math.pi) - math.pi)


def _template(problem: ControlProblem, stationary: bool) -> str:
    parts = [] if stationary else ["t=0"]
    parts += [_example(group) for group in problem.states]
    parts += [f"{chain.name}={chain.labels[0]}" for chain in problem.modes]
    return '"' + ",".join(parts) + '"'
