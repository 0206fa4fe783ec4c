"""Smooth payoffs of three Gaussian variables: a tensor Gauss-Hermite rule, its error the difference of two orders.

In: a function that gives logarithmic weight, H, H', H'' at points. Out: the expectations at k points.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hjbdsl.methods.closed_form.expectation.core import Expectation
from hjbdsl.model.solution import Array

_ORDERS = (18, 26)
_POINTS_AT_ONCE = 16

Weighted = Callable[[Array], tuple[Array, Array, Array, Array]]


def hermite_expectation(weighted: Weighted, mean: Array, factor: Array, with_hessian: bool) -> Expectation:
    """`mean` (k, r), `factor` (k, r, r) with covariance factor factor'."""
    parts = []
    for start in range(0, len(mean), _POINTS_AT_ONCE):
        rows = slice(start, start + _POINTS_AT_ONCE)
        coarse, fine = (_rule(weighted, mean[rows], factor[rows], order, with_hessian) for order in _ORDERS)
        with np.errstate(over="ignore"):
            error = np.abs(fine[1] - coarse[1] * np.exp(coarse[0] - fine[0]))
        parts.append((*fine, error))
    scale, value, gradient, hessian, error = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Expectation(scale, value, gradient, hessian if with_hessian else None, error)


def _rule(weighted: Weighted, mean: Array, factor: Array, order: int, with_hessian: bool) -> tuple[Array, Array, Array, Array]:
    r = mean.shape[1]
    nodes, weights = np.polynomial.hermite_e.hermegauss(order)
    z = np.stack(np.meshgrid(*[nodes] * r, indexing="ij"), axis=-1).reshape(-1, r)
    mass = np.prod(np.stack(np.meshgrid(*[weights / weights.sum()] * r, indexing="ij"), axis=-1).reshape(-1, r), axis=1)
    logarithm, value, first, second = weighted(mean[:, None, :] + z @ factor.transpose(0, 2, 1))
    scale = np.max(logarithm, axis=1)
    share = mass * np.exp(logarithm - scale[:, None])
    curve = np.einsum("kn,knij->kij", share, second) if with_hessian else np.zeros((len(mean), 0, 0))
    return scale, np.sum(share * value, axis=1), np.einsum("kn,kni->ki", share, first), curve
