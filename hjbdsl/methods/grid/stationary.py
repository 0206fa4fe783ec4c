"""A stationary equation on one mesh, from a start that a coarser mesh gave: policy iteration whose linear systems are solved only
as well as the policy deserves.

In: a task, V and policy to start from. Out: V and policy with an estimate of what the iteration left over. One dimension and
average problems go to Howard's iteration with elimination; several dimensions update the policy, rediscretise, and take two
multigrid cycles, until what is left is small beside the scheme's own error; where that does not settle, Howard's takes over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hjbdsl import progress
from hjbdsl.errors import SolverError
from hjbdsl.methods.grid.howard import Policy, Task, policy_iteration, sound, stops
from hjbdsl.methods.grid.long_run import relative_values
from hjbdsl.methods.grid.multigrid import Multigrid
from hjbdsl.methods.grid.program import GridProgram
from hjbdsl.model.solution import Array

TOLERANCE = 1e-9
START_TOLERANCE = 1e-5
MOST_ITERATIONS = 60
MOST_UPDATES = 25
CYCLES = 2
REDUCTION = 0.02
SHARE = 0.01
"""What the iteration may leave over, relative to what the mesh changed in the V it started from, the coarser mesh's error."""
GOAL = 3e-7
"""... and at most this, relative to V."""
FAR = 1000.0
"""On the padding, outside the region that is asked for, so many times more may be left over."""
MOST_ELIMINATED = 20_000
"""Unknowns of a step in time beyond which elimination is no remedy."""
MOST_MISSING = 0.01
"""Nodes of the padding without an optimal control that a step in time may have."""
SMALL = 300
"""Unknowns below which elimination is as quick."""


def settle(task: Task, V: Array, policy: Array, stopped: NDArray[np.bool_] | None, nested: bool, rough: bool = False) -> Policy:
    """Solve. `nested`: V comes from a coarser mesh, not from nothing; `rough`: V is only a start itself. `policy` is updated in
    place. Raises SolverError where no control is admissible or no iteration settles."""
    program = task.program
    if task.average and len(program.mesh.axes) > 1 and program.size > SMALL:
        kept = policy.copy()
        found = relative_values(task, V, policy)
        if found is not None:
            return found
        policy[:] = kept
    if nested and len(program.mesh.axes) > 1 and not task.average and program.size > SMALL:
        kept = policy.copy()
        try:
            return _multigrid(task, Multigrid(program), V, policy, stopped, None)
        except _Stalled:
            policy[:] = kept
    answer = policy_iteration(task, V, policy, stopped, START_TOLERANCE if rough else TOLERANCE, MOST_ITERATIONS)
    if answer.change > (START_TOLERANCE if rough else 1e-6):
        raise SolverError("policy iteration did not settle")
    return answer


class StepSolver:
    """The step equations 0 = opt_a { H_a(V) } - shift V + source of one march, in several dimensions."""

    def __init__(self, program: GridProgram):
        self.solver = Multigrid(program)

    def settle(self, task: Task, V: Array, policy: Array, stopped: NDArray[np.bool_] | None, goal: float) -> Policy:
        """Solve from the guess V until it errs by less than `goal`; `policy` is updated in place."""
        kept = policy.copy()
        try:
            return _multigrid(task, self.solver, V, policy, stopped, goal)
        except _Stalled:
            policy[:] = kept
        if task.program.size > MOST_ELIMINATED:
            raise SolverError(f"multigrid stalls at t = {task.t:.4g}")
        answer = policy_iteration(task, V, policy, stopped, TOLERANCE, MOST_ITERATIONS)
        if answer.change > 1e-6:
            raise SolverError(f"policy iteration did not settle at t = {task.t:.4g}")
        return answer


class _Stalled(Exception):
    """The iteration did not get there; another one may."""


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at V: where to stop, what V is held at there, and the size of the equation's defect at each node."""

    fixed: NDArray[np.bool_]
    held: Array
    stopped: NDArray[np.bool_]
    defect: Array


