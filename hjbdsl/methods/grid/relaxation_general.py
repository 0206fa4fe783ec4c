"""Line relaxation and grid transfer on meshes of any number of axes: four-dimensional ones, which `relaxation` does not unroll.

In: the rows of one policy as there, flat over (discrete states, n_0, ..., n_{d-1}); `shape` = (n_0, ..., n_{d-1}), `circular`
which axes close. Out: V, defects and corrections, in place. Lines are taken one after another, so that each sees those before it.
(Trottenberg, Oosterlee, Schueller, Multigrid, 2001, chapters 2 and 5.)
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hjbdsl.methods.grid.prolongation import LINEAR, refined
from hjbdsl.methods.grid.relaxation import TINY, Flags, Index
from hjbdsl.model.solution import Array


@njit(cache=True, error_model="numpy")
def factorise(axial: Array, totals: Array, shape: Index, inverse: Array) -> None:
    """Inverse pivots of the tridiagonal matrices along each axis (d, size); the link that closes a circle is left out."""
    stride = 1
    for i in range(shape.size - 1, -1, -1):
        n = shape[i]
        for start in range(0, totals.size, n * stride):
            for j in range(start, start + stride):
                inverse[i, j] = 1.0 / max(totals[j], TINY)
            for j in range(start + stride, start + n * stride):
                before = j - stride
                pivot = totals[j] - axial[2 * i + 1, j] * axial[2 * i, before] * inverse[i, before]
                inverse[i, j] = 1.0 / max(pivot, TINY * (totals[j] + TINY))
        stride *= n


@njit(cache=True, error_model="numpy")
def steps(j: int, shape: Index, circular: Flags, ahead: Index, behind: Index) -> None:
    """Distances in the flat array from node j to its neighbours on every axis; 0 where there is none (its weight is 0)."""
    stride = 1
    for i in range(shape.size - 1, -1, -1):
        n = shape[i]
        k = j // stride % n
        around = (n - 1) * stride if circular[i] else 0
        ahead[i] = stride if k < n - 1 else -around
        behind[i] = -stride if k > 0 else around
        stride *= n


@njit(cache=True, error_model="numpy")
def relax(
    axis: int, V: Array, b: Array, axial: Array, inverse: Array, cols: Index, weights: Array, counts: Index,
    shape: Index, circular: Flags, backwards: bool, line: Array,
) -> None:  # fmt: skip
    """Solve every line along an axis, from the first to the last or backwards. `line`: as many numbers of work space as it has
    nodes."""
    d, width, n = shape.size, cols.shape[1], shape[axis]
    ahead, behind = np.empty(d, np.int64), np.empty(d, np.int64)
    stride = 1
    for i in range(axis + 1, d):
        stride *= shape[i]
    count = V.size // n
    for number in range(count):
        m = count - 1 - number if backwards else number
        first = m // stride * (n * stride) + m % stride
        last = first + (n - 1) * stride
        steps(first, shape, circular, ahead, behind)
        ahead[axis] = behind[axis] = 0
        done = 0.0
        for k in range(n):
            j = first + k * stride
            r = b[j]
            for i in range(d):
                if i != axis:
                    r += axial[2 * i, j] * V[j + ahead[i]] + axial[2 * i + 1, j] * V[j + behind[i]]
            if width > 0:
                for e in range(counts[j]):
                    r += weights[j, e] * V[cols[j, e]]
            if k > 0:
                r += axial[2 * axis + 1, j] * done
            elif circular[axis]:
                r += axial[2 * axis + 1, j] * V[last]
            if circular[axis] and k == n - 1:
                r += axial[2 * axis, j] * V[first]
            done = r * inverse[axis, j]
            line[k] = done
        V[last] = done
        for k in range(n - 2, -1, -1):
            j = first + k * stride
            done = line[k] + axial[2 * axis, j] * inverse[axis, j] * done
            V[j] = done


@njit(cache=True, error_model="numpy")
def defect(
    V: Array, b: Array, axial: Array, totals: Array, cols: Index, weights: Array, counts: Index,
    shape: Index, circular: Flags, out: Array,
) -> float:  # fmt: skip
    """out = b - A V; its Euclidean norm."""
    d, width, n = shape.size, cols.shape[1], shape[-1]
    ahead, behind = np.empty(d, np.int64), np.empty(d, np.int64)
    around = n - 1 if circular[d - 1] else 0
    square = 0.0
    for first in range(0, V.size, n):
        steps(first, shape, circular, ahead, behind)
        for k in range(n):
            j = first + k
            ahead[d - 1] = 1 if k < n - 1 else -around
            behind[d - 1] = -1 if k > 0 else around
            r = b[j] - totals[j] * V[j]
            for i in range(d):
                r += axial[2 * i, j] * V[j + ahead[i]] + axial[2 * i + 1, j] * V[j + behind[i]]
            if width > 0:
                for e in range(counts[j]):
                    r += weights[j, e] * V[cols[j, e]]
            out[j] = r
            square += r * r
    return np.sqrt(square)


def restricted(fine: Array, shape: tuple[int, ...], halved: Flags, circular: Flags) -> Array:
    """Full weighting of a defect on the axes that are halved."""
    values = fine.reshape(-1, *shape)
    for axis in range(1, len(shape) + 1):
        if not halved[axis - 1]:
            continue
        first = values.swapaxes(axis, 0)
        odd = first[1::2]
        coarse = 0.5 * first[::2]
        if circular[axis - 1]:
            coarse += 0.25 * (odd + np.roll(odd, 1, axis=0))
        else:
            coarse[:-1] += 0.25 * odd
            coarse[1:] += 0.25 * odd
            coarse[0] += 0.25 * odd[0]
            coarse[-1] += 0.25 * odd[-1]
        values = coarse.swapaxes(0, axis)
    return values


def interpolated(coarse: Array, shape: tuple[int, ...], fine: tuple[int, ...], circular: Flags) -> Array:
    """The linear interpolant of a coarse correction from `shape` to `fine`."""
    return refined(coarse.reshape(-1, *shape), fine, tuple(map(bool, circular)), LINEAR)
