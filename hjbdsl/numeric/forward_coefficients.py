"""The forward process of a `reverse` problem in numbers: dy = (A(s) y + b(s)) ds + S(s) dW.

In: a problem whose drift is affine in the state and whose noise does not depend on it. Out: A, b, S as functions of time, and
the diffusion that `forward_law` integrates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sympy as sp

from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Array
from hjbdsl.numeric.linear_diffusion import FrozenCoefficients, LinearDiffusion
from hjbdsl.numeric.polynomial import quadratic_parts
from hjbdsl.numeric.time_array import TimeArray, time_array


@dataclass(frozen=True, slots=True)
class ForwardCoefficients:
    """A (n, n), b (n,) and S (n, m); the columns of S are the noises that enter, in order."""

    matrix: TimeArray
    offset: TimeArray
    noise: TimeArray

    @property
    def is_diagonal(self) -> bool:
        """Whether A and S S' are diagonal at all times."""
        matrix = self.matrix
        varying = all(i == j for i, j in matrix.index) and not np.any(matrix.constant - np.diag(np.diagonal(matrix.constant)))
        pattern = self.noise.constant != 0
        for index in self.noise.index:
            pattern[index] = True
        return varying and bool(np.all(pattern.sum(axis=0) <= 1))

    def diffusion(self, diagonal: bool) -> LinearDiffusion:
        """`diagonal`: matrices as vectors, where `is_diagonal`."""
        at = _Forward(self.matrix, self.offset, self.noise, diagonal)
        _, zero, square = at.rate(0.0)
        constant = self.matrix.is_constant and self.offset.is_constant and self.noise.is_constant
        terminal = (0.0, zero, square)
        if constant:
            fixed = FrozenCoefficients(at.drift(0.0), at.covariance(0.0), at.rate(0.0))
            return LinearDiffusion(fixed.drift, fixed.noise, fixed.rate, terminal, diagonal, constant, False)
        return LinearDiffusion(at.drift, at.covariance, at.rate, terminal, diagonal, constant, False)


def forward_coefficients(problem: ControlProblem) -> ForwardCoefficients:
    """Raises `ValueError` with one line of reason where the process is not linear."""
    n = problem.dimension
    matrix: dict[tuple[int, ...], sp.Expr] = {}
    offset: dict[tuple[int, ...], sp.Expr] = {}
    for i, drift in enumerate(problem.drift):
        parts = quadratic_parts(problem.numeric(drift), problem.state_symbols)
        if not parts.is_affine:
            raise ValueError(f"the drift of {problem.state_symbols[i]} is not linear")
        offset[(i,)] = parts.constant
        matrix.update({(i, j): c for j, c in parts.linear.items()})
    entering = entering_noises(problem)
    entries = {(i, entering.index(k)): problem.numeric(c) for (i, k), c in problem.diffusion.items()}
    return ForwardCoefficients(time_array((n, n), matrix), time_array((n,), offset), time_array((n, len(entering)), entries))


def entering_noises(problem: ControlProblem) -> list[int]:
    """Indices of the noises that move the state: one component of the control each."""
    return sorted({k for _, k in problem.diffusion})


@dataclass(frozen=True, slots=True)
class _Forward:
    """The forward coefficients at any time; bound methods pickle."""

    matrix: TimeArray
    offset: TimeArray
    noise: TimeArray
    diagonal: bool

    def drift(self, s: float) -> tuple[Array, Array]:
        matrix = self.matrix(s)
        return (np.diagonal(matrix) if self.diagonal else matrix), self.offset(s)

    def covariance(self, s: float) -> Array:
        noise = self.noise(s)
        return np.sum(noise**2, axis=1) if self.diagonal else noise @ noise.T

    def rate(self, _s: float) -> tuple[Array, Array, Array]:
        n = len(self.offset.constant)
        return np.zeros(()), np.zeros(n), np.zeros(n) if self.diagonal else np.zeros((n, n))
