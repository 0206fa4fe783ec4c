"""The verification identity J(u) = V + E int |u - u*|^2 dt / 2, both sides measured by simulation.

In: the exact score and law of the data, another control u, a number of paths. Out: each side with its error. Paths start
from p_T and run backwards under u, dy = (-f + S u) dt + S dB; with V(T, .) = -log p_0,

    J(u) - V = E[ int (|u|^2/2 + div f) dt - log p_0(y_T) + log p_T(y_0) ].

The paths are Heun's, the integrals trapezoids. Under the expectation the martingale int u* . dB is added, whose mean is zero and
which carries nearly all of the variance (Ito's formula for V along the path), to second order in the steps (Milstein) up to 10
dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hjbdsl.methods.generative.score import Score
from hjbdsl.methods.generative.start import DataLaw, noised, root
from hjbdsl.model.solution import Array
from hjbdsl.progress import report

_QUANTILE = 2.576
_SPACING = 4.0
_MOST_DIMENSIONS_BENT = 10

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


def verification_gap(exact: Score, law: DataLaw, other: Field, paths: int, steps: int, seed: int = 0) -> Gap:
    """`other` is the score that the control u follows. Simulated with `steps` and half as many: what the means move is added to
    the errors, so that they hold the bias of the steps too."""
    rough, fine = (_simulated(exact, law, other, paths, count, seed) for count in (max(steps // 2, 1), steps))
    return Gap(
        fine.cost, fine.cost_error + abs(fine.cost - rough.cost),
        fine.distance, fine.distance_error + abs(fine.distance - rough.distance),
        fine.difference, fine.difference_error + abs(fine.difference - rough.difference),
    )  # fmt: skip


def _simulated(exact: Score, law: DataLaw, other: Field, paths: int, steps: int, seed: int) -> Gap:
    """One run; the errors are statistical only."""
    forward = exact.forward
    random = np.random.default_rng([seed, 23])
    y = noised(law.draw(paths, random), forward, forward.end, random)
    spent, apart = law.log_density(forward, forward.end, y), np.zeros(paths)
    times = [*(float(s) for s in forward.times(exact.lowest, steps, 1 / _SPACING)), 0.0]
    now = _state(exact, other, times[0], y)
    for number, (late, early) in enumerate(pairwise(times)):
        length = late - early
        low, middle, high = (_square(exact, s) for s in (early, (early + late) / 2, late))
        spread = root(length * (low + 4 * middle + high) / 6)
        noise = random.standard_normal(y.shape) @ spread.T
        martingale = np.sum(now.best * noise, axis=1) + _bent(exact, late, y, noise, spread)
        first = _velocity(exact, late, y, now.mine, high)
        guess = y + length * first + noise
        second = _velocity(exact, early, guess, other(early, guess), low)
        y = y + length * (first + second) / 2 + noise
        after = _state(exact, other, early, y)
        spent = spent + length * (now.effort + after.effort) / 2 + martingale
        apart = apart + length * (now.distance + after.distance) / 2
        now = after
        report("verification gap", (number + 1) / len(times))
    cost = spent - law.log_density(forward, 0.0, y)
    return Gap(*_interval(cost), *_interval(apart), *_interval(cost - apart))


@dataclass(frozen=True, slots=True)
class _State:
    """Both scores at the paths' places, |u|^2/2 + div f and |u - u*|^2/2."""

    mine: Array
    best: Array
    effort: Array
    distance: Array


def _state(exact: Score, other: Field, s: float, y: Array) -> _State:
    noise, (matrix, _) = exact.forward.noise(s), exact.forward.drift(s)
    mine, best = other(s, y), exact(s, y)
    effort = np.sum((mine @ noise) ** 2, axis=1) / 2 + np.trace(matrix)
    return _State(mine, best, effort, np.sum(((mine - best) @ noise) ** 2, axis=1) / 2)


def _bent(exact: Score, s: float, y: Array, noise: Array, spread: Array) -> Array:
    """The next term of the martingale over a step, (e'He - tr(H E[ee']))/2 with H the Hessian of log p: of mean zero too."""
    if y.shape[1] > _MOST_DIMENSIONS_BENT:
        return np.zeros(len(y))
    _, slope = exact.along(s, y, noise)
    _, trace = exact.curvature(s, y, spread)
    bent: Array = (np.sum(slope * noise, axis=1) - trace) / 2
    return bent


def _square(exact: Score, s: float) -> Array:
    noise = exact.forward.noise(s)
    return noise @ noise.T


def _velocity(exact: Score, s: float, y: Array, score: Array, square: Array) -> Array:
    matrix, offset = exact.forward.drift(s)
    return -(y @ matrix.T + offset) + score @ square


def _interval(values: Array) -> tuple[float, float]:
    return float(values.mean()), float(_QUANTILE * values.std(ddof=1) / np.sqrt(len(values)))
