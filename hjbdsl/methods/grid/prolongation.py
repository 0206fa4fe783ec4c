"""Values on a mesh with twice the cells on every axis: nodes in common are kept, those between are interpolated, axis by axis.

In: values (S, *coarse). Out: values (S, *fine).
"""

from __future__ import annotations

import numpy as np

from hjbdsl.model.solution import Array

CUBIC, LINEAR, NEAREST = 3, 1, 0


def doubled(values: Array, circular: tuple[bool, ...], order: int) -> Array:
    """Interpolate. `order`: CUBIC through the four nodes around a new one, LINEAR between two, NEAREST (the one below)."""
    for axis, closed in enumerate(circular, start=1):
        values = np.moveaxis(_doubled_first(np.moveaxis(values, axis, 0), closed, order), 0, axis)
    return np.ascontiguousarray(values)


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


__all__ = ["CUBIC", "LINEAR", "NEAREST", "doubled"]
