"""log p_s(y) by the probability-flow equation: the change of variables along dy/ds = f - Q score/2, from s up to T.

In: a score, the law at T, points. Out: log-densities with the error of the integration (and of the probes above 50 dimensions).

    log p_s(y_s) = log p_T(y_T) + int_s^T div(f - Q score/2) dr = log p_T(y_T) + int_s^T (tr A - tr(Q grad score)/2) dr

by the classical Runge-Kutta method in log nu, on a mesh and on half of it.
Source: Song et al. (2021), ICLR, section 4.3 and appendix D.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hjbdsl.methods.generative.score import Score
from hjbdsl.methods.generative.start import DataLaw
from hjbdsl.model.solution import Array
from hjbdsl.progress import report

EXACT_UP_TO = 50
_PROBES = 8
_MESH, _ROUGH_MESH = 0.2, 0.35
_STEPS = (8, 400)
CONFIDENCE = 0.99
_STUDENT = 3.499
"""The 99% quantile of Student's law with as many degrees of freedom as probes less one."""


@dataclass(frozen=True, slots=True)
class LogDensity:
    """`value` (k,) and `error` (k,): the difference of two meshes, and with `probes` > 0 half the 99% interval of Hutchinson's
    estimate."""

    value: Array
    error: Array
    probes: int


def log_density(score: Score, law: DataLaw, s: float, y: Array, seed: int = 0) -> LogDensity:
    """log p_s at y (k, n). Below the lowest noise level of the score, s is that level's time."""
    if score.forward.dimension <= EXACT_UP_TO:
        fine, coarse = (_integrated(score, law, s, y, step, None) for step in (_MESH, 2 * _MESH))
        return LogDensity(fine, np.abs(fine - coarse) / 5 + 1e-9 * (1 + np.abs(fine)), 0)
    values = _probed(score, law, s, y, seed, _MESH)
    half = _STUDENT * values.std(axis=0, ddof=1) / np.sqrt(_PROBES)
    return LogDensity(values.mean(axis=0), half, _PROBES)


def rough_log_density(score: Score, law: DataLaw, s: float, y: Array, seed: int = 0) -> Array:
    """As `log_density`, on one coarse mesh and without an error: for differences, in which the errors of the mesh cancel."""
    if score.forward.dimension <= EXACT_UP_TO:
        return _integrated(score, law, s, y, _ROUGH_MESH, None)
    mean: Array = _probed(score, law, s, y, seed, _ROUGH_MESH).mean(axis=0)
    return mean


def _probed(score: Score, law: DataLaw, s: float, y: Array, seed: int, mesh: float) -> Array:
    """(probes, k): all probes of all points as one batch."""
    random = np.random.default_rng(seed)
    probe = random.choice([-1.0, 1.0], size=(_PROBES * len(y), score.forward.noise(s).shape[1]))
    return _integrated(score, law, s, np.tile(y, (_PROBES, 1)), mesh, probe).reshape(_PROBES, len(y))


def _integrated(score: Score, law: DataLaw, s: float, y: Array, mesh: float, probe: Array | None) -> Array:
    forward = score.forward
    top = forward.log_level(forward.end)
    bottom = max(forward.log_level(s) if s > 0 else -np.inf, np.log(score.lowest))
    if bottom >= top - 1e-12:
        return law.log_density(forward, forward.end, y)
    count = int(np.clip(np.ceil((top - bottom) / mesh), *_STEPS))
    levels = np.linspace(bottom, top, 2 * count + 1)
    times = [forward.time_of(level) for level in levels[:-1]] + [forward.end]

    def slope(time: float, place: Array) -> tuple[Array, Array]:
        """d(y, log-volume)/d log nu."""
        matrix, offset = forward.drift(time)
        noise = forward.noise(time)
        pace = forward.level_slope(time)
        ahead, bend = score.curvature(time, place) if probe is None else score.probed_curvature(time, place, probe)
        velocity = place @ matrix.T + offset - (ahead @ noise) @ noise.T / 2
        return velocity / pace, (np.trace(matrix) - bend / 2) / pace

    volume = np.zeros(len(y))
    for number in range(count):
        early, middle, late = times[2 * number : 2 * number + 3]
        y, gained = _runge_kutta(slope, early, middle, late, y, levels[2 * number + 2] - levels[2 * number])
        volume = volume + gained
        report("likelihood along the flow", (number + 1) / count, evaluations=score.count.evaluations)
    return law.log_density(forward, forward.end, y) + volume


def _runge_kutta(
    slope: Callable[[float, Array], tuple[Array, Array]], early: float, middle: float, late: float, y: Array, step: float
) -> tuple[Array, Array]:
    first, v1 = slope(early, y)
    second, v2 = slope(middle, y + step / 2 * first)
    third, v3 = slope(middle, y + step / 2 * second)
    fourth, v4 = slope(late, y + step * third)
    return y + step / 6 * (first + 2 * second + 2 * third + fourth), step / 6 * (v1 + 2 * v2 + 2 * v3 + v4)


__all__ = ["CONFIDENCE", "EXACT_UP_TO", "LogDensity", "log_density"]
