"""The moments of a linear diffusion forward in time, dy = (A(s) y + b(s)) ds + S(s) dW, started at time 0.

In: coefficients as functions of time. Out: at any s the transition F, the shift c and the accumulated covariance N of
y_s = F y_0 + c + noise, noise ~ N(0, N), with their derivatives: F' = A F, c' = A c + b, N' = A N + N A' + Q, Q = S S'.
Matrices that are all diagonal are kept as vectors (n,).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import integrate

from hjbdsl.model.solution import Array
from hjbdsl.numeric.linear_diffusion import LinearDiffusion, exponential_moments

_TOLERANCE = 2e-13
_SMALLEST_STEPS = 64


@dataclass(frozen=True, slots=True)
class ForwardMoments:
    """F, c, N of the module's docstring."""

    transition: Array
    offset: Array
    covariance: Array


@dataclass(frozen=True, slots=True)
class ForwardLaw:
    """`path` interpolates the ODE's solution; None where coefficients are constant (matrix exponential)."""

    coefficients: LinearDiffusion
    end: float
    path: Callable[[float], Array] | None

    @property
    def accuracy(self) -> float:
        """Relative accuracy of the moments."""
        return 1e-14 if self.path is None else 2e-12

    def at(self, s: float) -> ForwardMoments:
        if self.path is not None:
            return _unpack(self.path(s), len(self.coefficients.terminal[1]), self.coefficients.diagonal)
        moments = exponential_moments(self.coefficients, np.array([s]))
        return ForwardMoments(moments.transition[0], moments.offset[0], moments.covariance[0])

    def slope(self, s: float, now: ForwardMoments) -> ForwardMoments:
        """The derivatives in s of `now` = at(s)."""
        return _forward(self.coefficients, s, now)


def forward_law(coefficients: LinearDiffusion, end: float) -> ForwardLaw:
    """Solve on [0, end]."""
    if coefficients.constant:
        return ForwardLaw(coefficients, end, None)
    n = len(coefficients.terminal[1])
    identity, zero = (np.ones(n), np.zeros(n)) if coefficients.diagonal else (np.eye(n), np.zeros((n, n)))

    def right_side(s: float, flat: Array) -> Array:
        return _pack(_forward(coefficients, s, _unpack(flat, n, coefficients.diagonal)))

    solved = integrate.solve_ivp(
        right_side, (0.0, end), _pack(ForwardMoments(identity, np.zeros(n), zero)), method="DOP853", rtol=_TOLERANCE,
        atol=1e-15, dense_output=True, max_step=end / _SMALLEST_STEPS,
    )  # fmt: skip
    if not solved.success:
        raise ArithmeticError(f"the moments could not be integrated: {solved.message}")
    return ForwardLaw(coefficients, end, solved.sol)


def _forward(law: LinearDiffusion, s: float, now: ForwardMoments) -> ForwardMoments:
    (matrix, offset), noise = law.drift(s), law.noise(s)
    if law.diagonal:
        return ForwardMoments(matrix * now.transition, matrix * now.offset + offset, 2 * matrix * now.covariance + noise)
    half = matrix @ now.covariance
    return ForwardMoments(matrix @ now.transition, matrix @ now.offset + offset, half + half.T + noise)


def _pack(moments: ForwardMoments) -> Array:
    return np.concatenate([moments.transition.ravel(), moments.offset, moments.covariance.ravel()])


def _unpack(flat: Array, n: int, diagonal: bool) -> ForwardMoments:
    shape = (n,) if diagonal else (n, n)
    size = n if diagonal else n * n
    transition, offset, covariance = np.split(flat, [size, size + n])
    return ForwardMoments(transition.reshape(shape), offset, covariance.reshape(shape))
