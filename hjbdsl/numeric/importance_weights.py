"""The logarithm of a mean of importance weights, with an interval only where the weights' tail allows one.

The mean of w over N paths is asymptotically normal where w has a variance: where the index k of its Pareto tail, w > y with
probability of order y^(-1/k), is below 1/2. Then Hall's cubic transformation corrects the interval for skewness, which a mean of
positive weights always has. Elsewhere the upper end is infinite: nothing tells how much weight was never met. A heavy tail makes
the mean too low rather than too high, so a lower end remains: the larger of Hall's and of Jensen's, E log w <= log E w, whose
sample has moments where w has none. (Vehtari et al., JMLR 25, 2024, trust *smoothed* means up to k = 0.7; the interval of the
plain mean misses Pareto weights of k = 0.7 at 99% in one case of six.)

No interval sees a part of the space where none of the paths has been: "99%" is over the noise of weights like those met.

In: log weights. Out: `LogMean`. (Zhang and Stephens, Technometrics 51, 2009, for k; Hall, J. R. Stat. Soc. B 54, 1992.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hjbdsl.errors import SolverError
from hjbdsl.model.solution import Array

CERTAIN = 2.576
"""Standard errors of a 99% confidence interval."""
FEWEST_EFFECTIVE = 40
"""Effective paths below which there is no upper end."""
FINITE_VARIANCE = 0.5
_FEWEST_IN_TAIL = 5


@dataclass(frozen=True, slots=True)
class LogMean:
    """log of the mean weight; its interval; the effective share of the sample (1: all weights equal); the tail's index k.
    `converged` where the interval has two ends; `value` is likely too low where it is not."""

    value: float
    lower: float
    upper: float
    confidence: float
    effective: float
    tail: float
    converged: bool

    def __str__(self) -> str:
        share = f"{self.effective:.1%} of the paths effective, tail index {self.tail:.2f}"
        if self.converged:
            return f"{self.value:.4f} in [{self.lower:.4f}, {self.upper:.4f}] at {self.confidence:.0%} ({share})"
        return f"at least {self.lower:.4f} at {self.confidence:.0%}; no upper end, {self.value:.4f} is unreliable ({share})"


def log_mean(log_w: Array) -> LogMean:
    """Of log weights (N,), N > 1; -inf is a weight of zero. Raises `SolverError` where a weight is no number or all are zero."""
    count, top = len(log_w), float(log_w.max())
    if not math.isfinite(top):
        raise SolverError("the log weights are not finite")
    level = top + math.log(float(np.exp(log_w - top).mean()))
    weights = np.exp(log_w - level)
    effective = float(1.0 / (weights**2).mean())
    tail, error = tail_index(weights)
    low, high = (level + end for end in _ends(weights))
    if tail + error <= FINITE_VARIANCE and effective * count >= FEWEST_EFFECTIVE:
        return LogMean(level, low, high, 0.99, effective, tail, True)
    met = bool(np.isfinite(log_w).all())
    certain = float(log_w.mean() - CERTAIN * log_w.std(ddof=1) / math.sqrt(count)) if met else -math.inf
    return LogMean(level, min(max(certain, low), level), math.inf, 0.99, effective, tail, False)


def _ends(weights: Array) -> tuple[float, float]:
    """Ends of the 99% interval of the log mean of weights whose sample mean is 1, by Hall's transformation."""
    spread, root = float(weights.std(ddof=1)), math.sqrt(len(weights))
    if spread < 1e-12:
        return -1e-12, 1e-12
    skew = float(((weights - 1.0) ** 3).mean()) / spread**3 / root
    ends = []
    for quantile in (CERTAIN, -CERTAIN):
        bent = 3.0 / skew * (math.cbrt(1.0 + skew * (quantile - skew / 6.0)) - 1.0) if abs(skew) > 1e-6 else quantile
        end = 1.0 - bent * spread / root
        ends.append(math.log(end) if end > 0.0 else -math.inf)
    return ends[0], ends[1]


def tail_index(weights: Array) -> tuple[float, float]:
    """k of a generalised Pareto law fitted to the largest min(N/5, 3 sqrt(N)) of N weights, with its standard error; -inf where
    the largest are equal, inf where they are too few to tell. Drawn to 1/2 by ten observations' worth."""
    count = len(weights)
    largest = np.sort(weights)[-int(min(0.2 * count, 3.0 * math.sqrt(count))) - 1 :]
    excess = largest[1:] - largest[0]
    excess = excess[excess > 1e-12 * largest[-1]]
    n = len(excess)
    if n == 0:
        return -math.inf, 0.0
    if n < _FEWEST_IN_TAIL:
        return math.inf, 0.0
    grid = 30 + int(math.sqrt(n))
    place = np.arange(1, grid + 1) - 0.5
    # theta = -k/scale: the likelihood, maximal over k at given theta, weighs a grid of theta between the quartile and the maximum
    theta = 1.0 / excess[-1] + (1.0 - np.sqrt(grid / place)) / (3.0 * excess[int(n / 4 + 0.5) - 1])
    shape = np.log1p(-theta[:, None] * excess).mean(1)
    likelihood = n * (np.log(-theta / shape) - shape - 1.0)
    posterior = np.exp(likelihood - likelihood.max())
    k = float(np.log1p(-float((theta * posterior).sum() / posterior.sum()) * excess).mean())
    k = (n * k + 5.0) / (n + 10.0)
    return k, (1.0 + max(k, 0.0)) / math.sqrt(n)


__all__ = ["CERTAIN", "FEWEST_EFFECTIVE", "LogMean", "log_mean", "tail_index"]
