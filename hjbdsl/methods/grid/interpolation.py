"""Between the nodes: cubic splines in index coordinates and in time, lines for policies.

In: arrays over the nodes of a mesh at some times. Out: values at points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, spline_filter1d

from hjbdsl.methods.grid.mesh import CIRCLE, Mesh
from hjbdsl.model.solution import Array

FORGOTTEN = 20
"""Nodes from which on a cubic spline has forgotten a value: its influence falls by `DECAY` a node."""
DECAY = math.sqrt(3.0) - 2.0


def around(times: Array, t: Array, reach: int) -> slice:
    """The slices between which the times `t` lie, and `reach` - 1 more on either side."""
    lowest = np.clip(np.searchsorted(times, t.min()) - reach, 0, times.size - 1)
    highest = np.clip(np.searchsorted(times, t.max()) + reach, 0, times.size - 1)
    return slice(int(lowest), int(highest) + 1)


def interpolate(
    mesh: Mesh, times: Array, nodes: Array, t: Array, x: Array, s: NDArray[np.int64], order: int, abrupt: bool = False
) -> Array:
    """Spline in the grid's index coordinates, cubic (or linear) in time between slices; `abrupt`: V may turn sharply in time."""
    z = mesh.index(x)
    wrap = all(axis.kind == CIRCLE for axis in mesh.axes)
    result = np.empty(t.size)
    for discrete in np.unique(s):
        chosen = np.nonzero(s == discrete)[0]
        needed = around(times, t[chosen], order)
        values = np.array([_spline(mesh, slice_[discrete], z[:, chosen], order, wrap) for slice_ in nodes[needed]])
        result[chosen] = values[0] if len(values) == 1 else _between_slices(times[needed], values, t[chosen], order, abrupt)
    return result


def _between_slices(times: Array, values: Array, t: Array, order: int, abrupt: bool) -> Array:
    """`values` (slices, k) at the times `t` (k,); one cubic spline tells how much each slice weighs."""
    if order == 1 or len(times) < 4:
        after, every = np.clip(np.searchsorted(times, t), 1, len(times) - 1), np.arange(t.size)
        share = np.clip((t - times[after - 1]) / (times[after] - times[after - 1]), 0.0, 1.0)
        return (1.0 - share) * values[after - 1, every] + share * values[after, every]
    if abrupt:
        return monotone(times, values, t)
    from scipy.interpolate import CubicSpline  # noqa: PLC0415  0.2 s, which an equation without time need not wait for

    at, which = np.unique(t, return_inverse=True)
    weights = CubicSpline(times, np.eye(times.size))(at)
    return np.asarray(np.einsum("ki,ik->k", weights[which], values))


def monotone(times: Array, values: Array, t: Array) -> Array:
    """Cubics that stay between the two slices beside them, `values` (slices, k) at the times `t` (k,): a spline would swing far
    past a sharp turn where slices lie ever further apart. (Fritsch and Butland, SIAM J. Sci. Stat. Comput. 5, 1984.)"""
    last, column = len(times) - 2, np.arange(t.size)
    step = np.diff(times)
    rise = np.diff(values, axis=0) / step[:, None]
    k = np.clip(np.searchsorted(times, t, side="right") - 1, 0, last)

    def tangent(place: NDArray[np.int64]) -> Array:
        a, b = np.clip(place - 1, 0, last), np.clip(place, 0, last)
        left, right, before, after = rise[a, column], rise[b, column], step[a], step[b]
        same = left * right > 0.0
        left, right = np.where(same, left, 1.0), np.where(same, right, 1.0)
        return np.where(same, 3.0 * (before + after) / ((2.0 * after + before) / left + (after + 2.0 * before) / right), 0.0)

    share, low, high = (t - times[k]) / step[k], values[k, column], values[k + 1, column]
    first, second = tangent(k) * step[k], tangent(k + 1) * step[k]
    return np.asarray(
        low + share**2 * (3.0 - 2.0 * share) * (high - low) + share * (1.0 - share) * ((1.0 - share) * first - share * second)
    )


