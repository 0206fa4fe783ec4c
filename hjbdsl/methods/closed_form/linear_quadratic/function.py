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

    def _series(self, coefficients: Array, times: Array) -> Array:
        """The Chebyshev series of `coefficients` (pieces, degree+1, entries) at `times` (k,)."""
        piece, local, _ = self._local(times)
        basis = np.polynomial.chebyshev.chebvander(local, coefficients.shape[1] - 1)
        return np.einsum("kc,kcv->kv", basis, coefficients[piece])

    def _local(self, times: Array) -> tuple[NDArray[np.int64], Array, Array]:
        """Piece, local coordinate in [-1, 1] and half-width of the piece, for each time."""
        path = self.trajectory
        remaining = np.clip(path.horizon - times, 0.0, path.horizon)
        piece = np.clip(np.searchsorted(path.edges, remaining, side="right") - 1, 0, len(path.edges) - 2)
        left, right = path.edges[piece], path.edges[piece + 1]
        return piece, (2 * remaining - left - right) / (right - left), (right - left) / 2

    def _matrices(self, coefficients: Array, times: Array) -> Array:
        """Stacks (k, Z, N, N) of symmetric matrices with the file's sign."""
        _, unpack = packing(self.modes, self.states + 1)
        return self.sign * unpack(self._series(coefficients, times))

    def matrix(self, t: float, mode: int) -> Array:
        """Pi (N, N) with the file's sign."""
        return np.asarray(self._matrices(self.trajectory.value, np.array([t]))[0, mode])

    def gain(self, t: float, mode: int) -> Array:
        """K (m, N) of a = -K z."""
        stacks = self._series(self.trajectory.gain, np.array([t])).reshape(self.modes, -1, self.states + 1)
        return np.asarray(stacks[mode])

    def evaluate(self, t: Array, x: Array, mode: NDArray[np.int64]) -> PointValues:
        path, z = self.trajectory, _coordinates(x)
        # quadratures ask for many states at few times
        times, row = np.unique(t, return_inverse=True)
        pi = self._matrices(path.value, times)[row, mode]
        slope = np.einsum("kij,kj->ki", pi, z)
        size = np.einsum("ki,kij,kj->k", np.abs(z), np.abs(pi), np.abs(z)) + np.sum(z**2, axis=1)
        gain = self._series(path.gain, times).reshape(len(times), self.modes, -1, self.states + 1)[row, mode]
        spread = None
        if self.explored:
            spread = self._series(path.spread, times).reshape(len(times), self.modes, -1)[row, mode]
        control = -np.einsum("kij,kj->ki", gain, z)
        return PointValues(np.einsum("ki,ki->k", z, slope), path.error * size, 2 * slope[:, 1:], control, spread)

    def derivatives(self, t: Array, x: Array, mode: NDArray[np.int64]) -> Derivatives:
        path, z = self.trajectory, _coordinates(x)
        times, row = np.unique(t, return_inverse=True)
        pi = self._matrices(path.value, times)[row, mode]
        rates: Array = np.asarray(np.polynomial.chebyshev.chebder(path.value, axis=1), dtype=np.float64)
        change = self._matrices(rates, times)[row, mode]
        time = -np.einsum("ki,kij,kj->k", z, change, z) / self._local(t)[2]
        slope = np.einsum("kij,kj->ki", pi, z)
        return Derivatives(np.einsum("ki,ki->k", z, slope), time, 2 * slope[:, 1:], 2 * pi[:, 1:, 1:])
