"""Does a march in time hold an optimum? A control without bound may gain where no formula of the maximiser sees it: where V is
still flat, so that the formula has no value, or bends so that more noise is always better.

In: a solved level of an equation with time. Out: what larger, smaller or opposite controls would gain before the end; where it is
a good part of V on every level, the march is refused. (`trials` repairs this for equations without time; a step in time that
starts wrong stays wrong.)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hjbdsl.errors import SolverError
from hjbdsl.methods.grid.levels import Runner, Solved
from hjbdsl.methods.grid.program import GridProgram
from hjbdsl.methods.grid.trials import trials
from hjbdsl.model.solution import Array

SHARES = (0.0, 0.3, 0.6, 0.9)
"""Slices looked at, as shares of their number."""
GAIN = 0.05
"""A gain until the end that counts, relative to V's variation."""
BROKEN = 1.0
"""A gain that no coarseness explains."""
MANY = 0.1
"""Nodes that must gain where the control does not scale noise: an upwind scheme leaves something at single ones."""


def missed(runner: Runner, solved: Solved) -> float:
    """The most that a trial gains before the end, relative to V's variation: at any node where a control without bound scales the
    noise, else at all but `MANY` of them. 0 where the question does not arise."""
    components = runner.unbounded()
    if runner.equation.stationary or runner.module.FRONT or not components:
        return 0.0  # first-order equations on a domain without walls start from the formulas of a bent V
    level = solved.level
    program = runner.program(level.mesh)
    free = np.tile(_owned(program).ravel(), runner.module.MODES) & ~program.gone
    size = max(float(np.ptp(level.V[0].ravel()[free])), 1e-9 * float(np.max(np.abs(level.V[0]))), 1e-12)
    most = 0.0
    for share in SHARES:
        k = int(share * (len(level.times) - 1))
        t, V = float(level.times[k]), level.V[k].ravel()
        held = solved.stopped[k].ravel() if solved.stopped is not None else np.zeros(program.size, np.bool_)
        policy = np.ascontiguousarray(np.moveaxis(solved.policy[k], 1, -1).reshape(program.size, -1))
        gain = (_gain(program, V, policy, t, components) * (runner.end - t))[free & ~held] / size
        if gain.size:
            most = max(most, float(np.max(gain) if runner.noisy else np.quantile(gain, 1.0 - MANY)))
    return most


def refusal(runner: Runner) -> SolverError:
    """What is said of a march whose policy is no optimum."""
    names = [str(symbol) for symbol in runner.equation.problem.control_symbols]
    told = ", ".join(f"`{names[c]}`" for c in runner.unbounded())
    return SolverError(
        f"the policy of the march is no optimum: V is flat or bends so that {told}, without a bound, gains more the "
        "further it goes; a bound on it gives a problem that the scheme can solve"
    )


def _owned(program: GridProgram) -> NDArray[np.bool_]:
    """Nodes of the region and up to true ends, not of the padding."""
    lines = []
    for axis, n in zip(program.mesh.axes, program.mesh.shape, strict=True):
        xi = np.arange(n) * (sum(axis.cells) / max(1, n - 1))
        lines.append((xi >= axis.cells[0] * axis.padded[0]) & (xi <= sum(axis.cells) - axis.cells[2] * axis.padded[1]))
    owned: NDArray[np.bool_] = np.ones(program.mesh.shape, np.bool_)
    for i, line in enumerate(lines):
        owned &= line.reshape([-1 if j == i else 1 for j in range(len(lines))])
    return owned


def _gain(program: GridProgram, V: Array, policy: Array, t: float, components: list[int]) -> Array:
    """At each node the most that a trial adds to the Hamiltonian."""
    sense, best = program.module.SENSE, policy.copy()
    H = program.sweep(V, best, t)[0]
    gain = np.zeros(program.size)
    for trial in _all(program, best, components):
        value = program.sweep(V, trial.copy(), t)[0]
        gain = np.maximum(gain, np.where(np.isfinite(value), sense * (value - H), 0.0))
    return gain


def _all(program: GridProgram, policy: Array, components: list[int]) -> Iterator[Array]:
    yield from trials(program, policy)
    width = max(float(np.ptp(X)) for X in program.mesh.X)
    for c in components:
        for step in (width, -width):
            further = policy.copy()
            further[:, c] += step
            yield further


__all__ = ["BROKEN", "GAIN", "missed", "refusal"]
