"""The value function made of Gaussian expectations, with exact derivatives.

With q0 = z'P z/2 + p'z + c and the final coordinates Y ~ N(F z + m, C) of `gaussian_law`,

    linear       V = e^(-q0) (E quadratic(Y) + sum of the blocks' expectations)          (kappa = 0)
    logarithmic  V = (q0 - sum of the logarithms of the blocks' expectations)/kappa.

Derivatives in z follow by the chain rule through F, the one in t through the ODEs of F, m, C, P, p, c.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.expectation.blocks import Block
from hjbdsl.methods.closed_form.expectation.gaussian_law import GaussianLaw
from hjbdsl.methods.closed_form.expectation.linear_control import LinearControl
from hjbdsl.methods.closed_form.family import Derivatives, ExactFunction
from hjbdsl.model.solution import Array, PointValues
from hjbdsl.numeric.linear_diffusion import Moments


@dataclass(frozen=True, slots=True)
class _Sums:
    """In the mean of Y: value (k,), gradient (k, n), hessian (k, n, n) of the sum of expectations, or of their logarithms;
    `drift` (k,): its time derivative through m, F, C, where the Hessian is asked for; error (k,)."""

    value: Array
    gradient: Array
    hessian: Array | None
    drift: Array
    error: Array


@dataclass(frozen=True, slots=True)
class GaussianValue(ExactFunction):
    """`quadratic` = (c0, p0, H): the terminal part c0 + p0'z + z'H z/2 of the linear form."""

    control: LinearControl
    law: GaussianLaw
    blocks: tuple[Block, ...]
    quadratic: tuple[float, Array, Array] | None
    kappa: float

    def evaluate(self, t: Array, x: Array, mode: NDArray[Any]) -> PointValues:  # noqa: ARG002 (there are no modes here)
        v, error = self.in_chart(t, x, with_hessian=False)
        gradient = self.control.chart.gradient_back(x, v.gradient)
        return PointValues(v.value, error, gradient, self.feedback(t, x, v.gradient))

    def derivatives(self, t: Array, x: Array, mode: NDArray[Any]) -> Derivatives:  # noqa: ARG002
        return self.control.chart.back(x, self.in_chart(t, x, with_hessian=True)[0])

    def error(self, t: Array, x: Array) -> Array:
        """The bound on |V - exact| that is claimed at k points."""
        return self.in_chart(t, x, with_hessian=False)[1]

    def feedback(self, t: Array, x: Array, gradient: Array) -> Array:
        """The stationary control where V_z is `gradient`."""
        z = self.control.chart.forward(x)
        result = np.empty((len(t), self.control.cost.constant.shape[0]))
        if self.law.coefficients.constant:
            response, still, slope = self.control.feedback_terms(0.0)
            return -(gradient @ response.T + still + z @ slope.T)
        for time in np.unique(t):
            here = t == time
            response, still, slope = self.control.feedback_terms(float(time))
            result[here] = -(gradient[here] @ response.T + still + z[here] @ slope.T)
        return result

    def in_chart(self, t: Array, x: Array, *, with_hessian: bool) -> tuple[Derivatives, Array]:
        """In the chart's coordinates, and the error of the value."""
        z = self.control.chart.forward(x)
        times, place = np.unique(t, return_inverse=True)
        unique = self.law.at(times)
        now, slope = unique.take(place), self.law.slope(times, unique).take(place)
        sums = self._sums(
            _apply(now.transition, z) + now.offset, now, _apply(slope.transition, z) + slope.offset, slope, with_hessian
        )
        return self._assemble(z, now, slope, sums)

    def _sums(self, mean: Array, now: Moments, moved: Array, slope: Moments, with_hessian: bool) -> _Sums:
        """`mean` of Y (k, n) and its time derivative `moved`."""
        k, n = mean.shape
        covariance, spreading = now.covariance, slope.covariance
        value, drift, error = np.zeros(k), np.zeros(k), np.zeros(k)
        gradient = np.zeros((k, n))
        hessian = np.zeros((k, n, n)) if with_hessian else None
        if self.quadratic is not None:
            constant, linear, matrix = self.quadratic
            value += constant + mean @ linear + np.einsum("ki,ij,kj->k", mean, matrix, mean) / 2 + _traces(matrix, covariance)
            gradient += linear + mean @ matrix
            drift += _traces(matrix, spreading)
            if hessian is not None:
                hessian += matrix
        for block in self.blocks:
            index = block.index
            e = block.expectation(mean, covariance, with_hessian=with_hessian)
            unit = np.exp(e.scale) if self.kappa == 0 else 1 / e.value
            value += unit * e.value if self.kappa == 0 else e.scale + np.log(e.value)
            error += unit * e.error
            first = unit[:, None] * e.gradient
            gradient[:, index] += first
            if hessian is not None and e.hessian is not None:
                second = unit[:, None, None] * e.hessian
                drift += _traces(second, spreading[:, index] if spreading.ndim == 2 else spreading[:, index[:, None], index])
                if self.kappa != 0:
                    second = second - first[:, :, None] * first[:, None, :]
                hessian[:, index[:, None], index] += second
        drift += np.einsum("ki,ki->k", gradient, moved)
        return _Sums(value, gradient, hessian, drift, error)

    @np.errstate(invalid="ignore", over="ignore")  # sums that are not finite give values that are none
    def _assemble(self, z: Array, now: Moments, slope: Moments, sums: _Sums) -> tuple[Derivatives, Array]:
        exponent, exponent_slope = _quadratic(now, z), _quadratic(slope, z)
        first = _apply(now.quadratic, z) + now.linear
        down = _apply(_transposed(now.transition), sums.gradient)
        curve = None if sums.hessian is None else _congruent(now.transition, sums.hessian)
        hessian = np.zeros((len(z), 0, 0))
        if self.kappa == 0:
            weight, total = np.exp(-exponent), sums.value
            value, error = weight * total, weight * sums.error
            time = weight * (sums.drift - exponent_slope * total)
            gradient = weight[:, None] * (down - first * total[:, None])
            if curve is not None:
                cross = first[:, :, None] * down[:, None, :]
                outer = (first[:, :, None] * first[:, None, :] - _full(now.quadratic)) * total[:, None, None]
                hessian = weight[:, None, None] * (curve - cross - cross.transpose(0, 2, 1) + outer)
        else:
            value, error = (exponent - sums.value) / self.kappa, sums.error / abs(self.kappa)
            time = (exponent_slope - sums.drift) / self.kappa
            gradient = (first - down) / self.kappa
            if curve is not None:
                hessian = (_full(now.quadratic) - curve) / self.kappa
        error = error + self.law.accuracy * (np.abs(value) + np.sum(np.abs(gradient) * (1 + np.abs(z)), axis=1))
        return Derivatives(value, time, gradient, hessian), error


