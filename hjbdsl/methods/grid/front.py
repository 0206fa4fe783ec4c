"""Steps in time of a first-order equation: strong-stability-preserving Runge-Kutta on the generated WENO5 kernel.

In: a program on a mesh, V at t. Out: V at t - dt. Four stages of third order reach twice as far as one Euler step (Spiteri and
Ruuth 2002), where the three of Shu and Osher (1988) reach once as far: two thirds of the work.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numba import config, njit

from hjbdsl.errors import SolverError
from hjbdsl.methods.grid.program import GridProgram
from hjbdsl.model.solution import Array

GHOSTS = 3
LANES = 8
COURANT = 1.4
"""A step, in times in which a wave crosses a cell: 0.7 of what is strongly stable."""
LEAST_SHARED = 60_000
"""Nodes from which on two threads are faster than one."""


@njit(cache=True, error_model="numpy", fastmath={"contract", "reassoc", "arcp", "nsz"}, nogil=True)
def _advance(start: Array, share: float, V: Array, step: float, H: Array, out: Array) -> float:
    """out = share start + (1 - share) (V + step H). The result is not finite where some H is not."""
    lost = 0.0
    for j in range(V.size):
        out[j] = share * start[j] + (1.0 - share) * (V[j] + step * H[j])
        lost += 0.0 * H[j]
    return lost


class Front:
    """The kernel of one program with its work space; slabs of the first axis are shared among numba's number of threads."""

    def __init__(self, program: GridProgram):
        self.program = program
        shape = program.mesh.shape
        padded = np.prod([n + 2 * GHOSTS for n in shape]) + 2 * LANES
        self.P, self.H = np.zeros(int(padded)), np.empty(program.size)
        self.stages = np.empty(program.size), np.empty(program.size)
        threads = min(config.NUMBA_NUM_THREADS, shape[0] // 8) if program.size >= LEAST_SHARED and len(shape) > 1 else 1
        ends = [shape[0] * k // threads for k in range(threads + 1)]
        self.parts = list(pairwise(ends))
        self.pool = ThreadPoolExecutor(threads - 1) if threads > 1 else None

    def slope(self, V: Array, t: float, policy: Array, keep: bool) -> float:
        """H(V) into `H`, the policy where it is to be kept; the rate at which waves cross cells."""
        module, arguments = self.program.module, self.program.arguments
        module.padded(V, self.P, *arguments[1:])

        def part(ends: tuple[int, int]) -> float:
            return float(module.front(self.P, self.H, policy, keep, *ends, t, *arguments))

        others = [self.pool.submit(part, ends) for ends in self.parts[1:]] if self.pool is not None else []
        return max([part(self.parts[0]), *(other.result() for other in others)])

    def step(self, V: Array, t: float, most: float, policy: Array) -> tuple[Array, float]:
        """V after one step of at most `most`, an equal part of it, and the length of the step."""
        rate = self.slope(V, t, policy, False)
        dt = most / max(1, int(np.ceil(most * rate / COURANT - 1e-9)))
        half, (one, two) = 0.5 * dt, self.stages
        lost = _advance(V, 0.0, V, half, self.H, one)
        self.slope(one, t - half, policy, False)
        lost += _advance(V, 0.0, one, half, self.H, two)
        self.slope(two, t - dt, policy, False)
        lost += _advance(V, 2.0 / 3.0, two, half, self.H, one)
        self.slope(one, t - half, policy, False)
        out = np.empty(V.size)
        lost += _advance(V, 0.0, one, half, self.H, out)
        if not np.isfinite(lost):
            raise SolverError("the Hamiltonian is not finite everywhere")
        return out, dt


__all__ = ["Front"]
