"""Constant, linear and quadratic parts of an expression, term by term: never by expanding into a many-variable polynomial object.

In: an expression and the symbols it is a polynomial of. Out: sparse coefficients, and the terms of higher degree left over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import sympy as sp


@dataclass(frozen=True, slots=True)
class QuadraticParts:
    """constant + sum linear[i] s_i + sum_{i <= j} quadratic[i, j] s_i s_j + sum of `rest` (not of degree <= 2 in the symbols)."""

    constant: sp.Expr = sp.S.Zero
    linear: dict[int, sp.Expr] = field(default_factory=dict)
    quadratic: dict[tuple[int, int], sp.Expr] = field(default_factory=dict)
    rest: tuple[sp.Expr, ...] = ()

    @property
    def is_affine(self) -> bool:
        return not self.quadratic and not self.rest


def expanded(expression: sp.Expr) -> sp.Expr:
    """Products and integer powers multiplied out; logarithms, exponentials and roots left alone."""
    return sp.expand(expression, log=False, power_base=False, power_exp=False)


def additive_terms(expression: sp.Expr, symbols: frozenset[sp.Symbol]) -> Iterable[sp.Expr]:
    """The summands of `expression`, a factor free of `symbols` distributed over a sum, squares of sums left whole."""
    if isinstance(expression, sp.Add):
        for term in expression.args:
            yield from additive_terms(term, symbols)
        return
    if isinstance(expression, sp.Mul):
        factor, rest = expression.as_independent(*symbols, as_Add=False)
        if factor != 1 and isinstance(rest, sp.Add):
            yield from (factor * term for term in additive_terms(rest, symbols))
            return
    yield expression


def quadratic_parts(expression: sp.Expr, symbols: Sequence[sp.Symbol]) -> QuadraticParts:
    """Split `expression`; coefficients are free of `symbols`. Costs a pass over the terms."""
    position = {symbol: i for i, symbol in enumerate(symbols)}
    constant: list[sp.Expr] = []
    linear: dict[int, list[sp.Expr]] = {}
    quadratic: dict[tuple[int, int], list[sp.Expr]] = {}
    rest: list[sp.Expr] = []
    for term in sp.Add.make_args(expanded(expression)):
        factor, monomial = _factor(term, position)
        match monomial:
            case None:
                rest.append(term)
            case ():
                constant.append(factor)
            case (i,):
                linear.setdefault(i, []).append(factor)
            case (i, j):
                quadratic.setdefault((min(i, j), max(i, j)), []).append(factor)
            case _:
                rest.append(term)
    return QuadraticParts(
        sp.Add(*constant),
        {i: sp.Add(*c) for i, c in linear.items()},
        {i: sp.Add(*c) for i, c in quadratic.items()},
        tuple(rest),
    )


def _factor(term: sp.Expr, position: dict[sp.Symbol, int]) -> tuple[sp.Expr, tuple[int, ...] | None]:
    """(coefficient, indices of the monomial with repetition), or None for what is no monomial."""
    coefficient: list[sp.Expr] = []
    monomial: list[int] = []
    for factor in sp.Mul.make_args(term):
        if factor in position:
            monomial.append(position[factor])
        elif not (factor.free_symbols & position.keys()):
            coefficient.append(factor)
        elif isinstance(factor, sp.Pow) and factor.base in position and factor.exp.is_Integer and 0 < factor.exp <= 4:
            monomial += [position[factor.base]] * int(factor.exp)
        else:
            return sp.S.One, None
    return sp.Mul(*coefficient), tuple(monomial)
