"""The quadratic value function in numbers.

In: Pi and feedback (stationary or a trajectory). Out: `ExactFunction`s of V = z' Pi z, z = (1, x), in the file's own sense.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.family import Derivatives, ExactFunction
from hjbdsl.methods.closed_form.linear_quadratic.trajectory import Trajectory, packing
from hjbdsl.model.solution import Array, PointValues


def _coordinates(x: Array) -> Array:
    return np.concatenate([np.ones((len(x), 1)), x], axis=1)


@dataclass(frozen=True, slots=True)
class StationaryQuadratic(ExactFunction):
    """`value` (Z, N, N) with the file's sign, `gain` (Z, m, N) of a = -gain z, `spread` (Z, m) or None, `error` relative."""

    value: Array
    gain: Array
    spread: Array | None
    error: float

    def evaluate(self, t: Array, x: Array, mode: NDArray[np.int64]) -> PointValues:  # noqa: ARG002 (stationary)
        z = _coordinates(x)
        slope = np.einsum("kij,kj->ki", self.value[mode], z)
        value = np.einsum("ki,ki->k", z, slope)
        size = np.einsum("ki,kij,kj->k", np.abs(z), np.abs(self.value)[mode], np.abs(z))
        control = -np.einsum("kij,kj->ki", self.gain[mode], z)
        spread = None if self.spread is None else self.spread[mode]
        return PointValues(value, self.error * size, 2 * slope[:, 1:], control, spread)

    def derivatives(self, t: Array, x: Array, mode: NDArray[np.int64]) -> Derivatives:
        point = self.evaluate(t, x, mode)
        return Derivatives(point.value, np.zeros(len(x)), point.gradient, 2 * self.value[mode][:, 1:, 1:])


@dataclass(frozen=True, slots=True)
class TimeQuadratic(ExactFunction):
    """Finite horizon; V_t is the derivative of the interpolated Pi itself, so that the residual tests the integration."""

    trajectory: Trajectory
    sign: float
    states: int
    modes: int
    explored: bool

    def _local(self, t: Array) -> tuple[NDArray[np.int64], Array, Array]:
        """Piece, local coordinate in [-1, 1] and half-width of the piece, for each t."""
        path = self.trajectory
        remaining = np.clip(path.horizon - t, 0.0, path.horizon)
        piece = np.clip(np.searchsorted(path.edges, remaining, side="right") - 1, 0, len(path.edges) - 2)
        left, right = path.edges[piece], path.edges[piece + 1]
        return piece, (2 * remaining - left - right) / (right - left), (right - left) / 2

    def _series(self, coefficients: Array, piece: NDArray[np.int64], local: Array) -> Array:
        basis = np.polynomial.chebyshev.chebvander(local, coefficients.shape[1] - 1)
        return np.einsum("kc,kcv->kv", basis, coefficients[piece])

    def _matrices(self, coefficients: Array, piece: NDArray[np.int64], local: Array, mode: NDArray[np.int64]) -> Array:
        _, unpack = packing(self.modes, self.states + 1)
        stacks = unpack(self._series(coefficients, piece, local))
        return self.sign * stacks[np.arange(len(mode)), mode]

    def matrix(self, t: float, mode: int) -> Array:
        """Pi (N, N) with the file's sign."""
        piece, local, _ = self._local(np.array([t]))
        result: Array = self._matrices(self.trajectory.value, piece, local, np.array([mode]))[0]
        return result

    def gain(self, t: float, mode: int) -> Array:
        """K (m, N) of a = -K z."""
        piece, local, _ = self._local(np.array([t]))
        stacks = self._series(self.trajectory.gain, piece, local).reshape(self.modes, -1, self.states + 1)
        return np.asarray(stacks[mode])

    def evaluate(self, t: Array, x: Array, mode: NDArray[np.int64]) -> PointValues:
        path, z = self.trajectory, _coordinates(x)
        piece, local, _ = self._local(t)
        pi = self._matrices(path.value, piece, local, mode)
        slope = np.einsum("kij,kj->ki", pi, z)
        size = np.einsum("ki,kij,kj->k", np.abs(z), np.abs(pi), np.abs(z)) + np.sum(z**2, axis=1)
        rows = np.arange(len(x))
        gain = self._series(path.gain, piece, local).reshape(len(x), self.modes, -1, self.states + 1)[rows, mode]
        spread = None
        if self.explored:
            spread = self._series(path.spread, piece, local).reshape(len(x), self.modes, -1)[rows, mode]
        control = -np.einsum("kij,kj->ki", gain, z)
        return PointValues(np.einsum("ki,ki->k", z, slope), path.error * size, 2 * slope[:, 1:], control, spread)

    def derivatives(self, t: Array, x: Array, mode: NDArray[np.int64]) -> Derivatives:
        path, z = self.trajectory, _coordinates(x)
        piece, local, half = self._local(t)
        pi = self._matrices(path.value, piece, local, mode)
        rates: Array = np.asarray(np.polynomial.chebyshev.chebder(path.value, axis=1), dtype=np.float64)
        change = self._matrices(rates, piece, local, mode)
        time = -np.einsum("ki,kij,kj->k", z, change, z) / half
        slope = np.einsum("kij,kj->ki", pi, z)
        value = np.einsum("ki,ki->k", z, slope)
        return Derivatives(value, time, 2 * slope[:, 1:], 2 * pi[:, 1:, 1:])
