"""log Z from paths both ways: weights w along paths of a sampler, and along reversed paths from draws of the law itself.

The path measures are P and R, dR/dP = w/Z. For every C > 0

    E_P[w/(w + C)] = Z E_R[1/(w + C)],   so   log Z = log C + log E_P[w/(w + C)] - log E_R[C/(w + C)],

means of variables between 0 and 1, which have variances whatever tails w has. The best C is Z itself (Bennett, Journal of
Computational Physics 22, 1976; Shirts and Chodera, Journal of Chemical Physics 129, 2008); it is found on a quarter of the paths,
the interval on the others.

In: log weights of both kinds. Out: `TwoSided`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit

from hjbdsl.model.solution import Array
from hjbdsl.numeric.importance_weights import LogMean, log_mean

_ROUNDS = 60


@dataclass(frozen=True, slots=True)
class TwoSided:
    """log Z, its interval, and `overlap`: E_P[w/(w + C)] + E_R[C/(w + C)], 1 where both measures are one, 0 where they are
    disjoint. `converged` where the interval has two ends."""

    value: float
    lower: float
    upper: float
    confidence: float
    overlap: float
    converged: bool

    def __str__(self) -> str:
        if not self.converged:
            return f"{self.value:.4f} is unreliable: the paths both ways overlap by {self.overlap:.1%}"
        return f"{self.value:.4f} in [{self.lower:.4f}, {self.upper:.4f}] at {self.confidence:.0%} (overlap {self.overlap:.1%})"


def two_sided(log_w: Array, reversed_log_w: Array) -> TwoSided:
    """Log weights along the sampler's paths (N,) and along reversed ones (M,), each more than 8."""
    first, second = len(log_w) // 4, len(reversed_log_w) // 4
    level = _balanced(log_w[:first], reversed_log_w[:second])
    here = log_mean(log_expit(log_w[first:] - level))
    there = log_mean(log_expit(level - reversed_log_w[second:]))
    value = level + here.value - there.value
    overlap = math.exp(here.value) + math.exp(there.value)
    converged = here.converged and there.converged
    below, above = _joined(here, there, True), _joined(here, there, False)
    return TwoSided(value, value - below, value + above, here.confidence, overlap, converged)


def _joined(here: LogMean, there: LogMean, below: bool) -> float:
    """Independent errors of a difference of log means."""
    if below:
        return math.hypot(here.value - here.lower, there.upper - there.value)
    return math.hypot(here.upper - here.value, there.value - there.lower)


def _balanced(log_w: Array, reversed_log_w: Array) -> float:
    """log C with C = Z of its own estimate: the difference of both means decreases in log C."""
    low = min(float(log_w.min()), float(reversed_log_w.min()))
    high = max(float(log_w.max()), float(reversed_log_w.max()))
    low = max(low, float(np.median(reversed_log_w)) - 1e3) if not math.isfinite(low) else low
    for _ in range(_ROUNDS):
        level = 0.5 * (low + high)
        more = expit(log_w - level).mean() > expit(level - reversed_log_w).mean()
        low, high = (level, high) if more else (low, level)
    return 0.5 * (low + high)


__all__ = ["TwoSided", "two_sided"]
