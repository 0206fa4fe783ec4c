"""The law of a linear diffusion at the end, weighted by the exponential of an integrated quadratic rate.

In: dz = (A z + a) dt + S dW, Q = S C S', a rate q(t, z) = k + w'z + z'M z/2, a terminal quadratic
q_T(z) = c0 + p0'z + z'P0 z/2. With

    psi(t, z) = E[exp(-int_t^T q ds - q_T(z_T)) | z_t = z] = exp(-(z'P z/2 + p'z + c))

the measure weighted by that exponential is again one of a linear diffusion, of drift A z + a - Q (P z + p), so that

    E[exp(-int q - q_T(z_T)) h(z_T) | z_t = z] = psi(t, z) E h(Y),   Y ~ N(F z + m, C).

Out: F, m, C, P, p, c at any t, and their derivatives in t: a Riccati and linear ODE system backwards from T, or the matrix
exponential where coefficients are constant and q is a constant. Matrices that are all diagonal are kept as vectors (n,).
Source: exponential-quadratic expectations by Riccati equations, e.g. Karatzas and Shreve, Brownian Motion and Stochastic
Calculus, section 4.3.B.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import integrate, linalg
from scipy.special import exprel

from hjbdsl.model.solution import Array

_TOLERANCE = 2e-13
_SMALLEST_STEPS = 48


@dataclass(frozen=True, slots=True)
class Moments:
    """At one time: Y ~ N(transition z + offset, covariance), weight exp(-(z'quadratic z/2 + linear'z + constant))."""

    transition: Array
    offset: Array
    covariance: Array
    quadratic: Array
    linear: Array
    constant: float


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


class EscapeError(ArithmeticError):
    """The weighted expectation is infinite before the start: a Riccati equation escapes."""


@dataclass(frozen=True, slots=True)
class GaussianLaw:
    """`coefficients` from 0 to `end`; `path` interpolates the ODE's solution in s = T - t (None: matrix exponential)."""

    coefficients: LinearDiffusion
    end: float
    path: Callable[[float], Array] | None

    @property
    def accuracy(self) -> float:
        """Relative accuracy of the moments."""
        return 1e-14 if self.path is None else 2e-12

    def at(self, t: float) -> Moments:
        if self.path is None:
            return _exponential(self.coefficients, max(self.end - t, 0.0))
        n = len(self.coefficients.terminal[1])
        return _unpack(self.path(max(self.end - t, 0.0)), n, self.coefficients.diagonal)

    def slope(self, t: float, now: Moments) -> Moments:
        """The derivatives in t of the moments `now` = at(t)."""
        return _backward(self.coefficients, t, now)


def gaussian_law(coefficients: LinearDiffusion, end: float) -> GaussianLaw:
    """Solve for the law. Raises `EscapeError` where the weighted expectation is infinite."""
    if coefficients.constant and not coefficients.tilted:
        return GaussianLaw(coefficients, end, None)
    return GaussianLaw(coefficients, end, _integrate(coefficients, end))


def _exponential(law: LinearDiffusion, remaining: float) -> Moments:
    """Constant coefficients without a tilt. Doubling keeps every digit of the covariance, however long the time."""
    (matrix, offset), noise = law.drift(0.0), law.noise(0.0)
    n = len(offset)
    rate, _, _ = law.rate(0.0)
    constant = float(rate) * remaining + law.terminal[0]
    if law.diagonal:
        transition = np.exp(matrix * remaining)
        mean = offset * remaining * exprel(matrix * remaining)
        return Moments(transition, mean, noise * remaining * exprel(2 * matrix * remaining), np.zeros(n), np.zeros(n), constant)
    size = np.linalg.norm(matrix, 1) * remaining
    halvings = max(0, int(np.ceil(np.log2(size + 1e-300))) + 1)
    step = remaining / 2**halvings
    block = np.zeros((2 * n, 2 * n))
    block[:n, :n], block[:n, n:], block[n:, n:] = -matrix, noise, matrix.T
    van_loan = linalg.expm(block * step)
    transition = van_loan[n:, n:].T
    covariance = transition @ van_loan[:n, n:]
    augmented = np.zeros((n + 1, n + 1))
    augmented[:n, :n], augmented[:n, n] = matrix, offset
    mean = linalg.expm(augmented * step)[:n, n]
    for _ in range(halvings):
        covariance = covariance + transition @ covariance @ transition.T
        mean = mean + transition @ mean
        transition = transition @ transition
    return Moments(transition, mean, (covariance + covariance.T) / 2, np.zeros((n, n)), np.zeros(n), constant)


def _times(first: Array, second: Array) -> Array:
    """A product of matrices, or of a matrix and a vector; of diagonals (n,) too."""
    return first @ second if first.ndim == 2 else first * second


def _trace(matrix: Array) -> float:
    return float(np.trace(matrix)) if matrix.ndim == 2 else float(matrix.sum())


def _backward(law: LinearDiffusion, t: float, now: Moments) -> Moments:
    """d/dt of (F, m, C, P, p, c)."""
    (matrix, offset), noise = law.drift(t), law.noise(t)
    constant, linear, quadratic = law.rate(t)
    spread = _times(noise, now.quadratic)
    tilted = matrix - spread
    shifted = offset - _times(noise, now.linear)
    return Moments(
        -_times(now.transition, tilted),
        -_times(now.transition, shifted),
        -_times(_times(now.transition, noise), now.transition.T),
        -(quadratic + _times(matrix.T, now.quadratic) + _times(now.quadratic, matrix) - _times(now.quadratic, spread)),
        -(linear + _times(matrix.T, now.linear) + _times(now.quadratic, shifted)),
        -(float(constant) + float(offset @ now.linear) + _trace(spread) / 2 - float(now.linear @ _times(noise, now.linear)) / 2),
    )


def _pack(moments: Moments) -> Array:
    return np.concatenate([
        moments.transition.ravel(), moments.offset, moments.covariance.ravel(), moments.quadratic.ravel(), moments.linear,
        [moments.constant],
    ])  # fmt: skip


def _unpack(flat: Array, n: int, diagonal: bool) -> Moments:
    shape = (n,) if diagonal else (n, n)
    size = n if diagonal else n * n
    cuts = np.cumsum([size, n, size, size, n])
    transition, offset, covariance, quadratic, linear, constant = np.split(flat, cuts)
    return Moments(
        transition.reshape(shape), offset, covariance.reshape(shape), quadratic.reshape(shape), linear, float(constant[0])
    )


def _integrate(law: LinearDiffusion, end: float) -> Callable[[float], Array]:
    constant, linear, quadratic = law.terminal
    n = len(linear)
    identity, zero = (np.ones(n), np.zeros(n)) if law.diagonal else (np.eye(n), np.zeros((n, n)))
    start = _pack(Moments(identity, np.zeros(n), zero, quadratic, linear, constant))

    def right_side(s: float, flat: Array) -> Array:
        return -_pack(_backward(law, end - s, _unpack(flat, n, law.diagonal)))

    with np.errstate(all="ignore"):
        solved = integrate.solve_ivp(
            right_side, (0.0, end), start, method="DOP853", rtol=_TOLERANCE, atol=1e-15, dense_output=True,
            max_step=end / _SMALLEST_STEPS,
        )  # fmt: skip
    if not solved.success or not np.all(np.isfinite(solved.y[:, -1])):
        raise EscapeError(f"the Riccati equation escapes {solved.t[-1]:.6g} before the end")
    path: Callable[[float], Array] = solved.sol
    return path
