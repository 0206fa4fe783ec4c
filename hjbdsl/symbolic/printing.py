"""How a sympy expression is set the way a person writes it; `latex` and `text` give the marks.

In: an expression and names for its symbols. Out: a string. Sums keep positive terms first, products put numbers, then parameters,
then states, then derivatives of V; a finite decimal stays one (7/100 is 0.07); no sympy derivative notation appears.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import sympy as sp

ADD, MULTIPLY, NEGATE, POWER, ATOM = 1, 2, 2, 3, 4
"""How tightly the outermost operation of a printed piece binds."""

Piece = tuple[str, int]


class Printer(ABC):
    """The visitor. `names` maps a symbol to how it is written; `rank` orders factors and terms (higher comes later)."""

    def __init__(self, names: Mapping[sp.Symbol, str], rank: Callable[[sp.Symbol], int]):
        self.names = names
        self.rank = rank

    def print(self, expression: sp.Basic) -> str:
        return self._visit(expression)[0]

    def bracketed(self, expression: sp.Basic, tightness: int) -> str:
        text, own = self._visit(expression)
        return self.parentheses(text) if own < tightness else text

    # what a concrete printer decides

    @abstractmethod
    def parentheses(self, inner: str) -> str: ...

    @abstractmethod
    def symbol(self, symbol: sp.Symbol) -> str: ...

    @abstractmethod
    def fraction(self, numerator: sp.Expr, denominator: sp.Expr) -> Piece: ...

    @abstractmethod
    def rational(self, numerator: int, denominator: int) -> Piece: ...

    @abstractmethod
    def power(self, base: sp.Expr, exponent: sp.Expr) -> Piece: ...

    @abstractmethod
    def root(self, radicand: sp.Expr) -> Piece: ...

    @abstractmethod
    def function(self, expression: sp.Basic) -> Piece: ...

    @abstractmethod
    def product(self, factors: list[str]) -> str: ...

    @abstractmethod
    def constant(self, expression: sp.Basic) -> str: ...

    @abstractmethod
    def relation(self, expression: sp.Basic) -> Piece: ...

    # the visit

    def _visit(self, expression: sp.Basic) -> Piece:
        match expression:
            case sp.Symbol():
                return self.names.get(expression) or self.symbol(expression), ATOM
            case sp.Integer():
                return str(expression), ATOM if expression >= 0 else NEGATE
            case sp.Rational():
                return self._rational(expression)
            case sp.Float():
                return f"{float(expression):.10g}", ATOM if expression >= 0 else NEGATE
            case sp.Add():
                return self._sum(expression), ADD
            case sp.Mul():
                return self._product(expression)
            case sp.exp():
                return self.function(expression)
            case sp.Pow():
                return self._power(expression)
            case sp.NumberSymbol() | sp.core.numbers.Infinity() | sp.core.numbers.NegativeInfinity():
                return self.constant(expression), ATOM
            case sp.logic.boolalg.BooleanTrue() | sp.logic.boolalg.BooleanFalse():
                return self.constant(expression), ATOM
            case sp.core.relational.Relational() | sp.And() | sp.Or() | sp.Not():
                return self.relation(expression)
            case _:
                return self.function(expression)

    def _rational(self, value: sp.Rational) -> Piece:
        sign, p, q = ("-", -value.p, value.q) if value < 0 else ("", value.p, value.q)
        decimal = finite_decimal(p, q)
        text, tightness = (decimal, ATOM) if decimal else self.rational(p, q)
        return sign + text, NEGATE if sign else tightness

    def _sum(self, expression: sp.Add) -> str:
        pieces: list[str] = []
        for term in self._ordered_terms(expression):
            text, tightness = self._visit(term)
            if tightness < MULTIPLY:
                text = self.parentheses(text)
            if not pieces:
                pieces.append(text)
            elif text.startswith("-"):
                pieces.append(f" - {text[1:].lstrip()}")
            else:
                pieces.append(f" + {text}")
        return "".join(pieces)

    def _ordered_terms(self, expression: sp.Add) -> list[sp.Expr]:
        """By the rank of what they hold, then by degree downwards; a negative first term gives way to a positive one."""
        terms = list(expression.args)
        symbols = sorted((s for s in expression.free_symbols if isinstance(s, sp.Symbol)), key=lambda s: (-self.rank(s), s.name))

        def key(term: sp.Expr) -> tuple:
            held = term.free_symbols
            highest = max((self.rank(s) for s in held), default=-1)
            degrees = tuple(-_degree(term, s) for s in symbols) if len(symbols) <= 8 else ()
            return (highest if highest >= DERIVATIVE_RANK else 0, degrees, sp.default_sort_key(term))

        ordered = sorted(terms, key=key)
        for place, term in enumerate(ordered):
            if not term.could_extract_minus_sign():
                first_rank = key(ordered[0])[0]
                if key(term)[0] == first_rank:
                    ordered.insert(0, ordered.pop(place))
                break
        return ordered

    def _product(self, expression: sp.Mul) -> Piece:
        number, rest = expression.as_coeff_Mul()
        if number.is_negative:
            text, tightness = self._visit(-expression)
            return (f"-{text}" if tightness >= MULTIPLY else f"-{self.parentheses(text)}"), NEGATE
        above, below = [], []
        for factor in sp.Mul.make_args(rest):
            base, exponent = (factor.base, factor.exp) if factor.is_Pow and not isinstance(factor, sp.exp) else (factor, sp.S.One)
            if exponent.could_extract_minus_sign() and (exponent.is_number or base.is_number):
                below.append(sp.Pow(base, -exponent))
            else:
                above.append(factor)
        if below:
            if number.q != 1 and not finite_decimal(number.p, number.q):
                below.insert(0, sp.Integer(number.q))
                number = sp.Integer(number.p)
            return self.fraction(self._times(number, above), self._times(sp.S.One, below))
        return self.product(self._factors(number, above)), MULTIPLY

    def _times(self, number: sp.Expr, factors: list[sp.Expr]) -> sp.Expr:
        return sp.Mul(*([number] if number != 1 else []), *factors, evaluate=len(factors) + (number != 1) < 2)

    def _factors(self, number: sp.Expr, factors: list[sp.Expr]) -> list[str]:
        ordered = sorted(factors, key=lambda f: (max((self.rank(s) for s in f.free_symbols), default=-1) if not f.is_Add or
                         any(self.rank(s) >= DERIVATIVE_RANK for s in f.free_symbols) else 0.5,
                         f.is_Add, sp.default_sort_key(f)))  # fmt: skip
        texts = [self.bracketed(factor, MULTIPLY + 1 if factor.is_Add else MULTIPLY) for factor in ordered]
        return texts if number == 1 and texts else [self.print(number), *texts]

    def _power(self, expression: sp.Pow) -> Piece:
        base, exponent = expression.as_base_exp() if not isinstance(expression, sp.exp) else (expression, sp.S.One)
        base, exponent = expression.base, expression.exp
        if exponent == sp.Rational(1, 2):
            return self.root(base)
        if exponent.is_number and exponent.is_negative:
            return self.fraction(sp.S.One, sp.Pow(base, -exponent))
        return self.power(base, exponent)


DERIVATIVE_RANK = 10
"""Symbols of this rank or more are V and its derivatives: their terms and factors come last."""


def _degree(term: sp.Expr, symbol: sp.Symbol) -> float:
    total = 0.0
    for factor in sp.Mul.make_args(term):
        base, exponent = factor.as_base_exp()
        if base == symbol:
            total += float(exponent) if exponent.is_number else 1.0
    return total


LONG = 10**7
"""Numerators and denominators from here on are set as rounded decimals."""


def finite_decimal(p: int, q: int) -> str:
    """`0.07` for 7/100, eight digits of what is longer than a reader wants; empty where the fraction has no short decimal, or is
    better as a fraction (halves, quarters)."""
    if q > 1 and max(p, q) >= LONG:
        return f"{p / q:.8g}" if 1e-4 <= p / q < 1e8 else ""
    if q == 1 or (q in (2, 4) and p < q):
        return ""
    rest = q
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest != 1:
        return ""
    text = f"{p / q:.12g}"
    return text if "e" not in text and len(text) <= 12 else ""
