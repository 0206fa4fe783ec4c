"""Where the controlled process is: the Kolmogorov forward equation with the adjoint of the scheme's own matrix.

In: a program and its optimal policy. Out: a `Law`. The rows of a policy without discount and reward are the generator L of a
Markov chain on the nodes; its law moves by p' = L'p, so that mass is kept to rounding (Achdou et al., Review of Economic Studies
89, 2022). A node's mass over the volume of its cell is the density in x.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy.sparse.linalg as sparse_linalg
from numpy.typing import NDArray
from scipy import sparse

from hjbdsl.errors import SolverError
from hjbdsl.methods.grid.mesh import CIRCLE, Mesh
from hjbdsl.methods.grid.program import GridProgram
from hjbdsl.model.solution import Array

LONG = 1e5
"""A stationary law is reached by steps this much longer than the time in which the fastest node is left."""
MOST_STEPS = 400
SETTLED = 1e-9
LOST = 1e-3
"""Mass beside artificial ends that shows that the process leaves every bounded set."""

Policy = Callable[[float], Array]


@dataclass(frozen=True, slots=True)
class Law:
    """`density` (times, discrete states, *shape) in x; summed over the discrete states and integrated it is `mass` (times,): 1
    less what has stopped or left. `defect`: how far the balance of mass fails; `mesh` its nodes."""

    times: Array
    density: Array
    mass: Array
    defect: float
    mesh: Mesh


def volumes(mesh: Mesh) -> Array:
    """The volume of every node's cell, (*shape): X' on each axis, half of it at an end."""
    result = np.ones(())
    for axis, slope in zip(mesh.axes, mesh.G, strict=True):
        width = slope.copy()
        if axis.kind != CIRCLE:
            width[[0, -1]] *= 0.5
        result = np.multiply.outer(result, width)
    return result


def generator(program: GridProgram, policy: Array, t: float, halted: NDArray[np.bool_]) -> tuple[sparse.csc_matrix, Array]:
    """L' of the chain under `policy`, and the rate at which each node's mass leaves through the exit. Nodes that are `halted` or
    beyond the exit are left by nothing."""
    rows, failures = program.rows(policy, t)
    if failures:
        raise SolverError(f"the policy has no rows at {failures} nodes")
    line, column, weight = rows.entries()
    still = halted | program.gone
    kept = ~still[line]
    line, column, weight = line[kept], column[kept], weight[kept]
    inner = np.bincount(line, weight, program.size)
    leaving = np.zeros(program.size)
    if program.module.EXIT:
        discount = np.empty(program.size)
        program.module.discounts(policy, t, program.mesh_array, *program.mesh.shape, discount)
        leaving = np.where(still, 0.0, np.maximum(rows.totals - discount - inner, 0.0))
    matrix = sparse.csc_matrix((weight, (column, line)), shape=(program.size, program.size))
    return matrix - sparse.diags(inner + leaving), leaving


def stationary_law(program: GridProgram, policy: Array) -> Law | None:
    """The law that the process settles into from a uniform start; None where it leaves every bounded set."""
    mesh = program.mesh
    forward, _ = generator(program, policy, 0.0, np.zeros(program.size, np.bool_))
    fastest = float(np.max(-forward.diagonal()))
    if fastest <= 0.0:
        return None
    volume = np.tile(volumes(mesh).ravel(), program.module.MODES)
    law = volume / volume.sum()
    step = sparse_linalg.splu(sparse.identity(program.size, format="csc") - (LONG / fastest) * forward)
    defect = 0.0
    for _ in range(MOST_STEPS):
        before, law = law, np.maximum(step.solve(law), 0.0)
        defect = max(defect, abs(float(law.sum()) - 1.0))
        law = law / law.sum()
        if float(np.abs(law - before).sum()) < SETTLED:
            break
    else:
        return None
    if _beside_artificial_ends(mesh, law, program.module.MODES) > LOST:
        return None
    density = (law / volume).reshape(1, program.module.MODES, *mesh.shape)
    return Law(np.zeros(1), density, np.ones(1), defect, mesh)


def _beside_artificial_ends(mesh: Mesh, law: Array, states: int) -> float:
    mass = law.reshape(states, *mesh.shape)
    total = 0.0
    for i, axis in enumerate(mesh.axes):
        line = mass.sum(axis=tuple(k for k in range(mass.ndim) if k != i + 1))
        count = max(1, line.size // 50)
        total += line[:count].sum() * axis.padded[0] + line[line.size - count :].sum() * axis.padded[1]
    return float(total)


def transient_law(
    program: GridProgram, policy: Policy, halted: Callable[[float], NDArray[np.bool_]], start: Array, times: Array, substeps: int
) -> Law:
    """The law at `times` (ascending) of the process that starts at the point `start` (one number an axis) in the first discrete
    state at times[0]; `substeps` steps of BDF2 between two times, the first one implicit Euler."""
    mesh, states = program.mesh, program.module.MODES
    volume = np.tile(volumes(mesh).ravel(), states)
    law = np.zeros((states, *mesh.shape))
    law[0] = _point(mesh, start)
    newer, older, length = law.ravel(), law.ravel(), 0.0
    defect, recorded, masses = 0.0, [newer / volume], [1.0]
    identity = sparse.identity(program.size, format="csc")
    for begin, end in pairwise(times):
        dt = (end - begin) / substeps
        for number in range(1, substeps + 1):
            t = begin + number * dt
            still = halted(t)
            forward, leaving = generator(program, policy(t), t, still)
            ratio = dt / length if length else 0.0
            leading = (1.0 + 2.0 * ratio) / (1.0 + ratio)
            past = newer * (1.0 + ratio) - older * ratio**2 / (1.0 + ratio)
            law = sparse_linalg.splu(leading * identity - dt * forward).solve(past)
            balance = leading * law.sum() + dt * (leaving @ law) - past.sum()
            defect = max(defect, abs(float(balance)))
            older, newer, length = np.where(still, 0.0, newer), np.where(still, 0.0, law), dt
        recorded.append(newer / volume)
        masses.append(float(newer.sum()))
    return Law(times, np.array(recorded).reshape(-1, states, *mesh.shape), np.array(masses), defect, mesh)


def _point(mesh: Mesh, start: Array) -> Array:
    """Mass one at a point, shared by the nodes around it so that its mean is right."""
    result = np.ones(())
    for X, x in zip(mesh.X, start, strict=True):
        line = np.zeros(X.size)
        k = int(np.clip(np.searchsorted(X, x) - 1, 0, X.size - 2))
        share = (x - X[k]) / (X[k + 1] - X[k])
        line[k], line[k + 1] = 1.0 - share, share
        result = np.multiply.outer(result, line)
    return result
