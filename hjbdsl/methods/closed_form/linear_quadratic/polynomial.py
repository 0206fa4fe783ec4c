"""Coefficients of polynomials of degree at most two, read term by term: wide problems are never expanded.

In: an expression and the index of its variables. Out: {sorted tuple of variable indices: coefficient}.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import sympy as sp

Polynomial = dict[tuple[int, ...], sp.Expr]


class NotPolynomial(ValueError):
    """The expression is not a polynomial of the allowed degree; `part` is the culprit."""

    def __init__(self, part: sp.Basic, degree: int):
        super().__init__(f"`{_short(part)}` is not {'linear' if degree == 1 else 'quadratic'} in states and controls")
        self.part = part


def _short(expression: sp.Basic) -> str:
    text = str(expression)
    return text if len(text) < 60 else text[:57] + "..."


def coefficients(expression: sp.Expr, index: Mapping[sp.Symbol, int], degree: int = 2) -> Polynomial:
    """The coefficients of `expression` in the variables of `index`; raises `NotPolynomial` above `degree`."""
    match expression:
        case sp.Symbol() if expression in index:
            return {(index[expression],): sp.S.One}
        case sp.Add():
            return _sum([coefficients(term, index, degree) for term in expression.args])
        case sp.Mul():
            result: Polynomial = {(): sp.S.One}
            for factor in expression.args:
                result = _product(result, coefficients(factor, index, degree), degree, expression)
            return result
        case sp.Pow() if expression.exp.is_Integer and 0 < int(expression.exp) <= degree:
            base = coefficients(expression.base, index, degree)
            result = base
            for _ in range(int(expression.exp) - 1):
                result = _product(result, base, degree, expression)
            return result
        case _ if expression.free_symbols.isdisjoint(index):
            return {(): expression}
        case _:
            raise NotPolynomial(expression, degree)


def _sum(parts: list[Polynomial]) -> Polynomial:
    gathered: dict[tuple[int, ...], list[sp.Expr]] = defaultdict(list)
    for part in parts:
        for monomial, coefficient in part.items():
            gathered[monomial].append(coefficient)
    summed = {monomial: terms[0] if len(terms) == 1 else sp.Add(*terms) for monomial, terms in gathered.items()}
    return {monomial: coefficient for monomial, coefficient in summed.items() if coefficient != 0}


def _product(left: Polynomial, right: Polynomial, degree: int, whole: sp.Expr) -> Polynomial:
    gathered: dict[tuple[int, ...], list[sp.Expr]] = defaultdict(list)
    for first, a in left.items():
        for second, b in right.items():
            if len(first) + len(second) > degree:
                raise NotPolynomial(whole, degree)
            gathered[tuple(sorted(first + second))].append(a * b)
    return {monomial: terms[0] if len(terms) == 1 else sp.Add(*terms) for monomial, terms in gathered.items()}
