"""A payoff of two Gaussian variables (iterated adaptive panels, the inner split at the kinks it meets) or, smooth, of three.

In the standardised variables y = m + L z, L L' = covariance, columns by decreasing variance, z_1 innermost. Derivatives in
the mean: smooth payoffs E H', E H''; payoffs that bend E H', E[H' (x) L^-T z]; payoffs that jump the score forms E[H s],
E[H (s s' - C^-1)], s = L^-T z. Directions without variance keep the smooth forms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.expectation.core import Core, Expectation, exponentiate
from hjbdsl.methods.closed_form.expectation.hermite import hermite_expectation
from hjbdsl.methods.closed_form.expectation.panels import integrate_panels
from hjbdsl.model.solution import Array
from hjbdsl.numeric.time_array import compiled

_REACH = 12.0
_BOX = 33
_NEGLIGIBLE = 42.0
_INNER_SCAN = np.linspace(-1.0, 1.0, 49)
_BISECTIONS = 50


@dataclass(frozen=True, slots=True)
class CubatureCore(Core):
    """g with `gradient` and `hessian` (row major) in `symbols`; `switches` change sign where g bends or, if `jumps`,
    jumps; `corners` (c, r) are points where two of them vanish together (two variables only)."""

    symbols: tuple[sp.Symbol, ...]
    payoff: sp.Expr
    gradient: tuple[sp.Expr, ...]
    hessian: tuple[sp.Expr, ...]
    switches: tuple[sp.Expr, ...]
    jumps: bool
    kappa: float
    corners: Array
    tolerance: float = 1e-11

    def expectation(self, mean: Array, covariance: Array, *, with_hessian: bool) -> Expectation:
        k, r = mean.shape
        variances, axes = np.linalg.eigh(covariance)
        variances, axes = np.maximum(variances[:, ::-1], 0.0), axes[:, :, ::-1]
        floor = 1e-26 * (1 + np.max(np.abs(mean), axis=1) ** 2)
        factor = axes * np.sqrt(np.where(variances > floor[:, None], variances, 0.0))[:, None, :]
        hessian = np.zeros((k, r, r)) if with_hessian else None
        result = Expectation(np.zeros(k), np.zeros(k), np.zeros((k, r)), hessian, np.zeros(k))
        still = ~np.any(factor, axis=(1, 2))
        if still.any():
            weight, value, first, second = self._weighted(mean[still])
            result.scale[still], result.value[still], result.gradient[still] = weight, value, first
            if hessian is not None:
                hessian[still] = second
        if not still.all():
            rows = np.flatnonzero(~still)
            if r > 2:
                found = hermite_expectation(self._weighted, mean[rows], factor[rows], with_hessian)
                result.scale[rows], result.value[rows], result.error[rows] = found.scale, found.value, found.error
                result.gradient[rows] = found.gradient
                if hessian is not None and found.hessian is not None:
                    hessian[rows] = found.hessian
                return result
            self._integrate(result, rows, mean[rows], factor[rows])
        return result

    def _weighted(self, y: Array) -> tuple[Array, Array, Array, Array]:
        """At y (..., r)."""
        r = len(self.symbols)
        values = compiled(self.symbols, (self.payoff, *self.gradient, *self.hessian))(*np.moveaxis(y, -1, 0))
        gradient = np.stack(values[1 : r + 1], axis=-1)
        hessian = np.stack(values[r + 1 :], axis=-1).reshape((*y.shape, r))
        return exponentiate(self.kappa, values[0], gradient, hessian)

    def _integrate(self, result: Expectation, rows: NDArray[np.intp], mean: Array, factor: Array) -> None:
        k, r = mean.shape
        inverse = np.linalg.pinv(factor).transpose(0, 2, 1)
        null = np.eye(r) - inverse @ factor.transpose(0, 2, 1)
        lower, upper = self._box(mean, factor)
        curved = result.hessian is not None
        degenerate = bool(np.max(np.abs(null)) > 1e-9)

        def factors(z: Array, row: NDArray[np.intp]) -> tuple[Array, Array]:
            """At z (k', N, r) for points `row`: weight (k', N) and (k', N, 1 + r + r*r)."""
            weight, value, first, second = self._weighted(mean[row, None, :] + z @ factor[row].transpose(0, 2, 1))
            if self.switches and self.jumps:
                score = z @ inverse[row].transpose(0, 2, 1)
                first = value[..., None] * score
                if curved:
                    precision = inverse[row] @ inverse[row].transpose(0, 2, 1)
                    second = value[..., None, None] * (score[..., :, None] * score[..., None, :] - precision[:, None])
            elif self.switches and curved:
                score = z @ inverse[row].transpose(0, 2, 1)
                smooth = null[row][:, None] @ second @ null[row][:, None] if degenerate else 0.0
                second = first[..., :, None] * score[..., None, :] + smooth
            density = -np.sum(z**2, axis=-1) / 2 - r * np.log(2 * np.pi) / 2
            parts = [value[..., None], first, *([second.reshape((*second.shape[:-2], -1))] if curved else [])]
            return weight + density, np.concatenate(parts, axis=-1)

        def layer(outer: Array, row: NDArray[np.intp]) -> tuple[Array, Array, Array]:
            """Integrate the variables inside `outer` (k', q): z_{r-q+1}, ..., z_r are given, outermost last."""
            depth = r - outer.shape[1]

            def integrand(z: Array, local: NDArray[np.intp]) -> tuple[Array, Array]:
                shape = z.shape
                given = np.concatenate(
                    [z[:, :, None], np.broadcast_to(outer[local][:, None, :], (*shape, outer.shape[1]))], axis=2
                )
                if depth == 1:
                    return factors(given, row[local])
                points = np.repeat(row[local], shape[1])
                scale, moments, _ = layer(given.reshape(-1, given.shape[2]), points)
                return scale.reshape(shape), moments.reshape((*shape, -1))

            if depth == 1:
                breaks = self._breaks(mean, factor, outer, row)
            else:
                breaks = np.einsum("kj,kcj->kc", inverse[row][:, :, -1], self.corners - mean[row][:, None, :])
            solved = integrate_panels(
                integrand, lower[row, depth - 1], upper[row, depth - 1], breaks, tolerance=self.tolerance,
                coarsest=2 if r == 2 else 1, finest=64, scan=65 if depth == 1 else 0,
            )  # fmt: skip
            return solved.scale, solved.moments, solved.error

        scale, moments, error = layer(np.zeros((k, 0)), np.arange(k))
        result.scale[rows], result.value[rows], result.error[rows] = scale, moments[:, 0], error[:, 0]
        result.gradient[rows] = moments[:, 1 : 1 + r]
        if result.hessian is not None:
            hessian = moments[:, 1 + r :].reshape(k, r, r)
            result.hessian[rows] = (hessian + hessian.transpose(0, 2, 1)) / 2

    def _box(self, mean: Array, factor: Array) -> tuple[Array, Array]:
        """Limits (k, r) in z that hold the mass, from a coarse scan of the integrand in all variables; the innermost variable is
        scanned again along each line, since kinks pass between the points."""
        k, r = mean.shape
        ticks = np.linspace(-_REACH, _REACH, _BOX)
        grid = np.stack(np.meshgrid(*[ticks] * r, indexing="ij"), axis=-1).reshape(-1, r)
        lower, upper = np.full((k, r), -_REACH), np.full((k, r), _REACH)
        for i in range(k):
            weight, value, first, _ = self._weighted(mean[i] + grid @ factor[i].T)
            with np.errstate(all="ignore"):
                size = weight + np.log(np.abs(value) + np.max(np.abs(first), axis=1)) - np.sum(grid**2, axis=1) / 2
            size = np.where(np.isfinite(size), size, -np.inf)
            live = grid[size >= size.max() - _NEGLIGIBLE]
            if len(live) and np.isfinite(size.max()):
                step = ticks[1] - ticks[0]
                lower[i] = np.maximum(live.min(axis=0) - 2 * step, -_REACH)
                upper[i] = np.minimum(live.max(axis=0) + 2 * step, _REACH)
        if self.switches:
            lower[:, 0], upper[:, 0] = -_REACH, _REACH
        return lower, upper

    def _breaks(self, mean: Array, factor: Array, outer: Array, row: NDArray[np.intp]) -> Array:
        """Zeros in z_1 of the switching functions along each inner line, (len(row), b), unused places at infinity."""
        if not self.switches:
            return np.zeros((len(row), 0))
        base = mean[row] + np.einsum("kij,kj->ki", factor[row][:, :, 1:], outer)
        direction = factor[row][:, :, 0]

        def values(z: Array) -> Array:
            return np.stack(
                compiled(self.symbols, self.switches)(
                    *(base[:, i, None] + direction[:, i, None] * z for i in range(base.shape[1]))
                )
            )

        scan = values(np.broadcast_to(_REACH * _INNER_SCAN, (len(row), len(_INNER_SCAN))))
        crossing = np.sign(scan[:, :, :-1]) * np.sign(scan[:, :, 1:]) < 0
        most = int(crossing.sum(axis=2).max(initial=0))
        found = []
        for switch in range(len(self.switches)):
            for number in range(most):
                hit = crossing[switch] & (np.cumsum(crossing[switch], axis=1) == number + 1)
                has, cell = hit.any(axis=1), hit.argmax(axis=1)
                if has.any():
                    found.append(np.where(has, self._bisect(base, direction, switch, cell), np.inf))
        return np.stack(found, axis=1) if found else np.zeros((len(row), 0))

    def _bisect(self, base: Array, direction: Array, switch: int, cell: NDArray[np.intp]) -> Array:
        function = compiled(self.symbols, (self.switches[switch],))
        low, high = _REACH * _INNER_SCAN[cell], _REACH * _INNER_SCAN[cell + 1]
        sign = np.sign(function(*(base + direction * low[:, None]).T)[0])
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            same = np.sign(function(*(base + direction * middle[:, None]).T)[0]) == sign
            low, high = np.where(same, middle, low), np.where(same, high, middle)
        return (low + high) / 2
