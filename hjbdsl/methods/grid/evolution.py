"""Equations with time, backwards from the terminal value by explicit monotone steps: V(t - dt) = V + dt H(V), dt below the
inverse of the largest row total, so that every step is a convex combination of neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hjbdsl.errors import SolverError
from hjbdsl.methods.grid.program import GridProgram
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Array

SAFETY = 0.9
MOST_UPDATES = 4e9
"""Node updates after which a run is refused as too expensive."""


@dataclass(frozen=True, slots=True)
class EvolutionAnswer:
    """V and policy on time slices (ascending): arrays (slices, nodes) and (slices, nodes, controls)."""

    times: Array
    V: Array
    policy: Array
    steps: int


def evolve(program: GridProgram, equation: HJBEquation, end: float, times: Array) -> EvolutionAnswer:
    """March from `end` down to times[0], recording every slice."""
    V = _constrain(program, equation, end, program.data(end, 3))
    policy = program.new_policy()
    H, totals, failures = program.sweep(V, policy, end)
    _sound(failures)
    slices = {len(times) - 1: (V.copy(), policy.copy())}
    t, steps, longest = end, 0, np.inf
    for number in range(len(times) - 2, -1, -1):
        while t > times[number] + 1e-12 * max(1.0, end):
            largest = max(float(np.max(totals)), 1e-12)
            dt = min(SAFETY / largest, t - times[number], longest)
            if (t - times[0]) / dt * program.size > MOST_UPDATES:
                raise SolverError(f"explicit steps of {dt:.2g} would be too many on {program.size} nodes")
            longest = 1.5 * dt
            V = _constrain(program, equation, t - dt, V + dt * H)
            t, steps = t - dt, steps + 1
            H, totals, failures = program.sweep(V, policy, t)
            _sound(failures)
        slices[number] = (V.copy(), policy.copy())
    order = range(len(times))
    return EvolutionAnswer(times, np.array([slices[k][0] for k in order]), np.array([slices[k][1] for k in order]), steps)


def _constrain(program: GridProgram, equation: HJBEquation, t: float, V: Array) -> Array:
    """Put the exit value where the process has ended, and hold V on its side of the obstacle."""
    if program.gone.any():
        V = np.where(program.gone, program.data(t, 1), V)
    match equation.obstacle.kind if equation.obstacle else None:
        case None:
            return V
        case "stop":
            best = np.maximum if equation.maximise else np.minimum
            return np.where(program.gone, V, best(V, program.data(t, 2)))
        case "running_min":
            return np.minimum(V, program.data(t, 2))
        case "running_max":
            return np.maximum(V, program.data(t, 2))
        case other:
            raise ValueError(f"obstacle {other}")


def _sound(failures: int) -> None:
    if failures:
        raise SolverError(f"no admissible control, or no finite Hamiltonian, at {failures} grid nodes")
