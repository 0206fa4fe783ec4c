"""Explicit steps of an equation whose rows never change: nothing is chosen and no coefficient depends on time.

In: the rows on a mesh in one to three dimensions, V at t. Out: V at t - dt, by the second-order Runge-Kutta-Legendre scheme of s
stages that reaches (s^2 + s - 2)/4 times as far as one Euler step (Meyer, Balsara, Aslam 2012). A stage reads the rows once and
writes V once: as fast as the memory.
"""

from __future__ import annotations

import numpy as np
import sympy as sp
from numba import njit
from numpy.typing import NDArray

from hjbdsl.methods.grid.mesh import CIRCLE
from hjbdsl.methods.grid.program import GridProgram
from hjbdsl.methods.grid.relaxation import shifts
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import TIME
from hjbdsl.model.solution import Array


def unchanging(equation: HJBEquation) -> bool:
    """Whether the rows are the same at all times, in at most three dimensions."""
    problem, objective = equation.problem, equation.problem.objective
    if problem.control_symbols or problem.adversary_symbols or problem.jumps or len(problem.continuous_states) > 3:
        return False
    parts: list[object] = [problem.drift[axis] for axis in problem.continuous_states]
    parts += [*equation.covariance.values(), objective.running, objective.discount, objective.exit_value]
    parts += [rate for chain in problem.modes for rate in chain.rates.values()]
    parts += [value for parameter in problem.mode_parameters for value in parameter.values]
    parts += [condition.amount for condition in equation.boundaries] + ([problem.exit.condition] if problem.exit else [])
    return not any(TIME in problem.numeric(sp.sympify(part)).free_symbols for part in parts if part is not None)


@njit(cache=True, error_model="numpy", fastmath={"contract", "reassoc", "arcp", "nsz"}, nogil=True)
def _stage(
    V: Array, older: Array, start: Array, H0: Array, b: Array, axial: Array, totals: Array, cols: NDArray[np.int64],
    weights: Array, counts: NDArray[np.int64], n0: int, n1: int, n2: int, circular: NDArray[np.bool_],
    now: float, before: float, first: float, step: float, back: float, out: Array,
) -> None:  # fmt: skip
    """out = now V + before older + first start + step H(V) - back H0, a line along the last axis at a time."""
    d, width, none = axial.shape[0] // 2, cols.shape[1], np.zeros(n2)
    r2, r1, r0 = 2 * d - 2, 2 * d - 4, 2 * d - 6
    for block in range(V.size // n2):
        j = block * n2
        ahead0, behind0 = shifts((block // n1) % n0, n0, n1 * n2, circular[0])
        ahead1, behind1 = shifts(block % n1, n1, n2, circular[1])
        there, source = out[j : j + n2], b[j : j + n2]
        if d > 2:
            above, below = V[j + ahead0 :], V[j + behind0 :]
            forward, backward = axial[r0, j : j + n2], axial[r0 + 1, j : j + n2]
            for k in range(n2):
                there[k] = source[k] + forward[k] * above[k] + backward[k] * below[k]
            source = there
        if width > 0:
            for k in range(n2):
                there[k] = source[k]
                for e in range(counts[j + k]):
                    there[k] += weights[j + k, e] * V[cols[j + k, e]]
            source = there
        above, below, forward, backward = V[j + ahead1 :], V[j + behind1 :], none, none
        if d > 1:
            forward, backward = axial[r1, j : j + n2], axial[r1 + 1, j : j + n2]
        for k in range(n2):
            there[k] = source[k] + forward[k] * above[k] + backward[k] * below[k]
        for k in (0, n2 - 1):
            ahead2, behind2 = shifts(k, n2, 1, circular[2])
            H = there[k] - totals[j + k] * V[j + k] + axial[r2, j + k] * V[j + k + ahead2]
            H += axial[r2 + 1, j + k] * V[j + k + behind2]
            there[k] = now * V[j + k] + before * older[j + k] + first * start[j + k] + step * H - back * H0[j + k]
        inner, own, after, earlier = out[j + 1 :], V[j + 1 :], V[j + 2 :], V[j:]
        forward, backward, total = axial[r2, j + 1 : j + n2], axial[r2 + 1, j + 1 : j + n2], totals[j + 1 :]
        past, began, slope = older[j + 1 :], start[j + 1 :], H0[j + 1 :]
        for k in range(n2 - 2):
            H = inner[k] - total[k] * own[k] + forward[k] * after[k] + backward[k] * earlier[k]
            inner[k] = now * own[k] + before * past[k] + first * began[k] + step * H - back * slope[k]


class FixedRows:
    """The rows of a program that never change, as a right-hand side and as long steps."""

    def __init__(self, program: GridProgram, policy: Array, t: float):
        self.program = program
        self.rows, self.failures = program.rows(policy, t)
        circular = [axis.kind == CIRCLE for axis in program.mesh.axes]
        missing = 3 - len(circular)
        self.given = (
            self.rows.constants, self.rows.axial, self.rows.totals, self.rows.cols, self.rows.weights, self.rows.counts,
            *(1,) * missing, *program.mesh.shape, np.array([False] * missing + circular),
        )  # fmt: skip

    def slope(self, V: Array) -> Array:
        """H(V), 0 where the process has ended."""
        H = np.empty(V.size)
        _stage(V, V, V, V, *self.given, 0.0, 0.0, 0.0, 1.0, 0.0, H)
        H[self.program.gone] = 0.0
        return H

    def stage(
        self, V: Array, older: Array, start: Array, H0: Array, weights: tuple[float, float, float, float, float], out: Array
    ) -> None:
        """One stage into `out`, which may be `older`."""
        _stage(V, older, start, H0, *self.given, *weights, out)


__all__ = ["FixedRows", "unchanging"]
