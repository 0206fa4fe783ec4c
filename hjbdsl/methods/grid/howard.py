"""Howard's policy iteration on the scheme's rows: 0 = opt_a { H_a(V) } - shift V + source, with stopping as one more control.

A stationary equation has shift 0; an implicit time step has shift 1/dt times the step's leading coefficient and the past as its
source. (Howard 1960; Bokanowski, Maroso, Zidani 2009 for obstacles and convergence.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse.linalg as sparse_linalg
from numpy.typing import NDArray
from scipy import sparse

from hjbdsl.errors import SolverError
from hjbdsl.methods.grid.banded import reach, solve_band, solve_beyond_band
from hjbdsl.methods.grid.compilation import await_kernels
from hjbdsl.methods.grid.program import GridProgram, Rows
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Array

WIDEST_BAND = 40
FEW_OF_MANY = 5000
"""Unknowns of three or four dimensions that are eliminated nevertheless: incomplete factors may fail."""
FEW = 200
"""Unknowns of a system that is solved as a full matrix."""
PSEUDO_STEPS = 24
STILL = 1e-3
"""Steps twice as long each that move V by less, two in a row, have arrived for a start."""
FAST, CAUTION = 0.05, 5.0
"""A change of V that is smaller than the one before by FAST leaves CAUTION times as much as at the same factor again."""
TURNED = 0.05
"""A control that changes by this share of its size is still on its way."""


@dataclass(frozen=True, slots=True)
class Policy:
    """V and policy at the nodes; `stopped` where the obstacle holds; the average (zero otherwise); iterations; the last change
    of V and of the average, relative to their sizes."""

    V: Array
    policy: Array
    stopped: NDArray[np.bool_]
    average: float
    iterations: int
    change: float


@dataclass(frozen=True, slots=True)
class Task:
    """What is solved at time t. `side`: 1 where V must stay above the obstacle, -1 below, 0 without one."""

    program: GridProgram
    t: float
    side: int
    average: bool = False
    shift: float = 0.0
    source: Array | None = None
    noisy: bool = False
    """Whether a control without bound scales the noise. A vast one makes V straight and is then itself nearly the optimum: the
    next one is half as large, and V shows little of it."""


def obstacle_side(equation: HJBEquation) -> int:
    """Whether V stays above (1) or below (-1) its obstacle; 0 without one."""
    match equation.obstacle.kind if equation.obstacle else None:
        case None:
            return 0
        case "stop":
            return 1 if equation.maximise else -1
        case "running_min":
            return -1
        case "running_max":
            return 1
        case other:
            raise ValueError(f"obstacle {other}")


def policy_iteration(
    task: Task, V: Array, policy: Array, stopped: NDArray[np.bool_] | None, tolerance: float, most: int
) -> Policy:
    """Iterate until V would change by less than `tolerance` of its size. `stopped` is a guess of the stopping set (None: from V).
    `policy` is updated in place. Raises SolverError where no control is admissible."""
    program = task.program
    exit_value = program.data(task.t, 1) if program.module.EXIT else np.zeros(program.size)
    payoff = program.data(task.t, 2) if task.side else np.zeros(program.size)
    V = np.where(program.gone, exit_value, V)
    guess, constant, change, left, iteration = stopped, 0.0, math.inf, math.inf, 0
    stopped = np.zeros(program.size, np.bool_)
    while iteration < most and left >= tolerance:
        iteration += 1
        guessed = task.side != 0 and guess is not None  # such a set holds V where it is and must be looked at once more
        held = policy.copy() if task.noisy else policy
        H, totals, failures = program.sweep(V, policy, task.t)
        sound(failures)
        if task.side:
            gain = H - task.shift * V + (0.0 if task.source is None else task.source)
            waiting = (payoff - V) * np.maximum(totals + task.shift, 1e-12)
            stopped = guess if guess is not None else ~program.gone & stops(task, waiting, gain)
            guess = None
        rows, failures = program.rows(policy, task.t, program.scratch())
        sound(failures)
        before, earlier = V, constant
        V, constant = solve_rows(task, rows, stopped, payoff, exit_value, V)
        # far out V may be astronomically large, and near the region of no size: each node is measured by its own. A step in
        # time ends on nodes that never settle where nothing depends on them
        size = np.abs(V)
        size = size + _median(size) if task.shift == 0.0 else size.max(keepdims=True)
        last, change = change, float((np.abs(V - before) / (1e-3 + size)).max())
        change = max(change, abs(constant - earlier) / (1e-3 + abs(constant)))
        if task.noisy and np.any(np.abs(policy - held) > TURNED * (np.abs(policy) + np.abs(held) + 1e-6)):
            change = max(change, 2.0 * tolerance)
        # Howard's iteration is Newton's: where it is seen to contract fast, the next change is known to be smaller still
        fast = change < FAST * last < math.inf and not (task.side or task.noisy or task.average)
        left = math.inf if guessed else CAUTION * change * change / last if fast else change
    return Policy(V, policy, stopped, constant, iteration, left)


def stops(task: Task, waiting: Array, gain: Array) -> NDArray[np.bool_]:
    """Where stopping is better than to wait. In a step of time who is indifferent waits: where V is the payoff and nothing moves
    it yet, as far out of the money, the value of waiting would else reach one node further an iteration."""
    better = task.side * waiting > task.side * gain if task.source is not None else task.side * waiting >= task.side * gain
    return np.asarray(better)


def improvable(task: Task, solved: Policy, components: Sequence[int]) -> float:
    """The share of nodes where a tenth more or less of one of these controls is clearly better: near 0 at an optimum, near 1
    where the iteration is stuck at a policy that no formula of the maximiser covers."""
    program = task.program
    sense = program.module.SENSE
    free = ~(solved.stopped | program.gone)
    rows = program.rows(solved.policy, task.t)[0]
    best, constants = rows.apply(solved.V), np.abs(rows.constants)
    # V itself may be next to nothing where such a policy pays for ever and is never charged
    least = 1e-6 * min(1.0, max(float(constants[free].max(initial=0.0)), float(np.abs(solved.V[free]).max(initial=0.0))))
    better = np.zeros(program.size, np.bool_)
    for c in components:
        for factor in (0.9, 1.1):
            changed = solved.policy.copy()
            changed[:, c] *= factor
            other = _hamiltonian(program, changed, solved.V, task.t)
            better |= sense * (other - best) > 0.05 * (least + np.abs(best) + constants)
    return float(np.mean(better[free])) if free.any() else 0.0


def _median(values: Array) -> float:
    """The upper one of the two where they are even in number: in a fifth of the time of numpy's."""
    middle = values.size // 2
    return float(np.partition(values, middle)[middle])


