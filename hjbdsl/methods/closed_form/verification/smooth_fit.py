"""Smooth fit at the edge of the stopping region, found by bisection between stopped and running samples.

In: the proposed function, samples and where it stops. Out: the largest jump of the gradient across the edge and the edges found.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.family import ExactFunction
from hjbdsl.methods.closed_form.verification.points import Samples

_BISECTIONS = 40


def gradient_jump(function: ExactFunction, at: Samples, stop: NDArray[np.bool_]) -> tuple[float, int]:
    """(largest jump relative to 1 + |gradient|, number of edge points). Pairs share their mode and the earlier sample's time."""
    pairs = _pairs(at, stop)
    if not len(pairs):
        return 0.0, 0
    inside, outside = at.take(pairs[:, 0]), at.take(pairs[:, 1])
    same = function.evaluate(inside.t, outside.x, inside.mode).stop
    keep = np.flatnonzero(~same) if same is not None else np.empty(0, dtype=np.int64)
    if not len(keep):
        return 0.0, 0
    t, mode = inside.t[keep], inside.mode[keep]
    stopped, running = inside.x[keep], outside.x[keep]
    for _ in range(_BISECTIONS):
        middle = (stopped + running) / 2
        flag = function.evaluate(t, middle, mode).stop
        flag = np.zeros(len(t), dtype=bool) if flag is None else flag
        stopped, running = np.where(flag[:, None], middle, stopped), np.where(flag[:, None], running, middle)
    left = function.derivatives(t, stopped, mode).gradient
    right = function.derivatives(t, running, mode).gradient
    jump = np.linalg.norm(left - right, axis=1) / (1 + np.linalg.norm(left, axis=1))
    # the payoff may have a kink of its own where an edge meets it; a family cannot smooth that
    return float(np.quantile(jump, 0.8)), len(t)


def _pairs(at: Samples, stop: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(stopped, running) indices of equal modes."""
    result: list[tuple[int, int]] = []
    for mode in np.unique(at.mode):
        stopped = np.flatnonzero(stop & (at.mode == mode))
        running = np.flatnonzero(~stop & (at.mode == mode))
        if len(stopped) and len(running):
            result += zip(np.resize(stopped, 16).tolist(), np.resize(running, 16).tolist(), strict=True)
    return np.array(result, dtype=np.int64).reshape(-1, 2)
