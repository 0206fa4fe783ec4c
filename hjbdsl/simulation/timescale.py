"""How long to simulate and with which step.

In: a process, a policy, a start. Out: `Clockwork`. The step follows the fastest thing that happens on a pilot run under the
policy: pull of the drift, noise beside the distance to an open end, jumps, modes, discount. The horizon of an endless problem
ends where the discount factor is small.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hjbdsl.model.solution import Array
from hjbdsl.numeric.points import Points
from hjbdsl.simulation.compiled import At
from hjbdsl.simulation.paths import repeated
from hjbdsl.simulation.policy import Policy, ValuePolicy
from hjbdsl.simulation.process import ControlledProcess
from hjbdsl.simulation.run import Run, Shock

_PILOT_PATHS, _PILOT_STEPS = 64, 64
_STEPS_A_LIFE = 40
_SHARE_OF_TIME = 0.8
_FRACTION = 0.1
_DISCOUNTED, _NEAR_AN_END = 0.02, 1.0
_FEWEST, _MOST, _MOST_CERTAIN, _MOST_WITH_ENDINGS = 128, 2400, 512, 100_000
_FINAL_DISCOUNT = 0.02
_ENDLESS = 100.0


@dataclass(frozen=True, slots=True)
class Clockwork:
    """`steps` steps of `dt`, a multiple of four."""

    dt: float
    steps: int

    @property
    def length(self) -> float:
        return self.dt * self.steps


def clockwork_of(
    process: ControlledProcess, policy: Policy, start: Points, dt: float | None = None, horizon: float | None = None
) -> Clockwork:
    """The step and the length asked for, or chosen. The step is shortened so that four divide the length."""
    if process.problem.exploration is not None and policy.claimed is not None:
        policy = ValuePolicy(policy.claimed)  # draws of a random policy are no pull of the drift
    length = min(horizon if horizon is not None else math.inf, process.horizon - float(start.t[0]))
    if not math.isfinite(length):
        length = _endless(process, policy, start)
    if dt is None:
        rate = max(_fastest_rate(process, policy, start, length), _exit_rate(process, _place(process, policy, start)))
        most = _MOST_WITH_ENDINGS if process.ways else _MOST if process.random else _MOST_CERTAIN
        steps = min(max(_FEWEST, math.ceil(rate * length / _FRACTION)), most)
    else:
        steps = math.ceil(length / dt * (1 - 1e-12))
    steps = 4 * max(1, math.ceil(steps / 4))
    return Clockwork(length / steps, steps)


def _endless(process: ControlledProcess, policy: Policy, start: Points) -> float:
    at = _place(process, policy, start)
    rate = float(process.coefficients.running(at)[1][0])
    speed = _rate_at(process, at, at)
    if rate > 0:
        return math.log(1 / _FINAL_DISCOUNT) / rate
    return min(_ENDLESS, 40 / speed) if speed > 0 else _ENDLESS


def _place(process: ControlledProcess, policy: Policy, points: Points) -> At:
    uniform = np.full((len(points), process.controls), 0.5)
    control = policy(points.t, points.x, points.mode, uniform).control if process.controls else np.zeros((len(points), 0))
    return At(points.t, points.x, points.mode, process.feasible(points.t, points.x, points.mode, control))


def _fastest_rate(process: ControlledProcess, policy: Policy, start: Points, length: float) -> float:
    """The rate that is not exceeded for most of a pilot run: a control that jumps, jumps seldom."""
    generator = np.random.default_rng(1)
    run = Run.begin(process, policy, repeated(start, _PILOT_PATHS), generator)
    dt, rates = length / _PILOT_STEPS / 8, [0.0]
    for step in range(_PILOT_STEPS):
        if not len(run.live):
            break
        before = _here(run)
        dt = min(dt * 1.04, length / _PILOT_STEPS) if step else dt
        alive = run.live
        run.advance(dt, Shock.draw(process, _PILOT_PATHS, dt, generator))
        after = _here(run)
        kept = np.isin(alive, run.live)
        rates.append(_rate_at(process, before.rows(kept), after))
    rate = float(np.quantile(rates, _SHARE_OF_TIME))
    ended = run.ended > 0
    lifetime = float(np.mean(run.time[ended])) - float(start.t[0]) if ended.any() else 0.0
    return max(rate, _STEPS_A_LIFE * _FRACTION / lifetime) if process.ways and lifetime > 0 else rate


def _exit_rate(process: ControlledProcess, at: At) -> float:
    """How fast noise and drift cover the distance from the start to the nearest way out, or the width between two walls."""
    spread, drift = process.coefficients.noise(at), process.coefficients.drift(at).T
    rates = [0.0]
    for way in process.ways:
        if len(way.equal) == 1 and not way.equal[0] and (level := abs(float(way.levels(at)[0, 0]))) > 0:
            gradient = way.gradients(at).T
            rates += [float(spread.along(gradient)[0]) / level**2, abs(float((gradient * drift).sum())) / level]
    for end in process.ends:
        if "mirror" in (end.lower_kind, end.upper_kind):
            width = end.upper - end.lower if math.isfinite(end.upper - end.lower) else 1.0
            rates.append(4 * float(spread.variance(1)[0, end.state]) / width**2)
    return _NEAR_AN_END * max(rate for rate in rates if math.isfinite(rate))


def _here(run: Run) -> At:
    rows = run.live
    return At(run.time[rows], run.x[rows], run.mode[rows], run.control[rows])


def _rate_at(process: ControlledProcess, before: At, after: At) -> float:
    """Events, discount, noise beside open ends, and the pull: how fast the drift changes along the paths."""
    if not len(before.t) or not np.isfinite(before.x).all() or not np.isfinite(after.x).all():
        return 0.0
    rates = [np.abs(process.coefficients.running(before)[1]) * (_FRACTION / _DISCOUNTED)]
    if process.events.sources:
        rates.append(process.events.rates(before)[0].sum(axis=0))
    first, second = process.coefficients.drift(before).T, process.coefficients.drift(after).T
    variance = process.coefficients.noise(before).variance(len(before.t))
    same = before.mode == after.mode
    rates.append(np.where(same, _pull(first, second, before.x, after.x), 0.0))
    for end in process.ends:
        if end.open_side:
            distance = np.abs(before.x[:, end.state] - (end.lower if end.open_side > 0 else end.upper))
            rates.append(variance[:, end.state] / np.maximum(distance, 1e-9) ** 2)
    return max(float(np.quantile(np.nan_to_num(rate, posinf=0.0), 0.9)) for rate in rates)


def _pull(first: Array, second: Array, before: Array, after: Array) -> Array:
    """|change of drift| / |change of state|, over all components (k,)."""
    moved = np.linalg.norm(after - before, axis=1)
    changed = np.linalg.norm(second - first, axis=1)
    return np.where(moved > 0, changed / np.where(moved > 0, moved, 1.0), 0.0)
