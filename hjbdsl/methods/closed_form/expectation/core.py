"""Gaussian expectations of one payoff: the interface, and what all of them share.

A core knows H(y) = g(y), or H(y) = exp(-kappa g(y)) where kappa is not zero, and gives E H(Y), Y ~ N(mean, covariance), with its
first and second derivative in the mean. V is then linear in the expectations (kappa = 0) or -log(...)/kappa of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from hjbdsl.model.solution import Array


@dataclass(frozen=True, slots=True)
class Expectation:
    """exp(scale) times: value (k,), its gradient (k, r) and hessian (k, r, r) in the mean, and the error of the value (k,).
    Where only the gradient was asked for, `hessian` is None."""

    scale: Array
    value: Array
    gradient: Array
    hessian: Array | None
    error: Array


class Core(ABC):
    """Implementations are final dataclasses of plain data."""

    @abstractmethod
    def expectation(self, mean: Array, covariance: Array, *, with_hessian: bool) -> Expectation:
        """`mean` (k, r), `covariance` (k, r, r), possibly zero or singular. An isotropic core reads covariance[:, 0, 0] only."""


def exponentiate(kappa: float, value: Array, gradient: Array, hessian: Array) -> tuple[Array, Array, Array, Array]:
    """(logarithm of the weight, H, H', H'') relative to it, from g (...), g' (..., r), g'' (..., r, r)."""
    if kappa == 0.0:
        return np.zeros(value.shape), value, gradient, hessian
    outer = gradient[..., :, None] * gradient[..., None, :]
    with np.errstate(all="ignore"):
        weight, first, second = -kappa * value, -kappa * gradient, kappa**2 * outer - kappa * hessian
    dead = weight == -np.inf
    first = np.where(dead[..., None], 0.0, first)
    second = np.where(dead[..., None, None], 0.0, second)
    return weight, np.ones(value.shape), first, second
