"""Spectral integration on one element: V'' is interpolated at Chebyshev-Gauss nodes, V' and V follow by exact integration.

Integration instead of differentiation keeps the matrices well conditioned (Greengard, SIAM J. Numer. Anal. 28, 1991),
and Gauss nodes never touch an end, where coefficients may be singular. On [-1, 1]; an element of half-width h
multiplies by h and h^2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from hjbdsl.model.solution import Array


@dataclass(frozen=True, slots=True)
class Rule:
    """Matrices for `degree` nodes s in (-1, 1), acting on the values w of V'' at the nodes.

    analysis (p, p): w -> Chebyshev coefficients;  first, second (p, p): w -> its integral and double integral from -1,
    at the nodes first_end, second_end (p,): the same at +1;  low, high (p,): w at -1 and +1;  slope_low, slope_high
    (p,): dw/ds at -1 and +1
    """

    nodes: Array
    analysis: Array
    first: Array
    second: Array
    first_end: Array
    second_end: Array
    low: Array
    high: Array
    slope_low: Array
    slope_high: Array


@lru_cache(maxsize=8)
def rule(degree: int) -> Rule:
    """The rule with `degree` nodes."""
    angles = (2 * np.arange(degree, 0, -1) - 1) * np.pi / (2 * degree)
    nodes = np.cos(angles)
    orders = np.arange(degree)
    analysis: NDArray = 2 / degree * np.cos(np.outer(orders, angles))
    analysis[0] /= 2
    first = chebyshev.chebint(analysis, 1, lbnd=-1, axis=0)
    second = chebyshev.chebint(first, 1, lbnd=-1, axis=0)
    slope = chebyshev.chebder(analysis, 1, axis=0)

    def at(points: NDArray, coefficients: NDArray) -> NDArray:
        return chebyshev.chebvander(points, len(coefficients) - 1) @ coefficients

    ends = np.array([-1.0, 1.0])
    low, high = at(ends, analysis)
    slope_low, slope_high = at(ends, slope)
    return Rule(
        nodes=nodes,
        analysis=analysis,
        first=at(nodes, first),
        second=at(nodes, second),
        first_end=at(ends, first)[1],
        second_end=at(ends, second)[1],
        low=low,
        high=high,
        slope_low=slope_low,
        slope_high=slope_high,
    )


def series(value: Array, slope: Array, curvature: Array, half: Array) -> tuple[Array, Array, Array]:
    """Chebyshev coefficients of V'', V', V on elements: `value`, `slope` (...) at the left ends, `curvature` (..., p)
    at the nodes, `half` (...) the half-widths. Shapes (..., p), (..., p+1), (..., p+2)."""
    degree = curvature.shape[-1]
    second = curvature @ rule(degree).analysis.T
    first = chebyshev.chebint(second, 1, lbnd=-1, axis=-1) * half[..., None]
    first[..., 0] += slope
    zeroth = chebyshev.chebint(first, 1, lbnd=-1, axis=-1) * half[..., None]
    zeroth[..., 0] += value
    return second, first, zeroth


def clenshaw(coefficients: Array, points: Array) -> Array:
    """Row i of `coefficients` (k, q) as a Chebyshev series at `points[i]`."""
    last = np.zeros_like(points)
    previous = np.zeros_like(points)
    for j in range(coefficients.shape[1] - 1, 0, -1):
        last, previous = coefficients[:, j] + 2 * points * last - previous, last
    return coefficients[:, 0] + points * last - previous
