"""A linear diffusion dz = (A z + a) dt + S dW, and its moments to every digit where the coefficients do not depend on time.

In: coefficients as functions of time, an integrated quadratic rate with them (zero where nothing is weighted). Out: F, m, C of
z_T ~ N(F z + m, C). Matrices that are all diagonal are kept as vectors (n,).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from hjbdsl.model.solution import Array

_SERIES_TERMS = 20


@dataclass(frozen=True, slots=True)
class Moments:
    """At k times, first axis: Y ~ N(transition z + offset, covariance), weight exp(-(z'quadratic z/2 + linear'z + constant))."""

    transition: Array
    offset: Array
    covariance: Array
    quadratic: Array
    linear: Array
    constant: Array

    def take(self, rows: NDArray[np.intp]) -> Moments:
        return Moments(*(getattr(self, f.name)[rows] for f in fields(self)))


@dataclass(frozen=True, slots=True)
class LinearDiffusion:
    """Coefficients as functions of t (A, a), Q, (k, w, M); terminal (c0, p0, P0); `diagonal`: matrices given as vectors;
    `constant`: none depends on t; `tilted`: w, M, p0 or P0 does not vanish."""

    drift: Callable[[float], tuple[Array, Array]]
    noise: Callable[[float], Array]
    rate: Callable[[float], tuple[Array, Array, Array]]
    terminal: tuple[float, Array, Array]
    diagonal: bool
    constant: bool
    tilted: bool


@dataclass(frozen=True, slots=True)
class FrozenCoefficients:
    """Coefficients that do not depend on time."""

    fixed_drift: tuple[Array, Array]
    fixed_noise: Array
    fixed_rate: tuple[Array, Array, Array]

    def drift(self, _t: float) -> tuple[Array, Array]:
        return self.fixed_drift

    def noise(self, _t: float) -> Array:
        return self.fixed_noise

    def rate(self, _t: float) -> tuple[Array, Array, Array]:
        return self.fixed_rate


def exponential_moments(law: LinearDiffusion, remaining: Array) -> Moments:
    """Constant coefficients without a tilt, after the times `remaining` (k,), to every digit of the covariance however long the
    time: formulas for a diagonal drift matrix, else a power series over a short step, doubled."""
    (matrix, offset), noise = law.drift(0.0), law.noise(0.0)
    n, k = len(offset), len(remaining)
    rate, _, _ = law.rate(0.0)
    constant = float(rate) * remaining + law.terminal[0]
    if law.diagonal:
        passed = remaining[:, None]
        growth = matrix * passed
        zero = np.zeros((k, n))
        moments = np.exp(growth), offset * passed * exprel(growth), noise * passed * exprel(2 * growth)
        return Moments(*moments, zero, zero, constant)
    if np.count_nonzero(matrix) == np.count_nonzero(np.diagonal(matrix)):
        moments = _diagonal_drift(np.diagonal(matrix), offset, noise, remaining[:, None])
    else:
        moments = _doubled_series(matrix, offset, noise, remaining)
    return Moments(*moments, np.zeros((k, n, n)), np.zeros((k, n)), constant)


def exprel(x: Array) -> Array:
    """(exp(x) - 1)/x, and 1 at 0. scipy.special.exprel without scipy.special, which loads longer than most answers take."""
    return np.divide(np.expm1(x), x, out=np.ones_like(x), where=x != 0.0)


def _diagonal_drift(rates: Array, offset: Array, noise: Array, passed: Array) -> tuple[Array, Array, Array]:
    """F, m, C after the times `passed` (k, 1) for a diagonal drift matrix and a full noise."""
    growth = rates * passed
    together = (rates[:, None] + rates) * passed[:, :, None]
    covariance = noise * passed[:, :, None] * exprel(together)
    return np.exp(growth)[:, :, None] * np.eye(len(rates)), offset * passed * exprel(growth), covariance


def _doubled_series(matrix: Array, offset: Array, noise: Array, remaining: Array) -> tuple[Array, Array, Array]:
    """Power series of exp(A h), int_0^h exp(A s) a ds and int_0^h exp(A s) Q exp(A's) ds, |A| h <= 1/2, then doublings."""
    halvings = max(0, int(np.ceil(np.log2(np.linalg.norm(matrix, 1) * remaining.max(initial=0.0) + 1e-300))) + 1)
    step = remaining / 2**halvings
    powers, carried, spread = [np.eye(len(offset))], [offset], [noise]
    for _ in range(1, _SERIES_TERMS):
        powers.append(matrix @ powers[-1])
        carried.append(matrix @ carried[-1])
        half = matrix @ spread[-1]
        spread.append(half + half.T)
    orders = np.arange(_SERIES_TERMS)
    factors = step[:, None] ** orders / np.cumprod(np.maximum(orders, 1.0))
    integrated = factors * step[:, None] / (orders + 1)
    transition = np.tensordot(factors, np.stack(powers), axes=1)
    mean = integrated @ np.stack(carried)
    covariance = np.tensordot(integrated, np.stack(spread), axes=1)
    for _ in range(halvings):
        covariance = covariance + transition @ covariance @ transition.transpose(0, 2, 1)
        mean = mean + (transition @ mean[:, :, None])[:, :, 0]
        transition = transition @ transition
    return transition, mean, (covariance + covariance.transpose(0, 2, 1)) / 2
