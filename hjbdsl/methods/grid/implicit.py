"""Implicit steps in time, backwards from the terminal value: BDF2 with steps of any length after one backward Euler step, each a
small stationary problem for policy iteration.

In: a program, times from the end down to 0. Out: V, policy and stopping set at some of them, and what each step erred, by the
difference between V and its quadratic extrapolation from the past (Milne's device; Hairer, Norsett and Wanner, Solving Ordinary
Differential Equations I, 1993, III.5).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hjbdsl.errors import SolverError
from hjbdsl.methods.grid.data_in_time import DataInTime
from hjbdsl.methods.grid.evolution import EvolutionAnswer, March
from hjbdsl.methods.grid.howard import Policy, Task, policy_iteration, sound
from hjbdsl.methods.grid.program import GridProgram
from hjbdsl.methods.grid.stationary import StepSolver
from hjbdsl.methods.grid.time_mesh import (
    LEAST_STEPS,
    MOST_STEPS,
    TOLERANCE,
    equidistributed,
    graded_times,
)
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Array

STEP_TOLERANCE = 1e-8
SHARE = 0.1
"""What the iteration of a step may leave over, relative to what the step itself may err."""
TRIAL_STEPS = {1: 40, 2: 16, 3: 12, 4: 8}
MOST_TRIALS = 3
LEAST_GOAL = 1e-9
INDIFFERENT = 1e-12
"""A loss from waiting one turn that is smaller, relative to V, is none."""


class ImplicitMarch(March):
    """One march by BDF2. `wanted`: what one step may err, in the mean over the region (0: unknown)."""

    def __init__(self, program: GridProgram, equation: HJBEquation, end: float, deadline: float, wanted: float = 0.0):
        super().__init__(program, equation, np.array([end]), deadline)
        self.wanted = wanted
        self.inner = np.tile(program.mesh.inner().ravel(), program.module.MODES) & ~program.gone
        self.solver = StepSolver(program) if len(program.mesh.axes) > 1 else None
        self.errors: list[float] = []
        self.past: list[tuple[float, Array]] = []
        self.scale = 0.0
        self.left = 0.0

    def run(self, times: Array, keep: NDArray[np.int64]) -> EvolutionAnswer:
        """Step through `times`, from the end to 0; record those of the numbers `keep`."""
        kept = {int(k) for k in keep}
        H, _, failures = self.program.sweep(self.V, self.policy, self.end)
        sound(failures)
        self.record(self.end)
        recorded = [self.end]
        self.past = [(self.end, self.V)]
        stopped: NDArray[np.bool_] | None = None
        for number in range(1, times.size):
            t = float(times[number])
            solved = self._step(t, stopped)
            self.errors.append(self._erred(t, solved.V, H))
            past, self.V, stopped = self.past, solved.V, solved.stopped if self.side else None
            self.left = max(self.left, solved.change)
            self.past = [(t, self.V), *self.past[:2]]
            self.scale = max(self.scale, float(np.ptp(self.V[self.inner])))
            self.steps += 1
            self.go_on(number / (times.size - 1))
            if number in kept:
                self.record(t, None if stopped is None else stopped & self._gladly(t, past))
                recorded.append(t)
        self.times = np.array(recorded[::-1])
        if len(self.errors) > 2:  # the second step has no past to be judged by: it errs like the third
            self.errors[1] = self.errors[2] * ((times[1] - times[2]) / (times[2] - times[3])) ** 3
        V, policy, _ = self.recorded[0]
        if self.side and len(self.recorded) > 1:  # at the end all stop: who stops gladly is told by the moment before
            self.recorded[0] = V, policy, self.recorded[1][2]
        return replace(self.answer("implicit"), left=self.left, erred=float(np.sum(self.errors)))

    def _step(self, t: float, stopped: NDArray[np.bool_] | None) -> Policy:
        V, (shift, source) = self.past[0][1], differences(self.past, t)
        task = Task(self.program, t, self.side, shift=shift, source=source)
        guess = self.constrain(t, extrapolated(self.past, t)) if len(self.past) == 3 else V
        if self.solver is not None:
            goal = max(SHARE * self.wanted, LEAST_GOAL * max(self.scale, float(np.max(np.abs(V[self.inner])))))
            return self.solver.settle(task, guess, self.policy, stopped, goal)
        solved = policy_iteration(task, guess, self.policy, stopped, STEP_TOLERANCE, 40)
        if solved.change > 1e-5:
            raise SolverError(f"policy iteration did not settle at t = {t:.4g}")
        return solved

    def _gladly(self, t: float, past: Sequence[tuple[float, Array]]) -> NDArray[np.bool_]:
        """Where waiting at V would lose: where nothing is gained either way, nobody stops."""
        shift, source = differences(past, t)
        H, totals, _ = self.program.sweep(self.V, self.policy.copy(), t)
        gain = self.side * (H - shift * self.V + source)
        return np.asarray(gain < -INDIFFERENT * (totals + shift) * max(self.scale, 1e-300))

    def _erred(self, t: float, V: Array, H: Array) -> float:
        """The local error of the step to V, in the mean over the region; of the second step not known (0)."""
        now, before = self.past[0]
        dt = now - t
        if len(self.past) == 1:
            return 0.5 * float(np.mean(np.abs(V - before - dt * H)[self.inner]))
        if len(self.past) == 2:
            return 0.0
        one, two = self.past[1][0] - t, self.past[2][0] - t
        ratio = dt / (one - dt)
        own, other = dt * dt * one * (1.0 + ratio) / (1.0 + 2.0 * ratio), dt * one * two
        return float(np.mean(np.abs(V - extrapolated(self.past, t))[self.inner])) * own / (own + other)


def differences(past: Sequence[tuple[float, Array]], t: float) -> tuple[float, Array]:
    """-V_t at t by BDF2 (backward Euler from one past value): shift V - source."""
    (now, V), *earlier = past
    dt = now - t
    if not earlier:
        return 1.0 / dt, V / dt
    ratio = dt / (earlier[0][0] - now)
    source = (V * (1.0 + ratio) - earlier[0][1] * ratio**2 / (1.0 + ratio)) / dt
    return (1.0 + 2.0 * ratio) / (1.0 + ratio) / dt, source


def extrapolated(past: Sequence[tuple[float, Array]], t: float) -> Array:
    """The polynomial through the past, at t."""
    result = np.zeros_like(past[0][1])
    for k, (here, V) in enumerate(past):
        weight = math.prod((t - there) / (here - there) for j, (there, _) in enumerate(past) if j != k)
        result += weight * V
    return result


def step_times(program: GridProgram, equation: HJBEquation, data: DataInTime, deadline: float, least: int) -> tuple[Array, float]:
    """The steps of the coarsest level, by trial marches on its mesh, and what they err together in the mean over the region. The
    first trial follows the data. `least`: steps asked for at least."""
    d, end = len(program.mesh.axes), data.end
    fewest, most = max(least, LEAST_STEPS[d]), max(MOST_STEPS[d], least)
    times = data.turning(data.followed(graded_times(end, max(fewest, TRIAL_STEPS[d])), most), 1.0)[::-1]
    for _ in range(MOST_TRIALS):
        march = ImplicitMarch(program, equation, end, deadline)
        march.run(times, np.array([times.size - 1]))
        wanted = TOLERANCE[d] * max(march.scale, 1e-3 * float(np.max(np.abs(march.V[march.inner]))), 1e-300)
        better, erring = equidistributed(times, np.array(march.errors), wanted, fewest, most)
        enough, times = better.size < 1.5 * times.size, data.turning(better, 1.0)
        if enough:
            break
    return times, erring


__all__ = ["ImplicitMarch", "step_times"]
