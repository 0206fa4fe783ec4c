"""The verification identity J(u) = V + E int |u - u*|^2 dt / 2, both sides measured by simulation.

In: the exact score and law of the data, another control u, a number of paths. Out: each side with its error. Paths start
from p_T and run backwards under u, dy = (-f + S u) dt + S dB; with V(t, y) = -log p_s(y), s = T - t,

    J(u) - V = E[ int (|u|^2/2 + div f) dt + V(T, y_T) - V(0, y_0) ]
             = E[ sum over steps of  int (|u|^2/2 + div f) dt + V(after) - V(before) ].

Paths are Heun's, integrals trapezoids. A step's cost is the mean of those of a step with its noise and one with the opposite
noise: nearly all of the variance is odd in the noise. What is even begins with (e'He - E e'He)/2, e the noise and H the Hessian
of V, and is subtracted, its mean being zero. The bias of the steps is that of u* too, whose own excess over V is none: it is
measured on paths from the same starts under the same noise, and subtracted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hjbdsl.methods.generative.draw import score_and_law
from hjbdsl.methods.generative.forward import Forward
from hjbdsl.methods.generative.function import earliest
from hjbdsl.methods.generative.score import LearnedScore, Score
from hjbdsl.methods.generative.start import MixtureLaw, noised, root
from hjbdsl.model.problem import ControlProblem, GaussianMixture
from hjbdsl.model.solution import Array, ValueFunction
from hjbdsl.numeric.importance_weights import CERTAIN
from hjbdsl.progress import report

_CLOCKS = (0.45, 0.4, 0.15)
"""Shares of the three clocks in the times."""
_NARROWEST = 1e-4
"""Of the components' variances, in units of the data's."""

Field = Callable[[float, Array], Array]
"""A score: forward time s and points (k, n) to (k, n). The control is u = S' field."""


@dataclass(frozen=True, slots=True)
class Gap:
    """`cost` J(u) - V and `distance` E int |u - u*|^2 dt/2, each with its error: half the 99% interval and what half the
    steps change; `difference` of the two, from the same paths: zero but for chance and steps."""

    cost: float
    cost_error: float
    distance: float
    distance_error: float
    difference: float
    difference_error: float


