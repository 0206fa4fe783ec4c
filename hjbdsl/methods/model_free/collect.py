"""Where transitions come from when the file itself is simulated: short episodes over the region, under a behaviour.

The learner is handed `Transitions` and nothing else. A step is simulated in many small ones with the control held, so that what
is seen is the process and not the simulator."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hjbdsl.errors import UsageError
from hjbdsl.methods.model_free.conditions import Operator
from hjbdsl.methods.model_free.coordinates import ControlSpace
from hjbdsl.methods.model_free.iteration import Task, choose
from hjbdsl.methods.model_free.transitions import Transitions, joined, transitions
from hjbdsl.model.solution import Array
from hjbdsl.numeric.points import Points
from hjbdsl.numeric.state_space import inside, lattice_points, number, region_of
from hjbdsl.simulation import ControlledProcess
from hjbdsl.simulation.compiled import At
from hjbdsl.simulation.events import Clocks, ClockTape
from hjbdsl.simulation.exits import outside

FINEST = 0.02
"""The longest step of the simulator inside a step of the learner."""
BEYOND = 0.2
"""How far past the region episodes start, as a share of its width."""
TRUST = 1.5
"""How far from the centre of the data so far, in standard deviations, the next actions are centred."""
_BOXED = 0.3
"""Standard deviation of actions about the policy, by half the length of their interval."""
_ATTEMPTS = 200
_UNIFORM = 0.3
"""The share of actions of a bounded control that are drawn from its whole interval."""

Behaviour = Callable[[Points, np.random.Generator], Array]
"""Draws controls (k, m) at k places."""


def wide_behaviour(space: ControlSpace) -> Behaviour:
    """Normal in the coordinates of unbounded controls, uniform on intervals and finite sets: it looks at no state."""

    def draw(places: Points, generator: np.random.Generator) -> Array:
        k = len(places)
        boxed = [axis.kind == "box" for axis in space.axes]
        v = np.where(boxed, generator.uniform(-1, 1, (k, len(boxed))), generator.normal(size=(k, len(boxed))))
        return space.back(places.t, places.x, v, generator.integers(0, len(space.points), k))

    return draw


def policy_behaviour(operator: Operator, task: Task, advantage: Array, widths: Array) -> Behaviour:
    """The learned policy, never narrower than `widths` (axes,) in the axes' own units: that is what exploration is."""
    space = operator.features.control.space
    boxes = np.array([axis.kind == "box" for axis in space.axes], dtype=bool)
    least = np.where(boxes, _BOXED, widths / np.array([axis.scale for axis in space.axes]))
    wide = wide_behaviour(space)

    def draw(places: Points, generator: np.random.Generator) -> Array:
        choice = choose(operator, task, advantage, places, guard=TRUST)
        k = len(places)
        width = np.maximum(choice.deviation, least)
        centre = np.clip(choice.v, -TRUST, TRUST)
        v = centre + width * generator.normal(size=choice.v.shape)
        v = np.where(boxes, np.clip(v, -1, 1), v)
        chosen = np.where(generator.uniform(size=k) < 0.5, choice.point, generator.integers(0, len(space.points), k))
        own = space.back(places.t, places.x, v, chosen)
        anywhere = generator.uniform(size=k) < _UNIFORM
        return np.where((anywhere & bool(boxes.any()))[:, None], wide(places, generator), own)

    return draw


