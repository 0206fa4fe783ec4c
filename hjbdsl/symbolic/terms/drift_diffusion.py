"""The local part of the generator, b.p + 1/2 tr(A M) with A = Sigma C Sigma'.

In: a problem's drift, diffusion and correlation. Out: the covariance A by entries, the terms of the sum, their notation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import sympy as sp

from hjbdsl.model.problem import ControlProblem


def covariance(problem: ControlProblem) -> dict[tuple[int, int], sp.Expr]:
    """Entries (i, j), i <= j, of Sigma C Sigma' that are not zero. Work is linear in the products that occur."""
    by_noise: dict[int, list[tuple[int, sp.Expr]]] = defaultdict(list)
    for (state, noise), coefficient in problem.diffusion.items():
        by_noise[noise].append((state, coefficient))
    sums: dict[tuple[int, int], list[sp.Expr]] = defaultdict(list)
    for column in by_noise.values():
        for i, left in column:
            for j, right in column:
                if i <= j:
                    sums[i, j].append(left * right)
    for (k, m), rho in problem.correlation.items():
        for i, left in by_noise.get(k, ()):
            for j, right in by_noise.get(m, ()):
                weight = 2 if i == j else 1
                sums[min(i, j), max(i, j)].append(weight * rho * left * right)
    entries = {pair: sp.Add(*terms) for pair, terms in sorted(sums.items())}
    return {pair: entry for pair, entry in entries.items() if entry != 0}


def drift_terms(problem: ControlProblem, gradient: tuple[sp.Symbol, ...]) -> list[sp.Expr]:
    """b_i p_i, without the zero ones."""
    return [b * p for b, p in zip(problem.drift, gradient, strict=True) if b != 0]


def diffusion_terms(entries: Mapping[tuple[int, int], sp.Expr], hessian: Mapping[tuple[int, int], sp.Symbol]) -> list[sp.Expr]:
    """1/2 A_ii M_ii and A_ij M_ij (i < j): the trace term with M symmetric."""
    return [entry * hessian[i, j] / (2 if i == j else 1) for (i, j), entry in entries.items()]


def gradient_square(entries: Mapping[tuple[int, int], sp.Expr], gradient: tuple[sp.Symbol, ...]) -> list[sp.Expr]:
    """The terms of p'A p."""
    return [entry * gradient[i] * gradient[j] * (1 if i == j else 2) for (i, j), entry in entries.items()]


def has_second_order(entries: Mapping[tuple[int, int], sp.Expr]) -> bool:
    return bool(entries)
