"""A payoff of one Gaussian variable, smooth on pieces: derivatives of the expectation with the jumps at the kinks.

With the density n(y; m, v) and jumps [H] at the breaks b,

    d/dm  E H = E H' + sum [H] n(b),      d2/dm2 E H = E H'' + sum [H'] n(b) + [H] n(b) (b - m)/v,

(integration by parts on each piece); where a derivative of H is infinite at a break, the score form E[H (Y - m)/v] instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.expectation.core import Core, Expectation, exponentiate
from hjbdsl.methods.closed_form.expectation.panels import integrate_panels
from hjbdsl.methods.closed_form.expectation.pieces import SmoothPieces
from hjbdsl.model.solution import Array
from hjbdsl.numeric.time_array import compiled

_REACH = 39.0
"""Standard deviations beyond which the density underflows."""


@dataclass(frozen=True, slots=True)
class LineCore(Core):
    """H on pieces: `branches[i]` = (g, g', g'') of `symbol` between the breaks i - 1 and i; `singular`: use the score form."""

    symbol: sp.Symbol
    breaks: tuple[float, ...]
    branches: tuple[tuple[sp.Expr, sp.Expr, sp.Expr], ...]
    kappa: float
    singular: bool

    def expectation(self, mean: Array, covariance: Array, *, with_hessian: bool) -> Expectation:  # noqa: ARG002 (it costs nothing)
        m, sd = mean[:, 0], np.sqrt(np.maximum(covariance[:, 0, 0], 0.0))
        k = len(m)
        hessian = np.zeros((k, 1, 1))
        result = Expectation(np.zeros(k), np.zeros(k), np.zeros((k, 1)), hessian, np.zeros(k))
        still = sd <= 1e-14 * (1 + np.abs(m))
        if still.any():
            weight, value, first, second = self._weighted(m[still])
            _store(result, still, weight, value, first[:, 0], np.zeros(int(still.sum())))
            hessian[still] = second
        if not still.all():
            moving = ~still
            scale, value, first, second, error = self._integrated(m[moving], sd[moving])
            _store(result, moving, scale, value, first, error)
            hessian[moving, 0, 0] = second
        return result

    def _weighted(self, y: Array) -> tuple[Array, Array, Array, Array]:
        """Logarithmic weight, H, H', H'' at y of any shape; the derivatives with trailing axes of length one."""
        flat = y.ravel()
        values = np.empty((3, flat.size))
        place = np.searchsorted(np.array(self.breaks), flat)
        for i, branch in enumerate(self.branches):
            here = place == i
            if here.any():
                values[:, here] = compiled((self.symbol,), branch)(flat[here])
        g, first, second = values.reshape((3, *y.shape))
        return exponentiate(self.kappa, g, first[..., None], second[..., None, None])

    def _integrated(self, m: Array, sd: Array) -> tuple[Array, ...]:
        def integrand(z: Array, rows: NDArray[np.intp]) -> tuple[Array, Array]:
            spread = sd[rows, None]
            weight, value, first, second = self._weighted(m[rows, None] + spread * z)
            if self.singular:
                factors = np.stack([value, value * z / spread, value * (z**2 - 1) / spread**2], axis=-1)
            else:
                factors = np.stack([value, first[..., 0], second[..., 0, 0]], axis=-1)
            return weight - z**2 / 2 - np.log(2 * np.pi) / 2, factors

        count = len(m)
        breaks = (np.array(self.breaks)[None, :] - m[:, None]) / sd[:, None]
        solved = integrate_panels(integrand, np.full(count, -_REACH), np.full(count, _REACH), breaks)
        value, first, second = solved.moments.T
        if not self.singular:
            jump_first, jump_second = self._jumps(m, sd, solved.scale)
            first, second = first + jump_first, second + jump_second
        return solved.scale, value, first, second, solved.error[:, 0]

    def _jumps(self, m: Array, sd: Array, scale: Array) -> tuple[Array, Array]:
        """The terms of the breaks in the first and second derivative."""
        first, second = np.zeros(len(m)), np.zeros(len(m))
        for i, place in enumerate(self.breaks):
            left, right = (self._at_break(self.branches[i + side], place, scale) for side in (0, 1))
            jump, bend = right[0] - left[0], right[1] - left[1]
            z = (place - m) / sd
            density = np.exp(-(z**2) / 2) / (sd * np.sqrt(2 * np.pi))
            live = density > 0
            first += np.where(live, jump * density, 0.0)
            second += np.where(live, (bend + jump * z / sd) * density, 0.0)
        return first, second

    def _at_break(self, branch: tuple[sp.Expr, ...], place: float, scale: Array) -> tuple[Array, Array]:
        g, first, second = (np.asarray(v) for v in compiled((self.symbol,), branch)(place))
        weight, value, slope, _ = exponentiate(self.kappa, g, first[None], second[None, None])
        size = np.exp(np.minimum(weight - scale, 700.0))
        return value * size, slope[0] * size


def _store(result: Expectation, rows: NDArray[np.bool_], scale: Array, value: Array, first: Array, error: Array) -> None:
    result.scale[rows], result.value[rows], result.error[rows] = scale, value, error
    result.gradient[rows, 0] = first


def line_core(pieces: SmoothPieces, kappa: float) -> LineCore:
    """The core of a payoff cut in pieces (its parameters' numbers put in)."""
    y = pieces.symbol
    branches = tuple((piece, sp.diff(piece, y), sp.diff(piece, y, 2)) for piece in pieces.pieces)
    sides = [(branches[i + side], place) for i, place in enumerate(pieces.breaks) for side in (0, 1)]
    finite = all(np.all(np.isfinite(compiled((y,), branch)(place))) for branch, place in sides)
    return LineCore(y, pieces.breaks, branches, kappa, not finite)
