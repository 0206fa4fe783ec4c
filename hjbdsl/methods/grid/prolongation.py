"""Values on a finer mesh, axis by axis: where it has twice the cells nodes in common are kept and those between are interpolated;
else all are.

In: values (S, *coarse). Out: values (S, *fine).
"""

from __future__ import annotations

import numpy as np

from hjbdsl.model.solution import Array

CUBIC, LINEAR, NEAREST = 3, 1, 0


def doubled(values: Array, circular: tuple[bool, ...], order: int) -> Array:
    """Interpolate. `order`: CUBIC through the four nodes around a new one, LINEAR between two, NEAREST (the one below)."""
    for axis, closed in enumerate(circular, start=1):
        values = _doubled_first(values.swapaxes(axis, 0), closed, order).swapaxes(0, axis)
    return np.ascontiguousarray(values)


def refined(values: Array, shape: tuple[int, ...], circular: tuple[bool, ...], order: int) -> Array:
    """Values at `shape` nodes, evenly spread over the same axes; `order` as for `doubled`."""
    for axis, (n, closed) in enumerate(zip(shape, circular, strict=True), start=1):
        first = values.swapaxes(axis, 0)
        if n == first.shape[0]:
            continue
        twice = 2 * first.shape[0] - (not closed)
        values = (_doubled_first(first, closed, order) if n == twice else _spread(first, n, closed, order)).swapaxes(0, axis)
    return np.ascontiguousarray(values)


def _spread(v: Array, n: int, closed: bool, order: int) -> Array:
    """Values at n nodes along the first axis, by the polynomial through the nodes around each."""
    old = v.shape[0]
    at = np.arange(n) * (old / n if closed else (old - 1) / (n - 1))
    low = np.floor(at + 1e-9).astype(int)
    if order == NEAREST:
        return v[low % old]
    offsets = (-1, 0, 1, 2) if order == CUBIC and old >= 4 else (0, 1)
    if not closed:
        low = np.clip(low, -offsets[0], old - 1 - offsets[-1])
    result = np.zeros((n, *v.shape[1:]))
    for k in offsets:
        weight = np.ones(n)
        for j in offsets:
            if j != k:
                weight = weight * (at - low - j) / (k - j)
        result += weight.reshape(-1, *[1] * (v.ndim - 1)) * v[(low + k) % old]
    return result


def _doubled_first(v: Array, closed: bool, order: int) -> Array:
    n = v.shape[0]
    fine = np.empty((2 * n if closed else 2 * n - 1, *v.shape[1:]))
    fine[::2] = v
    middle = fine[1::2]
    if closed:
        v = np.concatenate([v[-1:], v, v[:2]])
        before, low, high, after = v[:-3], v[1:-2], v[2:-1], v[3:]
    else:
        low, high = v[:-1], v[1:]
    if order == NEAREST:
        middle[:] = low
    elif order == LINEAR or n < 4:
        middle[:] = 0.5 * (low + high)
    elif closed:
        middle[:] = 0.5625 * (low + high) - 0.0625 * (before + after)
    else:
        middle[1:-1] = 0.5625 * (v[1:-2] + v[2:-1]) - 0.0625 * (v[:-3] + v[3:])
        middle[0] = 0.375 * v[0] + 0.75 * v[1] - 0.125 * v[2]
        middle[-1] = 0.375 * v[-1] + 0.75 * v[-2] - 0.125 * v[-3]
    return fine


__all__ = ["CUBIC", "LINEAR", "NEAREST", "doubled", "refined"]
