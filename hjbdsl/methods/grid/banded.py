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


def solve_beyond_band(
    states: int, strides: NDArray[np.int64],
    axial: Array, cols: NDArray[np.int64], weights: Array, counts: NDArray[np.int64],
    totals: Array, b: Array, fixed: NDArray[np.bool_], V: Array,
) -> Array | None:  # fmt: skip
    """The same from a start V where the entries J beyond the nearest neighbours are weak; None where they are not. The solves of
    T V_new = b + J V contract by the largest q of a row, the weight of its entries in J over what the row has besides those in T;
    the error is at most q/(1 - q) times the last change. (Varga, Matrix Iterative Analysis, 3.6)"""
    here = np.arange(totals.size)
    nodes = totals.size // states
    held = np.arange(cols.shape[1])[None, :] < counts[:, None]
    cols = np.where(held, cols, here[:, None])
    distance = np.abs((cols % nodes - (here % nodes)[:, None]) * states + cols // nodes - (here // nodes)[:, None])
    far = held & (distance > states * (strides[0] + 1)) & ~fixed[:, None]
    jumps, near = np.where(far, weights, 0.0), np.where(held & ~far, weights, 0.0)
    strong = jumps.sum(axis=1)
    q = float(np.max(strong / np.where(fixed, 1.0, totals - axial.sum(axis=0) - near.sum(axis=1))))
    if not q < _WEAK:
        return None
    width = max(states * int(strides[0]), int(np.max(distance, where=held & ~far, initial=0)))
    beside = np.where(far, here[:, None], cols)
    for _ in range(_MOST_SOLVES):
        before, V = V, np.empty(totals.size)
        right = b + np.einsum("jk,jk->j", jumps, before[cols])
        solve_band(states, width, strides, axial, beside, near, counts, totals, right, fixed, V)
        if not q / (1.0 - q) * np.max(np.abs(V - before)) > _ROUNDING * np.max(np.abs(V)):
            return V
    return None
