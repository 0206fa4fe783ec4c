"""From a sympy expression back to syntax, so that what was computed is set in type like what was written.

In: an expression of the lowered problem. Out: `ast.Expr`, or None where it holds something the language cannot say.
"""

from __future__ import annotations

import re

import sympy as sp

from hjbdsl.errors import Span
from hjbdsl.frontend import ast

NOWHERE = Span("", 1, 1)
_COMPONENT = re.compile(r"(.+)\[(\d+)(?:, (\d+))?\]")
_FUNCTIONS = {sp.exp: "exp", sp.log: "log", sp.sin: "sin", sp.cos: "cos", sp.tan: "tan", sp.tanh: "tanh", sp.sinh: "sinh",
              sp.cosh: "cosh", sp.atan: "atan", sp.erf: "erf", sp.Abs: "abs", sp.sign: "sign",
              sp.Min: "min", sp.Max: "max"}  # fmt: skip
_RELATIONS = {sp.Lt: "<", sp.Le: "<=", sp.Gt: ">", sp.Ge: ">=", sp.Eq: "==", sp.Ne: "!="}


class Unsayable(Exception):
    """The expression has no form in the language."""


def syntax_of(expression: sp.Basic) -> ast.Expr | None:
    try:
        return _syntax(expression)
    except Unsayable:
        return None


def _syntax(expression: sp.Basic) -> ast.Expr:
    if isinstance(expression, sp.Rational):
        return _rational(expression)
    if expression in (sp.pi, sp.oo):
        return ast.Name("pi" if expression == sp.pi else "inf", NOWHERE)
    if isinstance(expression, sp.Symbol):
        return _symbol(expression.name)
    if isinstance(expression, sp.Add):
        return _sum([_syntax(term) for term in expression.as_ordered_terms()])
    if isinstance(expression, sp.Mul):
        return _product(expression)
    if isinstance(expression, sp.Pow):
        return _power(expression)
    if isinstance(expression, sp.exp) or type(expression) in _FUNCTIONS:
        return _call(_FUNCTIONS[type(expression)], *expression.args)
    if isinstance(expression, sp.Piecewise):
        return _cases(list(expression.args))
    if type(expression) in _RELATIONS:
        sides = (_syntax(expression.args[0]), _syntax(expression.args[1]))
        return ast.Compare(sides, (_RELATIONS[type(expression)],), NOWHERE)  # type: ignore[arg-type]
    if isinstance(expression, sp.And | sp.Or):
        op = "and" if isinstance(expression, sp.And) else "or"
        return ast.Boolean(op, tuple(_syntax(part) for part in expression.args), NOWHERE)  # type: ignore[arg-type]
    if isinstance(expression, sp.Not):
        return ast.Not(_syntax(expression.args[0]), NOWHERE)
    raise Unsayable


def _call(name: str, *args: sp.Basic) -> ast.Expr:
    return ast.Call(name, tuple(_syntax(arg) for arg in args), NOWHERE, NOWHERE)


def _symbol(name: str) -> ast.Expr:
    component = _COMPONENT.fullmatch(name)
    if component is None:
        return ast.Name(name, NOWHERE)
    indices = tuple(ast.Number(index, NOWHERE) for index in component.groups()[1:] if index)
    return ast.Index(ast.Name(component[1], NOWHERE), indices, NOWHERE)


def _rational(value: sp.Rational) -> ast.Expr:
    """A short decimal where there is one, else a quotient."""
    size = abs(value)
    shown: ast.Expr
    if size.q == 1:
        shown = ast.Number(str(size.p), NOWHERE)
    else:
        twos_and_fives = size.q
        for prime in (2, 5):
            while twos_and_fives % prime == 0:
                twos_and_fives //= prime
        if twos_and_fives == 1 and size.q not in (2, 4):
            shown = ast.Number(format(float(size), ".15g"), NOWHERE)
        else:
            shown = ast.Binary("/", ast.Number(str(size.p), NOWHERE), ast.Number(str(size.q), NOWHERE), NOWHERE)
    return ast.Negate(shown, NOWHERE) if value < 0 else shown


def _sum(terms: list[ast.Expr]) -> ast.Expr:
    if isinstance(terms[0], ast.Negate):
        positive = next((i for i, term in enumerate(terms) if not isinstance(term, ast.Negate)), 0)
        terms = [terms[positive], *terms[:positive], *terms[positive + 1 :]]
    total = terms[0]
    for term in terms[1:]:
        op, operand = ("-", term.operand) if isinstance(term, ast.Negate) else ("+", term)
        total = ast.Binary(op, total, operand, NOWHERE)  # type: ignore[arg-type]
    return total


def _product(expression: sp.Mul) -> ast.Expr:
    if expression.could_extract_minus_sign():
        return ast.Negate(_syntax(-expression), NOWHERE)
    numerator, denominator = sp.fraction(expression)
    above = [_syntax(f) for f in sp.Mul.make_args(numerator) if f != 1]
    below = [_syntax(f) for f in sp.Mul.make_args(denominator) if f != 1]
    total: ast.Expr = above[0] if above else ast.Number("1", NOWHERE)
    for factor in above[1:]:
        total = ast.Binary("*", total, factor, NOWHERE)
    if not below:
        return total
    under = below[0]
    for factor in below[1:]:
        under = ast.Binary("*", under, factor, NOWHERE)
    return ast.Binary("/", total, under, NOWHERE)


def _power(expression: sp.Pow) -> ast.Expr:
    base, exponent = expression.args
    if exponent == sp.Rational(1, 2):
        return _call("sqrt", base)
    if exponent.is_number and exponent.could_extract_minus_sign():
        return ast.Binary("/", ast.Number("1", NOWHERE), _syntax(base**-exponent), NOWHERE)
    return ast.Binary("^", _syntax(base), _syntax(exponent), NOWHERE)


def _cases(pairs: list[tuple[sp.Expr, sp.Basic]]) -> ast.Expr:
    (value, condition), *rest = pairs
    if condition == sp.true or not rest:
        return _syntax(value)
    return ast.Call("if", (_syntax(condition), _syntax(value), _cases(rest)), NOWHERE, NOWHERE)
