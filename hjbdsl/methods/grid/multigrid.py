"""Geometric multigrid for the linear system of one policy, in two to four dimensions.

In: a program on a mesh, a policy, the nodes where V is given. Out: V, improved in place. The coarse systems are the scheme
itself on every second node, under the policy there. W-cycles on the coarse meshes, alternating zebra-line relaxation; where a
cycle stalls it preconditions BiCGSTAB (van der Vorst 1992). (Trottenberg, Oosterlee, Schueller, Multigrid, 2001; Akian, Sequeira
and Sulem 1999 for policy iteration with multigrid.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hjbdsl.methods.grid import relaxation, relaxation_general
from hjbdsl.methods.grid.banded import reach, solve_band
from hjbdsl.methods.grid.compilation import await_kernels
from hjbdsl.methods.grid.mesh import CIRCLE, Mesh
from hjbdsl.methods.grid.program import GridProgram, Rows
from hjbdsl.model.solution import Array

DIRECT = 260
"""Unknowns of the coarsest mesh that are solved by a dense inverse."""
BANDED, WIDEST_BAND = 1000, 24
"""Unknowns and width of a coarsest mesh that is solved by elimination in a band."""
MOST_CONDITION = 1e12
"""An inverse so many times larger than the matrix is rounding."""
MOST_WRONG = 1e-6
"""How far the matrix times its inverse may be from the identity."""
LEAST_CELLS = 4
COARSEST_SWEEPS = 12
GOOD_FACTOR = 0.3
"""A cycle that leaves more of the defect than this is accelerated."""
MOST_KRYLOV = 25
ROUNDING = 1e-13
"""A defect that is this share of the system's own terms is rounding."""
ONE_SIDED = 0.05
MANY = 0.2
"""Where the smaller weight on an axis is below that share of the larger at so many nodes, lines are taken in the wind's order."""


