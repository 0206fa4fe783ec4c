"""The forward process dy = (A y + b) ds + S dW seen from its noise: levels, transitions, the law of the data carried along.

In: a problem with `reverse`, the spread of its data. Out: moments at any time, the noise level nu(s) that orders times, and the
times of given levels. Q = S S'; y_s = F y_0 + c + N(0, N).

    nu(s)^2 = exp( log det(C^-1 F^-1 N F^-T) / n ),     d log nu/ds = tr(N^-1 Q)/(2 n):

the noise in units of the data's covariance C, averaged over directions; it grows with s for every linear process.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Array
from hjbdsl.numeric.forward_coefficients import ForwardCoefficients, forward_coefficients
from hjbdsl.numeric.forward_law import ForwardLaw, forward_law

_KNOTS, _DECADES, _NEWTON_STEPS = 200, 14.0, 4


@dataclass(frozen=True, slots=True)
class Moments:
    """F (n, n), c (n,), N (n, n) at one time."""

    transition: Array
    offset: Array
    covariance: Array


@dataclass(frozen=True, slots=True)
class Forward:
    """`end` is T, `spread` log det C / n of the data; `knots` (2, k): log s and log nu(s), increasing."""

    coefficients: ForwardCoefficients
    law: ForwardLaw
    end: float
    spread: float
    knots: Array

    @property
    def dimension(self) -> int:
        return len(self.coefficients.offset.constant)

    def drift(self, s: float) -> tuple[Array, Array]:
        """A (n, n) and b (n,)."""
        return self.coefficients.matrix(s), self.coefficients.offset(s)

    def noise(self, s: float) -> Array:
        """S (n, m)."""
        return self.coefficients.noise(s)

    def moments(self, s: float) -> Moments:
        now = self.law.at(min(max(s, 0.0), self.end))
        if now.transition.ndim == 1:
            return Moments(np.diag(now.transition), now.offset, np.diag(now.covariance))
        return Moments(now.transition, now.offset, (now.covariance + now.covariance.T) / 2)

    def log_level(self, s: float) -> float:
        """log nu(s), -inf where some direction has no noise."""
        now = self.moments(s)
        sign, noise = np.linalg.slogdet(now.covariance)
        shrink = np.linalg.slogdet(now.transition)[1]
        return float((noise - 2 * shrink) / self.dimension - self.spread) / 2 if sign > 0 else -np.inf

    def level_slope(self, s: float) -> float:
        """d log nu/ds."""
        noise = self.noise(s)
        return float(np.trace(np.linalg.solve(self.moments(s).covariance, noise @ noise.T))) / (2 * self.dimension)

    def time_of(self, log_level: float) -> float:
        """s with log nu(s) = `log_level`: Newton's method in log s from the nearest knots."""
        place = float(np.interp(log_level, self.knots[1], self.knots[0]))
        for _ in range(_NEWTON_STEPS):
            s = min(np.exp(place), self.end)
            place += (log_level - self.log_level(s)) / (s * self.level_slope(s))
        return float(min(np.exp(place), self.end))

    def times(self, lowest: float, count: int, power: float = 0.0) -> Array:
        """`count` times from T down to noise level `lowest`, even in nu^power; in log nu for `power` 0."""
        top = self.log_level(self.end)
        if power == 0.0:
            levels = np.linspace(top, np.log(lowest), count)
        else:
            levels = np.log(np.linspace(np.exp(power * top), lowest**power, count)) / power
        return np.array([self.end, *(self.time_of(float(level)) for level in levels[1:])])


def forward_process(problem: ControlProblem, covariance: Array) -> Forward:
    """`covariance` C of the data. Raises `ValueError` with one line of reason where the process is not linear, or where some
    direction stays without noise."""
    reversal = problem.reversal
    if reversal is None:
        raise ValueError("the problem is no time reversal")
    coefficients = forward_coefficients(problem)
    end = float(problem.numeric(reversal.end))
    spread = float(np.linalg.slogdet(covariance)[1]) / len(covariance)
    law = forward_law(coefficients.diffusion(coefficients.is_diagonal), end)
    bare = Forward(coefficients, law, end, spread, np.zeros((2, 0)))
    places = np.log(end) + np.linspace(-_DECADES * np.log(10.0), 0.0, _KNOTS)
    levels = np.array([bare.log_level(float(np.exp(place))) for place in places])
    if not np.isfinite(levels[-1]):
        raise ValueError("the noise does not reach every component of the state: samples have no score there")
    rising = np.isfinite(levels) & (levels == np.maximum.accumulate(np.where(np.isfinite(levels), levels, -np.inf)))
    return Forward(coefficients, law, end, spread, np.stack([places[rising], levels[rising]]))
