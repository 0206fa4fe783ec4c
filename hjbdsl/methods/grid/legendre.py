"""Explicit steps of an equation whose rows never change: nothing is chosen and no coefficient depends on time.

In: the rows on a mesh in one to three dimensions, V at t. Out: V at t - dt, by the second-order Runge-Kutta-Legendre scheme of s
stages that reaches (s^2 + s - 2)/4 times as far as one Euler step (Meyer, Balsara, Aslam 2012). Several stages pass over the mesh
together, each a line behind the one before: rows that the first has read from the memory the others find in the cache.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numba import config, njit
from numpy.typing import NDArray

from hjbdsl.methods.grid.data_in_time import data_of_rows
from hjbdsl.methods.grid.mesh import CIRCLE
from hjbdsl.methods.grid.program import GridProgram
from hjbdsl.methods.grid.relaxation import shifts
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import TIME
from hjbdsl.model.solution import Array

CACHE = 1_000_000
"""Bytes of rows and values that stages may pass on to one another: less than a core's own cache."""
MOST_TOGETHER = 12
LEAST_SHARED = 60_000
"""Nodes from which on two threads are faster than one."""


def unchanging(equation: HJBEquation) -> bool:
    """Whether the rows are the same at all times, in at most three dimensions."""
    problem = equation.problem
    if problem.control_symbols or problem.adversary_symbols or problem.jumps or len(problem.continuous_states) > 3:
        return False
    return not any(TIME in part.free_symbols for part in data_of_rows(equation))


