"""Coordinates in which values and advantage rates are smooth: logarithms of what is positive, angles by their sine and cosine,
intervals as [-1, 1].

In: a `ControlProblem` (what the learner may know: which quantities there are, and the sets they live in) and the data's spread.
Out: coordinate values of states and controls, and the way back for controls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.model.problem import TIME, Bounds, ControlProblem
from hjbdsl.model.solution import Array
from hjbdsl.numeric.compile import compile_expressions
from hjbdsl.numeric.state_space import lattice_points, number

_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class StateAxis:
    """One coordinate of the state (or the time): `kind` line, log_up (above `origin`), log_down (below it) or circle; then
    centred and scaled."""

    column: int
    kind: str
    origin: float = 0.0
    centre: float = 0.0
    scale: float = 1.0

    def raw(self, values: Array) -> Array:
        match self.kind:
            case "log_up":
                return np.log(np.maximum(values - self.origin, _TINY))
            case "log_down":
                return -np.log(np.maximum(self.origin - values, _TINY))
            case "line" | "circle":
                return values
        raise ValueError(self.kind)

    def of(self, values: Array) -> Array:
        return (self.raw(values) - self.centre) / self.scale

    def slope(self, values: Array) -> Array:
        """d coordinate / d state."""
        match self.kind:
            case "log_up":
                return 1.0 / (np.maximum(values - self.origin, _TINY) * self.scale)
            case "log_down":
                return 1.0 / (np.maximum(self.origin - values, _TINY) * self.scale)
            case "line" | "circle":
                return np.full(values.shape, 1.0 / self.scale)
        raise ValueError(self.kind)


def state_axis(bounds: Bounds, column: int, problem: ControlProblem, sample: Array) -> StateAxis:
    """The axis of one component, centred and scaled by a sample of it."""
    if bounds.periodic:
        return StateAxis(column, "circle")
    low, high = number(problem, bounds.lower), number(problem, bounds.upper)
    if np.isfinite(low) and np.isfinite(high):
        return StateAxis(column, "line", 0.0, (low + high) / 2, (high - low) / 2)
    axis = StateAxis(column, "line")
    if np.isfinite(low) and bounds.lower_open:
        axis = StateAxis(column, "log_up", low)
    elif np.isfinite(high) and bounds.upper_open:
        axis = StateAxis(column, "log_down", high)
    values = axis.raw(sample)
    spread = float(np.std(values)) * 2 or 1.0
    return StateAxis(column, axis.kind, axis.origin, float(np.mean(values)), spread)


@dataclass(frozen=True, slots=True)
class ControlAxis:
    """One coordinate v of the controls. `kind`: line, log_up, log_down; box: between ends that may depend on t and x, as
    [-1, 1]."""

    component: int
    kind: str
    origin: float = 0.0
    centre: float = 0.0
    scale: float = 1.0

    def of(self, a: Array, low: Array, high: Array) -> Array:
        match self.kind:
            case "box":
                return (2 * a - low - high) / np.maximum(high - low, _TINY)
            case "log_up":
                return (np.log(np.maximum(a - self.origin, _TINY)) - self.centre) / self.scale
            case "log_down":
                return (-np.log(np.maximum(self.origin - a, _TINY)) - self.centre) / self.scale
            case "line":
                return (a - self.centre) / self.scale
        raise ValueError(self.kind)

    def back(self, v: Array, low: Array, high: Array) -> Array:
        """The control of a coordinate."""
        match self.kind:
            case "box":
                return (low + high) / 2 + v * (high - low) / 2
            case "log_up":
                return self.origin + np.exp(self.centre + self.scale * v)
            case "log_down":
                return self.origin - np.exp(-(self.centre + self.scale * v))
            case "line":
                return self.centre + self.scale * v
        raise ValueError(self.kind)

    def slope(self, v: Array, low: Array, high: Array) -> Array:
        """da/dv, positive."""
        match self.kind:
            case "box":
                return (high - low) / 2
            case "log_up" | "log_down":
                return self.scale * np.abs(self.back(v, low, high) - self.origin)
            case "line":
                return np.full(v.shape, self.scale)
        raise ValueError(self.kind)


@dataclass(frozen=True, slots=True)
class ControlSpace:
    """The controls: continuous ones by axes, those of a finite set by their joint points (d, number of them)."""

    count: int
    axes: tuple[ControlAxis, ...]
    finite: tuple[int, ...]
    points: Array
    ends: ControlEnds

    @property
    def moving(self) -> bool:
        """Whether the ends of an interval depend on time or state."""
        return any(not e.is_number for e in self.ends.expressions)

    def coordinates(self, t: Array, x: Array, a: Array) -> tuple[Array, NDArray[np.int64]]:
        """v (k, axes) and the number of the joint finite point (k,)."""
        low, high = self.ends(t, x)
        columns = [axis.of(a[:, axis.component], low[axis.component], high[axis.component]) for axis in self.axes]
        v = np.stack(columns, axis=1) if columns else np.zeros((len(t), 0))
        chosen = np.zeros(len(t), dtype=np.int64)
        if self.finite:
            distance = np.abs(a[:, None, list(self.finite)] - self.points[None]).max(axis=2)
            chosen = np.argmin(distance, axis=1)
        return v, chosen

    def back(self, t: Array, x: Array, v: Array, chosen: NDArray[np.int64]) -> Array:
        """Controls (k, m)."""
        low, high = self.ends(t, x)
        a = np.zeros((len(t), self.count))
        for place, axis in enumerate(self.axes):
            c = axis.component
            a[:, c] = axis.back(v[:, place], low[c], high[c])
        a[:, list(self.finite)] = self.points[chosen]
        return a

    def slopes(self, t: Array, x: Array, v: Array) -> Array:
        """da/dv (k, axes)."""
        low, high = self.ends(t, x)
        columns = [axis.slope(v[:, i], low[axis.component], high[axis.component]) for i, axis in enumerate(self.axes)]
        return np.stack(columns, axis=1) if columns else np.zeros((len(t), 0))


@dataclass(frozen=True, slots=True)
class ControlEnds:
    """Ends of the intervals of the controls as functions of t and x: (lows, highs), each (m, k)."""

    expressions: tuple[sp.Expr, ...]
    symbols: tuple[sp.Symbol, ...]

    def __call__(self, t: Array, x: Array) -> tuple[Array, Array]:
        constant = [float(e) for e in self.expressions if e.is_number]
        if len(constant) == len(self.expressions):
            values = np.broadcast_to(np.array(constant)[:, None], (len(constant), len(t)))
        else:
            values = np.stack(compile_expressions(self.symbols, self.expressions)(t, *x.T))
        half = len(self.expressions) // 2
        return values[:half], values[half:]


def control_ends(problem: ControlProblem) -> ControlEnds:
    bounds = [b for group in problem.controls for b in group.bounds]
    ends = [-sp.oo if b.is_finite_set else problem.numeric(b.lower) for b in bounds]
    ends += [sp.oo if b.is_finite_set else problem.numeric(b.upper) for b in bounds]
    return ControlEnds(tuple(ends), (TIME, *problem.state_symbols))


def control_space(problem: ControlProblem, sample: Array) -> ControlSpace:
    """The controls' coordinates, unbounded ones centred and scaled by a sample (k, m) of controls."""
    bounds: Sequence[Bounds] = [b for group in problem.controls for b in group.bounds]
    finite = tuple(i for i, b in enumerate(bounds) if b.is_finite_set)
    sets = [lattice_points(problem, bounds[i]) for i in finite]
    points = np.stack([g.ravel() for g in np.meshgrid(*sets, indexing="ij")], axis=1) if sets else np.zeros((1, 0))
    axes = tuple(_control_axis(problem, b, i, sample[:, i]) for i, b in enumerate(bounds) if i not in finite)
    return ControlSpace(len(bounds), axes, finite, points, control_ends(problem))


def _control_axis(problem: ControlProblem, bounds: Bounds, component: int, sample: Array) -> ControlAxis:
    low, high = problem.numeric(bounds.lower), problem.numeric(bounds.upper)
    if low != -sp.oo and high != sp.oo:
        return ControlAxis(component, "box")
    kind, origin, values = "line", 0.0, sample
    if low != -sp.oo:
        kind, origin = "log_up", float(low)
        values = np.log(np.maximum(sample - origin, _TINY))
    elif high != sp.oo:
        kind, origin = "log_down", float(high)
        values = -np.log(np.maximum(origin - sample, _TINY))
    return ControlAxis(component, kind, origin, float(np.mean(values)), float(np.std(values)) or 1.0)


def time_axis(end: float) -> StateAxis:
    """The time of a finite horizon, as [-1, 1]."""
    return StateAxis(0, "line", 0.0, end / 2, end / 2)