def verification_gap(exact: Score, law: MixtureLaw, other: Field, paths: int, steps: int, seed: int = 0) -> Gap:
    """`other` is the score that the control u follows. Simulated with `steps` and half as many: what the means move is added to
    the errors, so that they hold the bias of the steps too."""
    rough, fine = (_simulated(exact, law, other, paths, count, seed) for count in (max(steps // 2, 1), steps))
    return Gap(
        fine.cost, fine.cost_error + abs(fine.cost - rough.cost),
        fine.distance, fine.distance_error + abs(fine.distance - rough.distance),
        fine.difference, fine.difference_error + abs(fine.difference - rough.difference),
    )  # fmt: skip


def gap_of_learned(
    problem: ControlProblem, optimum: ValueFunction, learned: LearnedScore, paths: int, steps: int, seed: int = 0
) -> Gap | None:
    """The gap of the control that a learned score gives, `optimum` being the exact answer; None where the data are no mixture."""
    if problem.reversal is None or not isinstance(problem.reversal.law, GaussianMixture):
        return None
    exact, law = score_and_law(problem, optimum)
    assert isinstance(law, MixtureLaw)
    bottom = earliest(exact.forward)
    return verification_gap(exact, law, lambda s, y: learned(max(s, bottom), y), paths, steps, seed)


def _simulated(exact: Score, law: MixtureLaw, other: Field, paths: int, steps: int, seed: int) -> Gap:
    """One run; the errors are statistical only."""
    forward = exact.forward
    random = np.random.default_rng([seed, 23])
    start = noised(law.draw(paths, random), forward, forward.end, random)
    times = _times(forward, law, exact.lowest, steps)
    normals = random.standard_normal((len(times) - 1, *start.shape))
    spent, apart = _costs(exact, law, other, times, start, normals)
    least, _ = _costs(exact, law, exact, times, start, normals)
    cost = spent - least
    return Gap(*_interval(cost), *_interval(apart), *_interval(cost - apart))


def _times(forward: Forward, law: MixtureLaw, lowest: float, steps: int) -> list[float]:
    """From T to 0: even in a mean of three clocks. log(1 + nu^2/c^2) runs as the noise refreshes components of width c; a second
    runs only between their width and twice the spread of the data, where paths choose among components; the third is log nu, for
    what a control is off by near the data."""
    narrow = min(float(np.linalg.eigvalsh(c)[0]) for c in law.covariances)
    width = np.log(max(narrow, _NARROWEST * np.exp(forward.spread))) - forward.spread
    levels = np.linspace(np.log(lowest), forward.log_level(forward.end), 4000)
    refreshed = np.logaddexp(0.0, 2 * levels - width)
    choosing = refreshed - np.logaddexp(0.0, 2 * levels - np.log(4.0))
    clock = np.zeros(len(levels))
    for share, part in zip(_CLOCKS, (refreshed, choosing, levels), strict=True):
        clock += share * (part - part[0]) / (part[-1] - part[0])
    chosen = np.interp(np.linspace(1.0, 0.0, steps), clock / clock[-1], levels)
    return [forward.end, *(forward.time_of(float(level)) for level in chosen[1:]), 0.0]


def _costs(exact: Score, law: MixtureLaw, other: Field, times: list[float], y: Array, normals: Array) -> tuple[Array, Array]:
    """Of paths from y (k, n) under the control of `other`: cost less V at the start, and int |u - u*|^2 dt/2; (k,) each."""
    forward = exact.forward
    spent, apart = np.zeros(len(y)), np.zeros(len(y))
    now = _state(exact, law, other, times[0], y)
    for number, (late, early) in enumerate(pairwise(times)):
        length = late - early
        low, middle, high = (_square(forward, s) for s in (early, (early + late) / 2, late))
        covariance = length * (low + 4 * middle + high) / 6
        noise = normals[number] @ root(covariance).T
        velocity = _velocity(forward, late, now.place, now.mine, high)
        both = []
        for signed in (noise, -noise):
            guess = now.place + length * velocity + signed
            second = _velocity(forward, early, guess, other(early, guess), low)
            both.append(_state(exact, law, other, early, now.place + length * (velocity + second) / 2 + signed))
        after, mirrored = both
        spent += length * (now.effort + (after.effort + mirrored.effort) / 2) / 2
        spent += (after.value + mirrored.value) / 2 - now.value
        spent += law.bend(forward, late, now.place, noise, covariance) / 2
        apart += length * (now.distance + after.distance) / 2
        now = after
        report("verification gap", (number + 1) / len(times))
    return spent, apart


@dataclass(frozen=True, slots=True)
class _State:
    """Paths at one time: places, score followed, V, |u|^2/2 + div f and |u - u*|^2/2."""

    place: Array
    mine: Array
    value: Array
    effort: Array
    distance: Array


def _state(exact: Score, law: MixtureLaw, other: Field, s: float, y: Array) -> _State:
    noise, (matrix, _) = exact.forward.noise(s), exact.forward.drift(s)
    mine, best = other(s, y), exact(s, y)
    effort = np.sum((mine @ noise) ** 2, axis=1) / 2 + np.trace(matrix)
    distance = np.sum(((mine - best) @ noise) ** 2, axis=1) / 2
    return _State(y, mine, -law.log_density(exact.forward, s, y), effort, distance)


def _square(forward: Forward, s: float) -> Array:
    noise = forward.noise(s)
    return noise @ noise.T


def _velocity(forward: Forward, s: float, y: Array, score: Array, square: Array) -> Array:
    matrix, offset = forward.drift(s)
    return -(y @ matrix.T + offset) + score @ square


def _interval(values: Array) -> tuple[float, float]:
    return float(values.mean()), float(CERTAIN * values.std(ddof=1) / np.sqrt(len(values)))
