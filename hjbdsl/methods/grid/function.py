"""The answer of the grid as a function: three levels of nodes, interpolated and extrapolated, with an error at every point.

Richardson: with V_h - V ~ C h^p, the two finest levels give V* = V_h + (V_h - V_2h)/(2^p - 1); p is the measured order,
trusted between 0.7 and 2.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import map_coordinates

from hjbdsl.methods.grid.mesh import CIRCLE, Mesh
from hjbdsl.model.solution import Array, PointValues, ValueFunction

SAFETY = 1.5
"""The band is this many times the estimated error of the finest level after extrapolation's own correction."""


@dataclass(frozen=True, slots=True)
class Level:
    """Nodes of one level. V: (slices, S, *shape); times: (slices,)."""

    mesh: Mesh
    times: Array
    V: Array

    def at(self, t: Array, x: Array, s: NDArray[np.int64]) -> Array:
        """V at k points (x in the continuous states only)."""
        return interpolate(self.mesh, self.times, self.V, t, x, s, order=3)


def interpolate(mesh: Mesh, times: Array, nodes: Array, t: Array, x: Array, s: NDArray[np.int64], order: int) -> Array:
    """Spline in the grid's index coordinates, cubic (or linear) in time between slices."""
    z = mesh.index(x)
    wrap = all(axis.kind == CIRCLE for axis in mesh.axes)
    result = np.empty(t.size)
    for discrete in np.unique(s):
        chosen = np.nonzero(s == discrete)[0]
        if times.size == 1:
            needed = [0]
        else:
            lowest = np.clip(np.searchsorted(times, t[chosen].min()) - 3, 0, times.size - 1)
            highest = np.clip(np.searchsorted(times, t[chosen].max()) + 3, 0, times.size - 1)
            needed = list(range(int(lowest), int(highest) + 1))
        values = np.array([_spline(mesh, nodes[k, discrete], z[:, chosen], order, wrap) for k in needed])
        if len(needed) == 1:
            result[chosen] = values[0]
        elif order == 1 or len(needed) < 4:
            result[chosen] = [np.interp(time, times[needed], values[:, i]) for i, time in enumerate(t[chosen])]
        else:
            result[chosen] = [float(CubicSpline(times[needed], values[:, i])(time)) for i, time in enumerate(t[chosen])]
    return result


def _spline(mesh: Mesh, values: Array, z: Array, order: int, wrap: bool) -> Array:
    if wrap:
        return map_coordinates(values, z, order=order, mode="grid-wrap")
    width = [(4, 4) if axis.kind == CIRCLE else (0, 0) for axis in mesh.axes]
    if any(pair != (0, 0) for pair in width):
        values = np.pad(values, width, mode="wrap")
        z = z + np.array([[pair[0]] for pair in width])
    return map_coordinates(values, z, order=order, mode="mirror" if order == 3 else "nearest")


@dataclass(frozen=True, slots=True)
class GridFunction(ValueFunction):
    """Levels from coarse to fine; `policy` (slices, S, controls, *shape) and `stopped` (slices, S, *shape) of the finest;
    `labels` lists (joint mode index, lattice values) a discrete state; `order` is the measured order, nan where it is not trusted;
    `outside` the absolute effect of the artificial ends."""

    levels: tuple[Level, Level, Level]
    policy: Array
    stopped: NDArray[np.bool_] | None
    labels: tuple[tuple[int, tuple[float, ...]], ...]
    continuous: tuple[int, ...]
    lattice: tuple[int, ...]
    controls: int
    order: float
    outside: float
    rounding: float

    def discrete(self, x: Array, mode: NDArray[np.int64]) -> NDArray[np.int64]:
        table = np.array([[number, *values] for number, values in self.labels])
        asked = np.column_stack([mode, x[:, list(self.lattice)]])
        distance = np.abs(table[None, :, :] - asked[:, None, :]).max(axis=2)
        return np.argmin(distance, axis=1)

    def evaluate(self, t: Array, x: Array, mode: NDArray[np.int64]) -> PointValues:
        s = self.discrete(x, mode)
        y = x[:, list(self.continuous)]
        coarse, middle, fine = (level.at(t, y, s) for level in self.levels)
        value, error = self.extrapolate(coarse, middle, fine)
        finest = self.levels[-1]
        gradient = np.zeros(x.shape)
        for i, axis in enumerate(self.continuous):
            slope = np.gradient(finest.V, axis=2 + i) / finest.mesh.G[i].reshape([-1 if j == i else 1 for j in range(y.shape[1])])
            gradient[:, axis] = interpolate(finest.mesh, finest.times, slope, t, y, s, order=1)
        control = np.column_stack(
            [interpolate(finest.mesh, finest.times, self.policy[:, :, c], t, y, s, order=1) for c in range(self.controls)]
        ) if self.controls else np.zeros((t.size, 0))  # fmt: skip
        stop = None
        if self.stopped is not None:
            stop = interpolate(finest.mesh, finest.times, self.stopped.astype(float), t, y, s, order=1) > 0.5
        return PointValues(value, error, gradient, control, stop=stop)

    def extrapolate(self, coarse: Array, middle: Array, fine: Array) -> tuple[Array, Array]:
        """Best value and its error from three levels of a value."""
        step, earlier = np.abs(fine - middle), np.abs(middle - coarse)
        if np.isfinite(self.order):
            gain = 2.0**self.order - 1.0
            value = fine + (fine - middle) / gain
            # where the local ratio differs from the order, the larger of the two corrections is the honest band
            error = SAFETY * np.maximum(step / gain * 0.5, np.abs(step - earlier / 2.0**self.order) / gain)
            error = np.maximum(error, 0.1 * step / gain)
        else:
            value, error = fine, 3.0 * np.maximum(step, 0.5 * earlier)
        return value, error + self.outside + self.rounding * (1.0 + np.abs(value))
