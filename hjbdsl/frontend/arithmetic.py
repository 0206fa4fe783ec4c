"""Powers, quotients and functions of numbers, guarded before they are worked.

In: sympy scalars and the numbers of the parameters. Out: the exact result, or `Unworkable` with the reason: too large for a
number, a division by zero, a logarithm or root that is not real. Nothing huge is ever built: the size of a power is
estimated from its operands first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import sympy as sp

from hjbdsl.model.exact import power_of, with_numbers
from hjbdsl.model.problem import TIME

LARGEST_EXPONENT = 10_000
LARGEST_BITS = 60_000.0
LARGEST_LOG = 700.0
_DIGITS = 400


class Unworkable(Exception):
    """The operation has no finite real result; `remedy` says what to do."""

    def __init__(self, reason: str, remedy: str, code: str = "HJB041"):
        super().__init__(reason)
        self.reason, self.remedy, self.code = reason, remedy, code


def too_large(what: str) -> Unworkable:
    return Unworkable(f"{what} is too large for a number", "numbers must stay below 1e300; write a smaller one", "HJB040")


def literal(text: str) -> sp.Expr:
    """The exact value of a decimal literal: 0.1 is one tenth."""
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    if len(whole) + len(fraction) > _DIGITS or len(exponent) > 6 or abs(int(exponent or "0")) > _DIGITS:
        raise too_large(f"`{text[:24]}{'...' if len(text) > 24 else ''}`")
    power = int(exponent or "0") - len(fraction)
    digits = int((whole + fraction) or "0")
    value = sp.Rational(digits * 10 ** max(power, 0), 10 ** max(-power, 0))
    if abs(value) > sp.Integer(10) ** 300:
        raise too_large(f"`{text}`")
    return value


def as_float(value: sp.Expr) -> float:
    """The number as a float; nan where it is not real, inf where it overflows."""
    if value.is_Rational:
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    if value in (sp.oo, -sp.oo):
        return math.inf if value == sp.oo else -math.inf
    number = sp.N(value, 17)
    if not number.is_number or number.is_real is False or number.has(sp.I, sp.nan, sp.zoo):
        return math.nan
    try:
        return float(number)
    except (OverflowError, TypeError):
        return math.nan


class Arithmetic:
    """Guarded operations; `values` are the numbers of the parameters known so far."""

    def __init__(self, values: Mapping[sp.Symbol, sp.Expr]):
        self.values = values

    def number(self, expression: sp.Expr) -> sp.Expr | None:
        """The number that `expression` is once the parameters have theirs, or None when it holds anything else."""
        if expression.is_number:
            return expression
        if expression.is_Symbol:
            return self.values.get(expression)
        if TIME in expression.free_symbols or any(s not in self.values for s in expression.free_symbols):
            return None
        return with_numbers(expression, self.values)

    def divide(self, numerator: sp.Expr, denominator: sp.Expr) -> sp.Expr:
        self.refuse_zero(denominator)
        return numerator / denominator

    def refuse_zero(self, denominator: sp.Expr) -> None:
        value = self.number(denominator)
        if value is not None and (value.is_zero or (value.is_zero is None and as_float(value) == 0.0)):
            raise Unworkable("division by zero", "the denominator is 0 for these parameters")

    def power(self, base: sp.Expr, exponent: sp.Expr) -> sp.Expr:
        if exponent.is_Integer and 0 < exponent <= 16 and not base.is_number and (base.is_Symbol or base.is_Add):
            known = self.number(base)
            if known is None:
                return base**exponent
        exponent_value, base_value = self.number(exponent), self.number(base)
        if exponent_value is not None:
            self._refuse_large_exponent(base, exponent_value)
        if base_value is not None and exponent_value is not None:
            self._check_numbers(base_value, exponent_value)
        return power_of(base, exponent)

    @staticmethod
    def _refuse_large_exponent(base: sp.Expr, exponent: sp.Expr) -> None:
        size = abs(as_float(exponent))
        if base.is_Pow and base.exp.is_number:
            size *= max(1.0, abs(as_float(base.exp)))
        if not base.is_number and not size <= LARGEST_EXPONENT:
            raise too_large("the exponent")

    @staticmethod
    def _check_numbers(base: sp.Expr, exponent: sp.Expr) -> None:
        magnitude, height = as_float(base), as_float(exponent)
        if math.isnan(magnitude) or math.isnan(height) or math.isinf(height):
            raise too_large("the power")
        if magnitude == 0.0:
            if height < 0:
                raise Unworkable("division by zero: 0 to a negative power", "the base is 0 for these parameters")
            return
        if magnitude < 0 and not exponent.is_integer:
            raise Unworkable(
                "a negative number to a fractional power is not real",
                "the base must be >= 0 where the exponent is not an integer",
            )
        bits = math.log2(max(abs(base.p), base.q)) if base.is_Rational else abs(math.log2(abs(magnitude)))
        if bits * abs(height) > LARGEST_BITS or math.log(abs(magnitude)) * height > LARGEST_LOG:
            raise too_large("the power")

    def exponential(self, argument: sp.Expr) -> sp.Expr:
        value = self.number(argument)
        if value is not None and as_float(value) > LARGEST_LOG:
            raise too_large("the exponential")
        return sp.exp(argument)

    def logarithm(self, argument: sp.Expr) -> sp.Expr:
        value = self.number(argument)
        if value is not None and not as_float(value) > 0:
            what = "log(0) is not finite" if as_float(value) == 0.0 else "the logarithm of a negative number is not real"
            raise Unworkable(what, "the argument must be > 0")
        return sp.log(argument)

    def square_root(self, argument: sp.Expr) -> sp.Expr:
        value = self.number(argument)
        if value is not None and as_float(value) < 0:
            raise Unworkable("the square root of a negative number is not real", "the argument must be >= 0")
        return sp.sqrt(argument)
