"""Line relaxation and grid transfer for the scheme's rows, compiled once for every problem.

In: the rows of one policy on one mesh, total_j V_j - sum of weights times neighbours = b_j, as flat arrays over (discrete states,
n0, n1, n2); a problem of fewer states has leading axes of one node. `axial[2i]` weighs the next node on axis i, `axial[2i + 1]`
the one before; `cols`, `weights`, `counts` hold what lies off the axes. `circular[k]`: axis k closes on itself.
Out: V, defects and corrections, in place. (Trottenberg, Oosterlee, Schueller, Multigrid, 2001, chapters 2 and 5.)
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hjbdsl.model.solution import Array

Index = NDArray[np.int64]
Flags = NDArray[np.bool_]

BLOCK = 32
"""Lines of a strided axis that are solved side by side, so that their nodes share cache lines."""
TINY = 1e-13
"""The least pivot of a line, relative to its diagonal: a line of a singular system is left to the Krylov method."""


@njit(cache=True, error_model="numpy")
def shifts(k: int, n: int, stride: int, circular: bool) -> tuple[int, int]:
    """Distance in the flat array to the next node on an axis and to the one before; 0 where there is none (its weight is 0)."""
    ahead = stride if k < n - 1 else (-(n - 1) * stride if circular else 0)
    behind = -stride if k > 0 else ((n - 1) * stride if circular else 0)
    return ahead, behind


@njit(cache=True, error_model="numpy")
def freeze(fixed: Flags, held: Array, axial: Array, counts: Index, totals: Array, b: Array) -> None:
    """Rows V_j = held_j where V is given."""
    for j in range(fixed.size):
        if fixed[j]:
            axial[:, j] = 0.0
            counts[j], totals[j], b[j] = 0, 1.0, held[j]


@njit(cache=True, error_model="numpy")
def factorise(axial: Array, totals: Array, n0: int, n1: int, n2: int, inverse: Array) -> None:
    """Inverse pivots of the tridiagonal matrices along each axis (d, size); the link that closes a circle is left out."""
    d = axial.shape[0] // 2
    for i in range(d):
        axis = i + 3 - d
        n = n2 if axis == 2 else (n1 if axis == 1 else n0)
        stride = 1 if axis == 2 else (n2 if axis == 1 else n1 * n2)
        for start in range(0, totals.size, n * stride):
            for j in range(start, start + stride):
                inverse[i, j] = 1.0 / max(totals[j], TINY)
            for j in range(start + stride, start + n * stride):
                before = j - stride
                pivot = totals[j] - axial[2 * i + 1, j] * axial[2 * i, before] * inverse[i, before]
                inverse[i, j] = 1.0 / max(pivot, TINY * (totals[j] + TINY))


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def relax_last(  # noqa: PLR0912  one compiled loop
    V: Array, b: Array, axial: Array, inverse: Array, cols: Index, weights: Array, counts: Index,
    n0: int, n1: int, n2: int, circular: Flags, order: int, line: Array,
) -> None:  # fmt: skip
    """Solve every line along the last axis. `order`: 0 first those of even then those of odd numbers, 1 one after another, -1 so
    from the last, which follows the wind. `line`: n2 numbers of work space."""
    d, width = axial.shape[0] // 2, cols.shape[1]
    r2, r1, r0 = 2 * d - 2, 2 * d - 4, 2 * d - 6
    for s in range(V.size // (n0 * n1 * n2)):
        for colour in range(2 if order == 0 else 1):
            for m0 in range(n0):
                k0 = m0 if order >= 0 else n0 - 1 - m0
                ahead0, behind0 = shifts(k0, n0, n1 * n2, circular[0])
                for m1 in range((k0 + colour) % 2 if order == 0 else 0, n1, 2 if order == 0 else 1):
                    k1 = m1 if order >= 0 else n1 - 1 - m1
                    ahead1, behind1 = shifts(k1, n1, n2, circular[1])
                    first = ((s * n0 + k0) * n1 + k1) * n2
                    last = first + n2 - 1
                    done = 0.0
                    for j in range(first, last + 1):
                        r = b[j]
                        if d > 1:
                            r += axial[r1, j] * V[j + ahead1] + axial[r1 + 1, j] * V[j + behind1]
                        if d > 2:
                            r += axial[r0, j] * V[j + ahead0] + axial[r0 + 1, j] * V[j + behind0]
                        if width > 0:
                            for e in range(counts[j]):
                                r += weights[j, e] * V[cols[j, e]]
                        if j > first:
                            r += axial[r2 + 1, j] * done
                        elif circular[2]:
                            r += axial[r2 + 1, j] * V[last]
                        if circular[2] and j == last:
                            r += axial[r2, j] * V[first]
                        done = r * inverse[d - 1, j]
                        line[j - first] = done
                    V[last] = done
                    for j in range(last - 1, first - 1, -1):
                        done = line[j - first] + axial[r2, j] * inverse[d - 1, j] * done
                        V[j] = done


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def relax_strided(  # noqa: PLR0912  one compiled loop
    axis: int, V: Array, b: Array, axial: Array, inverse: Array, cols: Index, weights: Array, counts: Index,
    n0: int, n1: int, n2: int, circular: Flags, order: int, lines: Array,
) -> None:  # fmt: skip
    """Solve every line along axis 0 or 1, in the same `order`. `lines`: (n of the axis, BLOCK) numbers of work space."""
    d, width = axial.shape[0] // 2, cols.shape[1]
    r2 = 2 * d - 2
    ra = 2 * (axis + d - 3)
    ro = 2 * (1 - axis + d - 3)
    n, stride = (n0, n1 * n2) if axis == 0 else (n1, n2)
    n_other, other_stride = (n1, n2) if axis == 0 else (n0, n1 * n2)
    for s in range(V.size // (n0 * n1 * n2)):
        for colour in range(2 if order == 0 else 1):
            for m in range(n_other):
                o = m if order >= 0 else n_other - 1 - m
                ahead_other, behind_other = shifts(o, n_other, other_stride, circular[1 - axis])
                base = s * n0 * n1 * n2 + o * other_stride
                for first in range((o + colour) % 2 if order == 0 else 0, n2, 2 * BLOCK if order == 0 else 1):
                    k_first = first if order >= 0 else n2 - 1 - first
                    k_last = min(n2, k_first + 2 * BLOCK) if order == 0 else k_first + 1
                    for k in range(n):
                        ahead, behind = shifts(k, n, stride, circular[axis])
                        for k2 in range(k_first, k_last, 2):
                            j = base + k * stride + k2
                            ahead2, behind2 = shifts(k2, n2, 1, circular[2])
                            r = b[j] + axial[r2, j] * V[j + ahead2] + axial[r2 + 1, j] * V[j + behind2]
                            if d > 2:
                                r += axial[ro, j] * V[j + ahead_other] + axial[ro + 1, j] * V[j + behind_other]
                            if width > 0:
                                for e in range(counts[j]):
                                    r += weights[j, e] * V[cols[j, e]]
                            if k > 0:
                                r += axial[ra + 1, j] * lines[k - 1, (k2 - k_first) // 2]
                            elif circular[axis]:
                                r += axial[ra + 1, j] * V[j + behind]
                            if circular[axis] and k == n - 1:
                                r += axial[ra, j] * V[j + ahead]
                            lines[k, (k2 - k_first) // 2] = r * inverse[ra // 2, j]
                    for k2 in range(k_first, k_last, 2):
                        V[base + (n - 1) * stride + k2] = lines[n - 1, (k2 - k_first) // 2]
                    for k in range(n - 2, -1, -1):
                        for k2 in range(k_first, k_last, 2):
                            j = base + k * stride + k2
                            V[j] = lines[k, (k2 - k_first) // 2] + axial[ra, j] * inverse[ra // 2, j] * V[j + stride]


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def defect(
    V: Array, b: Array, axial: Array, totals: Array, cols: Index, weights: Array, counts: Index,
    n0: int, n1: int, n2: int, circular: Flags, out: Array,
) -> float:  # fmt: skip
    """out = b - A V; its Euclidean norm."""
    d, width = axial.shape[0] // 2, cols.shape[1]
    r2, r1, r0 = 2 * d - 2, 2 * d - 4, 2 * d - 6
    square = 0.0
    for block in range(V.size // n2):
        k1, k0 = block % n1, (block // n1) % n0
        ahead0, behind0 = shifts(k0, n0, n1 * n2, circular[0])
        ahead1, behind1 = shifts(k1, n1, n2, circular[1])
        for k2 in range(n2):
            j = block * n2 + k2
            ahead2, behind2 = shifts(k2, n2, 1, circular[2])
            r = b[j] - totals[j] * V[j] + axial[r2, j] * V[j + ahead2] + axial[r2 + 1, j] * V[j + behind2]
            if d > 1:
                r += axial[r1, j] * V[j + ahead1] + axial[r1 + 1, j] * V[j + behind1]
            if d > 2:
                r += axial[r0, j] * V[j + ahead0] + axial[r0 + 1, j] * V[j + behind0]
            if width > 0:
                for e in range(counts[j]):
                    r += weights[j, e] * V[cols[j, e]]
            out[j] = r
            square += r * r
    return np.sqrt(square)


@njit(cache=True, error_model="numpy")
def neighbourhood(k: int, n: int, halved: bool, circular: bool) -> tuple[int, int, int, float]:
    """The fine nodes that a coarse node k stands for on one axis: the middle one, its neighbours, and their weight."""
    if not halved:
        return k, k, k, 0.0
    middle, before, after = 2 * k, 2 * k - 1, 2 * k + 1
    if before < 0:
        before = n - 1 if circular else after
    if after > n - 1:
        after = 0 if circular else before
    return middle, before, after, 0.25


@njit(cache=True, error_model="numpy")
def restrict(
    fine: Array, coarse: Array, fixed: Flags, n0: int, n1: int, n2: int, halved: Flags, circular: Flags,
    m0: int, m1: int, m2: int,
) -> None:  # fmt: skip
    """Full weighting of a defect; 0 where the coarse value is given."""
    for s in range(fine.size // (n0 * n1 * n2)):
        for c0 in range(m0):
            a0, l0, h0, w0 = neighbourhood(c0, n0, halved[0], circular[0])
            for c1 in range(m1):
                a1, l1, h1, w1 = neighbourhood(c1, n1, halved[1], circular[1])
                for c2 in range(m2):
                    a2, l2, h2, w2 = neighbourhood(c2, n2, halved[2], circular[2])
                    j = ((s * m0 + c0) * m1 + c1) * m2 + c2
                    total = 0.0
                    if not fixed[j]:
                        for e0 in range(3 if w0 > 0.0 else 1):
                            k0, v0 = (a0, 1.0 - 2.0 * w0) if e0 == 0 else (l0 if e0 == 1 else h0, w0)
                            for e1 in range(3 if w1 > 0.0 else 1):
                                k1, v1 = (a1, 1.0 - 2.0 * w1) if e1 == 0 else (l1 if e1 == 1 else h1, w1)
                                row = ((s * n0 + k0) * n1 + k1) * n2
                                if w2 > 0.0:
                                    total += v0 * v1 * (0.5 * fine[row + a2] + 0.25 * (fine[row + l2] + fine[row + h2]))
                                else:
                                    total += v0 * v1 * fine[row + a2]
                    coarse[j] = total


@njit(cache=True, error_model="numpy")
def parents(k: int, m: int, halved: bool) -> tuple[int, int]:
    """The two coarse nodes beside a fine one on one axis (the same twice where it is one of them)."""
    if not halved:
        return k, k
    low = k // 2
    return low, low if k % 2 == 0 else (low + 1) % m


@njit(cache=True, error_model="numpy")
def correct(V: Array, coarse: Array, fixed: Flags, n0: int, n1: int, n2: int, halved: Flags, m0: int, m1: int, m2: int) -> None:
    """Add the linear interpolant of a coarse correction, except where V is given."""
    for s in range(V.size // (n0 * n1 * n2)):
        for k0 in range(n0):
            p0, q0 = parents(k0, m0, halved[0])
            for k1 in range(n1):
                p1, q1 = parents(k1, m1, halved[1])
                a, b = ((s * m0 + p0) * m1 + p1) * m2, ((s * m0 + p0) * m1 + q1) * m2
                c, d = ((s * m0 + q0) * m1 + p1) * m2, ((s * m0 + q0) * m1 + q1) * m2
                row = ((s * n0 + k0) * n1 + k1) * n2
                for k2 in range(n2):
                    if not fixed[row + k2]:
                        p, q = parents(k2, m2, halved[2])
                        V[row + k2] += 0.125 * (
                            coarse[a + p] + coarse[a + q] + coarse[b + p] + coarse[b + q]
                            + coarse[c + p] + coarse[c + q] + coarse[d + p] + coarse[d + q]
                        )  # fmt: skip
