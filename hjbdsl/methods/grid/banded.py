"""Elimination in one dimension, and on small meshes of two: nodes numbered across the discrete states first make the rows of a
policy a band, narrow as the mesh is.

In: rows total_j V_j - sum of weights times neighbours = b_j. Out: V. No pivoting is needed: the matrix is an M-matrix. Entries
far from the diagonal, of jumps, are brought in by iteration where they are a small part of their rows.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hjbdsl.model.solution import Array

_WEAK = 0.4
_MOST_SOLVES = 60
_ROUNDING = 1e-14


@njit(cache=True, error_model="numpy")
def reach(states: int, farthest: int, cols: NDArray[np.int64], counts: NDArray[np.int64]) -> int:
    """How far from the diagonal the farthest entry lies, or `farthest`, that of the axes, where nothing else is coupled."""
    nodes = counts.size // states
    if cols.shape[1] > 0:
        for j in range(counts.size):
            here = (j % nodes) * states + j // nodes
            for e in range(counts[j]):
                there = (cols[j, e] % nodes) * states + cols[j, e] // nodes
                farthest = max(farthest, abs(there - here))
    return farthest


@njit(cache=True, error_model="numpy")
def solve_band(  # noqa: PLR0912  one compiled loop
    states: int, width: int, strides: NDArray[np.int64],
    axial: Array, cols: NDArray[np.int64], weights: Array, counts: NDArray[np.int64],
    totals: Array, b: Array, fixed: NDArray[np.bool_], V: Array,
) -> None:  # fmt: skip
    """V from b; rows that are `fixed` read V_j = b_j. `strides`: nodes from one to the next on each axis. V is not
    finite where the matrix is singular."""
    size = totals.size
    nodes = size // states
    band, right = np.zeros((size, 2 * width + 1)), np.empty(size)
    for j in range(size):
        here = (j % nodes) * states + j // nodes
        right[here] = b[j]
        if fixed[j]:
            band[here, width] = 1.0
            continue
        band[here, width] += totals[j]
        for i in range(strides.size):
            step = strides[i] * states
            if here + step < size:
                band[here, width + step] -= axial[2 * i, j]
            if here >= step:
                band[here, width - step] -= axial[2 * i + 1, j]
        if cols.shape[1] > 0:
            for e in range(counts[j]):
                there = (cols[j, e] % nodes) * states + cols[j, e] // nodes
                band[here, width + there - here] -= weights[j, e]
    for k in range(size):
        pivot = 1.0 / band[k, width]
        for i in range(k + 1, min(k + width + 1, size)):
            factor = band[i, width + k - i] * pivot
            if factor != 0.0:
                for m in range(1, width + 1):
                    band[i, width + k - i + m] -= factor * band[k, width + m]
                right[i] -= factor * right[k]
    for k in range(size - 1, -1, -1):
        total = right[k]
        for m in range(1, min(width, size - 1 - k) + 1):
            total -= band[k, width + m] * right[k + m]
        right[k] = total / band[k, width]
    for j in range(size):
        V[j] = right[(j % nodes) * states + j // nodes]


@njit(cache=True, error_model="numpy")
def part(
    states: int, nearest: int, axial: Array, cols: NDArray[np.int64], weights: Array, near: NDArray[np.int64],
    totals: Array, fixed: NDArray[np.bool_],
) -> tuple[float, int]:  # fmt: skip
    """The largest weight of a row's entries further than `nearest` from the diagonal, over what the row has besides them; and
    how far the others reach, which are put first in their row and counted in `near` (all, when called)."""
    nodes = totals.size // states
    weight, reached = 0.0, 0
    for j in range(totals.size):
        if fixed[j]:
            continue
        here, far, rest, e = (j % nodes) * states + j // nodes, 0.0, totals[j], 0
        for i in range(axial.shape[0]):
            rest -= axial[i, j]
        while e < near[j]:
            column, share = cols[j, e], weights[j, e]
            s = column // nodes
            distance = abs((column - s * nodes) * states + s - here)
            if distance <= nearest:
                rest -= share
                reached = max(reached, distance)
                e += 1
            else:
                far += share
                near[j] -= 1
                last = near[j]
                cols[j, e], weights[j, e] = cols[j, last], weights[j, last]
                cols[j, last], weights[j, last] = column, share
        if far > 0.0:
            weight = max(weight, far / rest if rest > 0.0 else np.inf)
    return weight, reached


@njit(cache=True, error_model="numpy")
def add_far(
    cols: NDArray[np.int64], weights: Array, near: NDArray[np.int64], counts: NDArray[np.int64], V: Array, b: Array
) -> None:
    """To b what the entries after the first `near` of each row make of V."""
    for j in range(b.size):
        for e in range(near[j], counts[j]):
            b[j] += weights[j, e] * V[cols[j, e]]


def solve_beyond_band(
    states: int, strides: NDArray[np.int64],
    axial: Array, cols: NDArray[np.int64], weights: Array, counts: NDArray[np.int64],
    totals: Array, b: Array, fixed: NDArray[np.bool_], V: Array,
) -> Array | None:  # fmt: skip
    """The same from a start V where the entries J beyond the nearest neighbours are weak; None where they are not. The solves of
    T V_new = b + J V contract by the largest q of a row, the weight of its entries in J over what the row has besides those in T;
    the error is at most q/(1 - q) times the last change (Varga, Matrix Iterative Analysis, 3.6). The entries of a row change
    places."""
    counts = np.where(fixed, 0, counts)
    near = counts.copy()
    q, reached = part(states, states * (int(strides[0]) + 1), axial, cols, weights, near, totals, fixed)
    if not q < _WEAK:
        return None
    width = max(states * int(strides[0]), reached)
    for _ in range(_MOST_SOLVES):
        before, V, right = V, np.empty(totals.size), b.copy()
        add_far(cols, weights, near, counts, before, right)
        solve_band(states, width, strides, axial, cols, weights, near, totals, right, fixed, V)
        if not q / (1.0 - q) * np.max(np.abs(V - before)) > _ROUNDING * np.max(np.abs(V)):
            return V
    return None