def _multigrid(
    task: Task, solver: Multigrid, V: Array, policy: Array, guess: NDArray[np.bool_] | None, wanted: float | None
) -> Policy:
    """`wanted`: what may be left over in the mean, in a step of time, where single nodes may go on switching between two kinds of
    row (None: a share of what the mesh changed in V, at every node)."""
    program, size = task.program, np.max if wanted is None else np.mean
    exit_value = program.data(task.t, 1) if program.module.EXIT else np.zeros(program.size)
    payoff = program.data(task.t, 2) if task.side else np.zeros(program.size)
    V = np.where(program.gone, exit_value, V)
    inner = np.tile(program.mesh.inner().ravel(), program.module.MODES)
    places = (inner, np.ones(program.size, np.bool_))
    start = V
    changes = earlier = defects = [math.inf, math.inf]
    for update in range(MOST_UPDATES):
        look = _look(task, V, policy, payoff, exit_value, guess, inner)
        guess = None
        scale = 1e-3 + float(np.max(np.abs(V)))
        before_defects, defects = defects, [float(np.sum(look.defect[place])) for place in places]
        if update:
            rests = [_rest(*numbers) for numbers in zip(changes, earlier, defects, before_defects, strict=True)]
            goal = wanted or max(min(GOAL * scale, SHARE * float(np.mean(np.abs(V - start)[inner]))), 10.0 * TOLERANCE * scale)
            if wanted is not None and update > 1:
                rests = [min(pair) for pair in zip(rests, changes, strict=True)]
            if rests[0] <= goal and rests[1] <= FAR * goal:
                return Policy(V, policy, look.stopped, 0.0, update, max(rests[0] / scale, 1e-14))
        progress.report("policy iteration", iteration=update, residual=defects[1])
        fixed, held = look.fixed, look.held
        failures = solver.prepare(policy, fixed, held, task.t, task.shift)
        if failures and wanted is not None:
            broken = ~np.isfinite(solver.grids[0].b)
            sound(0 if _negligible(broken, inner) else failures)
            fixed, held = fixed | broken, np.where(broken, V, held)
            failures = solver.prepare(policy, fixed, held, task.t, task.shift)
        sound(failures)
        if task.source is not None:
            solver.grids[0].b += np.where(fixed, 0.0, task.source)
        before = V
        V = np.where(fixed, held, V)
        left_over = solver.solve(V, CYCLES, REDUCTION)
        if not (math.isfinite(left_over) and np.isfinite(V).all()) or left_over > 0.5:
            raise _Stalled
        moved = np.abs(V - before)
        earlier, changes = changes, [float(size(moved[place])) for place in places]
    raise _Stalled


def _rest(change: float, earlier: float, defect: float, defect_before: float) -> float:
    """What is left to go: the defect and V contract alike, so it is a geometric series of such changes."""
    left = max(defect / defect_before if defect_before > 0.0 else 0.0, change / earlier if 0.0 < earlier < math.inf else 0.0)
    return change * left / (1.0 - left) if left < 0.95 else math.inf


def _negligible(missing: NDArray[np.bool_], inner: NDArray[np.bool_]) -> bool:
    """Whether nodes without a policy are few, and none of them in the region that is asked for."""
    return bool(np.mean(missing) < MOST_MISSING and not np.any(missing & inner))


def _look(
    task: Task, V: Array, policy: Array, payoff: Array, exit_value: Array, guess: NDArray[np.bool_] | None,
    inner: NDArray[np.bool_],
) -> _Look:  # fmt: skip
    """Improve the policy, decide where to stop, and measure how far the equation is from holding. In a step of time a few nodes
    of the padding keep their policy, or their V, where V has no optimal one."""
    program = task.program
    H, totals, failures = program.sweep(V, policy, task.t)
    if failures and task.source is not None:
        missing = ~np.isfinite(H)
        H[missing], totals[missing] = task.shift * V[missing] - task.source[missing], 1.0
        failures = 0 if _negligible(missing, inner) else failures
    sound(failures)
    if task.source is not None:
        H += np.where(program.gone, 0.0, task.source - task.shift * V)
        totals += task.shift
    stopped = np.zeros(program.size, np.bool_)
    if not task.side:
        return _Look(program.gone, exit_value, stopped, np.abs(H))
    waiting = (payoff - V) * np.maximum(totals, 1e-12)
    stopped = ~program.gone & stops(task, waiting, H)
    defect = np.abs(np.where(stopped, waiting, H))
    if guess is not None:
        stopped = guess & ~program.gone
    return _Look(stopped | program.gone, np.where(program.gone, exit_value, payoff), stopped, defect)


__all__ = ["settle"]
