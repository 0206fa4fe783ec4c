"""The optimiser of the Hamiltonian over one control where no formula gives it: transcendental or kinked costs.

In: the Hamiltonian as an expression in (x, V, V_x, V_xx, a) and the control's interval. Out: at many points at once,
the best control and the face it lies on (interior, a bound, a kink of the cost). A scan, golden sections, then Newton's
steps on the smooth pieces.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.one_dimensional.branches import kinks
from hjbdsl.methods.closed_form.one_dimensional.compiled import compiled
from hjbdsl.model.solution import Array

_SCAN = 129
_GOLDEN = (np.sqrt(5.0) - 1) / 2
_UNBOUNDED = 1e4


@dataclass(frozen=True, slots=True)
class Search:
    """`lower`, `upper`: the control's bounds, expressions in the state; `hamiltonian` in `arguments` and `control`; `sign` +1 to
    maximise; `corners`: controls at which the cost has a kink."""

    arguments: tuple[sp.Symbol, ...]
    control: sp.Symbol
    lower: sp.Expr
    upper: sp.Expr
    hamiltonian: sp.Expr
    sign: int
    corners: tuple[float, ...]

    def optimise(self, points: tuple[Array, ...]) -> tuple[Array, NDArray[np.int64]]:
        """Controls (k, 1) and faces: 0 interior, 1 lower, 2 upper, 3.. the corners; -1 where the search runs off to infinity."""
        state = (self.arguments[0],)
        low, high = (compiled(state, (b,))(points[0])[0] for b in (self.lower, self.upper))
        best, worth = self._interior(points, low, high)
        face = np.zeros(len(best), dtype=np.int64)
        inner = [(3 + i, np.full_like(low, corner), -1, 1) for i, corner in enumerate(self.corners)]
        fixed = [(1, low, 0, 1), (2, high, -1, 0), *inner]
        for label, place, before, after in fixed:
            feasible = np.isfinite(place) & (place >= low) & (place <= high)
            there = np.where(feasible, place, 0.0)
            merit = np.where(feasible, self._merit(points, there), -np.inf)
            # the interior search only comes close to a face; the slopes on its sides tell whether the optimum is on it
            locked = merit >= worth - 1e-7 * (1 + np.abs(worth))
            for side in {before, after} - {0}:
                locked &= side * self._slope(points, there + side * 1e-10 * (1 + np.abs(there))) <= 0
            wins = locked | (merit > worth + 1e-9 * (1 + np.abs(worth)))
            best, worth, face = np.where(wins, place, best), np.where(wins, merit, worth), np.where(wins, label, face)
        lost = ~np.isfinite(worth) | (~np.isfinite(high) & (best > 0.9 * _UNBOUNDED))
        lost |= ~np.isfinite(low) & (best < -0.9 * _UNBOUNDED)
        return np.where(lost, np.nan, best)[:, None], np.where(lost, -1, face)

    def _slope(self, points: tuple[Array, ...], control: Array) -> Array:
        first, _ = _derivatives(self.hamiltonian, self.control)
        return self.sign * compiled((*self.arguments, self.control), (first,))(*points, control)[0]

    def _merit(self, points: tuple[Array, ...], control: Array) -> Array:
        value = self.sign * compiled((*self.arguments, self.control), (self.hamiltonian,))(*points, control)[0]
        return np.where(np.isfinite(value), value, -np.inf)

    def _interior(self, points: tuple[Array, ...], low: Array, high: Array) -> tuple[Array, Array]:
        left = np.where(np.isfinite(low), low, np.where(np.isfinite(high), high, 0.0) - _UNBOUNDED)
        right = np.where(np.isfinite(high), high, np.where(np.isfinite(low), low, 0.0) + _UNBOUNDED)
        scan = self._scan(left, right, np.isfinite(low), np.isfinite(high))
        merits = self._merit(points, scan)
        top = merits.argmax(axis=0)
        columns = np.arange(len(left))
        a, b = scan[np.maximum(top - 1, 0), columns], scan[np.minimum(top + 1, len(scan) - 1), columns]
        for _ in range(36):
            inner, outer = b - _GOLDEN * (b - a), a + _GOLDEN * (b - a)
            leftward = self._merit(points, inner) >= self._merit(points, outer)
            a, b = np.where(leftward, a, inner), np.where(leftward, outer, b)
        best = self._polished(points, (a + b) / 2, left, right)
        return best, self._merit(points, best)

    def _scan(self, left: Array, right: Array, bounded_left: NDArray[np.bool_], bounded_right: NDArray[np.bool_]) -> Array:
        """(129, k) trial controls: even on an interval, denser near the finite end or near 0 where there is none."""
        even = np.linspace(0.0, 1.0, _SCAN)[:, None]
        near = (np.expm1(np.linspace(0, 16, _SCAN)) / np.expm1(16))[:, None]
        half = np.sinh(np.linspace(-16, 16, _SCAN))[:, None] / np.sinh(16.0)
        width = right - left
        bounded = bounded_left & bounded_right
        one_sided = np.where(bounded_left, left + near * width, right - near[::-1] * width)
        free = (left + right) / 2 + half * width / 2
        return np.where(bounded, left + even * width, np.where(bounded_left | bounded_right, one_sided, free))

    def _polished(self, points: tuple[Array, ...], start: Array, left: Array, right: Array) -> Array:
        """Newton's steps on dH/da = 0, kept where they do no harm."""
        first, second = _derivatives(self.hamiltonian, self.control)
        best = start
        for _ in range(4):
            slope, bend = compiled((*self.arguments, self.control), (first, second))(*points, best)
            with np.errstate(all="ignore"):
                trial = np.clip(best - slope / bend, left, right)
            good = np.isfinite(trial) & (np.abs(trial - best) < 1e-5 * (1 + np.abs(best))) & (self.sign * bend < 0)
            best = np.where(good, trial, best)
        return best


@lru_cache(maxsize=64)
def _derivatives(hamiltonian: sp.Expr, control: sp.Symbol) -> tuple[sp.Expr, sp.Expr]:
    """dH/da and d2H/da2 off the corners."""
    smooth = hamiltonian.rewrite(sp.Piecewise) if hamiltonian.has(sp.Max, sp.Min, sp.Abs, sp.sign) else hamiltonian
    return sp.diff(smooth, control), sp.diff(smooth, control, 2)


def corners(expression: sp.Expr, control: sp.Symbol) -> tuple[float, ...]:
    """Controls at which min, max or |.| in `expression` change sides whatever the state."""
    return kinks((expression,), control, -1e3, 1e3)
