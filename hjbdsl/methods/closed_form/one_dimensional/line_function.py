"""The value function of a line problem: spectral pieces between exits, the payoff where stopping is optimal, the exit
value outside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.family import Derivatives, ExactFunction
from hjbdsl.methods.closed_form.one_dimensional.compiled import compiled
from hjbdsl.methods.closed_form.one_dimensional.component import Component
from hjbdsl.methods.closed_form.one_dimensional.elements import Spectral
from hjbdsl.methods.closed_form.one_dimensional.first_order_elements import FirstOrderSpectral
from hjbdsl.methods.closed_form.one_dimensional.resting import resting_controls
from hjbdsl.model.solution import Array, PointValues

TRUSTED = 1e-9
"""Relative change of V, as the cut moves, up to which values beyond the region are given at all."""


@dataclass(frozen=True, slots=True)
class SolvedComponent:
    """`accuracy`: estimated absolute error of V on the region. `trusted`: the part in y where moving the cut moved V by less than
    TRUSTED of its size; beyond it the condition at the cut is felt and the error is unknown."""

    component: Component
    solution: Spectral | FirstOrderSpectral
    accuracy: float
    trusted: tuple[float, float] = (-np.inf, np.inf)


@dataclass(frozen=True, slots=True)
class LineFunction(ExactFunction):
    """`parts` do not overlap. `shift` is added to V (the normalisation of a relative value). Points that no part
    covers are exits, or too far beyond the region: there V is the exit value, or unknown (NaN, infinite error)."""

    parts: tuple[SolvedComponent, ...]
    shift: float = 0.0

    def derivatives(self, t: Array, x: Array, mode: NDArray) -> Derivatives:  # noqa: ARG002 (the interface)
        points = np.asarray(x, dtype=np.float64)[:, 0]
        value, slope, curvature, _, _ = self._all(points, np.asarray(mode).astype(np.int64))
        return Derivatives(value, np.zeros(len(points)), slope[:, None], curvature[:, None, None])

    def evaluate(self, t: Array, x: Array, mode: NDArray[np.int64]) -> PointValues:  # noqa: ARG002 (the interface)
        points = np.asarray(x, dtype=np.float64)[:, 0]
        modes = np.asarray(mode).astype(np.int64)
        value, slope, curvature, stopped, error = self._all(points, modes)
        line = self.parts[0].component.line
        controls = np.full((len(points), len(line.controls)), np.nan)
        for k, law in enumerate(self.parts[0].component.laws):
            here = (modes == k) & np.isfinite(value)
            controls[here] = law.optimise(points[here], value[here] - self.shift, slope[here], curvature[here])[0]
        for part in self.parts:
            _rest_at_the_constraint(part.component, points, modes, controls)
        return PointValues(value, error, slope[:, None], controls, stop=stopped if line.payoff is not None else None)

    def _all(self, points: Array, modes: NDArray[np.int64]) -> tuple[Array, Array, Array, NDArray[np.bool_], Array]:
        count = len(points)
        value, slope, curvature = np.full(count, np.nan), np.full(count, np.nan), np.full(count, np.nan)
        error, stopped = np.full(count, np.inf), np.zeros(count, dtype=bool)
        for part in self.parts:
            component, solution = part.component, part.solution
            inside = (points >= component.lower.location) & (points <= component.upper.location)
            y = component.coordinate.from_state(points)
            breaks = solution.mesh.breaks
            rounding = 1e-12 * (breaks[-1] - breaks[0])
            inside &= (y >= breaks[0] - rounding) & (y <= breaks[-1] + rounding)
            for k in range(component.modes):
                here = np.flatnonzero(inside & (modes == k))
                if len(here):
                    found = _on_component(component, solution, k, y[here])
                    value[here], slope[here], curvature[here], stopped[here] = found
                    error[here] = _error(part, y[here], value[here])
        self._outside(points, modes, value, slope, curvature, error)
        return value + self.shift, slope, curvature, stopped, error

    def _outside(self, points: Array, modes: NDArray[np.int64], *arrays: Array) -> None:
        line = self.parts[0].component.line
        value, slope, curvature, error = arrays
        if line.exit_value is None or line.exit_when is None:
            return
        indicator = sp.Piecewise((sp.S.One, line.exit_when), (sp.S.Zero, True))
        gone = np.isnan(value) & (compiled((line.state,), (indicator,))(points)[0] > 0.5)
        for k, paid in enumerate(line.exit_value):
            here = gone & (modes == k)
            rows = tuple(sp.diff(paid, line.state, order) for order in range(3))
            value[here], slope[here], curvature[here] = compiled((line.state,), rows)(points[here])
            error[here] = 1e-14 * (1 + np.abs(value[here]))


def _error(part: SolvedComponent, y: Array, value: Array) -> Array:
    low, high = part.component.window()
    region = (y >= low - 1e-12 * (1 + abs(low))) & (y <= high + 1e-12 * (1 + abs(high)))
    trusted = (y >= part.trusted[0]) & (y <= part.trusted[1])
    near = part.accuracy + 1e-14 * np.abs(value)
    bounded = not np.isfinite(part.trusted).any()
    return np.where(region | bounded, near, np.where(trusted, near + TRUSTED * (1 + np.abs(value)), np.inf))


def trusted_range(y: Array, now: Array, before: Array, window: tuple[float, float]) -> tuple[float, float]:
    """The interval round `window` on which `now` and `before` (m, k), sampled at `y` (k,), agree to TRUSTED."""
    apart = (np.abs(now - before) > TRUSTED * (1 + np.abs(now))).any(axis=0)
    below, above = y[apart & (y < window[0])], y[apart & (y > window[1])]
    return (float(below.max()) if len(below) else float(y[0]), float(above.min()) if len(above) else float(y[-1]))


def _rest_at_the_constraint(component: Component, points: Array, modes: NDArray[np.int64], controls: Array) -> None:
    """Exactly at a state constraint that binds, the control that rests there: the maximiser agrees up to rounding, which must not
    point outward."""
    if component.coordinate.kind != "root":
        return
    for k, law in enumerate(component.laws):
        here = np.flatnonzero((modes == k) & (points == component.coordinate.low))
        outward = law.coefficients_at(points[here], controls[here])[0] < 0
        controls[here[outward]] = resting_controls(component, points[here[outward]])[k]


def _on_component(
    component: Component, solution: Spectral | FirstOrderSpectral, mode: int, y: Array
) -> tuple[Array, Array, Array, NDArray[np.bool_]]:
    element = solution.locate(y)
    stopped = solution.mesh.stopped[mode][element]
    # a break between stopping and continuing belongs to stopping
    left_edge = (y == solution.mesh.breaks[element]) & (element > 0)
    stopped = stopped | (left_edge & solution.mesh.stopped[mode][np.maximum(element - 1, 0)])
    stopped = stopped | (left_edge & solution.mesh.pinned[mode][element])
    value, slope_y, curvature_y = solution.at(y, mode, element)
    slope, curvature = component.coordinate.state_derivatives(y, slope_y, curvature_y)
    if stopped.any():
        payoff = component.payoff_derivatives(y[stopped])
        value[stopped], slope[stopped], curvature[stopped] = (row[mode] for row in payoff)
    return value, slope, curvature, stopped
