"""A control problem as a Gymnasium environment: what a learner who sees only transitions is given.

In: a process and a time step. Out: `ControlEnvironment`. Not imported by the package itself, since gymnasium comes with an
extra.

observation: Box of the time (unless the problem is stationary), every state component, the label number of every mode chain,
and for running extremes the extreme so far.

action: Discrete or MultiDiscrete where every control lives in a finite set, else Box: controls, then the adversary's; where the
controller may stop, one more component, which stops above 1/2.

reward: integral of the reward rate over the step, discounted to its start, and the payoff where the problem ends; costs are
negative rewards.

end: terminated at exit, stop and the end T of the problem; truncated after the `horizon` of an endless one.

info: `discount`, the factor over the step; `t`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, final

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from hjbdsl.errors import UsageError
from hjbdsl.model.problem import Bounds, ControlProblem
from hjbdsl.model.solution import Array
from hjbdsl.numeric.points import Points, stated_points
from hjbdsl.numeric.state_space import inside, lattice_points, number, region_of
from hjbdsl.simulation.compiled import At
from hjbdsl.simulation.exits import outside
from hjbdsl.simulation.process import ControlledProcess

_ENDLESS_STEPS = 1000
_ATTEMPTS = 1000


@final
class ControlEnvironment(gymnasium.Env[Any, Any]):
    """See the module. `horizon` is how long an endless problem is played (a thousand steps where it is not said)."""

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 (gymnasium's own declaration)

    def __init__(self, process: ControlledProcess, dt: float, horizon: float | None = None):
        if not 0 < dt < math.inf:
            raise UsageError("the time step of an environment is a positive number")
        if not process.controls and process.problem.stopping is None:
            raise UsageError("the problem has no controller: there is no action that an environment could take")
        self.process, self.dt = process, dt
        self.end = min(process.horizon, horizon if horizon is not None else math.inf)
        if not math.isfinite(self.end):
            self.end = _ENDLESS_STEPS * dt
        self._stops = process.problem.stopping is not None
        self._sense = -1.0 if process.problem.objective.sense == "minimize" else 1.0
        self._finite = _finite_sets(process.problem)
        self.action_space = _action_space(process, self._finite, self._stops)
        self.observation_space = _observation_space(process, self.end)
        self._now = Points(np.zeros(1), np.zeros((1, process.problem.dimension)), np.zeros(1, dtype=np.int64))
        self._extreme: Array | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float64], dict[str, Any]]:
        """A point drawn from the region at time 0; `options={"start": {"x": 1.0}}` states it as `hjb solve --at` does."""
        super().reset(seed=seed)
        start = (options or {}).get("start")
        self._now = self._stated(start) if start is not None else self._drawn()
        self._extreme = None
        if self.process.extreme is not None:
            self._extreme = self.process.coefficients.running(self._at(np.zeros((1, self.process.controls))))[0]
        return self._observation(), {"t": float(self._now.t[0]), "discount": 1.0}

    def step(self, action: Any) -> tuple[NDArray[np.float64], float, bool, bool, dict[str, Any]]:
        control, stop = self._read(action)
        now = self._now
        if stop:
            payoff = self.process.coefficients.payoffs["stop"](self._at(control))[0]
            return self._observation(), self._sense * float(payoff[0]), True, False, {"t": float(now.t[0]), "discount": 1.0}
        control = self.process.feasible(now.t, now.x, now.mode, control)
        length = min(self.dt, self.end - float(now.t[0]))
        after = self.process.step(now.t, now.x, now.mode, control, length, self.np_random)
        if not (np.isfinite(after.x).all() and np.isfinite(after.reward).all()):
            return self._observation(), 0.0, True, False, {"t": float(now.t[0]), "discount": 0.0, "blown_up": True}
        self._now = Points(after.t, after.x, after.mode)
        over = float(after.t[0]) >= self.end - 1e-9 * self.dt
        finished = bool(after.ended[0]) or (over and math.isfinite(self.process.horizon) and self.end >= self.process.horizon)
        reward = self._earned(control, after.reward, after.discount, after.payoff, finished and not after.ended[0])
        info = {"t": float(after.t[0]), "discount": float(after.discount[0])}
        return self._observation(), self._sense * reward, finished, over and not finished, info

    def _earned(self, control: Array, reward: Array, discount: Array, payoff: Array, at_end: bool) -> float:
        if self.process.extreme is not None and self._extreme is not None:
            before = self._extreme
            self._extreme = self.process.extreme(before, self.process.coefficients.running(self._at(control))[0])
            return float((self._extreme - before)[0])
        if at_end:
            payoff = self.process.payoff_at_end(self._at(control))
        return float((reward + discount * payoff)[0])

    def _at(self, control: Array) -> At:
        return At(self._now.t, self._now.x, self._now.mode, control)

    def _read(self, action: Any) -> tuple[Array, bool]:
        """The control (1, m) and whether to stop."""
        entries = np.atleast_1d(np.asarray(action, dtype=float))
        stop = self._stops and bool(entries[-1] > 0.5)
        if self._stops:
            entries = entries[:-1]
        if not isinstance(self.action_space, spaces.Box):
            entries = np.array([points[int(e)] for e, points in zip(entries, self._finite, strict=True) if points is not None])
        return entries.reshape(1, -1), stop

    def _observation(self) -> NDArray[np.float64]:
        problem, now = self.process.problem, self._now
        parts = [] if self.process.stationary else [np.minimum(now.t, self.end)]
        labels = np.array(problem.mode_tuples()[int(now.mode[0])], dtype=float)
        parts += [now.x[0], labels] + ([self._extreme] if self._extreme is not None else [])
        box = self.observation_space
        values = np.concatenate(parts)
        return np.clip(values, box.low, box.high) if isinstance(box, spaces.Box) else values

    def _stated(self, start: Mapping[str, Any]) -> Points:
        return stated_points(self.process.problem, self.process.stationary, [start])

    def _drawn(self) -> Points:
        """Uniform on the part of the region where the process runs."""
        problem = self.process.problem
        region, modes = region_of(problem), len(problem.mode_tuples())
        for _ in range(_ATTEMPTS):
            x = self.np_random.uniform(region[:, 0], region[:, 1]) if len(region) else np.zeros(0)
            for i in problem.lattice_states:
                points = lattice_points(problem, problem.state_bounds[i])
                within = points[(points >= region[i, 0] - 1e-9) & (points <= region[i, 1] + 1e-9)]
                x[i] = self.np_random.choice(within)
            mode = np.array([self.np_random.integers(modes)], dtype=np.int64)
            places = Points(np.zeros(1), x[None, :], mode)
            control = np.zeros((1, self.process.controls))
            gone = outside(self.process.ways, At(places.t, places.x, places.mode, control))
            if gone[0] < 0 and inside(problem, places.x)[0]:
                return places
        raise UsageError("no point of the region was found where the process runs; state one with options={'start': ...}")


def _finite_sets(problem: ControlProblem) -> tuple[Array | None, ...]:
    """The points of every control component that lives in a finite set."""
    bounds = [b for group in (*problem.controls, *problem.adversaries) for b in group.bounds]
    return tuple(np.array([number(problem, p) for p in b.points]) if b.is_finite_set else None for b in bounds)


def _action_space(process: ControlledProcess, finite: tuple[Array | None, ...], stops: bool) -> spaces.Space[Any]:
    sizes = [len(points) for points in finite if points is not None]
    if len(sizes) == len(finite):
        sizes += [2] if stops else []
        return spaces.Discrete(sizes[0]) if len(sizes) == 1 else spaces.MultiDiscrete(sizes)
    ends = process.coefficients.control_bounds.constants.copy()
    low = np.where(np.isnan(ends[0::2]), -np.inf, ends[0::2])
    high = np.where(np.isnan(ends[1::2]), np.inf, ends[1::2])
    for column, points in enumerate(finite):
        if points is not None:
            low[column], high[column] = points.min(), points.max()
    if stops:
        low, high = np.append(low, 0.0), np.append(high, 1.0)
    return spaces.Box(low, high, dtype=np.float64)


def _observation_space(process: ControlledProcess, end: float) -> spaces.Box:
    problem = process.problem
    low, high = ([], []) if process.stationary else ([0.0], [end])
    for bounds in problem.state_bounds:
        interval = _interval(problem, bounds)
        low.append(interval[0])
        high.append(interval[1])
    low += [0.0] * len(problem.modes)
    high += [float(len(chain.labels) - 1) for chain in problem.modes]
    if process.extreme is not None:
        low, high = [*low, -math.inf], [*high, math.inf]
    return spaces.Box(np.array(low), np.array(high), dtype=np.float64)


def _interval(problem: ControlProblem, bounds: Bounds) -> tuple[float, float]:
    if bounds.is_finite_set:
        points = lattice_points(problem, bounds)
        return float(points.min()), float(points.max())
    if bounds.periodic:
        return -math.pi, math.pi
    return number(problem, bounds.lower), number(problem, bounds.upper)
