"""Numbers put into an expression: exactly, as long as exactness costs nothing.

A rational number to a rational power is kept by sympy as a root of an integer, whose digits are as many as the exponent is fine:
(26489/1280000)^(12800/13689) has five thousand, and a seventh decimal in a parameter would need more memory than there is. Where
the exponent is that fine, the number below it is taken to `DIGITS` digits instead; so is c in exp(c log(y)), which is y^c.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

DIGITS = 40
FINEST_ROOT = 12
LARGEST_POWER = 400
"""Exponents p/q with q up to the one and p up to the other are exact."""


def with_numbers(expression: sp.Basic, numbers: Mapping[sp.Symbol, sp.Expr]) -> sp.Basic:
    """`expression` with `numbers` for symbols."""
    table = dict(numbers)
    powers = (power.exp for power in expression.atoms(sp.Pow) if not power.exp.is_Integer)
    if any(exponential.has(sp.log) for exponential in expression.atoms(sp.exp)) or any(
        _is_fine(p.xreplace(table)) for p in powers
    ):
        return _put_in(expression, table)
    return expression.xreplace(table)


def power_of(base: sp.Expr, exponent: sp.Expr) -> sp.Expr:
    """base^exponent, the number in `base` rounded where the exponent is too fine for an exact root."""
    if not _is_fine(exponent):
        return base**exponent
    number, rest = base.as_coeff_Mul()
    if number.is_Rational and number not in (sp.S.Zero, sp.S.One):
        base = sp.Float(number, DIGITS) * rest
    return base**exponent


def _rounded(exponent: sp.Expr) -> sp.Expr:
    number, rest = exponent.as_coeff_Mul()
    return sp.Float(number, DIGITS) * rest if _is_fine(number) and rest.has(sp.log) else exponent


def _is_fine(exponent: sp.Expr) -> bool:
    return bool(exponent.is_Rational) and (exponent.q > FINEST_ROOT or abs(exponent.p) > LARGEST_POWER)


def _put_in(expression: sp.Basic, table: Mapping[sp.Basic, sp.Basic]) -> sp.Basic:
    if expression in table:
        return table[expression]
    if not expression.args:
        return expression
    parts = [_put_in(part, table) for part in expression.args]
    if expression.is_Pow:
        return power_of(*parts)
    if isinstance(expression, sp.exp):
        return sp.exp(sp.Add(*(_rounded(term) for term in sp.Add.make_args(parts[0]))))
    return expression if all(a is b for a, b in zip(parts, expression.args, strict=True)) else expression.func(*parts)