@dataclass(slots=True)
class Grid:
    """One mesh of the hierarchy with its work space. `dims`: n0, n1, n2 with leading ones, or all axes where they are more
    (`general`); `halved`: the axes on which the next mesh has half the cells; `inverse`: pivots of the lines (d, size); `dense`:
    the inverse matrix of a small coarsest mesh; `width`: that of its matrix as a band, where it is narrow (0: not)."""

    program: GridProgram
    rows: Rows
    dims: tuple[int, ...]
    circular: NDArray[np.bool_]
    halved: NDArray[np.bool_]
    fixed: NDArray[np.bool_]
    V: Array
    b: Array
    left: Array
    inverse: Array
    line: Array
    lines: Array
    windy: list[bool]
    dense: Array | None = None
    width: int = 0

    @staticmethod
    def of(program: GridProgram) -> Grid:
        shape, d, size = program.mesh.shape, len(program.mesh.shape), program.size
        dims = (1,) * (3 - d) + shape
        circular = np.array([False] * (3 - d) + [axis.kind == CIRCLE for axis in program.mesh.axes])
        halved = np.array([_halves(n, bool(c)) for n, c in zip(dims, circular, strict=True)])
        return Grid(
            program, program.empty_rows(), dims, circular, halved, program.gone.copy(),
            np.zeros(size), np.zeros(size), np.zeros(size), np.empty((d, size)),
            np.empty(max(dims)), np.empty((max(dims[:-1]), relaxation.BLOCK)), [False] * d,
        )  # fmt: skip

    @property
    def every(self) -> tuple[slice, ...]:
        """The nodes of the next mesh, in arrays (discrete states, n0, n1, n2)."""
        return (slice(None), *(slice(None, None, 2) if half else slice(None) for half in self.halved))

    @property
    def general(self) -> bool:
        """Whether there are more axes than the unrolled kernels take."""
        return len(self.dims) > 3

    @property
    def matrix(self) -> tuple[Array, Array, NDArray[np.int64], Array, NDArray[np.int64]]:
        """The rows as the kernels take them."""
        rows = self.rows
        return rows.axial, rows.totals, rows.cols, rows.weights, rows.counts

    def factorise(self) -> None:
        """Pivots of the lines of new rows."""
        if self.general:
            relaxation_general.factorise(self.rows.axial, self.rows.totals, np.array(self.dims), self.inverse)
        else:
            relaxation.factorise(self.rows.axial, self.rows.totals, *self.dims, self.inverse)

    def relax(self, reverse: bool) -> None:
        """Lines along every axis in turn."""
        rows, d = self.rows, len(self.program.mesh.shape)
        if self.general:
            for axis in reversed(range(d)) if reverse else range(d):
                relaxation_general.relax(
                    axis, self.V, self.b, rows.axial, self.inverse, rows.cols, rows.weights, rows.counts, np.array(self.dims),
                    self.circular, reverse, self.line,
                )  # fmt: skip
            return
        axes = range(3 - d, 3)
        for axis in reversed(axes) if reverse else axes:
            across = any(self.windy[i] for i in range(d) if i != axis - 3 + d)
            order = 0 if not across else (-1 if reverse else 1)
            given = (
                self.V, self.b, rows.axial, self.inverse, rows.cols, rows.weights, rows.counts, *self.dims, self.circular, order,
            )  # fmt: skip
            if axis == 2:
                relaxation.relax_last(*given, self.line)
            else:
                relaxation.relax_strided(axis, *given, self.lines)

    def eliminate(self, b: Array, V: Array) -> None:
        """V from b by elimination in the band."""
        rows, strides = self.rows, np.array([*self.program.mesh.shape[1:], 1])
        given = (rows.axial, rows.cols, rows.weights, rows.counts, rows.totals, b, self.fixed)
        solve_band(rows.shape[0], self.width, strides, *given, V)

    def defect(self, V: Array, b: Array, out: Array) -> float:
        """out = b - A V; its norm."""
        if self.general:
            return float(relaxation_general.defect(V, b, *self.matrix, np.array(self.dims), self.circular, out))
        return float(relaxation.defect(V, b, *self.matrix, *self.dims, self.circular, out))

    def restrict(self, coarse: Grid) -> None:
        """The defect that is left as the right-hand side of the next mesh."""
        if self.general:
            left = relaxation_general.restricted(self.left, self.dims, self.halved, self.circular)
            coarse.b[:] = np.where(coarse.fixed, 0.0, left.ravel())
        else:
            relaxation.restrict(
                self.left, coarse.b, coarse.fixed, *self.dims, self.halved, self.circular, *coarse.dims
            )  # fmt: skip

    def correct(self, coarse: Grid) -> None:
        """V by the next mesh's correction."""
        if self.general:
            correction = relaxation_general.interpolated(coarse.V, coarse.dims, self.dims, self.circular)
            self.V += np.where(self.fixed, 0.0, correction.ravel())
        else:
            relaxation.correct(self.V, coarse.V, self.fixed, *self.dims, self.halved, *coarse.dims)


def _windy(forward: Array, backward: Array) -> bool:
    """Whether on this axis drift carries more than noise spreads, at many nodes."""
    return bool(np.mean(np.minimum(forward, backward) < ONE_SIDED * np.maximum(forward, backward)) > MANY)


def _halves(n: int, circular: bool) -> bool:
    cells = n if circular else n - 1
    return cells % 2 == 0 and cells // 2 >= LEAST_CELLS


