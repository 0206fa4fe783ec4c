"""The minimum over one constant control: min over u of s l(u) + g(x + s (b + c u)), globally, with its derivatives.

In: l convex and g on pieces, the time s that remains. Out: at k points value, minimiser and derivatives by the envelope theorem:

    smooth minimiser  V_x = g'(y) = -l'(u)/c, V_xx = g'' l''/(l'' + s c^2 g''), y = x + s (b + c u)
    y on a kink of g  V_x = -l'(u)/c, V_xx = l''/(s c^2)          (the end stays, the control moves)
    u at a bound or on a kink of l  V_x = g'(y), V_xx = g''       (the control stays)

and V_t = -l(u) - V_x (b + c u). Candidates: every kink and bound, and every local minimum of a fine scan, polished.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.expectation.pieces import SmoothPieces
from hjbdsl.model.solution import Array
from hjbdsl.numeric.time_array import compiled

_SCAN = 1201
_MOST_MINIMA = 8
_GOLDEN = (np.sqrt(5) - 1) / 2
_SMALLEST_TIME = 1e-9


@dataclass(frozen=True, slots=True)
class PieceFunction:
    """Value and two derivatives of a function smooth on pieces."""

    symbol: sp.Symbol
    breaks: tuple[float, ...]
    branches: tuple[tuple[sp.Expr, sp.Expr, sp.Expr], ...]

    def __call__(self, y: Array) -> Array:
        """(3, ...) at y (...); on a break the right-hand piece."""
        flat = y.ravel()
        values = np.empty((3, flat.size))
        place = np.searchsorted(np.array(self.breaks), flat, side="right")
        for i, branch in enumerate(self.branches):
            here = place == i
            if here.any():
                values[:, here] = compiled((self.symbol,), branch)(flat[here])
        return values.reshape((3, *y.shape))


def piece_function(pieces: SmoothPieces) -> PieceFunction:
    s = pieces.symbol
    return PieceFunction(s, pieces.breaks, tuple((p, sp.diff(p, s), sp.diff(p, s, 2)) for p in pieces.pieces))


@dataclass(frozen=True, slots=True)
class LineMinimum:
    """At k points, each (k,): value, slope V_x, curvature V_xx, time V_t, control u."""

    value: Array
    slope: Array
    curvature: Array
    time: Array
    control: Array


@dataclass(frozen=True, slots=True)
class LaxLine:
    """cost l on [low, high], end cost g, dynamics b + c u."""

    cost: PieceFunction
    end: PieceFunction
    drift: float
    gain: float
    low: float
    high: float

    def minimum(self, s: Array, x: Array) -> LineMinimum:
        s = np.maximum(s, 0.0)
        candidates = self._candidates(s, x)
        total = self._total(s[:, None], x[:, None], candidates)
        total = np.where(np.isfinite(candidates) & ~np.isnan(total), total, np.inf)
        rows = np.arange(len(x))
        u = candidates[rows, np.argmin(total, axis=1)]
        return self._envelope(s, x, u)

    def _total(self, s: Array, x: Array, u: Array) -> Array:
        """(s l(u) + g(y) - g(x))/s, and its limit where s is tiny: comparable at any s."""
        cost = self.cost(u)[0]
        here = self.end(np.broadcast_to(x, u.shape))
        speed = self.drift + self.gain * u
        tiny = np.broadcast_to(s < _SMALLEST_TIME, u.shape)
        time = np.where(tiny, 1.0, np.broadcast_to(s, u.shape))
        moved = (self.end(x + s * speed)[0] - here[0]) / time
        return cost + np.where(tiny, here[1] * speed, moved)

    def _candidates(self, s: Array, x: Array) -> Array:
        """(k, m): bounds, kinks of l, controls that end on a kink of g, polished local minima of the scan; NaN for none."""
        k = len(x)
        fixed = [v for v in (self.low, self.high, *self.cost.breaks) if np.isfinite(v) and self.low <= v <= self.high]
        result = [np.broadcast_to(np.array(fixed), (k, len(fixed)))]
        if self.end.breaks and self.gain != 0:
            with np.errstate(all="ignore"):
                onto = ((np.array(self.end.breaks)[None, :] - x[:, None]) / s[:, None] - self.drift) / self.gain
            result.append(np.where((onto >= self.low) & (onto <= self.high) & (s[:, None] >= _SMALLEST_TIME), onto, np.nan))
        grid = self._grid()
        total = self._total(s[:, None], x[:, None], np.broadcast_to(grid, (k, len(grid))))
        dip = (total[:, 1:-1] <= total[:, :-2]) & (total[:, 1:-1] <= total[:, 2:])
        order = np.argsort(np.where(dip, total[:, 1:-1], np.inf), axis=1)[:, :_MOST_MINIMA]
        found = np.take_along_axis(dip, order, axis=1)
        polished = self._polish(s, x, grid[order], grid[order + 2])
        return np.column_stack([*result, np.where(found, polished, np.nan)])

    def _grid(self) -> Array:
        """Even where the control is bounded, else fine near zero and reaching 1e4."""
        if np.isfinite(self.low) and np.isfinite(self.high):
            return np.linspace(self.low, self.high, _SCAN)
        half = np.geomspace(1e-4, 1e4, _SCAN // 2)
        grid = np.concatenate([-half[::-1], [0.0], half])
        inside = grid[(grid > self.low) & (grid < self.high)]
        return np.array([v for v in (self.low, *inside, self.high) if np.isfinite(v)])

    def _polish(self, s: Array, x: Array, low: Array, high: Array) -> Array:
        """Golden section, then Newton on l'(u) + c g'(y), which is well conditioned for small s too."""
        time, start = s[:, None], x[:, None]
        for _ in range(40):
            width = high - low
            left, right = high - _GOLDEN * width, low + _GOLDEN * width
            lower = self._total(time, start, left) <= self._total(time, start, right)
            low, high = np.where(lower, low, left), np.where(lower, right, high)
        u = (low + high) / 2
        for _ in range(4):
            cost = self.cost(u)
            end = self.end(start + time * (self.drift + self.gain * u))
            with np.errstate(all="ignore"):
                step = (cost[1] + self.gain * end[1]) / (cost[2] + time * self.gain**2 * end[2])
            room = 1e-3 * (1 + np.abs(u))
            u = np.clip(u - np.where(np.abs(step) < room, step, 0.0), self.low, self.high)
        return u

    def _envelope(self, s: Array, x: Array, u: Array) -> LineMinimum:
        speed = self.drift + self.gain * u
        y = x + s * speed
        cost, end = self.cost(u), self.end(y)
        held = _near(u, (self.low, self.high, *self.cost.breaks))
        pinned = _near(y, self.end.breaks) & (s >= _SMALLEST_TIME) & ~held
        with np.errstate(all="ignore"):
            bent = end[2] * cost[2] / (cost[2] + s * self.gain**2 * end[2])
            sliding = np.where((cost[2] == 0) & (end[2] == 0), 0.0, bent)
            curvature = np.where(held, end[2], sliding)
            slope = np.where(held, end[1], -cost[1] / self.gain)
            curvature = np.where(pinned, cost[2] / (s * self.gain**2), curvature)
        return LineMinimum(s * cost[0] + end[0], slope, curvature, -cost[0] - slope * speed, u)


def _near(values: Array, places: tuple[float, ...]) -> NDArray[np.bool_]:
    result = np.zeros(values.shape, dtype=bool)
    for place in places:
        if np.isfinite(place):
            result |= np.abs(values - place) <= 1e-12 * (1 + abs(place))
    return result
