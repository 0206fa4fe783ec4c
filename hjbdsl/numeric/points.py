"""Points of a problem: the ones a person states, and the ones given when none is stated.

In: a `ControlProblem`. Out: `Points`, the arrays that `ValueFunction.evaluate` takes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hjbdsl.errors import UsageError
from hjbdsl.model.problem import Bounds, ControlProblem, VariableGroup
from hjbdsl.model.solution import Array
from hjbdsl.numeric.state_space import horizon, inside, region_of

StatedPoint = Mapping[str, float | Sequence[float] | str]
"""Name -> number, list of numbers (vector states) or mode label; `t` is the time."""

_ALL_CORNERS_UP_TO = 4
_LONGEST_EXAMPLE = 6


@dataclass(frozen=True, slots=True)
class Points:
    """k points: time `t` (k,), states `x` (k, n) in the order of `state_symbols`, joint mode `mode` (k,)."""

    t: Array
    x: Array
    mode: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.t)


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