class Multigrid:
    """The hierarchy of one mesh; `prepare` for a policy, then `solve`."""

    def __init__(self, program: GridProgram):
        await_kernels()
        self.grids = [Grid.of(program)]
        while self.grids[-1].halved.any():
            fine = self.grids[-1]
            halved = fine.halved[-len(fine.program.mesh.shape) :]
            shape = tuple((n + 1) // 2 if half else n for n, half in zip(fine.program.mesh.shape, halved, strict=True))
            self.grids.append(Grid.of(program.on(Mesh.of(program.mesh.axes, shape))))
        self.slow = False
        self.factor = 0.0

    def prepare(self, policy: Array, fixed: NDArray[np.bool_], held: Array, t: float, shift: float) -> int:
        """Rows of the policy on every mesh; V is `held` where `fixed`. Leaves the right-hand side's constants in the finest `b`.
        Returns the number of rows that are needed and could not be built on the finest mesh; their `b` is not finite."""
        failures = 0
        for level, grid in enumerate(self.grids):
            rows, failed = grid.program.rows(policy, t, grid.rows)
            broken = ~np.isfinite(rows.constants) if failed else None
            if level == 0:
                failures = int(np.sum(broken & ~fixed)) if broken is not None else 0
            elif broken is not None:
                fixed = fixed | broken  # a policy that is not admissible there: no correction from these nodes
            grid.fixed[:] = fixed
            if shift:
                rows.totals[:] += shift
            np.copyto(grid.b, rows.constants)
            relaxation.freeze(fixed, held, rows.axial, rows.counts, rows.totals, grid.b)
            grid.factorise()
            grid.windy = [_windy(rows.axial[2 * i], rows.axial[2 * i + 1]) for i in range(len(grid.windy))]
            if level + 1 < len(self.grids):
                shape = (grid.program.module.MODES, *grid.dims)
                policy = np.ascontiguousarray(policy.reshape(*shape, -1)[grid.every]).reshape(-1, policy.shape[1])
                fixed, held = fixed.reshape(shape)[grid.every].ravel(), held.reshape(shape)[grid.every].ravel()
        last = self.grids[-1]
        last.width = _band(last)
        last.dense = _inverse(last) if last.V.size <= DIRECT and not last.width else None
        return failures

    def cycle(self, level: int = 0) -> float:
        """One cycle on the finest mesh's V and b; the norm of the defect after the first relaxation."""
        grid = self.grids[level]
        if level == len(self.grids) - 1:
            self._coarsest(grid)
            return 0.0
        coarse = self.grids[level + 1]
        grid.relax(reverse=False)
        norm = 0.0
        for _ in range(1 if level == 0 else 2):
            norm = grid.defect(grid.V, grid.b, grid.left)
            grid.restrict(coarse)
            coarse.V[:] = 0.0
            self.cycle(level + 1)
            grid.correct(coarse)
            grid.relax(reverse=True)
        return norm

    def _coarsest(self, grid: Grid) -> None:
        if grid.width:
            grid.eliminate(grid.b, grid.V)
            return
        if grid.dense is not None:
            np.einsum("ij,j->i", grid.dense, grid.b, out=grid.V)
            return
        for number in range(COARSEST_SWEEPS):
            grid.relax(reverse=bool(number % 2))

    def solve(self, V: Array, cycles: int, reduction: float) -> float:
        """Improve V by `cycles` cycles, or by BiCGSTAB until the defect has fallen by `reduction` where they are too slow.
        Returns the factor by which the defect fell; it is not finite where all failed."""
        fine = self.grids[0]
        np.copyto(fine.V, V)
        before = fine.defect(fine.V, fine.b, fine.left)
        terms = fine.rows.totals * fine.V
        rounding = ROUNDING * float(np.sqrt(_dot(terms, terms)))
        if before <= rounding:
            return 0.0
        if not self.slow:
            norms = [self.cycle() for _ in range(cycles)]
            self.factor = norms[-1] / norms[0] if len(norms) > 1 and norms[0] > 0.0 else 0.0
            if norms[-1] <= rounding or (np.isfinite(norms[-1]) and self.factor < GOOD_FACTOR ** (len(norms) - 1)):
                np.copyto(V, fine.V)
                return fine.defect(V, fine.b, fine.left) / before
            self.slow = True
            if not np.isfinite(norms[-1]) or norms[-1] > before:
                np.copyto(fine.V, V)
        with np.errstate(over="ignore", invalid="ignore"):  # it keeps the best of what it meets
            np.copyto(V, self._krylov(fine.V.copy(), reduction * before))
        return fine.defect(V, fine.b, fine.left) / before

    def _krylov(self, x: Array, wanted: float) -> Array:
        """BiCGSTAB with one cycle from 0 as preconditioner."""
        fine = self.grids[0]
        b, zero = fine.b.copy(), np.zeros_like(x)
        r = np.empty_like(x)
        norm = fine.defect(x, b, r)
        best, best_norm = x.copy(), norm
        shadow, rho, alpha, omega = r.copy(), 1.0, 1.0, 1.0
        p, v, s, product_ = zero.copy(), zero.copy(), zero.copy(), np.empty_like(x)
        for _ in range(MOST_KRYLOV):
            if norm <= wanted:
                break
            last, rho = rho, _dot(shadow, r)
            if not np.isfinite(rho) or rho == 0.0 or omega == 0.0:
                break
            p = r + (rho / last) * (alpha / omega) * (p - omega * v)
            forward = self._precondition(p)
            fine.defect(forward, zero, product_)
            v = -product_
            alpha = rho / _dot(shadow, v)
            s = r - alpha * v
            backward = self._precondition(s)
            fine.defect(backward, zero, product_)
            omega = -_dot(product_, s) / max(_dot(product_, product_), 1e-300)
            x = x + alpha * forward + omega * backward
            r = s + omega * product_
            norm = float(np.sqrt(_dot(r, r)))
            if norm < best_norm:
                best, best_norm = x.copy(), norm
        np.copyto(fine.b, b)
        return best

    def _precondition(self, r: Array) -> Array:
        fine = self.grids[0]
        np.copyto(fine.b, r)
        fine.V[:] = 0.0
        self.cycle()
        return fine.V.copy()


def _band(grid: Grid) -> int:
    """The width of the matrix of a small mesh as a band: 0 where it has none, a wide one, or is singular."""
    rows, shape = grid.rows, grid.program.mesh.shape
    if len(shape) > 2 or any(rows.circular) or grid.V.size > BANDED:
        return 0
    width = reach(rows.shape[0], rows.shape[0] * (shape[1] if len(shape) == 2 else 1), rows.cols, rows.counts)
    if width > WIDEST_BAND:
        return 0
    grid.width = width
    grid.eliminate(np.ones(grid.V.size), grid.V)  # the row sums of an M-matrix' inverse, which is positive
    return width if np.max(np.abs(grid.V)) * np.max(rows.totals) < MOST_CONDITION else 0


def _inverse(grid: Grid) -> Array | None:
    """The dense inverse of a small system. Where it is singular (no node of a coarse mesh has left, or states that never end
    under a policy) the least correction that serves the rest: a mesh on which nothing ends knows nothing of V's level."""
    matrix = np.diag(grid.rows.totals)
    line, column, weight = grid.rows.entries()
    np.subtract.at(matrix, (line, column), weight)
    if not np.isfinite(matrix).all():
        return None
    with np.errstate(all="ignore"):
        inverse = _eliminated(matrix)
        wrong = np.abs((matrix * inverse.sum(axis=1)).sum(axis=1) - 1.0)
        if np.max(np.abs(inverse)) * np.max(grid.rows.totals) < MOST_CONDITION and np.max(wrong) < MOST_WRONG:
            return inverse
    try:
        return np.asarray(np.linalg.pinv(matrix, 1.0 / MOST_CONDITION), np.float64)
    except np.linalg.LinAlgError:
        return None


def _eliminated(matrix: Array) -> Array:
    """The inverse by Gauss and Jordan, without the pivoting that an M-matrix does not need. (On a busy machine LAPACK's threads,
    which wait for one another, take a hundred times as long.)"""
    inverse = matrix.copy()
    for k in range(len(inverse)):
        pivot = 1.0 / inverse[k, k]
        row, column = inverse[k] * pivot, inverse[:, k].copy()
        inverse -= np.multiply.outer(column, row)
        inverse[:, k] = -pivot * column
        inverse[k], inverse[k, k] = row, pivot
    return inverse


def _dot(a: Array, b: Array) -> float:
    """Without the threads of BLAS."""
    return float(np.einsum("i,i->", a, b))


__all__ = ["Multigrid"]