@njit(cache=True, error_model="numpy", fastmath={"contract", "reassoc", "arcp", "nsz"}, nogil=True)
def _stages(  # noqa: PLR0912  one compiled loop
    one: Array, other: Array, start: Array, H0: Array, b: Array, axial: Array, totals: Array, cols: NDArray[np.int64],
    weights: Array, counts: NDArray[np.int64], n0: int, n1: int, n2: int, circular: NDArray[np.bool_],
    shares: Array, skew: int, first: int, last: int, left: int, right: int,
) -> None:  # fmt: skip
    """Stage k sets out = now V + before out + initial start + step H(V) - back H0 with `shares[k]`, V and out being `one` and
    `other` in turn, on the lines (along the last axis) first + left k skew <= line < last - right k skew; `skew` lines, as far
    as a row reaches, behind stage k - 1."""
    d, width = axial.shape[0] // 2, cols.shape[1]
    r2, r1, r0 = 2 * d - 2, 2 * d - 4, 2 * d - 6
    lines, count, known = one.size // n2, shares.shape[0], np.empty(n2)
    for lead in range(first, last + 2 * (count - 1) * skew):
        for stage in range(count):
            line = lead - stage * skew
            if line < first + left * stage * skew or line >= last - right * stage * skew:
                continue
            line %= lines
            V, out = (one, other) if stage % 2 == 0 else (other, one)
            now, before, initial = shares[stage, 0], shares[stage, 1], shares[stage, 2]
            step, back = shares[stage, 3], shares[stage, 4]
            j = line * n2
            began, slope, source = start[j : j + n2], H0[j : j + n2], b[j : j + n2]
            if d > 1:
                ahead1, behind1 = shifts(line % n1, n1, n2, circular[1])
                above, below = V[j + ahead1 :], V[j + behind1 :]
                forward, backward = axial[r1, j : j + n2], axial[r1 + 1, j : j + n2]
                for k in range(n2):
                    H = source[k] + forward[k] * above[k] + backward[k] * below[k]
                    known[k] = step * H + initial * began[k] - back * slope[k]
            else:
                for k in range(n2):
                    known[k] = step * source[k] + initial * began[k] - back * slope[k]
            if d > 2:
                ahead0, behind0 = shifts((line // n1) % n0, n0, n1 * n2, circular[0])
                above, below = V[j + ahead0 :], V[j + behind0 :]
                forward, backward = axial[r0, j : j + n2], axial[r0 + 1, j : j + n2]
                for k in range(n2):
                    known[k] += step * (forward[k] * above[k] + backward[k] * below[k])
            if width > 0:
                for k in range(n2):
                    for e in range(counts[j + k]):
                        known[k] += step * weights[j + k, e] * V[cols[j + k, e]]
            for k in (0, n2 - 1):
                ahead2, behind2 = shifts(k, n2, 1, circular[2])
                H = axial[r2, j + k] * V[j + k + ahead2] + axial[r2 + 1, j + k] * V[j + k + behind2]
                out[j + k] = known[k] + before * out[j + k] + (now - step * totals[j + k]) * V[j + k] + step * H
            inner, written, own, after, earlier = known[1:], out[j + 1 :], V[j + 1 :], V[j + 2 :], V[j:]
            forward, backward, total = axial[r2, j + 1 : j + n2], axial[r2 + 1, j + 1 : j + n2], totals[j + 1 :]
            for k in range(n2 - 2):
                H = forward[k] * after[k] + backward[k] * earlier[k]
                written[k] = inner[k] + before * written[k] + (now - step * total[k]) * own[k] + step * H


class FixedRows:
    """The rows of a program that never change, as a right-hand side and as long steps, on so many threads (None: numba's number
    of them on large meshes)."""

    def __init__(self, program: GridProgram, policy: Array, t: float, threads: int | None = None):
        self.program = program
        self.threads = threads or (config.NUMBA_NUM_THREADS if program.size >= LEAST_SHARED else 1)
        self.rows, self.failures = program.rows(policy, t)
        self.rows.totals[program.gone] = 0.0  # V stays what it is where the process has ended
        circular = [axis.kind == CIRCLE for axis in program.mesh.axes]
        missing, shape = 3 - len(circular), program.mesh.shape
        self.given = (
            self.rows.constants, self.rows.axial, self.rows.totals, self.rows.cols, self.rows.weights, self.rows.counts,
            *(1,) * missing, *shape, np.array([False] * missing + circular),
        )  # fmt: skip
        self.lines = program.size // shape[-1]
        self.skew = self._reach()
        # ten vectors, and the places and weights off the axes, on the lines from the first stage to the last
        line = 8 * shape[-1] * (10 + 2 * self.rows.cols.shape[1])
        together = (CACHE // line - 2) // max(self.skew, 1)
        seam = len(shape) > 1 and circular[0]
        if seam:
            together = min(together, self.lines // max(2 * self.skew, 1) if program.module.MODES == 1 else 1)
        self.together = min(max(together, 1), MOST_TOGETHER)
        self.slabs, self.seams = self._slabs(seam)
        self.pool = ThreadPoolExecutor(len(self.slabs) - 1) if len(self.slabs) > 1 else None

    def _reach(self) -> int:
        """How many lines away the values that a row reads may lie, other than across a circle's seam on the first axis."""
        shape, cols, counts = self.program.mesh.shape, self.rows.cols, self.rows.counts
        farthest = int(np.prod(shape[1:-1]))
        if cols.shape[1]:
            away = np.abs(cols // shape[-1] - np.arange(cols.shape[0])[:, None] // shape[-1])
            farthest = max(farthest, int(np.max(away, initial=0, where=np.arange(cols.shape[1]) < counts[:, None])))
        return farthest

    def _slabs(self, seam: bool) -> tuple[list[tuple[int, int, int, int]], list[tuple[int, int, int, int]]]:
        """(first line, last line, what lies before, behind) of what threads do side by side, and of what is left between them."""
        least = 2 * self.together * self.skew if self.together > 1 else 1
        threads = max(1, min(self.threads, self.lines // least))
        ends = [self.lines * k // threads for k in range(threads + 1)]
        closed = int(seam)
        slabs = [(a, b, closed if a == 0 else 1, closed if b == self.lines else 1) for a, b in pairwise(ends)]
        return slabs, [(a, a, -1, -1) for a in ends[0 if seam else 1 : -1]]

    def _run(self, one: Array, other: Array, start: Array, H0: Array, shares: Array) -> None:
        def part(slab: tuple[int, int, int, int]) -> None:
            _stages(one, other, start, H0, *self.given, shares, self.skew, *slab)

        others = [self.pool.submit(part, slab) for slab in self.slabs[1:]] if self.pool is not None else []
        part(self.slabs[0])
        for other_part in others:
            other_part.result()
        for seam in self.seams:
            part(seam)

    def slope(self, V: Array) -> Array:
        """H(V), 0 where the process has ended."""
        H = np.zeros(V.size)
        self._run(V, H, V, V, np.array([[0.0, 0.0, 0.0, 1.0, 0.0]]))
        return H

    def stages(self, newer: Array, older: Array, start: Array, H0: Array, shares: Array) -> Array:
        """Stages one after another from the last two: with a row of `shares` each, now newer + before older + initial start +
        step H(newer) - back H0. Overwrites `newer` and `older`."""
        for k in range(0, len(shares), self.together):
            part = np.ascontiguousarray(shares[k : k + self.together])
            self._run(newer, older, start, H0, part)
            if len(part) % 2:
                newer, older = older, newer
        return newer


__all__ = ["FixedRows", "unchanging"]
