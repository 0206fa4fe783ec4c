"""Where stopping begins: the free boundary of a stopping problem in one state, from the nodes; what it costs to stop at nodes.

In: V, the payoff and the stopped nodes on levels. Out: points with an error each. Beyond the boundary b the gain of waiting grows
like (x - b)^2 (smooth fit), so that its root is linear there, and vanishes at b to second order; where the payoff has a kink
there, the boundary stays between the last node that stops and the first that waits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hjbdsl.model.solution import Array

JUMP = 3.0
"""A payoff that changes so many times more than V from one node to the next jumps there."""


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


def cost_of_nodes(gain: Array, stopped: NDArray[np.bool_], inner: NDArray[np.bool_]) -> float:
    """What V may lose because stopping begins at a node, up to half a cell h from the free boundary b: with a gain of waiting of
    J (x - b)^2/2, J h^2/8. Nested levels that share the nearest node lose it alike, and their differences do not show it. `gain`,
    `stopped`: (slices, discrete states, *shape); `inner` (*shape) where it counts. From the gains at the first and the second
    waiting node, w2 - 2 w1 is between J h^2/2 and J h^2."""
    largest = 0.0
    for axis in range(2, gain.ndim):
        for flipped in (False, True):
            w, stops = np.moveaxis(gain, axis, -1), np.moveaxis(stopped, axis, -1)
            here = np.moveaxis(np.broadcast_to(inner, gain.shape), axis, -1)
            if flipped:
                w, stops, here = w[..., ::-1], stops[..., ::-1], here[..., ::-1]
            begins = stops[..., :-2] & ~stops[..., 1:-1] & ~stops[..., 2:] & here[..., :-2]
            largest = max(largest, float(np.max(w[..., 2:] - 2.0 * w[..., 1:-1], where=begins, initial=0.0)))
    return largest / 4.0


def cost_of_jumps(V: Array, payoff: Array, stopped: NDArray[np.bool_], inner: NDArray[np.bool_]) -> float:
    """What V may lose where stopping begins at a jump of the payoff, which lies anywhere between a node that waits and one that
    stops: V's change from one to the other. Arrays as for `cost_of_nodes`."""
    largest = 0.0
    for axis in range(2, V.ndim):
        stops, here = np.moveaxis(stopped, axis, -1), np.moveaxis(np.broadcast_to(inner, V.shape), axis, -1)
        moved, paid = (np.abs(np.diff(nodes, axis=axis)) for nodes in (V, payoff))
        moved, paid = np.moveaxis(moved, axis, -1), np.moveaxis(paid, axis, -1)
        begins = (stops[..., :-1] != stops[..., 1:]) & here[..., :-1] & here[..., 1:] & (paid > JUMP * moved)
        largest = max(largest, float(np.max(moved, where=begins, initial=0.0)))
    return largest
