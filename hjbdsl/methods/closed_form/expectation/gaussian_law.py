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
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy import integrate
from scipy.special import exprel, factorial

from hjbdsl.model.solution import Array

_TOLERANCE = 2e-13
_SMALLEST_STEPS = 48
_SERIES_TERMS = 20


@dataclass(frozen=True, slots=True)
class Moments:
    """At k times, first axis: Y ~ N(transition z + offset, covariance), weight exp(-(z'quadratic z/2 + linear'z + constant))."""

    transition: Array
    offset: Array
    covariance: Array
    quadratic: Array
    linear: Array
    constant: Array

    def take(self, rows: NDArray[np.intp]) -> Moments:
        return Moments(*(getattr(self, f.name)[rows] for f in fields(self)))


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


@dataclass(frozen=True, slots=True)
class FrozenCoefficients:
    """Coefficients that do not depend on time."""

    fixed_drift: tuple[Array, Array]
    fixed_noise: Array
    fixed_rate: tuple[Array, Array, Array]

    def drift(self, _t: float) -> tuple[Array, Array]:
        return self.fixed_drift

    def noise(self, _t: float) -> Array:
        return self.fixed_noise

    def rate(self, _t: float) -> tuple[Array, Array, Array]:
        return self.fixed_rate


class EscapeError(ArithmeticError):
    """The weighted expectation is infinite before the start: a Riccati equation escapes."""


@dataclass(frozen=True, slots=True)
class GaussianLaw:
    """`coefficients` from 0 to `end`; `path` interpolates the ODE's solution in s = T - t (None: matrix exponential)."""

    coefficients: LinearDiffusion
    end: float
    path: Callable[[Array], Array] | None

    @property
    def accuracy(self) -> float:
        """Relative accuracy of the moments."""
        return 1e-14 if self.path is None else 2e-12

    def at(self, t: Array) -> Moments:
        """At times t (k,)."""
        remaining = np.maximum(self.end - t, 0.0)
        if self.path is None:
            return exponential_moments(self.coefficients, remaining)
        return _unpack(self.path(remaining).T, len(self.coefficients.terminal[1]), self.coefficients.diagonal)

    def slope(self, t: Array, now: Moments) -> Moments:
        """The derivatives in t of the moments `now` = at(t)."""
        return _backward(self.coefficients, t, now)


def gaussian_law(coefficients: LinearDiffusion, end: float) -> GaussianLaw:
    """Solve for the law. Raises `EscapeError` where the weighted expectation is infinite."""
    if coefficients.constant and not coefficients.tilted:
        return GaussianLaw(coefficients, end, None)
    return GaussianLaw(coefficients, end, _integrate(coefficients, end))


def exponential_moments(law: LinearDiffusion, remaining: Array) -> Moments:
    """Constant coefficients without a tilt, after the times `remaining` (k,), to every digit of the covariance however long the
    time: formulas for a diagonal drift matrix, else a power series over a short step, doubled."""
    (matrix, offset), noise = law.drift(0.0), law.noise(0.0)
    n, k = len(offset), len(remaining)
    rate, _, _ = law.rate(0.0)
    constant = float(rate) * remaining + law.terminal[0]
    if law.diagonal:
        passed = remaining[:, None]
        growth = matrix * passed
        zero = np.zeros((k, n))
        moments = np.exp(growth), offset * passed * exprel(growth), noise * passed * exprel(2 * growth)
        return Moments(*moments, zero, zero, constant)
    if np.count_nonzero(matrix) == np.count_nonzero(np.diagonal(matrix)):
        moments = _diagonal_drift(np.diagonal(matrix), offset, noise, remaining[:, None])
    else:
        moments = _doubled_series(matrix, offset, noise, remaining)
    return Moments(*moments, np.zeros((k, n, n)), np.zeros((k, n)), constant)


def _diagonal_drift(rates: Array, offset: Array, noise: Array, passed: Array) -> tuple[Array, Array, Array]:
    """F, m, C after the times `passed` (k, 1) for a diagonal drift matrix and a full noise."""
    growth = rates * passed
    together = (rates[:, None] + rates) * passed[:, :, None]
    covariance = noise * passed[:, :, None] * exprel(together)
    return np.exp(growth)[:, :, None] * np.eye(len(rates)), offset * passed * exprel(growth), covariance