def _hamiltonian(program: GridProgram, policy: Array, V: Array, t: float) -> Array:
    return program.rows(policy, t)[0].apply(V)


def pseudo_time(task: Task, V: Array, policy: Array) -> Array:
    """A start for policy iteration: implicit steps in time, ever longer, one policy each. An unstable or unprofitable policy
    is left before its value is asked for."""
    program = task.program
    _, totals, failures = program.sweep(V, policy, task.t)
    sound(failures)
    shift = 1.0 + float(np.median(totals))
    changes = [math.inf, math.inf]
    for _ in range(PSEUDO_STEPS):
        if max(changes) < STILL:
            break
        step = replace(task, shift=shift, source=shift * V, average=False)
        before, V = V, policy_iteration(step, V, policy, None, 1e-2, 2).V
        if task.average:
            V = V - V[program.mesh.nodes // 2]
        changes = [changes[1], float(np.abs(V - before).max() / (1e-3 + np.abs(V).max()))]
        shift *= 0.5
    return V


def sound(failures: int) -> None:
    if failures:
        raise SolverError(f"no admissible control, or no finite Hamiltonian, at {failures} grid nodes")


def solve_rows(
    task: Task, rows: Rows, stopped: NDArray[np.bool_], payoff: Array, exit_value: Array, start: Array
) -> tuple[Array, float]:
    """V and the average under one policy: `payoff` where stopped, `exit_value` beyond the exit. Raises SolverError where the rows
    are singular."""
    program = task.program
    fixed = stopped | program.gone
    totals = np.where(fixed, 1.0, rows.totals + task.shift)
    right = rows.constants if task.source is None else rows.constants + task.source
    right = np.where(program.gone, exit_value, np.where(stopped, payoff, right))
    if not task.average and len(program.mesh.axes) <= 2 and not any(rows.circular):
        await_kernels()
        states, strides = program.module.MODES, np.array([*program.mesh.shape[1:], 1])
        width = reach(states, states * int(strides[0]), rows.cols, rows.counts)
        if width <= WIDEST_BAND:
            V = np.empty(program.size)
            solve_band(states, width, strides, rows.axial, rows.cols, rows.weights, rows.counts, totals, right, fixed, V)
            return _finite(V), 0.0
        if states * (strides[0] + 1) <= WIDEST_BAND:
            system = (rows.axial, rows.cols, rows.weights, rows.counts, totals, right, fixed)
            iterated = solve_beyond_band(states, strides, *system, start)
            if iterated is not None:
                return _finite(iterated), 0.0
    if not task.average and not totals.all():
        return _finite(np.full(1, np.nan)), 0.0  # a state that rests for ever: SuperLU's own complaint goes to standard output
    line, columns, weights = rows.entries()
    used = ~fixed[line]
    if program.size <= FEW and not task.average:
        dense = np.diag(totals)
        np.subtract.at(dense, (line[used], columns[used]), weights[used])
        try:
            return _finite(np.asarray(np.linalg.solve(dense, right), np.float64)), 0.0
        except np.linalg.LinAlgError:
            return _finite(np.full(1, np.nan)), 0.0
    matrix = sparse.csr_matrix((-weights[used], (line[used], columns[used])), shape=(program.size, program.size))
    matrix = matrix + sparse.diags(totals)
    if task.average:
        middle = program.mesh.nodes // 2
        matrix = sparse.bmat(
            [[matrix, sparse.csr_matrix(np.ones((program.size, 1)))],
             [sparse.csr_matrix(([1.0], ([0], [middle])), shape=(1, program.size)), None]]
        )  # fmt: skip
        solution = _sparse(matrix.tocsc(), np.append(right, 0.0), len(program.mesh.axes))
        return solution[:-1], float(solution[-1])
    return _sparse(matrix.tocsc(), right, len(program.mesh.axes)), 0.0


def _sparse(matrix: sparse.csc_matrix, right: Array, dimension: int) -> Array:
    """Sparse LU up to two dimensions and on small meshes; else BiCGSTAB, with an incomplete LU in three dimensions, with the
    diagonal in four: factors do not fit."""
    if dimension > 3 and matrix.shape[0] > FEW_OF_MANY:
        return _krylov(matrix, right, sparse.diags(1.0 / matrix.diagonal()))
    try:
        if dimension <= 2 or matrix.shape[0] <= FEW_OF_MANY:
            return _finite(sparse_linalg.splu(matrix).solve(right))
        preconditioner = sparse_linalg.spilu(matrix, drop_tol=1e-3, fill_factor=6)
    except RuntimeError:
        return _finite(np.full(1, np.nan))
    return _krylov(matrix, right, sparse_linalg.LinearOperator(matrix.shape, preconditioner.solve))


def _krylov(matrix: sparse.csc_matrix, right: Array, preconditioner: sparse_linalg.LinearOperator) -> Array:
    solution, code = sparse_linalg.bicgstab(matrix, right, rtol=1e-10, atol=0.0, maxiter=400, M=preconditioner)
    if code != 0:
        raise SolverError("the linear system of a policy did not converge")
    return _finite(solution)


def _finite(solution: Array) -> Array:
    if not np.isfinite(solution).all():
        raise SolverError("the linear system of a policy is singular: some states never reach an end")
    return solution
