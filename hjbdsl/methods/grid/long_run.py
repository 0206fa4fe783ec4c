"""The long-run average on one mesh: 0 = opt_a { f_a - average + L_a V }, V = 0 at the middle node, in two and three states.

In: a task, V from a coarser mesh, its policy. Out: V, policy and average. Each iteration takes the policy at V_k and solves
(e - L) V = f - average_k + e V_k by multigrid, e a small killing rate: e times what V has gained evenly is what the average was
short of, since the stationary law of the policy sees nothing of L V. The fixed point does not depend on e. (White 1963, relative
values; Puterman, Markov Decision Processes, 1994, section 8.5, for the vanishing discount.)
"""

from __future__ import annotations

import math

import numpy as np

from hjbdsl import progress
from hjbdsl.methods.grid.howard import Policy, Task, sound
from hjbdsl.methods.grid.multigrid import Multigrid
from hjbdsl.model.solution import Array

KILLING = 0.02
"""The killing rate relative to that at which noise crosses the mesh."""
SLOW, MOST_FALLS = 0.3, 4
"""Where V still moves by more than this share of the last time, the killing rate falls tenfold, so many times at most."""
CYCLES, REDUCTION = 2, 1e-3
TOLERANCE = 1e-7
MOST_UPDATES = 40


def relative_values(task: Task, V: Array, policy: Array) -> Policy | None:
    """V, policy and average from a start; None where the iteration does not settle. `policy` is updated in place."""
    program = task.program
    solver = Multigrid(program)
    inner = np.tile(program.mesh.inner().ravel(), program.module.MODES)
    middle = program.mesh.nodes // 2
    never = np.zeros(program.size, np.bool_)
    H, totals, failures = program.sweep(V, policy, task.t)
    sound(failures)
    average = float(np.median(H[inner]))
    killing = KILLING * float(np.median(totals[inner])) / max(program.mesh.shape) ** 2
    last, falls = math.inf, 0
    for update in range(1, MOST_UPDATES + 1):
        sound(solver.prepare(policy, never, V, task.t, killing))
        solver.grids[0].b += killing * V - average
        after = V.copy()
        left_over = solver.solve(after, CYCLES, REDUCTION)
        if not (math.isfinite(left_over) and np.isfinite(after).all()) or left_over > 0.5:
            return None
        gained = float(np.mean((after - V)[inner]))
        average += killing * gained
        after -= after[middle]
        # in the mean: single nodes may go on switching between two kinds of row
        moved, V = float(np.mean(np.abs(after - V)[inner])), after
        scale = 1e-3 + float(np.max(np.abs(V[inner])))
        H, _, failures = program.sweep(V, policy, task.t)
        sound(failures)
        progress.report("policy iteration", iteration=update, residual=moved / scale)
        shift = abs(killing * gained) / (1e-3 + abs(average))
        if moved < TOLERANCE * scale and shift < TOLERANCE:
            return Policy(V, policy, never, average, update, max(moved / scale, shift))
        if moved > SLOW * last and falls < MOST_FALLS:
            killing, falls = 0.1 * killing, falls + 1
        last = moved
    return None


__all__ = ["relative_values"]