def _doubled_series(matrix: Array, offset: Array, noise: Array, remaining: Array) -> tuple[Array, Array, Array]:
    """Power series of exp(A h), int_0^h exp(A s) a ds and int_0^h exp(A s) Q exp(A's) ds, |A| h <= 1/2, then doublings."""
    halvings = max(0, int(np.ceil(np.log2(np.linalg.norm(matrix, 1) * remaining.max(initial=0.0) + 1e-300))) + 1)
    step = remaining / 2**halvings
    powers, carried, spread = [np.eye(len(offset))], [offset], [noise]
    for _ in range(1, _SERIES_TERMS):
        powers.append(matrix @ powers[-1])
        carried.append(matrix @ carried[-1])
        half = matrix @ spread[-1]
        spread.append(half + half.T)
    orders = np.arange(_SERIES_TERMS)
    factors = step[:, None] ** orders / factorial(orders)
    integrated = factors * step[:, None] / (orders + 1)
    transition = np.tensordot(factors, np.stack(powers), axes=1)
    mean = integrated @ np.stack(carried)
    covariance = np.tensordot(integrated, np.stack(spread), axes=1)
    for _ in range(halvings):
        covariance = covariance + transition @ covariance @ transition.transpose(0, 2, 1)
        mean = mean + (transition @ mean[:, :, None])[:, :, 0]
        transition = transition @ transition
    return transition, mean, (covariance + covariance.transpose(0, 2, 1)) / 2


def _backward(law: LinearDiffusion, t: Array, now: Moments) -> Moments:
    """d/dt of (F, m, C, P, p, c)."""
    if law.constant:
        (matrix, offset), noise = law.drift(0.0), law.noise(0.0)
        constant, linear, quadratic = law.rate(0.0)
    else:
        drifts, rates = [law.drift(float(u)) for u in t], [law.rate(float(u)) for u in t]
        matrix, offset = np.stack([d[0] for d in drifts]), np.stack([d[1] for d in drifts])
        noise = np.stack([law.noise(float(u)) for u in t])
        constant, linear, quadratic = (np.stack([r[i] for r in rates]) for i in range(3))
    product, apply, transpose, trace = _DIAGONAL if law.diagonal else _FULL
    spread = product(noise, now.quadratic)
    tilted = matrix - spread
    shifted = offset - apply(noise, now.linear)
    still = constant + np.sum(offset * now.linear, axis=1) + trace(spread) / 2
    return Moments(
        -product(now.transition, tilted),
        -apply(now.transition, shifted),
        -product(product(now.transition, noise), transpose(now.transition)),
        -(quadratic + product(transpose(matrix), now.quadratic) + product(now.quadratic, matrix - spread)),
        -(linear + apply(transpose(matrix), now.linear) + apply(now.quadratic, shifted)),
        -(still - np.sum(now.linear * apply(noise, now.linear), axis=1) / 2),
    )


_FULL = (
    lambda a, b: a @ b,
    lambda a, v: (a @ v[..., None])[..., 0],
    lambda a: np.swapaxes(a, -1, -2),
    lambda a: np.trace(a, axis1=-2, axis2=-1),
)
"""Product, product with a vector, transpose and trace of matrices with any leading axes."""
_DIAGONAL = (lambda a, b: a * b, lambda a, v: a * v, lambda a: a, lambda a: a.sum(axis=-1))
"""The same for diagonals."""


def _pack(moments: Moments) -> Array:
    """The moments at one time in a row."""
    return np.concatenate([getattr(moments, f.name).ravel() for f in fields(moments)])


def _unpack(flat: Array, n: int, diagonal: bool) -> Moments:
    """From rows (k, size)."""
    shape = (len(flat), n) if diagonal else (len(flat), n, n)
    size = n if diagonal else n * n
    transition, offset, covariance, quadratic, linear, constant = np.split(flat, np.cumsum([size, n, size, size, n]), axis=1)
    transition, covariance, quadratic = (m.reshape(shape) for m in (transition, covariance, quadratic))
    return Moments(transition, offset, covariance, quadratic, linear, constant[:, 0])


def _integrate(law: LinearDiffusion, end: float) -> Callable[[Array], Array]:
    constant, linear, quadratic = law.terminal
    n = len(linear)
    identity, zero = (np.ones(n), np.zeros(n)) if law.diagonal else (np.eye(n), np.zeros((n, n)))
    start = _pack(Moments(identity, np.zeros(n), zero, quadratic, linear, np.array(constant)))

    def right_side(s: float, flat: Array) -> Array:
        return -_pack(_backward(law, np.array([end - s]), _unpack(flat[None, :], n, law.diagonal)))

    with np.errstate(all="ignore"):
        solved = integrate.solve_ivp(
            right_side, (0.0, end), start, method="DOP853", rtol=_TOLERANCE, atol=1e-15, dense_output=True,
            max_step=end / _SMALLEST_STEPS,
        )  # fmt: skip
    if not solved.success or not np.all(np.isfinite(solved.y[:, -1])):
        raise EscapeError(f"the Riccati equation escapes {solved.t[-1]:.6g} before the end")
    path: Callable[[Array], Array] = solved.sol
    return path
