"""A payoff of the distance from a centre under an isotropic Gaussian law: one integral in any dimension.

With S = |Y - c|^2, Y ~ N(m, v I_d) and e = |m - c|^2, S/v is noncentral chi-square, and for K_d(e) = E H(S)

    dK_d/de = E_{d+2} H'(S) + sum [H] f_{d+2},   d2K_d/de2 = E_{d+4} H''(S) + sum [H'] f_{d+4} - ...,

(a Poisson mixture of central laws raises the dimension by two when it is differentiated; then by parts). The gradient in m is
2 K' (m - c), the Hessian 2 K' I + 4 K'' (m - c)(m - c)'. Only payoffs that are continuous in S are taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.expectation.bessel import log_bessel_series
from hjbdsl.methods.closed_form.expectation.core import Core, Expectation, exponentiate
from hjbdsl.methods.closed_form.expectation.panels import integrate_panels
from hjbdsl.methods.closed_form.expectation.pieces import SmoothPieces
from hjbdsl.model.solution import Array
from hjbdsl.numeric.time_array import compiled


@dataclass(frozen=True, slots=True)
class RadialCore(Core):
    """`branches[i]` = (g, g', g'') as functions of S = squared distance from `centre` (d,), between breaks i - 1 and i."""

    symbol: sp.Symbol
    centre: Array
    breaks: tuple[float, ...]
    branches: tuple[tuple[sp.Expr, sp.Expr, sp.Expr], ...]
    kappa: float

    def expectation(self, mean: Array, covariance: Array, *, with_hessian: bool) -> Expectation:
        away = mean - self.centre
        variance = covariance[:, 0, 0]
        distance = np.einsum("ki,ki->k", away, away)
        k, d = mean.shape
        scale, error = np.zeros(k), np.zeros(k)
        profile = np.zeros((3, k))
        still = variance <= 1e-28 * (1 + distance)
        if still.any():
            weight, value, first, second = self._weighted(distance[still])
            scale[still] = weight
            profile[:, still] = value, first, second
        if not still.all():
            moving = ~still
            scale[moving], profile[:, moving], error[moving] = self._integrated(distance[moving], variance[moving], d)
        value, first, second = profile
        hessian = None
        if with_hessian:
            hessian = 4 * second[:, None, None] * away[:, :, None] * away[:, None, :] + 2 * first[:, None, None] * np.eye(d)
        return Expectation(scale, value, 2 * first[:, None] * away, hessian, error)

    def _weighted(self, s: Array) -> tuple[Array, Array, Array, Array]:
        flat = s.ravel()
        values = np.empty((3, flat.size))
        place = np.searchsorted(np.array(self.breaks), flat)
        for i, branch in enumerate(self.branches):
            here = place == i
            if here.any():
                values[:, here] = compiled((self.symbol,), branch)(flat[here])
        g, first, second = values.reshape((3, *s.shape))
        weight, value, slope, curve = exponentiate(self.kappa, g, first[..., None], second[..., None, None])
        return weight, value, slope[..., 0], curve[..., 0, 0]

    def _integrated(self, distance: Array, variance: Array, d: int) -> tuple[Array, Array, Array]:
        """The integrals over w = sqrt(S/v), where the law has a width of order one whatever the dimension."""
        far = distance / variance

        def integrand(w: Array, rows: NDArray[np.intp]) -> tuple[Array, Array]:
            offset = far[rows, None]
            weight, value, first, second = self._weighted(variance[rows, None] * w**2)
            base, *raised = (_log_density(d + 2 * j, w, offset) for j in range(3))
            with np.errstate(all="ignore"):
                factors = np.stack([value, first * np.exp(raised[0] - base), second * np.exp(raised[1] - base)], axis=-1)
            return weight + base, factors

        middle = np.sqrt(far + d)
        breaks = np.sqrt(np.array(self.breaks)[None, :] / variance[:, None])
        lower = np.maximum(middle - 39.0, 1e-12)
        solved = integrate_panels(integrand, lower, middle + 39.0, breaks)
        profile = solved.moments.T.copy()
        for i, place in enumerate(self.breaks):
            left, right = (compiled((self.symbol,), self.branches[i + side])(place) for side in (0, 1))
            w = np.sqrt(place / variance)
            density = _log_density(d + 4, w, far) - np.log(2 * w * variance)
            size = -self.kappa * float(left[0]) - solved.scale + density
            slope = float(right[1] - left[1]) * (1.0 if self.kappa == 0 else -self.kappa)
            profile[2] += slope * np.exp(np.minimum(size, 700.0))
        return solved.scale, profile, solved.error[:, 0]


def _log_density(d: int, w: Array, offset: Array) -> Array:
    """log density of w = sqrt(chi-square with d degrees and noncentrality `offset`)."""
    with np.errstate(all="ignore"):
        central = (d - 1) * np.log(w) - (w**2 + offset) / 2 - (d / 2 - 1) * np.log(2.0)
    return central + log_bessel_series(d / 2, offset * w**2 / 4)


def radial_core(pieces: SmoothPieces, centre: Array, kappa: float) -> RadialCore | None:
    """The core of a payoff in S, or None where it jumps or has an infinite slope at a break."""
    s = pieces.symbol
    kept = [i for i, place in enumerate(pieces.breaks) if place > 0]
    first = kept[0] if kept else len(pieces.breaks)
    branches = tuple((piece, sp.diff(piece, s), sp.diff(piece, s, 2)) for piece in pieces.pieces[first:])
    breaks = pieces.breaks[first:]
    for i, place in enumerate(breaks):
        left, right = (compiled((s,), branches[i + side])(place) for side in (0, 1))
        if not (np.all(np.isfinite([*left, *right])) and abs(left[0] - right[0]) <= 1e-12 * (1 + abs(left[0]))):
            return None
    return RadialCore(s, centre, breaks, branches, kappa)
