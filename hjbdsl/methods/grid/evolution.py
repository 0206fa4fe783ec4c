"""Equations with time, marched backwards from the terminal value by explicit steps (implicit ones: `implicit`).

front      first-order equations: WENO5 derivatives (Jiang, Peng 2000) with strong-stability-preserving Runge-Kutta steps: `front`
explicit   V(t - dt) = V + dt H(V) with convex weights where that is what limits dt, shorter steps by Heun's second-order rule;
           or with noise the second-order Runge-Kutta-Legendre steps of s stages that reach (s^2 + s - 2)/4 times as far (Meyer,
           Balsara, Aslam 2012)
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hjbdsl.errors import SolverError
from hjbdsl.methods.grid.front import Front
from hjbdsl.methods.grid.howard import obstacle_side, sound
from hjbdsl.methods.grid.legendre import FixedRows, unchanging
from hjbdsl.methods.grid.program import GridProgram
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import TIME
from hjbdsl.model.solution import Array

SAFETY = 0.9
MOST_STAGES = 25


@dataclass(frozen=True, slots=True)
class EvolutionAnswer:
    """V, policy and stopping set on time slices (ascending): (slices, nodes), (slices, nodes, controls), (slices, nodes). `left`:
    what the iterations of the steps left over, relative to V; `erred`: the estimated error in time, in the mean."""

    times: Array
    V: Array
    policy: Array
    stopped: NDArray[np.bool_]
    steps: int
    way: str
    left: float = 0.0
    erred: float = 0.0


class March:
    """One march: its data, and what it has recorded. `times`, ascending to the end, at which explicit steps are recorded."""

    def __init__(self, program: GridProgram, equation: HJBEquation, times: Array, deadline: float):
        self.program, self.times, self.deadline = program, times, deadline
        self.end = end = float(times[-1])
        self.side = obstacle_side(equation)
        self.policy = program.new_policy()
        moving = equation.obstacle is not None and TIME in equation.problem.numeric(equation.obstacle.payoff).free_symbols
        self.payoff = program.data(end, 2) if self.side and not moving else None
        self.V = self.constrain(end, program.data(end, 3))
        self.fixed = FixedRows(program, self.policy, end) if unchanging(equation) else None
        self.steps = 0
        self.first: tuple[float, float] | None = None
        self.recorded: list[tuple[Array, Array, NDArray[np.bool_]]] = []

    def constrain(self, t: float, V: Array) -> Array:
        """Put the exit value where the process has ended, and hold V on its side of the obstacle."""
        if self.side:
            payoff = self.obstacle(t)
            V = np.maximum(V, payoff) if self.side > 0 else np.minimum(V, payoff)
        return np.where(self.program.gone, self.program.data(t, 1), V) if self.program.module.EXIT else V

    def go_on(self, done: float) -> None:
        """Raises SolverError where the march, of which a share is done, will not end in time, as the steps after the first tell:
        that one may have waited for the compiler."""
        now = time.thread_time()
        began, before = self.first = self.first or (now, done)
        left = (now - began) * (1.0 - done) / (done - before) if done > before + 0.1 else 0.0
        if now > self.deadline or now + left > self.deadline + 10.0:
            raise SolverError("out of time")

    def obstacle(self, t: float) -> Array:
        return self.payoff if self.payoff is not None else self.program.data(t, 2)

    def record(self, t: float, stopped: NDArray[np.bool_] | None = None) -> None:
        if stopped is None:
            stopped = np.zeros(self.program.size, np.bool_)
            if self.side:
                payoff = self.obstacle(t)
                stopped = np.abs(self.V - payoff) <= 1e-12 * (1.0 + np.abs(payoff))
        self.recorded.append((self.V.copy(), self.policy.copy(), stopped))

    def answer(self, way: str) -> EvolutionAnswer:
        ordered = self.recorded[::-1]
        V, policy, stopped = (np.array([entry[part] for entry in ordered]) for part in range(3))
        return EvolutionAnswer(self.times, V, policy, stopped, self.steps, way)

    def front(self) -> EvolutionAnswer:
        wave, t = Front(self.program), self.end
        wave.slope(self.V, t, self.policy, True)
        self.record(t)
        for target in self.times[-2::-1]:
            while t > target + 1e-12 * self.end:
                V, dt = wave.step(self.V, t, t - target, self.policy)
                self.V = self.constrain(t - dt, V)
                t, self.steps = t - dt, self.steps + 1
                self.go_on((self.end - t) / self.end)
            wave.slope(self.V, t, self.policy, True)
            self.record(t)
        return self.answer("WENO5")

    def explicit(self, stochastic: bool, parts: int, abrupt: bool) -> EvolutionAnswer:
        """`parts`: cells for one of the coarsest level. Where no noise and no drift calls for shorter steps on a finer level, as
        with jumps alone, or where the data change fast (`abrupt`), they are cut like the cells, for the levels to tell of the
        error in time."""
        t = self.end
        H, totals = self.slope(self.V, t)
        self.record(t)
        for target in self.times[-2::-1]:
            cells = 1.0 / max(self.advection(t), 1e-12) if stochastic else math.inf
            longest = t - target if stochastic and not abrupt else (t - target) / parts
            while t > target + 1e-12 * self.end:
                largest = SAFETY / max(float(np.max(totals)), 1e-12)
                wanted = min(t - target, longest, max(cells, largest))
                stages = 1
                if stochastic and wanted > largest:
                    stages = min(MOST_STAGES, math.ceil((math.sqrt(9.0 + 16.0 * wanted / largest) - 1.0) / 2.0) | 1)
                reach = largest if stages == 1 else largest * (stages**2 + stages - 2) / 4.0
                dt = wanted / math.ceil(wanted / reach)
                if stages > 1:
                    self.V = self.constrain(t - dt, self.legendre(t, dt, stages, H))
                else:
                    self.V = self.heun(t, dt, H) if wanted <= largest else self.constrain(t - dt, self.V + dt * H)
                t, self.steps = t - dt, self.steps + stages
                H, totals = self.slope(self.V, t)
                self.go_on((self.end - t) / self.end)
            self.record(t)
        return self.answer("explicit")

    def heun(self, t: float, dt: float, H: Array) -> Array:
        """One step of second order from V, whose slope at t is H: the mean of V and of what two Euler steps make of it."""
        ahead = self.constrain(t - dt, self.V + dt * H)
        return self.constrain(t - dt, 0.5 * (self.V + ahead + dt * self.slope(ahead, t - dt)[0]))

    def slope(self, V: Array, t: float) -> tuple[Array, Array]:
        """H(V) and the row totals, with the best policy."""
        if self.fixed is not None:
            return self.fixed.slope(V), self.fixed.rows.totals
        H, totals, failures = self.program.sweep(V, self.policy, t)
        sound(failures)
        return H, totals

    def advection(self, t: float) -> float:
        """The fastest drift, in cells a unit of time: a long Legendre step is stable along the negative axis only."""
        rows, _ = self.program.rows(self.policy, t)
        line, column, weight = rows.entries()
        shape, nodes = self.program.mesh.shape, self.program.mesh.nodes
        here, there = np.unravel_index(line % nodes, shape), np.unravel_index(column % nodes, shape)
        fastest = np.zeros(self.program.size)
        for k, n in enumerate(shape):
            moved = there[k] - here[k]
            moved = np.where(2 * np.abs(moved) > n, 0, moved)  # across a circle's seam
            fastest += np.abs(np.bincount(line, weight * moved, self.program.size))
        return float(np.max(fastest))

    def legendre(self, t: float, dt: float, stages: int, H0: Array) -> Array:
        """One step of RKL2; `H0` is H(V) at t."""
        w = 4.0 / (stages**2 + stages - 2.0)
        b = [1 / 3, 1 / 3] + [(j * j + j - 2.0) / (2.0 * j * (j + 1.0)) for j in range(2, stages + 1)]
        shares = np.empty((stages - 1, 5))
        for j in range(2, stages + 1):
            mu, nu = (2.0 * j - 1.0) / j * b[j] / b[j - 1], -(j - 1.0) / j * b[j] / b[j - 2]
            shares[j - 2] = mu, nu, 1.0 - mu - nu, mu * w * dt, mu * (1.0 - b[j - 1]) * w * dt
        older, newer = self.V, self.V + b[1] * w * dt * H0
        if self.fixed is not None:
            return self.fixed.stages(newer, older.copy(), self.V, H0, shares)
        for j, (now, before, initial, step, back) in enumerate(shares, 2):
            reached = t - dt * ((j - 1) ** 2 + (j - 1) - 2.0) / (stages**2 + stages - 2.0) if j > 2 else t - dt * w / 3.0
            if self.program.module.EXIT:
                newer = np.where(self.program.gone, self.program.data(reached, 1), newer)
            H = self.slope(newer, reached)[0]
            older, newer = newer, now * newer + before * older + initial * self.V + step * H - back * H0
        return newer
