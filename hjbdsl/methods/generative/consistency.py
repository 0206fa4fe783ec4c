"""The HJB equation put to a learned score: V from the probability flow, its gradient and Hessian from the network.

    V_t - f.grad V + tr(Q hess V)/2 - |S' grad V|^2/2 + div f = 0,   f, Q, S at s = T - t

A network that is no gradient, or none of the flow it drives, fails it. In: a score, the law at T, points. Out: the defect at
each, divided by the sum of the sizes of its terms.
"""

from __future__ import annotations

import numpy as np

from hjbdsl.methods.generative.likelihood import rough_log_density
from hjbdsl.methods.generative.score import Score
from hjbdsl.methods.generative.start import DataLaw
from hjbdsl.model.solution import Array

_STEP = 0.02
"""Of the central difference in log nu."""


def equation_residual(score: Score, law: DataLaw, s: float, y: Array) -> Array:
    """(k,) at points y (k, n) of time s, between the lowest level and T."""
    forward = score.forward
    level = forward.log_level(s)
    before, after = (forward.time_of(level + sign * _STEP) for sign in (-1, 1))
    # V_t = -dV/ds = d log p_s/ds
    earlier, later = (rough_log_density(score, law, time, y) for time in (before, after))
    in_time = (later - earlier) / (after - before)
    terms = _terms(score, s, y)
    size: Array = np.abs(terms).sum(axis=0) + np.abs(in_time)
    return np.abs(in_time + terms.sum(axis=0)) / size


def gradient_mismatch(score: Score, law: DataLaw, s: float, y: Array, seed: int = 0) -> float:
    """How far the score is from the gradient of the V that its own flow gives, along one random direction a point: the root mean
    square of the difference, divided by that of the score there. It sees what is no gradient, and a score off by a factor."""
    random = np.random.default_rng(seed)
    direction = random.standard_normal(y.shape)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    size = _STEP * float(np.sqrt(np.trace(score.forward.moments(s).covariance) / y.shape[1]))
    both = np.concatenate([y + size * direction, y - size * direction])
    ahead, behind = np.split(rough_log_density(score, law, s, both), 2)
    claimed = np.sum(score(s, y) * direction, axis=1)
    return float(np.linalg.norm((ahead - behind) / (2 * size) - claimed) / np.linalg.norm(claimed))


def time_slope(score: Score, s: float, y: Array) -> Array:
    """V_t at forward time s, (k,), as the equation gives it from the score."""
    slope: Array = -_terms(score, s, y).sum(axis=0)
    return slope


def _terms(score: Score, s: float, y: Array) -> Array:
    """All terms of the equation but V_t, (4, k)."""
    matrix, offset = score.forward.drift(s)
    slope, bend = score.curvature(s, y)
    carried = np.sum((y @ matrix.T + offset) * slope, axis=1)
    effort = -np.sum((slope @ score.forward.noise(s)) ** 2, axis=1) / 2
    return np.stack([carried, -bend / 2, effort, np.full(len(y), np.trace(matrix))])
