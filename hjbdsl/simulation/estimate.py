"""The value of a policy at a point by simulation: mean, confidence interval, and what the time step and the horizon leave.

In: a process, a policy, one point. Out: `PolicyValue`. Every batch of paths runs with the steps dt, 2 dt and 4 dt on the same
noise. Y1, Y2, Y4 are what one path earns; 2 Y1 - Y2 has lost the first-order error of the step (Talay and Tubaro, Stoch. Anal.
Appl. 8, 1990), and how far 2 Y2 - Y4 is from it tells what is left. Where the policy comes with a claimed V, the martingale of
its gradient is taken off (with the coefficient of least variance), and V stands for what comes after the horizon of an endless
problem.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from hjbdsl.errors import SolverError
from hjbdsl.model.solution import Array
from hjbdsl.numeric.points import Points
from hjbdsl.progress import report
from hjbdsl.simulation.events import ClockTape
from hjbdsl.simulation.paths import repeated
from hjbdsl.simulation.policy import Policy
from hjbdsl.simulation.process import ControlledProcess
from hjbdsl.simulation.record import Paths, Recorder, joined
from hjbdsl.simulation.run import Run, Shock
from hjbdsl.simulation.timescale import Clockwork

_LEVELS = (1, 2, 4)
_BATCH = 2048
_MOST_RECORDED_TIMES = 1000


@dataclass(frozen=True, slots=True)
class PolicyValue:
    """What a policy is worth at a point.

    mean, half_width    the estimate and its sampling error at `confidence`, normal law bias                what the time step
    may still have left, with the sampling error of that estimate tail                what the unknown after the horizon may
    add: discounted error of the claimed V there (0 on finite horizons) raw, raw_width      mean and sampling error of what the
    paths earned with the smallest step, nothing taken off ended               share of the paths that ended by horizon, exit,
    stop; the rest were running
    """

    mean: float
    half_width: float
    gap: float
    gap_width: float
    tail: float
    confidence: float
    raw: float
    raw_width: float
    paths: int
    clockwork: Clockwork
    ended: tuple[float, float, float]
    recorded: Paths | None

    @property
    def bias(self) -> float:
        """What the time step may still have left: of second order, the finer extrapolation is off by a third of the gap."""
        return (abs(self.gap) + self.gap_width) / 2

    @property
    def error(self) -> float:
        """Everything together."""
        return self.half_width + self.bias + self.tail

    @property
    def lower(self) -> float:
        return self.mean - self.error

    @property
    def upper(self) -> float:
        return self.mean + self.error


@dataclass(frozen=True, slots=True)
class _Batch:
    """earned, martingale (levels, k); tail_error (k,)."""

    earned: Array
    martingale: Array
    tail_error: Array
    ended: NDArray[np.int64]
    recorded: Paths | None


def policy_value(
    process: ControlledProcess,
    policy: Policy,
    start: Points,
    clockwork: Clockwork,
    paths: int = 4096,
    confidence: float = 0.99,
    seed: int = 0,
    record: int = 0,
) -> PolicyValue:
    """The value of `policy` from the one point `start`, by `paths` paths, the first `record` of them written down. Raises
    `SolverError` where paths blow up."""
    generator = np.random.default_rng(seed)
    paths = paths if process.random else 1
    batches: list[_Batch] = []
    for first in range(0, paths, _BATCH):
        report(f"simulating, {first} of {paths} paths", first / paths)
        count = min(_BATCH, paths - first)
        batches.append(
            _run(process, policy, repeated(start, count), clockwork, generator, min(record, count) if first == 0 else 0)
        )
    earned = np.concatenate([b.earned for b in batches], axis=1)
    martingale = np.concatenate([b.martingale for b in batches], axis=1)
    if not np.isfinite(earned).all():
        raise SolverError(
            f"{np.mean(~np.isfinite(earned).all(axis=0)):.1%} of the simulated paths do not stay finite; take a smaller --dt"
        )
    worth = _pseudo_values(process, earned)
    finest = worth[0]
    fine, coarse = 2 * worth[0] - worth[1], 2 * worth[1] - worth[2]
    fine = fine - _coefficient(fine, 2 * martingale[0] - martingale[1]) * (2 * martingale[0] - martingale[1])
    coarse = coarse - _coefficient(coarse, 2 * martingale[1] - martingale[2]) * (2 * martingale[1] - martingale[2])
    quantile = _normal_quantile(confidence)
    ended = np.concatenate([b.ended for b in batches])
    gap, gap_width = _mean_and_width(fine - coarse, quantile)
    mean, half_width = _mean_and_width(fine, quantile)
    raw, raw_width = _mean_and_width(finest, quantile)
    return PolicyValue(
        mean=mean,
        half_width=half_width,
        gap=gap,
        gap_width=gap_width,
        tail=float(np.mean(np.concatenate([b.tail_error for b in batches]))),
        confidence=confidence,
        raw=raw,
        raw_width=raw_width,
        paths=paths,
        clockwork=clockwork,
        ended=(float(np.mean(ended == 1)), float(np.mean(ended == 2)), float(np.mean(ended == 3))),
        recorded=joined([b.recorded for b in batches if b.recorded is not None]) if record else None,
    )


def _run(
    process: ControlledProcess, policy: Policy, start: Points, clockwork: Clockwork, generator: np.random.Generator, record: int
) -> _Batch:
    tape = ClockTape(process.events.sources, len(start), generator)
    runs = [Run(process, policy, start, tape) for _ in _LEVELS]
    recorder = Recorder(runs[0], record)
    begin, dt, longest = float(start.t[0]), clockwork.dt, _LEVELS[-1]
    stride = max(1, math.ceil(clockwork.steps / _MOST_RECORDED_TIMES))
    if record:
        recorder.note(begin)
    for block in range(clockwork.steps // longest):
        shocks = [Shock.draw(process, len(start), dt, generator) for _ in range(longest)]
        for run, length in zip(runs, _LEVELS, strict=True):
            for part in range(0, longest, length):
                run.advance(length * dt, Shock.joined(shocks[part : part + length]))
                step = block * longest + part + 1
                if record and run is runs[0] and (step % stride == 0 or step == clockwork.steps):
                    recorder.note(begin + step * dt)
        if not any(len(run.live) for run in runs):
            break
    return _closed(process, policy, runs, start, clockwork, recorder if record else None)


def _closed(
    process: ControlledProcess, policy: Policy, runs: list[Run], start: Points, clockwork: Clockwork, recorder: Recorder | None
) -> _Batch:
    """The end of all levels: terminal payoffs, or what the claimed V says of the rest."""
    average = process.problem.objective.form == "average"
    finite = math.isfinite(process.horizon)
    earned, error = [], np.zeros(len(start))
    for run in runs:
        left = run.live
        if finite:
            run.finish()
            earned.append(run.total)
        elif average:
            tail = run.tail() if policy.claimed is not None else 0.0
            before = policy.claimed.evaluate(start.t, start.x, start.mode).value if policy.claimed is not None else 0.0
            earned.append((run.total + tail - before) / clockwork.length)
        else:
            earned.append(run.total + run.tail())
    if not finite and len(left := runs[0].live):
        error[left] = _tail_error(process, policy, runs[0], clockwork)
    scale = clockwork.length if average else 1.0
    martingale = np.stack([run.martingale for run in runs]) / scale
    return _Batch(np.stack(earned), martingale, error, runs[0].ended.copy(), recorder.paths() if recorder else None)


def _tail_error(process: ControlledProcess, policy: Policy, run: Run, clockwork: Clockwork) -> Array:
    """How wrong the end of an endless problem may be, for the living paths."""
    left = run.live
    average = process.problem.objective.form == "average"
    factor = np.full(len(left), 1 / clockwork.length) if average else run.factor[left]
    if policy.claimed is not None:
        at = policy.claimed.evaluate(run.time[left], run.x[left], run.mode[left])
        error = np.where(np.isfinite(at.error), at.error, np.abs(at.value))  # beyond a table V is a guess
        return np.asarray(factor * error * (2.0 if average else 1.0))
    spread = np.std(run.total) + abs(float(np.mean(run.total)))  # nothing is claimed: the past is the only guide to the future
    return factor * spread / np.maximum(1 - np.minimum(factor, 0.99), 0.01)


def _pseudo_values(process: ControlledProcess, earned: Array) -> Array:
    """For risk(theta), per path the value of (1/theta) log E exp(theta Y) with its linear influence; what was earned, for
    expectations."""
    if process.problem.objective.form != "risk" or process.problem.objective.risk is None:
        return earned
    theta = float(process.problem.numeric(process.problem.objective.risk))
    shift = np.max(theta * earned, axis=1, keepdims=True)
    weight = np.exp(theta * earned - shift)
    mean = weight.mean(axis=1, keepdims=True)
    return (shift + np.log(mean)) / theta + (weight / mean - 1) / theta


def _coefficient(worth: Array, martingale: Array) -> float:
    """Of least variance."""
    centred = martingale - martingale.mean()
    square = float(centred @ centred)
    return float(centred @ (worth - worth.mean())) / square if square > 0 else 0.0


def _mean_and_width(values: Array, quantile: float) -> tuple[float, float]:
    width = quantile * float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return float(np.mean(values)), width


def _normal_quantile(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)
