"""The law at time T, from which the reverse process starts: the data carried forward, exactly.

In: data (a Gaussian mixture, or rows with weights) and the forward process. Out: draws of y_T and log p_T. For rows this is the
law of a row drawn at random and noised: at T it needs no network, and no Gaussian has to stand in for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from scipy import linalg
from scipy.special import logsumexp

from hjbdsl.methods.generative.forward import Forward
from hjbdsl.model.problem import ControlProblem, GaussianMixture
from hjbdsl.model.solution import Array

_PAIRS_AT_ONCE = 4_000_000


class DataLaw(ABC):
    """p_0. Implementations are final."""

    @abstractmethod
    def draw(self, count: int, random: np.random.Generator) -> Array:
        """(count, n) rows of y_0."""

    @abstractmethod
    def log_density(self, forward: Forward, s: float, y: Array) -> Array:
        """log p_s(y), (k,)."""

    @property
    @abstractmethod
    def moments(self) -> tuple[Array, Array]:
        """Mean (n,) and covariance (n, n)."""


def noised(rows: Array, forward: Forward, s: float, random: np.random.Generator) -> Array:
    """y_s given y_0 = `rows`."""
    now = forward.moments(s)
    return rows @ now.transition.T + now.offset + random.standard_normal(rows.shape) @ root(now.covariance).T


def root(covariance: Array) -> Array:
    """R with R R' = covariance, also where it is singular."""
    sizes, axes = np.linalg.eigh((covariance + covariance.T) / 2)
    return axes * np.sqrt(np.maximum(sizes, 0.0))


@dataclass(frozen=True, slots=True)
class MixtureLaw(DataLaw):
    """`weights` (c,), `means` (c, n), `covariances` (c, n, n)."""

    weights: Array
    means: Array
    covariances: Array

    def draw(self, count: int, random: np.random.Generator) -> Array:
        which = random.choice(len(self.weights), size=count, p=self.weights / self.weights.sum())
        roots = np.stack([root(c) for c in self.covariances])
        return self.means[which] + np.einsum("kij,kj->ki", roots[which], random.standard_normal((count, self.means.shape[1])))

    def log_density(self, forward: Forward, s: float, y: Array) -> Array:
        now = forward.moments(s)
        centres = self.means @ now.transition.T + now.offset
        spreads = now.transition @ self.covariances @ now.transition.T + now.covariance
        logs = [gaussian_log_density(y, m, c) for m, c in zip(centres, spreads, strict=True)]
        total: Array = logsumexp(np.stack(logs), axis=0, b=self.weights[:, None])
        return total

    def bend(self, forward: Forward, s: float, y: Array, along: Array, spread: Array) -> Array:
        """v'Hv - tr(H E), (k,), with H the Hessian of log p_s at y, v the rows of `along` (k, n) and E = `spread` (n, n)."""
        now = forward.moments(s)
        centres = self.means @ now.transition.T + now.offset
        covariances = now.transition @ self.covariances @ now.transition.T + now.covariance
        logs = np.stack([gaussian_log_density(y, m, c) for m, c in zip(centres, covariances, strict=True)])
        shares = np.exp(logs + np.log(self.weights)[:, None] - logsumexp(logs, axis=0, b=self.weights[:, None]))
        total, slope = np.zeros(len(y)), np.zeros(y.shape)
        for share, centre, covariance in zip(shares, centres, covariances, strict=True):
            inverse = np.linalg.inv(covariance)
            pull = (centre - y) @ inverse
            own = np.sum(pull * along, axis=1) ** 2 - np.sum(pull @ spread * pull, axis=1)
            total += share * (own - np.sum(along @ inverse * along, axis=1) + np.sum(inverse * spread))
            slope += share[:, None] * pull
        bend: Array = total - np.sum(slope * along, axis=1) ** 2 + np.sum(slope @ spread * slope, axis=1)
        return bend

    @property
    def moments(self) -> tuple[Array, Array]:
        weights = self.weights / self.weights.sum()
        mean = weights @ self.means
        away = self.means - mean
        return mean, np.einsum("c,cij->ij", weights, self.covariances + away[:, :, None] * away[:, None, :])


@dataclass(frozen=True, slots=True)
class RowsLaw(DataLaw):
    """The empirical law of `rows` (k, n), each of weight `weights` (k,), sum 1."""

    rows: Array
    weights: Array

    def draw(self, count: int, random: np.random.Generator) -> Array:
        return self.rows[random.choice(len(self.rows), size=count, p=self.weights)]

    def log_density(self, forward: Forward, s: float, y: Array) -> Array:
        logs, _ = self.kernel(forward, s, y)
        return logs

    def kernel(self, forward: Forward, s: float, y: Array, widen: float = 0.0) -> tuple[Array, Array]:
        """log of the mean over rows of the transition density to y, and its relative standard error; the kernel's covariance
        N(s) is widened by `widen` times F C F'."""
        now = forward.moments(s)
        spread = now.covariance + widen * now.transition @ self.moments[1] @ now.transition.T
        factor = linalg.cholesky(spread, lower=True)
        centres = linalg.solve_triangular(factor, (self.rows @ now.transition.T + now.offset).T, lower=True).T
        places = linalg.solve_triangular(factor, y.T, lower=True).T
        level = -len(spread) * np.log(2 * np.pi) / 2 - np.log(np.diagonal(factor)).sum()
        logs, errors = np.empty(len(y)), np.empty(len(y))
        chunk = max(1, _PAIRS_AT_ONCE // len(self.rows))
        for first in range(0, len(y), chunk):
            some = places[first : first + chunk]
            squares = (some**2).sum(axis=1)[:, None] + (centres**2).sum(axis=1) - 2 * some @ centres.T
            exponents = -np.maximum(squares, 0.0) / 2 + np.log(self.weights)
            top = exponents.max(axis=1, keepdims=True)
            shares = np.exp(exponents - top)
            total = shares.sum(axis=1)
            logs[first : first + chunk] = level + top[:, 0] + np.log(total)
            errors[first : first + chunk] = np.sqrt((shares**2).sum(axis=1)) / total
        return logs, errors

    @property
    def moments(self) -> tuple[Array, Array]:
        mean = self.weights @ self.rows
        away = self.rows - mean
        return mean, (away * self.weights[:, None]).T @ away


def gaussian_log_density(y: Array, mean: Array, covariance: Array) -> Array:
    factor = linalg.cholesky(covariance, lower=True)
    away = linalg.solve_triangular(factor, (y - mean).T, lower=True)
    constant: float = len(mean) * np.log(2 * np.pi) / 2 + np.log(np.diagonal(factor)).sum()
    return -constant - (away**2).sum(axis=0) / 2


def mixture_law(problem: ControlProblem, mixture: GaussianMixture) -> MixtureLaw:
    """The components with positive weight, in numbers."""
    n = problem.dimension
    weights = np.array([float(problem.numeric(w)) for w in mixture.weights])
    means = np.array([[float(problem.numeric(m)) for m in mean] for mean in mixture.means])
    spreads = np.array([[[float(problem.numeric(c[i, j])) for j in range(n)] for i in range(n)] for c in mixture.covariances])
    kept = weights > 0
    return MixtureLaw(weights[kept] / weights[kept].sum(), means[kept], spreads[kept])