@dataclass(frozen=True, slots=True)
class Simulator:
    """The file as an environment: `dt` the learner's step, `steps` an episode's length in steps, `sign` -1 where the file
    minimises."""

    process: ControlledProcess
    dt: float
    steps: int
    sign: float

    def collect(self, behaviour: Behaviour, count: int, generator: np.random.Generator) -> Transitions:
        """About `count` transitions, in episodes that start anywhere in the region and at any time before the horizon."""
        episodes = max(1, math.ceil(count / (2 * self.steps)))
        places, last = self._starts(episodes, generator), self.process.horizon - self.dt
        parts = []
        for _ in range(self.steps):
            part = self._step(places, behaviour(places, generator), generator)
            parts.append(part)
            places = Points(part.t[::2] + self.dt, part.x_next[::2], part.mode_next[::2])
            over = (places.t > last + 1e-9) | ~np.isfinite(places.x).all(axis=1) | part.done[::2]
            if over.any():
                fresh = self._starts(len(places), generator)
                places = Points(
                    np.where(over, fresh.t, places.t),
                    np.where(over[:, None], fresh.x, places.x),
                    np.where(over, fresh.mode, places.mode),
                )
        return joined(parts)

    def ends(self, count: int, generator: np.random.Generator) -> tuple[Points, Array]:
        """Observed ends of the problem: states at the horizon and what was paid there; none without a horizon."""
        if not math.isfinite(self.process.horizon):
            return self._starts(0, generator), np.zeros(0)
        starts = self._starts(count, generator)
        places = Points(np.full(count, self.process.horizon), starts.x, starts.mode)
        m = self.process.controls
        return places, self.sign * self.process.payoff_at_end(At(places.t, places.x, places.mode, np.zeros((count, m))))

    def places(self, count: int, generator: np.random.Generator) -> Points:
        """States of the region at any time."""
        return self._starts(count, generator, 0.0, 0.0)

    @property
    def open_ends(self) -> list[tuple[float, float]]:
        """(lower, upper) of every state, infinite where there is no open end."""
        problem = self.process.problem
        return [
            (number(problem, b.lower) if b.lower_open else -math.inf, number(problem, b.upper) if b.upper_open else math.inf)
            if not b.is_finite_set else (-math.inf, math.inf)
            for b in problem.state_bounds
        ]  # fmt: skip

    def _step(self, places: Points, a: Array, generator: np.random.Generator) -> Transitions:
        """Two steps from every place, rows 2 i and 2 i + 1, whose Brownian increments are each other's mirror image."""
        process, k = self.process, 2 * len(places)
        twice = (np.repeat(places.t, 2), np.repeat(places.x, 2, axis=0), np.repeat(places.mode, 2), np.repeat(a, 2, axis=0))
        start = at = At(*twice)
        rate = process.coefficients.running(start)[0]
        substeps = max(1, math.ceil(self.dt / FINEST))
        h, noises, sources = self.dt / substeps, len(process.problem.noises), process.events.sources
        clocks = Clocks.start(ClockTape(sources, k, generator), sources, k)
        way = np.full(k, -1)
        for _ in range(substeps):
            shock = np.repeat(generator.normal(size=(k // 2, noises)) * math.sqrt(h), 2, axis=0)
            shock[1::2] *= -1.0
            after = process.advance(at, h, shock, generator.uniform(size=k), clocks, np.arange(k), None)
            # who has left stays where he left
            gone = way >= 0
            x, mode = np.where(gone[:, None], at.x, after.x), np.where(gone, at.mode, after.mode)
            at, way = At(at.t + h, x, mode, at.control), np.where(gone, way, after.way)
        done, payoff = way >= 0, np.zeros(k)
        if done.any():
            payoff[done] = self.sign * process.payoff_outside(at.rows(done), way[done])
        step = transitions(
            self.dt, start.x, start.control, self.sign * rate, at.x, t=start.t, mode=start.mode, mode_next=at.mode,
            done=done, payoff=payoff,
        )  # fmt: skip
        return replace(step, mirrored=True)

    def _starts(self, count: int, generator: np.random.Generator, beyond: float = BEYOND, spare: float | None = None) -> Points:
        """Where the process runs: a place outside is drawn again."""
        places = self._drawn(count, generator, beyond, spare)
        if not self.process.ways:
            return places
        for _ in range(_ATTEMPTS):
            gone = outside(self.process.ways, At(places.t, places.x, places.mode, np.zeros((count, self.process.controls)))) >= 0
            if not gone.any():
                return places
            fresh = self._drawn(count, generator, beyond, spare)
            places = Points(
                np.where(gone, fresh.t, places.t),
                np.where(gone[:, None], fresh.x, places.x),
                np.where(gone, fresh.mode, places.mode),
            )
        raise UsageError("the region holds hardly a place where the process runs: state a `region` inside the exit")

    def _drawn(self, count: int, generator: np.random.Generator, beyond: float, spare: float | None) -> Points:
        problem = self.process.problem
        low, high = region_of(problem).T
        width = beyond * (high - low)
        x = generator.uniform(low - width, high + width, (count, problem.dimension))
        for i, (bottom, top) in enumerate(self.open_ends):
            # away from an end that is never reached, states differ by their ratio
            if -math.inf < bottom < low[i] and top == math.inf:
                x[:, i] = bottom + _log_uniform(low[i] - bottom, high[i] - bottom, beyond, count, generator)
            elif math.inf > top > high[i] and bottom == -math.inf:
                x[:, i] = top - _log_uniform(top - high[i], top - low[i], beyond, count, generator)
        x = np.where(inside(problem, x)[:, None], x, np.clip(x, low, high)) if count else x
        for i, bounds in enumerate(problem.state_bounds):
            if bounds.is_finite_set:
                x[:, i] = generator.choice(lattice_points(problem, bounds), count)
        end = self.process.horizon - (self.dt if spare is None else spare)
        t = generator.uniform(0, end, count) if math.isfinite(end) else np.zeros(count)
        return Points(t, x, generator.integers(0, len(problem.mode_tuples()), count))


def _log_uniform(low: float, high: float, beyond: float, count: int, generator: np.random.Generator) -> Array:
    spare = beyond * math.log(high / low)
    return np.exp(generator.uniform(math.log(low) - spare, math.log(high) + spare, count))
