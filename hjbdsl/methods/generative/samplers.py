"""Samplers of the reverse process: from y_T back to y_0.

In: a score, points drawn from p_T, times from T down. Out: points of p_0 (up to the sampler's error). The last step
is the mean of y_0 given y at the lowest noise level. From r to s < r:

    em           y - h (f - Q score) + noise                                                weak order 1
    heun         the same with the drift averaged over both ends (the noise is additive)    weak order 2 (Kloeden, Platen, 1992)
    exponential  the law of y_s given y_r and y_0, exact, with y_0 the mean of E[y_0 | y] at both ends     weak order 2
    ode          dy/ds = f - Q score/2, Heun's method in the noise level nu
    pc           `exponential`, then two Langevin steps at the new level (Song et al., 2021, ICLR, algorithm 1)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hjbdsl.methods.generative.forward import Forward
from hjbdsl.methods.generative.score import Score
from hjbdsl.methods.generative.start import root
from hjbdsl.model.solution import Array
from hjbdsl.progress import report

_SPACING = 7.0
"""rho of Karras et al. (2022), equation 5: times are even in nu^(1/rho)."""
_CORRECTIONS = 2
_LANGEVIN_STEP = 0.05


@dataclass(frozen=True, slots=True)
class Step:
    """From forward time `late` r down to `early` s."""

    late: float
    early: float


Stepper = Callable[[Score, Step, Array, np.random.Generator], Array]


def sampling_times(score: Score, steps: int) -> Array:
    """`steps` + 1 times from T down to the lowest noise level."""
    return score.forward.times(score.lowest, steps + 1, 1 / _SPACING)


def sample(score: Score, start: Array, steps: int, sampler: str, random: np.random.Generator) -> Array:
    """Carry `start` (k, n), drawn from p_T, back to time 0. Raises `KeyError` for a sampler that is none of `SAMPLERS`."""
    advance = dict(SAMPLERS)[sampler]
    y, times = start, sampling_times(score, steps)
    for number, (late, early) in enumerate(pairwise(times)):
        y = advance(score, Step(float(late), float(early)), y, random)
        report(f"sampling by {sampler}", (number + 1) / steps, evaluations=score.count.evaluations)
    return denoised(score, float(times[-1]), y)


def denoised(score: Score, s: float, y: Array) -> Array:
    """E[y_0 | y_s = y] (Tweedie)."""
    now = score.forward.moments(s)
    origin: Array = np.linalg.solve(now.transition, (y - now.offset + score(s, y) @ now.covariance).T).T.astype(np.float64)
    return origin


def _euler_maruyama(score: Score, step: Step, y: Array, random: np.random.Generator) -> Array:
    return y - (step.late - step.early) * _slope(score, step.late, y, 1.0) + _increment(score.forward, step, y, random)


def _heun(score: Score, step: Step, y: Array, random: np.random.Generator) -> Array:
    length = step.late - step.early
    noise = _increment(score.forward, step, y, random)
    first = _slope(score, step.late, y, 1.0)
    second = _slope(score, step.early, y - length * first + noise, 1.0)
    return y - length * (first + second) / 2 + noise


def _slope(score: Score, s: float, y: Array, share: float) -> Array:
    """f - share * Q score."""
    matrix, offset = score.forward.drift(s)
    noise = score.forward.noise(s)
    return y @ matrix.T + offset - share * (score(s, y) @ noise) @ noise.T


def _increment(forward: Forward, step: Step, y: Array, random: np.random.Generator) -> Array:
    """int S dB over the step: the covariance int Q by Simpson's rule."""
    noises = [forward.noise(s) for s in (step.early, (step.early + step.late) / 2, step.late)]
    low, middle, high = (noise @ noise.T for noise in noises)
    return random.standard_normal(y.shape) @ root((step.late - step.early) * (low + 4 * middle + high) / 6).T


def _exponential(score: Score, step: Step, y: Array, random: np.random.Generator) -> Array:
    late, early = score.forward.moments(step.late), score.forward.moments(step.early)
    carry = np.linalg.solve(early.transition.T, late.transition.T).T
    pull = np.linalg.solve(late.covariance, carry @ early.covariance).T
    noise = random.standard_normal(y.shape) @ root(early.covariance - pull @ carry @ early.covariance).T

    def bridged(origin: Array) -> Array:
        """The mean of y_s given y_r and y_0 = `origin`, and the noise."""
        gap = y - origin @ late.transition.T - late.offset
        return origin @ early.transition.T + early.offset + gap @ pull.T + noise

    first = denoised(score, step.late, y)
    second = denoised(score, step.early, bridged(first))
    return bridged((first + second) / 2)


def _flow(score: Score, step: Step, y: Array, random: np.random.Generator) -> Array:  # noqa: ARG001 (one signature)
    forward = score.forward
    upper, lower = np.exp(forward.log_level(step.late)), np.exp(forward.log_level(step.early))
    first = _slope(score, step.late, y, 0.5) / (upper * forward.level_slope(step.late))
    guess = y - (upper - lower) * first
    second = _slope(score, step.early, guess, 0.5) / (lower * forward.level_slope(step.early))
    return y - (upper - lower) * (first + second) / 2


def _predictor_corrector(score: Score, step: Step, y: Array, random: np.random.Generator) -> Array:
    y = _exponential(score, step, y, random)
    spread = score.forward.moments(step.early).covariance
    size = root(spread)
    for _ in range(_CORRECTIONS):
        noise = random.standard_normal(y.shape) @ size.T
        y = y + _LANGEVIN_STEP / 2 * score(step.early, y) @ spread + np.sqrt(_LANGEVIN_STEP) * noise
    return y


SAMPLERS: tuple[tuple[str, Stepper], ...] = (
    ("em", _euler_maruyama),
    ("heun", _heun),
    ("exponential", _exponential),
    ("ode", _flow),
    ("pc", _predictor_corrector),
)
"""By name, as `hjb sample --sampler` takes them."""
