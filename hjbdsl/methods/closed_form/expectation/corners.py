"""Where two switching functions of two variables vanish together: an integral over one variable bends there in the other.

In: the functions and points near which to look. Out: the common zeros, by Newton's method from a grid of starts.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import sympy as sp

from hjbdsl.model.solution import Array
from hjbdsl.numeric.time_array import compiled

_STARTS = 9
_STEPS = 40
_MOST = 24


def common_zeros(switches: tuple[sp.Expr, ...], symbols: tuple[sp.Symbol, ...], points: Array) -> Array:
    """(c, 2); `points` (k, 2) set the middle and the width of the grid of starts."""
    middle, width = np.median(points, axis=0), 3 * points.std(axis=0) + 1e-9
    ticks = np.linspace(-1, 1, _STARTS)
    starts = middle + width * np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    found: list[Array] = []
    for first, second in combinations(switches, 2):
        for zero in _newton(first, second, symbols, starts):
            if all(np.max(np.abs(zero - other)) > 1e-9 * (1 + np.max(np.abs(zero))) for other in found):
                found.append(zero)
    return np.array(found[:_MOST]).reshape(-1, 2)


def _newton(first: sp.Expr, second: sp.Expr, symbols: tuple[sp.Symbol, ...], z: Array) -> Array:
    """The starts that converged."""
    function = compiled(symbols, (first, second, *(sp.diff(f, s) for f in (first, second) for s in symbols)))
    z = z.copy()
    step = np.full(z.shape, np.inf)
    for _ in range(_STEPS):
        f, g, a, b, c, d = function(*z.T)
        determinant = a * d - b * c
        with np.errstate(all="ignore"):
            step = np.stack([(d * f - b * g) / determinant, (a * g - c * f) / determinant], axis=1)
        usable = np.all(np.isfinite(step), axis=1)
        z[usable] -= step[usable]
    with np.errstate(all="ignore"):
        settled = np.all(np.abs(step) <= 1e-11 * (1 + np.abs(z)), axis=1)
    return z[settled]
