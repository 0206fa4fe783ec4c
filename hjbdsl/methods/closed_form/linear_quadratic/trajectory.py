"""Solutions of the Riccati differential equation as plain data.

In: arrays. Out: `Trajectory`, and the packing of symmetric stacks into vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hjbdsl.model.solution import Array


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Chebyshev coefficients by piece: `value` (pieces, degree+1, Z*N*(N+1)/2) of the upper triangles of Pi, `gain`
    (pieces, degree+1, Z*m*N), `spread` (pieces, degree+1, Z*m), on the pieces of time-to-go between `edges`. `error` bounds
    |Pi - exact|."""

    horizon: float
    edges: Array
    value: Array
    gain: Array
    spread: Array
    error: float


def packing(modes: int, size: int) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """(pack, unpack) between stacks (..., Z, N, N) of symmetric matrices and vectors (..., Z*N*(N+1)/2)."""
    rows, columns = np.triu_indices(size)

    def pack(pi: Array) -> Array:
        return pi[..., rows, columns].reshape(*pi.shape[:-3], -1)

    def unpack(vector: Array) -> Array:
        parts = vector.reshape(*vector.shape[:-1], modes, len(rows))
        pi = np.empty((*parts.shape[:-1], size, size))
        pi[..., rows, columns] = parts
        pi[..., columns, rows] = parts
        return pi

    return pack, unpack
