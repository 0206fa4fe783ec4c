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

from hjbdsl.model.solution import Array
from hjbdsl.numeric.linear_diffusion import LinearDiffusion, Moments, exponential_moments

_TOLERANCE = 2e-13
_SMALLEST_STEPS = 48


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
    from scipy.integrate import solve_ivp  # noqa: PLC0415  slow to import, and most laws have a formula

    constant, linear, quadratic = law.terminal
    n = len(linear)
    identity, zero = (np.ones(n), np.zeros(n)) if law.diagonal else (np.eye(n), np.zeros((n, n)))
    start = _pack(Moments(identity, np.zeros(n), zero, quadratic, linear, np.array(constant)))

    def right_side(s: float, flat: Array) -> Array:
        return -_pack(_backward(law, np.array([end - s]), _unpack(flat[None, :], n, law.diagonal)))

    with np.errstate(all="ignore"):
        solved = solve_ivp(
            right_side, (0.0, end), start, method="DOP853", rtol=_TOLERANCE, atol=1e-15, dense_output=True,
            max_step=end / _SMALLEST_STEPS,
        )  # fmt: skip
    if not solved.success or not np.all(np.isfinite(solved.y[:, -1])):
        raise EscapeError(f"the Riccati equation escapes {solved.t[-1]:.6g} before the end")
    path: Callable[[Array], Array] = solved.sol
    return path
