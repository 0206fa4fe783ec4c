"""Stationary equations by Howard's policy iteration: improve the policy by the scheme's own Hamiltonian, solve the linear
system of its rows (Howard 1960; Bokanowski, Maroso, Zidani 2009 for obstacles).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
import scipy.sparse.linalg as sparse_linalg
from numpy.typing import NDArray
from scipy.linalg import solve_banded

from hjbdsl.errors import SolverError
from hjbdsl.methods.grid.program import GridProgram, Rows
from hjbdsl.model.solution import Array

MOST_ITERATIONS = 80
TOLERANCE = 1e-10


@dataclass(frozen=True, slots=True)
class StationaryAnswer:
    """V and policy at the nodes; `stopped` where stopping is chosen; the average (zero otherwise); iterations, last relative residual."""

    V: Array
    policy: Array
    stopped: NDArray[np.bool_]
    average: float
    iterations: int
    residual: float


def policy_iteration(program: GridProgram, maximise: bool, stopping: bool, average: bool, start: Array | None) -> StationaryAnswer:
    """Iterate to a relative residual of 1e-10 of V. Raises SolverError where no policy is admissible or it does not settle."""
    sense = 1.0 if maximise else -1.0
    exit_value = program.data(0.0, 1)
    payoff = program.data(0.0, 2)
    V = np.where(program.gone, exit_value, 0.0 if start is None else start)
    policy = program.new_policy()
    stopped = np.zeros(program.size, np.bool_)
    constant = 0.0
    residual = np.inf
    for iteration in range(1, MOST_ITERATIONS + 1):
        H, totals, failures = program.sweep(V, policy, 0.0)
        if failures:
            raise SolverError(f"no admissible control, or no finite Hamiltonian, at {failures} grid nodes")
        gain = np.where(program.gone, 0.0, H - constant)
        if stopping:
            waiting = (payoff - V) * np.maximum(totals, 1e-12)
            stopped = ~program.gone & (sense * waiting >= sense * gain)
            gain = np.where(stopped, waiting, gain)
        scale = 1.0 + np.max(np.abs(V))
        residual = float(np.max(np.abs(gain) / np.maximum(totals, 1e-12))) / scale
        if iteration > 1 and residual < TOLERANCE:
            break
        rows, failures = program.rows(policy, 0.0)
        if failures:
            raise SolverError(f"the scheme has no row at {failures} grid nodes")
        V, constant = _solve(program, rows, stopped, payoff, exit_value, average)
    return StationaryAnswer(V, policy, stopped, constant, iteration, residual)


def _solve(
    program: GridProgram, rows: Rows, stopped: NDArray[np.bool_], payoff: Array, exit_value: Array, average: bool
) -> tuple[Array, float]:
    fixed = stopped | program.gone
    totals = np.where(fixed, 1.0, rows.totals)
    right = np.where(program.gone, exit_value, np.where(stopped, payoff, rows.constants))
    used = (np.arange(rows.cols.shape[1])[None, :] < rows.counts[:, None]) & ~fixed[:, None]
    line = np.broadcast_to(np.arange(program.size)[:, None], used.shape)[used]
    matrix = sparse.csr_matrix((-rows.weights[used], (line, rows.cols[used])), shape=(program.size, program.size))
    matrix = matrix + sparse.diags(totals)
    if average:
        middle = program.mesh.nodes // 2
        matrix = sparse.bmat(
            [[matrix, sparse.csr_matrix(np.ones((program.size, 1)))],
             [sparse.csr_matrix(([1.0], ([0], [middle])), shape=(1, program.size)), None]]
        )  # fmt: skip
        solution = _linear_solve(matrix.tocsc(), np.append(right, 0.0), program)
        return solution[:-1], float(solution[-1])
    return _linear_solve(matrix.tocsc(), right, program), 0.0


def _linear_solve(matrix: sparse.csc_matrix, right: Array, program: GridProgram) -> Array:
    """Banded in one dimension, sparse LU in two, BiCGSTAB with an incomplete LU above."""
    n = right.size
    if len(program.mesh.axes) == 1 and program.module.MODES == 1 and n == program.size:
        coo = matrix.tocoo()
        reach = int(np.max(np.abs(coo.row - coo.col))) if coo.nnz else 0
        if reach <= 4:
            bands = np.zeros((2 * reach + 1, n))
            np.add.at(bands, (reach + coo.row - coo.col, coo.col), coo.data)
            solution = solve_banded((reach, reach), bands, right)
            return _finite(solution)
    if len(program.mesh.axes) <= 2:
        return _finite(sparse_linalg.splu(matrix).solve(right))
    preconditioner = sparse_linalg.spilu(matrix, drop_tol=1e-4, fill_factor=8)
    operator = sparse_linalg.LinearOperator(matrix.shape, preconditioner.solve)
    solution, code = sparse_linalg.bicgstab(matrix, right, rtol=1e-11, atol=0.0, maxiter=500, M=operator)
    if code != 0:
        raise SolverError("the linear system of a policy did not converge")
    return _finite(solution)


def _finite(solution: Array) -> Array:
    if not np.all(np.isfinite(solution)):
        raise SolverError("the linear system of a policy is singular: some states never reach an end")
    return solution
