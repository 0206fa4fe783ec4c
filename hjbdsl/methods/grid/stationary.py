"""A stationary equation on one mesh, from a start that a coarser mesh gave: policy iteration whose linear systems are solved only
as well as the policy deserves.

In: a task, V and policy to start from. Out: V and policy with an estimate of what the iteration left over. One dimension and average
problems go to Howard's iteration with elimination; two and three dimensions update the policy, rediscretise, and take two multigrid
cycles, until what is left is small beside the scheme's own error; where that does not settle, Howard's iteration takes over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hjbdsl import progress
from hjbdsl.errors import SolverError
from hjbdsl.methods.grid.howard import Policy, Task, policy_iteration, sound
from hjbdsl.methods.grid.multigrid import Multigrid
from hjbdsl.model.solution import Array

TOLERANCE = 1e-9
MOST_ITERATIONS = 60
MOST_UPDATES = 25
CYCLES = 2
REDUCTION = 0.02
SHARE = 0.01
"""What the iteration may leave over, relative to what the mesh changed in the start's V: that is the error of the coarser mesh."""
GOAL = 2e-7
"""... and at most this, relative to V."""
SMALL = 300
"""Unknowns below which elimination is as quick."""


def settle(task: Task, V: Array, policy: Array, stopped: NDArray[np.bool_] | None, nested: bool) -> Policy:
    """Solve. `nested`: V comes from a coarser mesh, not from nothing. `policy` is updated in place. Raises SolverError where no
    control is admissible or no iteration settles."""
    program = task.program
    if nested and len(program.mesh.axes) in (2, 3) and not task.average and program.size > SMALL:
        kept = policy.copy()
        try:
            return _multigrid(task, V, policy, stopped)
        except _Stalled:
            policy[:] = kept
    answer = policy_iteration(task, V, policy, stopped, TOLERANCE, MOST_ITERATIONS)
    if answer.change > 1e-6:
        raise SolverError("policy iteration did not settle")
    return answer


class _Stalled(Exception):
    """The iteration did not get there; another one may."""


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at V: where to stop, what V is held at there, and the norm of the equation's defect."""

    fixed: NDArray[np.bool_]
    held: Array
    stopped: NDArray[np.bool_]
    defect: float


def _multigrid(task: Task, V: Array, policy: Array, guess: NDArray[np.bool_] | None) -> Policy:
    program = task.program
    solver = Multigrid(program)
    exit_value = program.data(task.t, 1) if program.module.EXIT else np.zeros(program.size)
    payoff = program.data(task.t, 2) if task.side else np.zeros(program.size)
    V = np.where(program.gone, exit_value, V)
    start, change, earlier, error = V, math.inf, math.inf, math.inf
    last: _Look | None = None
    for update in range(MOST_UPDATES):
        look = _look(task, V, policy, payoff, exit_value, guess)
        guess = None
        scale = 1e-3 + float(np.max(np.abs(V)))
        if last is not None:
            # the defect and V contract alike: what is left is a geometric series of such changes
            left = max(look.defect / last.defect if last.defect > 0.0 else 0.0, change / earlier if earlier < math.inf else 0.0)
            error = change * left / (1.0 - left) if left < 0.95 else math.inf
            error = max(error, 1e-14 * scale)
            goal = min(GOAL * scale, SHARE * float(np.mean(np.abs(V - start))))
            if error <= max(goal, 10.0 * TOLERANCE * scale):
                return Policy(V, policy, look.stopped, 0.0, update, error / scale)
        progress.report("policy iteration", iteration=update, residual=look.defect)
        sound(solver.prepare(policy, look.fixed, look.held, task.t, task.shift))
        before = V
        V = np.where(look.fixed, look.held, V)
        left_over = solver.solve(V, CYCLES, REDUCTION)
        if not (math.isfinite(left_over) and np.isfinite(V).all()) or left_over > 0.5:
            raise _Stalled
        earlier, change, last = change, float(np.max(np.abs(V - before))), look
    raise _Stalled


def _look(task: Task, V: Array, policy: Array, payoff: Array, exit_value: Array, guess: NDArray[np.bool_] | None) -> _Look:
    """Improve the policy, decide where to stop, and measure how far the equation is from holding."""
    program = task.program
    H, totals, failures = program.sweep(V, policy, task.t)
    sound(failures)
    stopped = np.zeros(program.size, np.bool_)
    if not task.side:
        return _Look(program.gone, exit_value, stopped, float(np.linalg.norm(H)))
    waiting = (payoff - V) * np.maximum(totals, 1e-12)
    stopped = ~program.gone & (task.side * waiting >= task.side * H)
    defect = float(np.linalg.norm(np.where(stopped, waiting, H)))
    if guess is not None:
        stopped = guess & ~program.gone
    return _Look(stopped | program.gone, np.where(program.gone, exit_value, payoff), stopped, defect)


__all__ = ["settle"]
