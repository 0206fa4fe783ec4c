"""The controlled process of a problem, one step at a time.

In: a derived problem. Out: `ControlledProcess`, whose `advance` moves k paths over dt: the drift by a predictor and a corrector
(weak order two where the noise does not depend on the state), jumps and switches by clocks, then the ends and exits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Array
from hjbdsl.numeric.state_space import horizon
from hjbdsl.simulation.coefficients import Coefficients, compile_coefficients
from hjbdsl.simulation.compiled import At, Modes
from hjbdsl.simulation.events import Clocks, ClockTape, Event, EventLaw, event_law
from hjbdsl.simulation.exits import Way, left, outside, ways_out
from hjbdsl.simulation.feasible import FeasibleSet, feasible_set
from hjbdsl.simulation.motion import Ends, corrected, ends_of, kept_inside, lattice_values, moved
from hjbdsl.symbolic.composition import working_problem

Feedback = Callable[[Array, Array, Modes], Array]
"""Controls (k, m) at t (k,), x (k, n), mode (k,)."""


@dataclass(frozen=True, slots=True)
class Moved:
    """k paths after a step. `way` the way out taken, -1 where still inside; `fraction` of the step that was run; `noise` (k, n)
    the martingale part of the continuous motion; `events` what happened."""

    x: Array
    mode: Modes
    way: NDArray[np.int64]
    fraction: Array
    noise: Array
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Transition:
    """One step (t, x, a) -> (t + dt, x'). `reward` is the integral of the discounted reward rate over the step, without any
    payoff at the end; `discount` the factor exp(-integral of the rate); `ended` where the process has left, `payoff` what it is
    then paid (not yet discounted), 0 elsewhere."""

    t: Array
    x: Array
    mode: Modes
    reward: Array
    discount: Array
    ended: NDArray[np.bool_]
    payoff: Array


@dataclass(frozen=True, slots=True)
class ControlledProcess:
    """The process of a problem (the reversed one under `reverse`), compiled. `horizon` is the last time, inf without one;
    `drift_chosen` says whether a control enters the drift."""

    problem: ControlProblem
    stationary: bool
    coefficients: Coefficients
    events: EventLaw
    ends: tuple[Ends, ...]
    ways: tuple[Way, ...]
    horizon: float
    drift_chosen: bool
    admissible: FeasibleSet

    @property
    def random(self) -> bool:
        """Whether two paths under the same policy can differ."""
        return bool(self.problem.diffusion) or self.events.sources > 0 or self.problem.exploration is not None

    @property
    def extreme(self) -> Callable[[Array, Array], Array] | None:
        """How a running minimum or maximum is kept, None for a sum of rewards."""
        return {"running_min": np.minimum, "running_max": np.maximum}.get(self.problem.objective.form)

    @property
    def controls(self) -> int:
        """Components of the control, the adversary's among them."""
        return len(self.problem.control_symbols) + len(self.problem.adversary_symbols)

    def step(self, t: Array, x: Array, mode: Modes, control: Array, dt: float, generator: np.random.Generator) -> Transition:
        """One step of k independent paths under a control that is held: what a learner sees."""
        count = len(t)
        at = At(t, x, mode, control)
        shock = generator.normal(size=(count, len(self.problem.noises))) * math.sqrt(dt)
        sources = self.events.sources
        clocks = Clocks.start(ClockTape(sources, count, generator), sources, count)
        after = self.advance(at, dt, shock, generator.uniform(size=count), clocks, np.arange(count), None)
        there = At(t + after.fraction * dt, after.x, after.mode, control)
        reward, discount = self.rewards(at, there, after.fraction * dt)
        ended = after.way >= 0
        payoff = np.zeros(count)
        if ended.any():
            payoff[ended] = self.payoff_outside(there.rows(ended), after.way[ended])
        return Transition(there.t, after.x, after.mode, reward, discount, ended, payoff)

    def advance(
        self,
        at: At,
        dt: float,
        shock: Array,
        uniform: Array,
        clocks: Clocks,
        paths: NDArray[np.int64],
        feedback: Feedback | None,
    ) -> Moved:
        """Move k paths by dt. `shock` (k, d) independent Brownian increments; `uniform` (k,) for exits between the times of the
        grid; `paths` (k,) the rows on the tape of clocks; `feedback` gives the control after the predictor, None holds it."""
        spread = self.coefficients.noise(at)
        noise = spread.displacement(shock)
        variance = spread.variance(len(at.t)) * dt
        drift = self.coefficients.drift(at).T
        events = self.events.happened(at, dt, clocks, paths) if self.events.sources else []
        smooth = moved(self.ends, at.x, drift * dt, noise, variance)
        guess, mode, _, _ = self._with_events(events, at, smooth)
        later = at.t + dt
        control = at.control if feedback is None else feedback(later, guess, mode)
        later_drift = self.coefficients.drift(At(later, guess, mode, control)).T
        later_drift = np.where(np.isfinite(later_drift), later_drift, drift)
        smooth = corrected(self.ends, at.x, drift * dt, guess, later_drift * dt, noise, variance)
        exit_ = left(self.ways, at, smooth, spread, dt, uniform)
        x, mode, jumped, when = self._with_events(events, at, smooth)
        gone = exit_.way >= 0
        way = np.where(gone, exit_.way, jumped)
        fraction = np.where(gone, exit_.fraction, np.where(jumped >= 0, when / dt, 1.0))
        return Moved(np.where(gone[:, None], exit_.x, x), np.where(gone, at.mode, mode), way, fraction, noise, tuple(events))

    def _with_events(self, events: list[Event], at: At, x: Array) -> tuple[Array, Modes, NDArray[np.int64], Array]:
        """States and modes after the events of a step whose continuous motion leads to `x`; the way out taken by a jump (-1:
        none) and when. To a path that has left nothing more happens."""
        x, mode = kept_inside(self.ends, x.copy()), at.mode
        way, when = np.full(len(x), -1), np.zeros(len(x))
        if not events:
            return x, mode, way, when
        mode = mode.copy()
        for event in (event.kept(way < 0) for event in events):
            x[event.rows], mode[event.rows] = self.events.after(event, At(at.t, x, mode, at.control))
            if self.ways and event.jump >= 0:
                rows = event.rows
                way[rows] = outside(self.ways, At(at.t[rows] + event.time, x[rows], mode[rows], at.control[rows]))
                when[rows] = event.time
        return kept_inside(self.ends, x), mode, way, when

    def rewards(self, before: At, after: At, dt: Array | float) -> tuple[Array, Array]:
        """Integral of the discounted reward rate over a step of length dt, and its discount factor, both (k,), by the trapezoid
        rule."""
        (f0, r0), (f1, r1) = self.coefficients.running(before), self.coefficients.running(after)
        factor = np.exp(-(r0 + r1) / 2 * dt)
        f1 = np.where(np.isfinite(f1), f1, f0)
        return (f0 + factor * f1) / 2 * dt, factor

    def payoff_outside(self, at: At, way: NDArray[np.int64]) -> Array:
        """What is paid at exit (k,), by the way out taken."""
        result = np.zeros(len(at.t))
        ordinary = self.coefficients.payoffs.get("exit")
        for number in np.unique(way):
            here = way == number
            amount = self.ways[number].payoff or ordinary
            if amount is not None:
                result[here] = amount(at.rows(here))[0]
        return result

    def payoff_at_end(self, at: At) -> Array:
        """What is paid at the horizon (k,): the terminal reward; that of stopping or of exit, where the rule ends there."""
        for name in ("terminal", "stop", "exit"):
            if name in self.coefficients.payoffs:
                return self.coefficients.payoffs[name](at)[0]
        return np.zeros(len(at.t))

    def feasible(self, t: Array, x: Array, mode: Modes, control: Array) -> Array:
        """Controls moved into their admissible set."""
        return self.admissible.moved(At(t, x, mode, control))


def compile_process(equation: HJBEquation) -> ControlledProcess:
    """Compile the process of a derived problem. Raises `SolverError` for what cannot be simulated."""
    problem, conditions = working_problem(equation.problem), equation.boundaries
    end = horizon(equation.problem)
    coefficients = compile_coefficients(problem)
    chosen = {*problem.control_symbols, *problem.adversary_symbols}
    return ControlledProcess(
        problem,
        equation.stationary,
        coefficients,
        event_law(problem, coefficients, lattice_values(problem)),
        ends_of(problem, conditions),
        ways_out(problem, conditions),
        end,
        not chosen.isdisjoint(set().union(*(b.free_symbols for b in problem.drift))),
        feasible_set(problem, coefficients.control_bounds),
    )
