"""Whether a symmetric matrix of floats is positive definite or semidefinite, by its Cholesky factor.

In: rows of floats. Out: a bool. Written out in plain Python so that `hjb check` need not load numpy.
"""

from __future__ import annotations

from collections.abc import Sequence

Rows = Sequence[Sequence[float]]


def smallest_pivot(matrix: Rows) -> float:
    """The smallest squared pivot of the Cholesky factorisation, relative to the diagonal; negative: indefinite."""
    size = len(matrix)
    scale = max((abs(matrix[i][i]) for i in range(size)), default=0.0) or 1.0
    factor = [[0.0] * size for _ in range(size)]
    smallest = float("inf")
    for j in range(size):
        pivot = matrix[j][j] - sum(entry * entry for entry in factor[j][:j])
        smallest = min(smallest, pivot / scale)
        if pivot <= 1e-14 * scale:
            rest = [
                matrix[i][j] - sum(a * b for a, b in zip(factor[i][:j], factor[j][:j], strict=True)) for i in range(j + 1, size)
            ]
            if any(abs(entry) > 1e-7 * scale for entry in rest):
                return -1.0
            continue
        root = pivot**0.5
        factor[j][j] = root
        for i in range(j + 1, size):
            factor[i][j] = (matrix[i][j] - sum(a * b for a, b in zip(factor[i][:j], factor[j][:j], strict=True))) / root
    return smallest


def is_positive_definite(matrix: Rows) -> bool:
    return smallest_pivot(matrix) > 1e-14


def is_positive_semidefinite(matrix: Rows) -> bool:
    return smallest_pivot(matrix) > -1e-9
