"""The policy between the nodes, and how far it may lie from the optimum.

In: one column of the policy on the nodes of the two finest levels. Out: its values at points, extrapolated where the levels
nearly agree, and their errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hjbdsl.methods.grid.interpolation import interpolate
from hjbdsl.methods.grid.mesh import CIRCLE, Mesh
from hjbdsl.model.solution import Array

NEARLY = 0.05
"""Levels that agree to this share of the control are on the same side of a switch."""
SAFETY = 2.0
"""Times the largest change from level to level nearby: what is left is a third of it at second order, all of it at first."""


@dataclass(frozen=True, slots=True)
class Nodes:
    """Values (slices, S, *shape) on a mesh at `times`, with lines between them."""

    mesh: Mesh
    times: Array
    values: Array

    def at(self, t: Array, y: Array, s: NDArray[np.int64]) -> Array:
        return interpolate(self.mesh, self.times, self.values, t, y, s, order=1)


@dataclass(frozen=True, slots=True)
class Feedback:
    """A control, or its standard deviation, on the finest level and the one before. `order`: at which V converges, NaN where that
    is not trusted. Everywhere t (k,), y (k, d) in the continuous states only, s (k,) discrete states."""

    fine: Nodes
    coarse: Nodes
    order: float

    def at(self, t: Array, y: Array, s: NDArray[np.int64]) -> Array:
        """Extrapolated like V, not across a switch."""
        fine = self.fine.at(t, y, s)
        if np.isnan(self.order):
            return fine
        step = fine - self.coarse.at(t, y, s)
        step = np.where(np.abs(step) < NEARLY * (1e-12 + np.abs(fine)), step, 0.0)
        return np.clip(fine + step / (2.0 ** min(self.order, 2.0) - 1.0), np.min(self.fine.values), np.max(self.fine.values))

    def error(self, t: Array, y: Array, s: NDArray[np.int64]) -> Array:
        """What mesh and slices do: the change from level to level at the point and a coarse cell around it, where levels do not
        agree by luck all at once; how far the control bends over a cell, across a switch the whole jump; and what lines through
        every other slice would change."""
        fine = self.fine.at(t, y, s)
        moved = np.abs(fine - self.coarse.at(t, y, s))
        for beside in (p for before, _, after in _neighbours(self.coarse.mesh, y) for p in (before, after)):
            moved = np.maximum(moved, np.abs(self.fine.at(t, beside, s) - self.coarse.at(t, beside, s)))
        bend = np.zeros(t.size)
        for before, middle, after in _neighbours(self.fine.mesh, y):
            ends = self.fine.at(t, before, s) + self.fine.at(t, after, s)
            bend = np.maximum(bend, np.abs(ends - 2.0 * self.fine.at(t, middle, s)))
        between = np.zeros(t.size)
        if self.fine.times.size > 2:
            half = Nodes(self.fine.mesh, self.fine.times[::2], self.fine.values[::2])
            between = np.abs(fine - half.at(t, y, s))
        return SAFETY * moved + bend + between


def _neighbours(mesh: Mesh, y: Array) -> Iterator[tuple[Array, Array, Array]]:
    """For each axis the points a cell before and after y (k, d), and the middle between the two: y itself, but beside an end."""
    for i, axis in enumerate(mesh.axes):
        nodes = mesh.X[i]
        step = np.diff(nodes)[np.clip(np.searchsorted(nodes, y[:, i]) - 1, 0, nodes.size - 2)]
        middle = y[:, i] if axis.kind == CIRCLE else np.clip(y[:, i], nodes[0] + step, nodes[-1] - step)
        moved = [y.copy() for _ in range(3)]
        for other, place in zip(moved, (middle - step, middle, middle + step), strict=True):
            other[:, i] = place
        yield moved[0], moved[1], moved[2]
