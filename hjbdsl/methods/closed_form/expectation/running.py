"""What accrues on the way: the integral over time of the expectations of the running reward, for constant coefficients.

V(t, x) = terminal part + sum_j int_0^{T - t} a_j(t + s) U_j(s, x) ds, where U_j(s, x) is the (discounted) expectation of
h_j(z_s) and the running reward is sum_j a_j(t) h_j(z). Gauss-Legendre in w, s = s_max w^2, on panels halved towards zero,
where a kinked reward varies on all scales; the number of nodes grows until two agree.
V_t = -sum_j a_j(T) U_j(T - t, x) + int a_j' U_j: it does not come from the equation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.expectation.value import GaussianValue
from hjbdsl.methods.closed_form.family import Derivatives, ExactFunction
from hjbdsl.model.problem import TIME
from hjbdsl.model.solution import Array, PointValues
from hjbdsl.numeric.time_array import compiled

_ORDERS = (10, 14, 20, 32)
"""Nodes a panel."""
_HALVINGS = 6
_TOLERANCE = 1e-11


@dataclass(frozen=True, slots=True)
class AccruedValue(ExactFunction):
    """`terminal` may be None; `parts` are (a_j, U_j as a value at time `end - s`); `reach` bounds s on an infinite horizon."""

    terminal: GaussianValue | None
    parts: tuple[tuple[sp.Expr, GaussianValue], ...]
    end: float
    reach: float

    def evaluate(self, t: Array, x: Array, mode: NDArray[Any]) -> PointValues:  # noqa: ARG002 (there are no modes here)
        value, error = self._in_chart(t, x, with_hessian=False)
        some = self.parts[0][1]
        gradient = some.control.chart.gradient_back(x, value.gradient)
        return PointValues(value.value, error, gradient, some.feedback(t, x, value.gradient))

    def derivatives(self, t: Array, x: Array, mode: NDArray[Any]) -> Derivatives:  # noqa: ARG002
        return self.parts[0][1].control.chart.back(x, self._in_chart(t, x, with_hessian=True)[0])

    def _in_chart(self, t: Array, x: Array, *, with_hessian: bool) -> tuple[Derivatives, Array]:
        coarse = fine = self._accrued(t, x, _ORDERS[0], with_hessian)
        difference = np.full(len(t), np.inf)
        for order in _ORDERS[1:]:
            coarse, fine = fine, self._accrued(t, x, order, with_hessian)
            difference = np.abs(fine[0].value - coarse[0].value)
            curving = np.abs(fine[0].hessian - coarse[0].hessian) <= 3 * _TOLERANCE * (1 + np.abs(fine[0].hessian))
            if np.all(difference <= _TOLERANCE * (1 + np.abs(fine[0].value))) and np.all(curving):
                break
        v, error = fine[0], fine[1] + difference
        if self.terminal is None:
            return v, error
        last, last_error = self.terminal.in_chart(t, x, with_hessian=with_hessian)
        return _sum(last, v), error + last_error

    def _accrued(self, t: Array, x: Array, order: int, with_hessian: bool) -> tuple[Derivatives, Array]:
        """The time integral with `order` nodes a panel; for an infinite horizon V_t is zero."""
        finite = np.isfinite(self.end)
        clock = t if finite else np.zeros_like(t)
        length = self.end - clock if finite else np.full(len(t), self.reach)
        w, weights = _graded(order)
        count = len(w)
        elapsed = length[:, None] * w**2
        measure = 2 * length[:, None] * w * weights
        at = np.repeat(np.arange(len(t)), count)
        k, n = x.shape
        total = Derivatives(np.zeros(k), np.zeros(k), np.zeros((k, n)), np.zeros((k, n, n) if with_hessian else (k, 0, 0)))
        error = np.zeros(k)
        for factor, part in self.parts:
            law_end = part.law.end
            u, u_error = part.in_chart(law_end - elapsed.ravel(), x[at], with_hessian=with_hessian)
            moment = (clock[:, None] + elapsed).ravel()
            a, a_slope = (v.reshape(k, count) for v in compiled((TIME,), (factor, sp.diff(factor, TIME)))(moment))
            share = measure * a
            time = np.sum(measure * a_slope * u.value.reshape(k, count), axis=1)
            if finite:
                final, _ = part.in_chart(law_end - length, x, with_hessian=False)
                time = time - compiled((TIME,), (factor,))(np.full(k, self.end))[0] * final.value
            total = _sum(total, Derivatives(
                np.sum(share * u.value.reshape(k, count), axis=1),
                time,
                np.einsum("kq,kqi->ki", share, u.gradient.reshape(k, count, n)),
                np.einsum("kq,kqij->kij", share, u.hessian.reshape(k, count, *u.hessian.shape[1:])),
            ))  # fmt: skip
            error += np.sum(np.abs(share) * u_error.reshape(k, count), axis=1)
        return total, error


def _graded(order: int) -> tuple[Array, Array]:
    """Nodes and weights on [0, 1], panels halved towards zero."""
    nodes, weights = np.polynomial.legendre.leggauss(order)
    edges = np.concatenate([[0.0], 0.5 ** np.arange(_HALVINGS, -1, -1)])
    widths = np.diff(edges)[:, None]
    return (edges[:-1, None] + widths * (nodes + 1) / 2).ravel(), (widths * weights / 2).ravel()


def _sum(first: Derivatives, second: Derivatives) -> Derivatives:
    return Derivatives(
        first.value + second.value,
        first.time + second.time,
        first.gradient + second.gradient,
        first.hessian + second.hessian,
    )
