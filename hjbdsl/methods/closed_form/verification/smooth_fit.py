"""Smooth fit at the edge of the stopping region, found by bisection between stopped and running samples.

In: the proposed function, samples, where it stops, the payoff. Out: the largest jump of V and of its gradient across the edge
(of V also from the payoff), and the edges found. At a kink of the payoff the gradient may jump, between the payoff's own slopes
and towards a worse value: V bent the other way could be bettered by running on.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.family import ExactFunction
from hjbdsl.methods.closed_form.verification.points import Samples
from hjbdsl.model.solution import Array

_BISECTIONS = 40
_STEP = 1e-4
"""Step of the one-sided difference of the payoff, relative to the distance of the pair."""
_KINK = 1e-6
"""Relative change of slope from which on the payoff counts as kinked."""
_VALUE_WEIGHTS = np.array([3.0, -3.0, 1.0])
_SLOPE_WEIGHTS = np.array([-2.5, 4.0, -1.5])
"""Value and derivative (times h) at 0 from the values at h, 2h, 3h; the value at 0 stays out, it may lie beyond a kink."""


def gradient_jump(
    function: ExactFunction, at: Samples, stop: NDArray[np.bool_], payoff: Callable[[Samples], Array], above: bool
) -> tuple[float, int]:
    """(largest jump of V and its gradient relative to 1 + their size, number of edge points). `above`: V >= payoff."""
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
    away = running - stopped
    for _ in range(_BISECTIONS):
        middle = (stopped + running) / 2
        flag = function.evaluate(t, middle, mode).stop
        flag = np.zeros(len(t), dtype=bool) if flag is None else flag
        stopped, running = np.where(flag[:, None], middle, stopped), np.where(flag[:, None], running, middle)
    left, right = function.derivatives(t, stopped, mode), function.derivatives(t, running, mode)
    jump = np.linalg.norm(left.gradient - right.gradient, axis=1) / (1 + np.linalg.norm(left.gradient, axis=1))
    # slopes along the way from the edge into the running region, under which a worst case is turned over
    sign = 1.0 if above else -1.0
    scale = sign / (1e-300 + np.linalg.norm(away, axis=1) * (1 + np.linalg.norm(left.gradient, axis=1)))
    stopped_slope, running_slope = (scale * np.sum(d.gradient * away, axis=1) for d in (left, right))
    ahead = [payoff(Samples(t, running + k * _STEP * away, mode)) for k in (1, 2, 3)]
    payoff_slope = scale * (_SLOPE_WEIGHTS @ np.stack(ahead)) / _STEP
    # V must neither fall below the payoff nor bend upwards: payoff' <= V' <= V' of the stopped side, which is a choice at a kink
    outside_slopes = np.maximum(payoff_slope - running_slope, running_slope - stopped_slope)
    kinked = stopped_slope - payoff_slope > _KINK
    error = np.where(kinked, np.clip(outside_slopes, 0.0, jump), jump)
    on_edge = [right.value, payoff(Samples(t, stopped, mode))]
    # a kink beside the edge is none on it: there the payoff does not continue to the value on the edge
    on_edge.append(np.where(kinked, _VALUE_WEIGHTS @ np.stack(ahead), left.value))
    drop = np.max(np.abs(np.stack(on_edge) - left.value), axis=0) / (1 + np.abs(left.value))
    # an edge of the region of samples may fall on a corner of the payoff; a family cannot smooth that
    return float(np.quantile(np.maximum(error, drop), 0.8)), len(t)


def _pairs(at: Samples, stop: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(stopped, running) indices of equal modes."""
    result: list[tuple[int, int]] = []
    for mode in np.unique(at.mode):
        stopped = np.flatnonzero(stop & (at.mode == mode))
        running = np.flatnonzero(~stop & (at.mode == mode))
        if len(stopped) and len(running):
            result += zip(np.resize(stopped, 16).tolist(), np.resize(running, 16).tolist(), strict=True)
    return np.array(result, dtype=np.int64).reshape(-1, 2)
