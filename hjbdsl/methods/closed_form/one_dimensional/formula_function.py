"""A value function given by formulas on successive intervals of the line, with exact derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.family import Derivatives, ExactFunction
from hjbdsl.model.solution import Array, PointValues
from hjbdsl.numeric.compile import compile_expressions


@dataclass(frozen=True, slots=True)
class Piece:
    """V on one interval, an expression in the state and numbers; `stopped`: V is the payoff there."""

    value: sp.Expr
    stopped: bool


@dataclass(frozen=True, slots=True)
class PieceFormula(ExactFunction):
    """`pieces[i]` holds between `boundaries[i-1]` and `boundaries[i]`. A boundary belongs to the piece that is stopped."""

    state: sp.Symbol
    boundaries: tuple[float, ...]
    pieces: tuple[Piece, ...]

    def derivatives(self, t: Array, x: Array, mode: NDArray) -> Derivatives:  # noqa: ARG002 (the interface)
        points = np.asarray(x, dtype=np.float64)[:, 0]
        index = self._index(points)
        result = np.empty((3, len(points)))
        for i, piece in enumerate(self.pieces):
            inside = index == i
            result[:, inside] = _derivatives_of(self.state, piece.value)(points[inside])
        return Derivatives(result[0], np.zeros(len(points)), result[1][:, None], result[2][:, None, None])

    def evaluate(self, t: Array, x: Array, mode: NDArray[np.int64]) -> PointValues:
        found = self.derivatives(t, x, mode)
        stopped = np.array([piece.stopped for piece in self.pieces])[self._index(np.asarray(x, dtype=np.float64)[:, 0])]
        count = len(found.value)
        rounding = 1e-14 * (1 + np.abs(found.value))
        return PointValues(found.value, rounding, found.gradient, np.zeros((count, 0)), stop=stopped)

    def _index(self, points: Array) -> NDArray[np.int64]:
        index = np.zeros(len(points), dtype=np.int64)
        for i, boundary in enumerate(self.boundaries):
            index += (points > boundary) if self.pieces[i].stopped else (points >= boundary)
        return index


@lru_cache(maxsize=256)
def _derivatives_of(state: sp.Symbol, value: sp.Expr) -> Callable[[Array], Array]:
    compiled = compile_expressions((state,), (value, sp.diff(value, state), sp.diff(value, state, 2)))
    return lambda points: np.array(compiled(points))
