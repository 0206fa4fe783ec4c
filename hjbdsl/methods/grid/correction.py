"""Second order where the drift is strong: the defect that central differences leave, put right by the monotone rows.

Where drift outweighs noise the rows are upwind, and V errs by O(h). With L the monotone operator of the policy found and C the
one with central differences, V + d, L d = -C V, errs by O(h^2) where V is smooth, and further such steps remove what the first
left over (Stetter, Numerische Mathematik 29, 1978). In: a solved task. Out: the corrected V, to be believed where levels say so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hjbdsl.errors import SolverError
from hjbdsl.methods.grid.howard import Policy, Task, solve_rows, sound
from hjbdsl.methods.grid.long_run import KILLING
from hjbdsl.methods.grid.multigrid import Multigrid
from hjbdsl.model.solution import Array

STEPS = 3
CYCLES = 12
ACCURACY = 1e-6
MOST_ROUNDS = 40
SETTLED = 1e-5
SMALL = 300
"""Unknowns below which elimination is as quick as multigrid."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """V with second-order differences, the average likewise, the size of the last correction at each node, and its share of the
    first one on the region: near 1 where kinks of V, not the upwind rows, are what central differences do not bear."""

    V: Array
    average: float
    left: Array
    share: float


def corrected(task: Task, answer: Policy) -> Corrected | None:
    """None where a linear solver fails."""
    program = task.program
    inner = np.tile(program.mesh.inner().ravel(), program.module.MODES)
    fixed = answer.stopped | program.gone
    V, average, sizes, left = answer.V.copy(), answer.average, list[float](), np.zeros(program.size)
    gain = np.where(fixed, 0.0, program.central_gain(answer.V, 1.0, answer.policy))
    try:
        solve = _solver(task, answer) if gain.any() else None
        while solve is not None and len(sizes) < STEPS:
            correction, constant = solve(gain)
            V, average, left = V + correction, average + constant, np.abs(correction)
            sizes.append(float(np.max(left[inner])))
            gain = np.where(fixed, 0.0, program.central_gain(correction, 0.0, answer.policy))
    except SolverError:
        return None
    return Corrected(V, average, left, sizes[-1] / max(sizes[0], 1e-300) if sizes else 0.0)


Solve = Callable[[Array], tuple[Array, float]]


def _solver(task: Task, answer: Policy) -> Solve:
    """How 0 = gain - average + L d is solved for d and the average of it, given the gain."""
    program = task.program
    if len(program.mesh.axes) == 1 or program.size <= SMALL:
        rows, failures = program.rows(answer.policy, task.t)
        sound(failures)
        zero = np.zeros(program.size)
        return lambda gain: solve_rows(task, replace(rows, constants=gain), answer.stopped, zero, zero, zero)
    solver, fixed = Multigrid(program), answer.stopped | program.gone
    killing = task.shift + (_slow(task, answer) if task.average else 0.0)
    sound(solver.prepare(answer.policy, fixed, np.zeros(program.size), task.t, killing))
    if task.average:
        return lambda gain: _relative(task, solver, gain, killing)
    return lambda gain: (_cycled(solver, gain, np.zeros(program.size)), 0.0)


def _cycled(solver: Multigrid, right: Array, start: Array) -> Array:
    solver.grids[0].b[:] = right
    V = start.copy()
    left_over = solver.solve(V, CYCLES, ACCURACY)
    if not (left_over < ACCURACY**0.5 and np.isfinite(V).all()):
        raise SolverError("the correction did not converge")
    return V


def _slow(task: Task, answer: Policy) -> float:
    """A killing rate slower than noise crosses the mesh."""
    _, totals, _ = task.program.sweep(answer.V, answer.policy.copy(), task.t)
    return KILLING * float(np.median(totals)) / max(task.program.mesh.shape) ** 2


def _relative(task: Task, solver: Multigrid, gain: Array, killing: float) -> tuple[Array, float]:
    """As in `long_run`, under one policy."""
    mesh = task.program.mesh
    inner = np.tile(mesh.inner().ravel(), task.program.module.MODES)
    d, average = np.zeros(gain.size), 0.0
    for _ in range(MOST_ROUNDS):
        after = _cycled(solver, gain - average + killing * d, d)
        gained = float(np.mean((after - d)[inner]))
        average += killing * gained
        after -= after[mesh.nodes // 2]
        moved, d = float(np.mean(np.abs(after - d))), after
        if moved < SETTLED * float(np.mean(np.abs(d))):
            return d, average
    raise SolverError("the correction did not converge")


__all__ = ["corrected"]
