"""A running simulation: the state of all paths, moved step by step.

In: process, policy, start. Out: `Run`, which the recorder of paths and the estimators drive. Two runs on one tape of clocks,
fed the same shocks, are coupled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hjbdsl.model.solution import Array
from hjbdsl.numeric.points import Points
from hjbdsl.simulation.compiled import At, Modes
from hjbdsl.simulation.control_variate import compensated_events
from hjbdsl.simulation.events import Clocks, ClockTape
from hjbdsl.simulation.exits import outside
from hjbdsl.simulation.policy import Decision, Policy
from hjbdsl.simulation.process import ControlledProcess, Moved

RUNNING, HORIZON, EXIT, STOP = range(4)


@dataclass(frozen=True, slots=True)
class Shock:
    """The randomness of one step for k paths: independent Brownian increments (k, d), a uniform number for exits (k,), uniform
    numbers for random policies (k, m)."""

    brownian: Array
    bridge: Array
    choice: Array

    @classmethod
    def draw(cls, process: ControlledProcess, count: int, dt: float, generator: np.random.Generator) -> Shock:
        brownian = generator.normal(size=(count, len(process.problem.noises))) * math.sqrt(dt)
        bridge = generator.uniform(size=count) if process.ways else np.ones(count)
        choice = generator.uniform(size=(count, process.controls)) if process.problem.exploration else np.zeros((count, 0))
        return cls(brownian, bridge, choice)

    @classmethod
    def joined(cls, shocks: Sequence[Shock]) -> Shock:
        """The shock of one long step from those of the short ones; a path that leaves on a short step is likely to leave on the
        long one."""
        first = shocks[0]
        if len(shocks) == 1:
            return first
        least = np.min([shock.bridge for shock in shocks], axis=0)
        return cls(np.sum([shock.brownian for shock in shocks], axis=0), 1 - (1 - least) ** len(shocks), first.choice)


class Run:
    """k paths on their way. `total` (k,) the discounted reward so far (the running extreme where the objective is one);
    `factor` the discount factor; `martingale` the control variate, of mean zero; `ended` 0 while running, else HORIZON, EXIT or
    STOP; `decision` belongs to the rows `live`."""

    def __init__(self, process: ControlledProcess, policy: Policy, start: Points, tape: ClockTape):
        count = len(start)
        self.process, self.policy = process, policy
        self.x, self.mode, self.time = start.x.astype(float).copy(), start.mode.copy(), start.t.astype(float).copy()
        self.total, self.factor, self.martingale = np.zeros(count), np.ones(count), np.zeros(count)
        self.control = np.zeros((count, process.controls))
        self.ended = np.zeros(count, dtype=np.int64)
        self.clocks = Clocks.start(tape, process.events.sources, count)
        way = outside(process.ways, At(self.time, self.x, self.mode, self.control))
        self._exit(np.flatnonzero(way >= 0), way[way >= 0])
        self.live = np.flatnonzero(self.ended == RUNNING)
        self.decision = self._decide(self.live, np.full((len(self.live), process.controls), 0.5))
        if process.extreme is not None:
            self.total = process.coefficients.running(self._at(np.arange(count)))[0]
        self._stop()

    @classmethod
    def begin(cls, process: ControlledProcess, policy: Policy, start: Points, generator: np.random.Generator) -> Run:
        return cls(process, policy, start, ClockTape(process.events.sources, len(start), generator))

    def advance(self, dt: float, shock: Shock) -> None:
        """All living paths by dt."""
        rows, process, before = self.live, self.process, self.decision
        if not len(rows):
            return
        at, choice = self._at(rows), shock.choice[rows]

        def feedback(t: Array, x: Array, mode: Modes) -> Array:
            return process.feasible(t, x, mode, self.policy(t, x, mode, choice).control)

        after = process.advance(
            at, dt, shock.brownian[rows], shock.bridge[rows], self.clocks, rows, feedback if process.drift_chosen else None
        )
        self.martingale[rows] += self._variate(before, at, after, dt)
        self.x[rows], self.mode[rows], self.time[rows] = after.x, after.mode, at.t + after.fraction * dt
        inside = after.way < 0
        self.decision = self._decide(rows[inside], shock.choice[rows[inside]])
        self._earn(rows, at, before, inside, after.fraction * dt)
        self._exit(rows[~inside], after.way[~inside])
        self.live = rows[inside]
        self._stop()

    def finish(self) -> None:
        """The horizon: the terminal payoff of the paths that are still running."""
        rows = self.live
        if len(rows) and self.process.extreme is None:
            self.total[rows] += self.factor[rows] * self.process.payoff_at_end(self._at(rows))
        self.ended[rows] = HORIZON
        self.live = rows[:0]

    def tail(self) -> Array:
        """What the claimed V adds at the places of the living paths, discounted (k,); 0 for the others and without a claim."""
        value = np.zeros(len(self.x))
        if self.decision.value is not None and len(self.live):
            value[self.live] = self.factor[self.live] * self.decision.value
        return value

    def _at(self, rows: np.ndarray) -> At:
        return At(self.time[rows], self.x[rows], self.mode[rows], self.control[rows])

    def _decide(self, rows: np.ndarray, choice: Array) -> Decision:
        """What the policy does at the rows; their controls are set."""
        if not len(rows):
            return Decision(np.zeros((0, self.process.controls)))
        t, x, mode = self.time[rows], self.x[rows], self.mode[rows]
        decision = self.policy(t, x, mode, choice)
        if self.process.controls:
            self.control[rows] = self.process.feasible(t, x, mode, decision.control)
        return decision

    def _variate(self, decision: Decision, at: At, after: Moved, dt: float) -> Array:
        """The increment of the martingale; 0 where the claim has no gradient."""
        if decision.gradient is None or decision.value is None or self.policy.claimed is None:
            return np.zeros(len(at.t))
        increment = (decision.gradient * after.noise).sum(axis=1)
        if self.process.events.sources:
            increment = increment + compensated_events(self.process, self.policy.claimed, at, decision.value, after.events, dt)
        return self.factor[self.live] * np.where(np.isfinite(increment), increment, 0.0)

    def _earn(self, rows: np.ndarray, at: At, before: Decision, inside: np.ndarray, dt: Array) -> None:
        there = self._at(rows)
        if self.process.extreme is not None:
            level = self.process.coefficients.running(there)[0]
            self.total[rows] = self.process.extreme(self.total[rows], level)
            return
        reward, factor = self.process.rewards(at, there, dt)
        if before.bonus is not None:
            later = before.bonus.copy()
            later[inside] = self.decision.bonus if self.decision.bonus is not None else 0.0
            reward = reward + (before.bonus + factor * later) / 2 * dt
        self.total[rows] += self.factor[rows] * reward
        self.factor[rows] *= factor

    def _exit(self, rows: np.ndarray, way: np.ndarray) -> None:
        if len(rows):
            self.total[rows] += self.factor[rows] * self.process.payoff_outside(self._at(rows), way)
            self.ended[rows] = EXIT

    def _stop(self) -> None:
        """Stop the paths whose policy says so."""
        stop = self.decision.stop
        if stop is None or not stop.any() or "stop" not in self.process.coefficients.payoffs:
            return
        rows = self.live[stop]
        self.total[rows] += self.factor[rows] * self.process.coefficients.payoffs["stop"](self._at(rows))[0]
        self.ended[rows] = STOP
        self.live, self.decision = self.live[~stop], self.decision.rows(~stop)
