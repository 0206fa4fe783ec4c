"""The HJB equation put to a learned score: V from the probability flow, its gradient and Hessian from the network.

    V_t - f.grad V + tr(Q hess V)/2 - |S' grad V|^2/2 + div f = 0,   f, Q, S at s = T - t

A network that is no gradient, or none of the flow it drives, fails it. In: a score, the law at T, points. Out: the defect at
each, divided by the sum of the sizes of its terms.
"""

from __future__ import annotations

import numpy as np

from hjbdsl.methods.generative.likelihood import log_density
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
    earlier, later = (log_density(score, law, time, y).value for time in (before, after))
    in_time = (later - earlier) / (after - before)
    matrix, offset = forward.drift(s)
    noise = forward.noise(s)
    slope = score(s, y)
    carried = np.sum((y @ matrix.T + offset) * slope, axis=1)
    spread = -score.curvature(s, y) / 2
    effort = -np.sum((slope @ noise) ** 2, axis=1) / 2
    terms = np.stack([in_time, carried, spread, effort, np.full(len(y), np.trace(matrix))])
    size: Array = np.abs(terms).sum(axis=0)
    return np.abs(terms.sum(axis=0)) / size
