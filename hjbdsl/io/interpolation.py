"""Last stage: interpolation on a tensor grid with any axes, by local polynomials.

In: the points of each axis, an array over them, places. Out: values there. Cubic where four neighbours are known, else linear,
else from the neighbours that are known; beyond an end the line through the last two points goes on.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hjbdsl.model.solution import Array

_Stencil = tuple[NDArray[np.int64], Array]


def interpolate(axes: Sequence[Array], values: Array, places: Array, cubic: bool) -> Array:
    """`values` (n_1, ..., n_d, m) at `places` (k, d): (k, m)."""
    found = np.full((len(places), values.shape[-1]), np.nan)
    if cubic and any(len(axis) > 3 for axis in axes):
        found = _combined(values, [_cubic(axis, places[:, i]) for i, axis in enumerate(axes)])
    missing = ~np.isfinite(found).all(axis=1)
    if missing.any():
        rest = _between_neighbours(axes, values, places[missing])
        found[missing] = np.where(np.isfinite(found[missing]), found[missing], rest)
    return found


def _between_neighbours(axes: Sequence[Array], values: Array, places: Array) -> Array:
    """Linear, from those of the neighbours that are known."""
    stencils = [_linear(axis, places[:, i]) for i, axis in enumerate(axes)]
    lines = _combined(values, stencils)
    if np.isfinite(lines).all():
        return lines
    known = np.isfinite(values)
    share = _combined(known.astype(float), stencils)
    with np.errstate(invalid="ignore", divide="ignore"):
        partial = _combined(np.where(known, values, 0.0), stencils) / np.where(share > 0.0, share, np.nan)
    return np.where(np.isfinite(lines), lines, partial)


def _combined(values: Array, stencils: Sequence[_Stencil]) -> Array:
    """The sum over the tensor product of the stencils; entries of weight 0 are not read."""
    count = len(stencils[0][0]) if stencils else 1
    total = np.zeros((count, values.shape[-1]))
    for corner in itertools.product(*(range(stencil[0].shape[1]) for stencil in stencils)):
        weight = np.ones(count)
        for (_, weights), k in zip(stencils, corner, strict=True):
            weight = weight * weights[:, k]
        used = weight != 0.0
        rows = values[tuple(stencil[0][used, k] for stencil, k in zip(stencils, corner, strict=True))]
        total[used] += weight[used, None] * rows
    return total


def _linear(axis: Array, x: Array) -> _Stencil:
    """Two neighbours with their weights; one point alone stands for the whole axis."""
    if len(axis) == 1:
        return np.zeros((len(x), 1), np.int64), np.ones((len(x), 1))
    left = np.clip(np.searchsorted(axis, x, side="right") - 1, 0, len(axis) - 2)
    share = (x - axis[left]) / (axis[left + 1] - axis[left])
    return np.column_stack([left, left + 1]), np.column_stack([1.0 - share, share])


def _cubic(axis: Array, x: Array) -> _Stencil:
    """Four neighbours with Lagrange's weights inside the axis; the line beyond its ends."""
    if len(axis) < 4:
        return _linear(axis, x)
    first = np.clip(np.searchsorted(axis, x, side="right") - 2, 0, len(axis) - 4)
    index = first[:, None] + np.arange(4)
    nodes = axis[index]
    weights = np.ones((len(x), 4))
    for i, j in itertools.permutations(range(4), 2):
        weights[:, i] *= (x - nodes[:, j]) / (nodes[:, i] - nodes[:, j])
    beyond = (x < axis[0]) | (x > axis[-1])
    if beyond.any():
        pair, line = _linear(axis, x[beyond])
        index[beyond, :2], weights[beyond] = pair, np.column_stack([line, np.zeros_like(line)])
    return index, weights