def _apply(matrix: Array, rows: Array) -> Array:
    """matrix v at each point; a diagonal matrix is a vector."""
    return (matrix @ rows[:, :, None])[:, :, 0] if matrix.ndim == 3 else rows * matrix


def _transposed(matrix: Array) -> Array:
    return matrix.transpose(0, 2, 1) if matrix.ndim == 3 else matrix


def _full(matrix: Array) -> Array:
    return matrix if matrix.ndim == 3 else matrix[:, :, None] * np.eye(matrix.shape[1])


def _congruent(transition: Array, hessian: Array) -> Array:
    """F'H F."""
    if transition.ndim == 3:
        return transition.transpose(0, 2, 1) @ hessian @ transition
    return hessian * transition[:, :, None] * transition[:, None, :]


def _quadratic(moments: Moments, z: Array) -> Array:
    return np.sum(z * (_apply(moments.quadratic, z) / 2 + moments.linear), axis=1) + moments.constant


def _traces(first: Array, second: Array) -> Array:
    """tr(first second)/2 at each point; `second` may hold diagonals (k, n)."""
    if second.ndim == 2:
        return np.sum(np.diagonal(first, axis1=-2, axis2=-1) * second, axis=1) / 2
    return np.sum(first * second.transpose(0, 2, 1), axis=(1, 2)) / 2