def slopes(mesh: Mesh, nodes: Array, i: int) -> Array:
    """The derivative in the state of axis i of `nodes` (..., *shape), at the nodes: of second order, at the ends too. A circle
    has no end."""
    place = nodes.ndim - len(mesh.axes) + i
    if mesh.axes[i].kind == CIRCLE:
        rise = 0.5 * (np.roll(nodes, -1, place) - np.roll(nodes, 1, place))
    else:
        rise = np.gradient(nodes, axis=place, edge_order=2)
    return np.asarray(rise / mesh.G[i].reshape([-1 if k == i else 1 for k in range(len(mesh.axes))]))


def ranges(nodes: Array, cells: int, circular: Sequence[bool]) -> Array:
    """How far `nodes` (..., *shape) range over so many cells on either side, along every axis: (..., *shape)."""
    low = high = nodes
    for axis, closed in zip(range(-len(circular), 0), circular, strict=True):
        wider = [(0, 0)] * nodes.ndim
        wider[axis] = cells, cells
        low, high = (
            np.lib.stride_tricks.sliding_window_view(np.pad(part, wider, mode="wrap" if closed else "edge"), 2 * cells + 1, axis)
            for part in (low, high)
        )
        low, high = low.min(axis=-1), high.max(axis=-1)
    return high - low


def beside_exits(columns: Array, gone: NDArray[np.bool_]) -> None:
    """Fill `columns` (slices, S, columns, *nodes) at nodes that are `gone` (S, *nodes) and have neighbours that are not with the
    mean of theirs: what is chosen between the two is chosen by who is still there."""
    known = ~gone
    for _ in range(gone.ndim - 1):
        count, pairs = np.zeros(gone.shape), list[tuple[tuple[slice, ...], tuple[slice, ...]]]()
        for axis in range(1, gone.ndim):
            for here, there in ((slice(None, -1), slice(1, None)), (slice(1, None), slice(None, -1))):
                to, source = (tuple(part if k == axis else slice(None) for k in range(gone.ndim)) for part in (here, there))
                count[to] += known[source]
                pairs.append((to, source))
        found = ~known & (count > 0.0)
        for part in columns:
            for nodes in np.moveaxis(part, 1, 0):
                total = np.zeros(gone.shape)
                for to, source in pairs:
                    total[to] += np.where(known[source], nodes[source], 0.0)
                nodes[found] = total[found] / count[found]
        known |= found


def _spline(mesh: Mesh, values: Array, z: Array, order: int, wrap: bool) -> Array:
    if wrap:
        return map_coordinates(values, z, order=order, mode="grid-wrap")
    if z.size and np.isfinite(z).all():
        low, high = np.maximum(z.min(axis=1).astype(int) - FORGOTTEN, 0), z.max(axis=1).astype(int) + FORGOTTEN + 2
        low[[axis.kind == CIRCLE for axis in mesh.axes]] = 0
        window = [slice(a, None if axis.kind == CIRCLE else b) for axis, a, b in zip(mesh.axes, low, high, strict=True)]
        values, z = values[tuple(window)], z - low[:, None]
    width = [(FORGOTTEN, FORGOTTEN) if axis.kind == CIRCLE else (0, 0) for axis in mesh.axes]
    if any(pair != (0, 0) for pair in width):
        values = np.pad(values, width, mode="wrap")
        z = z + np.array([[pair[0]] for pair in width])
    if order == 1:
        return map_coordinates(values, z, order=1, mode="nearest")
    return map_coordinates(_coefficients(values), z + 1.0, order=3, mode="mirror", prefilter=False)


def _coefficients(values: Array) -> Array:
    """Coefficients of the cubic B-spline through the nodes, one more at each end, where the third derivative vanishes over the
    last cell: a spline that is mirrored has no slope there, and V has one at an exit."""
    for axis in range(values.ndim):
        c = np.moveaxis(spline_filter1d(values, axis=axis, mode="mirror"), axis, 0)
        c = np.concatenate([c[1:2], c, c[-2:-1]])
        fading = (DECAY ** np.arange(len(c)) / (1.0 - DECAY) ** 3).reshape(-1, *[1] * (c.ndim - 1))
        first, last = c[0] - 3.0 * c[1] + 3.0 * c[2] - c[3], c[-1] - 3.0 * c[-2] + 3.0 * c[-3] - c[-4]
        values = np.moveaxis(c - first * fading - last * fading[::-1], 0, axis)
    return values
