"""The noise of a process: sigma(t, x, mode, a) dW with correlated components of W.

In: compiled entries of sigma and of the correlation matrix. Out: at k places, the displacement for given independent Brownian
increments and the variance rates. Constant coefficients are multiplied out once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Array
from hjbdsl.simulation.compiled import At, Compiled


@dataclass(frozen=True, slots=True)
class Spread:
    """sigma at k places. Either `matrix` (n, d), the same everywhere with the root of the correlation in it, or `entries`
    (e, k) at the places `index`, with `root` (d, d), (k, d, d) or None for independent noises."""

    dimension: int
    matrix: Array | None
    index: tuple[tuple[int, int], ...]
    entries: Array
    root: Array | None

    def displacement(self, increments: Array) -> Array:
        """sigma dW (k, n) from independent increments (k, d)."""
        if self.matrix is not None:
            return increments @ self.matrix.T
        if self.root is not None:
            increments = np.einsum("...ij,...j->...i", self.root, increments)
        result = np.zeros((len(increments), self.dimension))
        for (i, k), entry in zip(self.index, self.entries, strict=True):
            result[:, i] += entry * increments[:, k]
        return result

    def variance(self, count: int) -> Array:
        """The diagonal of sigma C sigma' (k, n)."""
        if self.matrix is not None:
            return np.broadcast_to((self.matrix**2).sum(axis=1), (count, self.dimension))
        if self.root is None:
            result = np.zeros((count, self.dimension))
            for (i, _), entry in zip(self.index, self.entries, strict=True):
                result[:, i] += entry**2
            return result
        return np.stack([self.along(np.broadcast_to(e, (count, self.dimension))) for e in np.eye(self.dimension)], axis=1)

    def covariance(self, count: int) -> Array:
        """sigma C sigma' (k, n, n)."""
        if self.matrix is not None:
            return np.broadcast_to(self.matrix @ self.matrix.T, (count, self.dimension, self.dimension))
        load = self._load(np.broadcast_to(np.eye(self.dimension), (count, self.dimension, self.dimension)))
        return np.asarray(load @ load.transpose(0, 2, 1))

    def along(self, direction: Array) -> Array:
        """The variance rate of direction . dx (k,), for directions (k, n)."""
        if self.matrix is not None:
            return ((direction @ self.matrix) ** 2).sum(axis=1)
        return np.asarray((self._load(direction[:, None, :])[:, 0] ** 2).sum(axis=1))

    def _load(self, directions: Array) -> Array:
        """direction . sigma for directions (k, q, n): (k, q, d), the root of the correlation in it."""
        noises = 1 + max((k for _, k in self.index), default=-1) if self.root is None else self.root.shape[-1]
        load = np.zeros((*directions.shape[:2], noises))
        for (i, k), entry in zip(self.index, self.entries, strict=True):
            load[:, :, k] += entry[:, None] * directions[:, :, i]
        return load if self.root is None else np.asarray(load @ self.root)


@dataclass(frozen=True, slots=True)
class SpreadLaw:
    """`Spread` as a function of the place."""

    dimension: int
    noises: int
    index: tuple[tuple[int, int], ...]
    entries: Compiled
    pairs: tuple[tuple[int, int], ...]
    correlation: Compiled
    fixed: Spread | None
    root: Array | None

    def at(self, at: At) -> Spread:
        if self.fixed is not None:
            return self.fixed
        root = self.root if self.correlation.constant else _root(_mixing(self.noises, self.pairs, self.correlation(at)))
        return Spread(self.dimension, None, self.index, self.entries(at), root)


def spread_law(problem: ControlProblem, entries: Compiled, correlation: Compiled) -> SpreadLaw:
    """`entries` in the order of `problem.diffusion`, `correlation` in that of `problem.correlation`."""
    index, pairs = tuple(problem.diffusion), tuple(problem.correlation)
    noises, dimension = len(problem.noises), problem.dimension
    root = None
    if pairs and correlation.constant:
        root = _root(_mixing(noises, pairs, correlation.constants[:, None]))[0]
    fixed = None
    if entries.constant and (not pairs or root is not None):
        sigma = np.zeros((dimension, noises))
        for place, value in zip(index, entries.constants, strict=True):
            sigma[place] = value
        fixed = Spread(dimension, sigma if root is None else sigma @ root, (), np.zeros((0, 1)), None)
    return SpreadLaw(dimension, noises, index, entries, pairs, correlation, fixed, root)


def _mixing(noises: int, pairs: tuple[tuple[int, int], ...], values: Array) -> Array:
    """Correlation matrices (k, d, d) from entries (pairs, k)."""
    count = values.shape[1] if len(values) else 1
    result = np.broadcast_to(np.eye(noises), (count, noises, noises)).copy()
    for (i, j), value in zip(pairs, values, strict=True):
        result[:, i, j] = result[:, j, i] = value
    return result


def _root(mixing: Array) -> Array:
    """A symmetric root; perfectly correlated noises have a singular matrix, so no Cholesky factor."""
    values, vectors = np.linalg.eigh(mixing)
    return np.einsum("kij,kj,klj->kil", vectors, np.sqrt(np.maximum(values, 0)), vectors)
