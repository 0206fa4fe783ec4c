"""Is the policy an optimum? Controls that no formula of the maximiser proposes are tried: the neighbours', larger, smaller and
opposite ones.

Howard's iteration stands still at a policy that every formula of the maximiser leaves alone: where V is flat, or bends the wrong
way for an interior optimum, as with a control that scales the noise. What a trial improves is taken, and the iteration goes on.
In: a solved task. Out: the solution that no trial improves, with what the last trials still changed as its change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hjbdsl.methods.grid.howard import Policy, Task
from hjbdsl.methods.grid.program import GridProgram
from hjbdsl.methods.grid.stationary import settle
from hjbdsl.model.solution import Array

CLEARLY = 1e-6
ROUGHLY = 1e-3
"""A trial is better where it raises the Hamiltonian by this share of the row's own terms: on a coarse mesh, where every trial is
made at every node; on a fine one, where each node makes one."""
NEGLIGIBLE = 1e-7
MOST_ROUNDS = 20
FEW_ROUNDS = 3
"""... where formulas cover every case: on a coarse mesh trials may go on gaining from its wind for long."""
FINE = 5000
"""Unknowns of a fine mesh."""


def beyond_formulas(task: Task, answer: Policy) -> Policy:
    """Take what trials improve and settle again, until V changes no more. Games have no trial that counts: each side would need
    the other's reply."""
    program = task.program
    if not program.module.CONTROLS or all(program.module.PLAYERS):
        return answer
    fixed = answer.stopped | program.gone
    rounds = FEW_ROUNDS if program.module.DIRECT and not task.noisy else MOST_ROUNDS
    for number in range(rounds):
        policy = improved(program, answer.V, answer.policy, task.t, fixed, number)
        if policy is None:
            return answer
        after = settle(task, answer.V, policy, answer.stopped, True)
        moved = float(np.max(np.abs(after.V - answer.V))) / (1e-3 + float(np.max(np.abs(after.V))))
        answer = replace(after, change=max(after.change, moved if number == rounds - 1 else 0.0))
        if moved < NEGLIGIBLE:
            break
    return answer


def improved(program: GridProgram, V: Array, policy: Array, t: float, fixed: NDArray[np.bool_], number: int) -> Array | None:
    """The policy with every trial taken that is clearly better; None where none is. `number` draws the trials of a fine mesh."""
    sense, fine = program.module.SENSE, program.size > FINE
    best = policy.copy()
    H, totals, _ = program.sweep(V, best, t)
    size = np.abs(V) + 1e-3 * np.max(np.abs(V))
    attempts = trials(program, policy)
    better = np.zeros(program.size, np.bool_)
    for trial in (_mixed(list(attempts), number),) if fine else attempts:
        chosen = trial.copy()
        value, weights, _ = program.sweep(V, chosen, t)
        gain = np.where(np.isfinite(value), sense * (value - H), -np.inf)
        # the smaller total: where a vast control has made V straight, its own terms hide every gain
        scale = 1e-6 + np.abs(H) + np.minimum(totals, weights) * size
        wins = ~fixed & (gain > (ROUGHLY if fine else CLEARLY) * scale)
        best[wins], H[wins] = chosen[wins], value[wins]
        better |= wins
    return best if better.any() else None


def trials(program: GridProgram, policy: Array) -> Iterator[Array]:
    """Policies near to and far from a policy (nodes, controls)."""
    grid = (program.module.MODES, *program.mesh.shape, policy.shape[1])
    shaped = policy.reshape(grid)
    for axis in range(1, len(grid) - 1):
        for step in (1, -1):
            yield np.roll(shaped, step, axis).reshape(policy.shape)
    size = 1e-3 + np.max(np.abs(policy), axis=0)
    for c in range(policy.shape[1]):
        old = policy[:, c]
        for changed in (2.0 * old, 0.5 * old, -old, old + size[c], old - size[c]):
            trial = policy.copy()
            trial[:, c] = changed
            yield trial


def _mixed(attempts: list[Array], number: int) -> Array:
    """Each node one of the trials, drawn with a seed of its own."""
    drawn = np.random.default_rng(number).integers(0, len(attempts), len(attempts[0]))
    return np.choose(drawn[:, None], attempts) if len(attempts) <= 32 else attempts[number % len(attempts)]


__all__ = ["beyond_formulas"]
