"""The learned answer as a value function: V = -log p_{T-t} along the probability flow, score and control from the network.

Its error is held against a second estimate that knows no network: the mean over the rows of the transition density to y,

    p_s(y) = E p(y_s = y | y_0),   with the central limit's interval,

exact up to sampling where the noise is wide; where only a few rows carry the mean, the kernel is widened, and what twice the
widening changes is added. The claim |V - exact| <= error has 99% in view; it is wide where the rows say little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hjbdsl.methods.generative.consistency import time_slope
from hjbdsl.methods.generative.forward import Forward
from hjbdsl.methods.generative.likelihood import CONFIDENCE, log_density
from hjbdsl.methods.generative.score import LearnedScore
from hjbdsl.methods.generative.start import RowsLaw
from hjbdsl.model.solution import Array, PointValues, ValueFunction

_WIDENINGS = (0.0, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3)
_RELATIVE_ERROR = 0.15
_QUANTILE = 2.576
_LOWEST_SCORE = 0.05
"""Noise level."""


def earliest(forward: Forward) -> float:
    """The earliest time at which the score itself is used: below, a small error of the denoised mean is a large one of the score,
    and V is continued by its slope in time."""
    top = np.exp(forward.log_level(forward.end))
    return forward.time_of(float(np.log(min(_LOWEST_SCORE, 0.5 * top))))


@dataclass(frozen=True, slots=True)
class LearnedReversal(ValueFunction):
    """`score` of the network (double precision), `law` of the training rows, `rows` all rows of the data."""

    score: LearnedScore
    law: RowsLaw
    rows: RowsLaw

    def evaluate(self, t: Array, x: Array, mode: NDArray[np.int64]) -> PointValues:  # noqa: ARG002 (there are no modes here)
        forward = self.score.forward
        value, error, gradient = np.empty(len(t)), np.empty(len(t)), np.empty(x.shape)
        control = np.empty((len(t), forward.noise(0.0).shape[1]))
        for clock in np.unique(t):
            here = t == clock
            s = max(forward.end - float(clock), 0.0)
            learned = max(s, earliest(self.score.forward))
            value[here], error[here] = self._value(learned, x[here])
            if learned > s:
                moved = (learned - s) * time_slope(self.score, learned, x[here])
                value[here] += moved
                error[here] += np.abs(moved)
            score = self.score(learned, x[here])
            gradient[here], control[here] = -score, score @ forward.noise(s)
        return PointValues(value, error, gradient, control, lower=value - error, upper=value + error, confidence=CONFIDENCE)

    def _value(self, s: float, y: Array) -> tuple[Array, Array]:
        flow = log_density(self.score, self.law, s, y)
        witness, doubt = self._witness(s, y)
        return -flow.value, np.abs(flow.value - witness) + doubt + flow.error

    def _witness(self, s: float, y: Array) -> tuple[Array, Array]:
        """log p_s(y) from the rows alone, and its doubt: interval and widening."""
        forward = self.score.forward
        result, doubt = np.full(len(y), np.nan), np.full(len(y), np.inf)
        open_points = np.ones(len(y), dtype=bool)
        for widening in _WIDENINGS:
            logs, errors = self.rows.kernel(forward, s, y[open_points], widening)
            moved = np.zeros(len(logs))
            if widening > 0:
                wider, _ = self.rows.kernel(forward, s, y[open_points], 2 * widening)
                moved = np.abs(wider - logs)
            result[open_points], doubt[open_points] = logs, _QUANTILE * errors / np.maximum(1 - errors, 0.05) + 1.5 * moved
            open_points[open_points] = errors > _RELATIVE_ERROR
            if not open_points.any():
                break
        return result, doubt
