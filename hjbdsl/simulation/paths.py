"""Paths of the controlled process under a policy, with the rewards they earn.

In: a process, a policy, a start. Out: `Paths`. All paths of a run move together; those that have ended are left out of the
work.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hjbdsl.model.solution import Array
from hjbdsl.numeric.points import Points
from hjbdsl.simulation.compiled import Modes
from hjbdsl.simulation.policy import Policy
from hjbdsl.simulation.process import ControlledProcess
from hjbdsl.simulation.run import Run, Shock

Ending = Literal["running", "horizon", "exit", "stop"]
ENDINGS: tuple[Ending, ...] = ("running", "horizon", "exit", "stop")
"""What the numbers in `Paths.ended` mean."""


@dataclass(frozen=True, slots=True)
class Paths:
    """P paths at the times `t` (S + 1,): x (P, S + 1, n), mode (P, S + 1), control (P, S + 1, m), cumulative discounted reward
    (P, S + 1) (payoffs at the end included). After its end a path rests where it ended. `ended` (P,) indexes `ENDINGS`,
    `end_time` (P,) is when."""

    t: Array
    x: Array
    mode: Modes
    control: Array
    reward: Array
    ended: NDArray[np.int64]
    end_time: Array


def simulate(
    process: ControlledProcess,
    policy: Policy,
    start: Points,
    dt: float,
    steps: int,
    generator: np.random.Generator,
) -> Paths:
    """`len(start)` paths, one from each point, over `steps` steps of `dt` or to the horizon. Ends with NaN where a coefficient
    does not exist."""
    count = len(start)
    run = Run.begin(process, policy, start, generator)
    n, m = process.problem.dimension, process.controls
    times: Array = np.asarray(float(start.t[0]) + dt * np.arange(steps + 1), dtype=np.float64)
    x, mode = np.empty((count, steps + 1, n)), np.empty((count, steps + 1), dtype=np.int64)
    control, reward = np.empty((count, steps + 1, m)), np.empty((count, steps + 1))
    for step in range(steps + 1):
        x[:, step], mode[:, step], control[:, step], reward[:, step] = run.x, run.mode, run.control, run.total
        if step < steps:
            run.advance(dt, Shock.draw(process, count, dt, generator))
            if math.isfinite(process.horizon) and times[step + 1] >= process.horizon - 1e-9 * dt:
                run.finish()
    reward[:, -1] = run.total
    return Paths(times, x, mode, control, reward, run.ended, run.time)
