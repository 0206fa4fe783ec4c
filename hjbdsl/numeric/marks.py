"""Quadrature of jump-mark laws: nodes and weights with which E[g(J)] becomes a sum.

In: a `MarkLaw` whose arguments are numbers. Out: nodes and weights that sum to one. A discrete law is exact; the normal law uses
Gauss-Hermite, the exponential Gauss-Laguerre, the uniform Gauss-Legendre nodes, whose error is judged by doubling the order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.model.exact import with_numbers
from hjbdsl.model.problem import MarkLaw

Array = NDArray[np.float64]

_LARGEST_ORDER = 160
"""Gauss-Laguerre weights underflow in double precision beyond this order."""


@dataclass(frozen=True, slots=True)
class MarkQuadrature:
    """`nodes` and `weights` of shape (q,), weights positive with sum 1; `exact` where the law is a finite sum."""

    nodes: Array
    weights: Array
    exact: bool

    def expectation(self, values: Array) -> Array:
        """The sum over the last axis of `values` (..., q)."""
        return values @ self.weights


@dataclass(frozen=True, slots=True)
class MarkSupport:
    """The closed support of a law: the `points` of a finite sum, or the interval [low, high] with infinite ends allowed."""

    low: float
    high: float
    points: tuple[float, ...] = ()


def mark_support(law: MarkLaw, values: Mapping[sp.Symbol, sp.Expr]) -> MarkSupport:
    """Raises `ValueError` where the law's arguments are no numbers."""
    numbers = [_number(argument, values) for argument in law.arguments]
    match law.kind:
        case "none":
            return MarkSupport(0.0, 0.0, (0.0,))
        case "discrete":
            atoms = sorted(_number(value, values) for value, probability in law.atoms if _number(probability, values) > 0)
            return MarkSupport(atoms[0], atoms[-1], tuple(atoms))
        case "normal":
            mean, variance = numbers
            return MarkSupport(-np.inf, np.inf) if variance > 0 else MarkSupport(mean, mean, (mean,))
        case "exponential":
            return MarkSupport(0.0, np.inf)
        case "uniform":
            low, high = numbers
            return MarkSupport(low, high) if high > low else MarkSupport(low, low, (low,))
        case _:
            raise ValueError(f"unknown mark law `{law.kind}`")


def mark_quadrature(law: MarkLaw, values: Mapping[sp.Symbol, sp.Expr], order: int = 32) -> MarkQuadrature:
    """Nodes and weights of `law`, its arguments made numbers by `values`. Raises `ValueError` where they are no numbers or no law
    (a negative variance, probabilities that do not sum to one)."""
    numbers = [_number(argument, values) for argument in law.arguments]
    match law.kind:
        case "none":
            return MarkQuadrature(np.zeros(1), np.ones(1), True)
        case "discrete":
            nodes = np.array([_number(value, values) for value, _ in law.atoms])
            weights = np.array([_number(probability, values) for _, probability in law.atoms])
            if np.any(weights < 0) or abs(weights.sum() - 1) > 1e-9:
                raise ValueError("the probabilities of a mark must be nonnegative and sum to one")
            return MarkQuadrature(nodes, weights / weights.sum(), True)
        case "normal":
            mean, variance = numbers
            if variance < 0:
                raise ValueError("the variance of a mark must not be negative")
            nodes, weights = np.polynomial.hermite_e.hermegauss(order)
            return MarkQuadrature(mean + np.sqrt(variance) * nodes, weights / weights.sum(), variance == 0)
        case "exponential":
            (rate,) = numbers
            if rate <= 0:
                raise ValueError("the rate of an exponential mark must be positive")
            nodes, weights = np.polynomial.laguerre.laggauss(min(order, _LARGEST_ORDER))
            return MarkQuadrature(nodes / rate, weights / weights.sum(), False)
        case "uniform":
            low, high = numbers
            if high < low:
                raise ValueError("the ends of a uniform mark are in the wrong order")
            nodes, weights = np.polynomial.legendre.leggauss(order)
            return MarkQuadrature((low + high) / 2 + (high - low) / 2 * nodes, weights / weights.sum(), high == low)
        case _:
            raise ValueError(f"unknown mark law `{law.kind}`")


def doubling_error(
    expectation: Callable[[MarkQuadrature], float], law: MarkLaw, values: Mapping[sp.Symbol, sp.Expr], order: int
) -> float:
    """How far an expectation moves when the order is doubled: an estimate of its error at `order`, 0 for a finite sum."""
    coarse = mark_quadrature(law, values, order)
    if coarse.exact:
        return 0.0
    return abs(expectation(mark_quadrature(law, values, 2 * order)) - expectation(coarse))


def _number(expression: sp.Expr, values: Mapping[sp.Symbol, sp.Expr]) -> float:
    number = with_numbers(expression, values)
    if not number.is_number:
        raise ValueError(f"the law of a mark depends on {', '.join(sorted(str(s) for s in number.free_symbols))}")
    return float(number)
