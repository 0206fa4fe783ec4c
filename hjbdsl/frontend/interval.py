"""Interval arithmetic on sympy expressions: bounds that certainly hold.

In: an expression and the interval of every symbol. Out: an interval that contains all its values, the whole line
where nothing better is known; for a condition whether it certainly holds, certainly fails, or neither. What is
answered here is a proof.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import sympy as sp

from hjbdsl.frontend.arithmetic import as_float

Interval = tuple[float, float]
LINE: Interval = (-math.inf, math.inf)


def _outward(low: float, high: float) -> Interval:
    """One unit in the last place wider, so that rounding cannot turn a maybe into a proof."""
    if math.isnan(low) or math.isnan(high):
        return LINE
    slack = 1e-12
    return low - slack * max(1.0, abs(low)), high + slack * max(1.0, abs(high))


def enclosure(expression: sp.Expr, symbols: Mapping[sp.Symbol, Interval]) -> Interval:
    """An interval that holds every value of the expression."""
    if expression.is_number:
        value = as_float(expression)
        return LINE if math.isnan(value) else (value, value)
    if expression.is_Symbol:
        return symbols.get(expression, LINE)
    parts = [enclosure(argument, symbols) for argument in expression.args if isinstance(argument, sp.Expr)]
    if len(parts) != len(expression.args):
        return LINE
    if expression.is_Add:
        return _outward(sum(low for low, _ in parts), sum(high for _, high in parts))
    if expression.is_Mul:
        return _product(parts)
    if expression.is_Pow:
        return _power(parts[0], expression.exp)
    match expression:
        case sp.Abs():
            return _absolute(parts[0])
        case sp.Max():
            return max(low for low, _ in parts), max(high for _, high in parts)
        case sp.Min():
            return min(low for low, _ in parts), min(high for _, high in parts)
        case sp.exp():
            return _outward(_exponential(parts[0][0]), _exponential(parts[0][1]))
        case sp.sin() | sp.cos() | sp.tanh() | sp.erf():
            return -1.0, 1.0
    return LINE


def _product(parts: list[Interval]) -> Interval:
    low, high = 1.0, 1.0
    for part in parts:
        corners = [0.0 if 0.0 in (a, b) else a * b for a in (low, high) for b in part]
        low, high = _outward(min(corners), max(corners))
    return low, high


def _absolute(part: Interval) -> Interval:
    low, high = part
    return (0.0 if low <= 0 <= high else min(abs(low), abs(high))), max(abs(low), abs(high))


def _power(base: Interval, exponent: sp.Expr) -> Interval:
    """Whole powers of anything, roots of what is certainly nonnegative."""
    if exponent == sp.Rational(1, 2) and base[1] >= 0:
        return _outward(math.sqrt(max(base[0], 0.0)), math.sqrt(base[1]))
    if not exponent.is_Integer or not 0 < exponent <= 64:
        return LINE
    height = int(exponent)
    try:
        low, high = _absolute(base) if height % 2 == 0 else base
        return _outward(low**height, high**height)
    except OverflowError:
        return LINE


def _exponential(argument: float) -> float:
    return math.inf if argument > 700 else math.exp(argument)


def truth(condition: sp.Basic, symbols: Mapping[sp.Symbol, Interval]) -> bool | None:
    """True or False where the condition certainly holds or fails for all values of the symbols, else None."""
    if condition in (sp.true, sp.false):
        return bool(condition)
    match condition:
        case sp.And():
            return _all([truth(part, symbols) for part in condition.args])
        case sp.Or():
            outcome = _all([_negated(truth(part, symbols)) for part in condition.args])
            return _negated(outcome)
        case sp.Not():
            return _negated(truth(condition.args[0], symbols))
        case sp.core.relational.Relational():
            return _relation(condition, enclosure(condition.lhs - condition.rhs, symbols))
    return None


def _negated(outcome: bool | None) -> bool | None:
    return None if outcome is None else not outcome


def _all(outcomes: list[bool | None]) -> bool | None:
    if False in outcomes:
        return False
    return None if None in outcomes else True


def _relation(relation: sp.Basic, difference: Interval) -> bool | None:
    low, high = difference
    match relation:
        case sp.Gt() | sp.Ge():
            return True if low > 0 else False if high < 0 else None
        case sp.Lt() | sp.Le():
            return True if high < 0 else False if low > 0 else None
        case sp.Eq():
            return False if low > 0 or high < 0 else None
        case sp.Ne():
            return True if low > 0 or high < 0 else None
    return None
