"""Where stopping begins: the free boundary of a stopping problem in one state, from the nodes.

In: V, the payoff and the stopped nodes on levels. Out: points with an error each. Beyond the boundary b the gain of waiting grows
like (x - b)^2 (smooth fit), so that its root is linear there, and vanishes at b to second order; where the payoff has a kink
there, the boundary stays between the last node that stops and the first that waits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hjbdsl.model.solution import Array


def crossings(x: Array, gain: Array, stopped: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """(point, cell width) of each change between stopping and waiting along ascending x; `gain`: of waiting over stopping."""
    found = []
    root = np.sqrt(np.maximum(gain, 0.0))
    for k in np.nonzero(stopped[:-1] != stopped[1:])[0]:
        stops, waits, further = (k, k + 1, k + 2) if stopped[k] else (k + 1, k, k - 1)
        point = 0.5 * (x[k] + x[k + 1])
        if 0 <= further < x.size and not stopped[further] and root[further] > root[waits]:
            point = x[waits] - root[waits] * (x[further] - x[waits]) / (root[further] - root[waits])
        low, high = sorted((float(x[stops]), float(x[waits])))
        found.append((min(max(float(point), low), high), high - low))
    return found


def free_boundary(
    fine: list[tuple[float, float]], coarse: list[tuple[float, float]], low: float, high: float
) -> list[tuple[float, float]]:
    """(point, error) of the finest level's crossings inside [low, high]: the error is the distance to the nearest crossing of the
    level before, and half a cell at least."""
    result = []
    for point, cell in fine:
        if low <= point <= high:
            moved = min((abs(point - other) for other, _ in coarse), default=cell)
            result.append((point, max(moved, 0.5 * cell)))
    return result
