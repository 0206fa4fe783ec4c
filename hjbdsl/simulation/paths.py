"""Paths of the controlled process under a policy, with the rewards they earn.

In: a process, a policy, a start. Out: `Paths`. All paths of a run move together; those that have ended are left out of the
work.
"""

from __future__ import annotations

import numpy as np

from hjbdsl.numeric.points import Points
from hjbdsl.simulation.policy import Policy
from hjbdsl.simulation.process import ControlledProcess
from hjbdsl.simulation.record import Paths, Recorder
from hjbdsl.simulation.run import Run, Shock


def simulate(
    process: ControlledProcess,
    policy: Policy,
    start: Points,
    dt: float,
    steps: int,
    generator: np.random.Generator,
) -> Paths:
    """`len(start)` paths, one from each point (all at one time), over `steps` steps of `dt` or to the horizon, whichever is
    first."""
    count, begin = len(start), float(start.t[0])
    run = Run.begin(process, policy, start, generator)
    recorder = Recorder(run, count)
    recorder.note(begin)
    for step in range(1, steps + 1):
        length = min(dt, process.horizon - begin - (step - 1) * dt)
        run.advance(length, Shock.draw(process, count, length, generator))
        time = begin + (step - 1) * dt + length
        recorder.note(time)
        if time >= process.horizon - 1e-9 * dt:
            run.finish()
        if not len(run.live):
            break
    return recorder.paths()


def repeated(start: Points, count: int) -> Points:
    """`count` copies of one point."""
    return Points(np.repeat(start.t[:1], count), np.repeat(start.x[:1], count, axis=0), np.repeat(start.mode[:1], count))
