"""Printer: sympy expressions -> scalar Python that numba compiles (`math` functions, conditional expressions).

Common subexpressions are pulled out across all expressions of one function. In: expressions and a spelling of each
symbol. Out: assignment lines and result texts.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Mapping, Sequence

import sympy as sp
from sympy.printing.precedence import PRECEDENCE
from sympy.printing.pycode import PythonCodePrinter

_FUNCTIONS = {
    sp.exp: "math.exp", sp.log: "math.log", sp.sin: "math.sin", sp.cos: "math.cos", sp.tan: "math.tan",
    sp.tanh: "math.tanh", sp.sinh: "math.sinh", sp.cosh: "math.cosh", sp.atan: "math.atan", sp.erf: "math.erf",
    sp.erfc: "math.erfc", sp.Abs: "abs", sp.gamma: "math.gamma",
}  # fmt: skip


class ScalarPrinter(PythonCodePrinter):
    """Prints for numba's scalar mode; `names` spells the free symbols."""

    def __init__(self, names: Mapping[sp.Symbol, str]):
        super().__init__({"fully_qualified_modules": True, "strict": True})
        self.names = names

    def _print_Symbol(self, expr: sp.Symbol) -> str:
        return self.names.get(expr, expr.name)

    def _print_Function(self, expr: sp.Function) -> str:
        name = _FUNCTIONS.get(expr.func)
        if name is None:
            return super()._print_Function(expr)
        return f"{name}({', '.join(self._print(a) for a in expr.args)})"

    _print_Abs = _print_erf = _print_erfc = _print_Function

    def _print_atan2(self, expr: sp.Expr) -> str:
        return f"math.atan2({self._print(expr.args[0])}, {self._print(expr.args[1])})"

    def _print_sign(self, expr: sp.Expr) -> str:
        inner = self._print(expr.args[0])
        return f"(1.0 if {inner} > 0.0 else (-1.0 if {inner} < 0.0 else 0.0))"

    def _print_Max(self, expr: sp.Expr) -> str:
        return self._nest("max", expr)

    def _print_Min(self, expr: sp.Expr) -> str:
        return self._nest("min", expr)

    def _nest(self, function: str, expr: sp.Expr) -> str:
        text = self._print(expr.args[0])
        for argument in expr.args[1:]:
            text = f"{function}({text}, {self._print(argument)})"
        return text

    def _print_Piecewise(self, expr: sp.Piecewise) -> str:
        text = "math.nan"
        for value, condition in reversed(expr.args):
            if condition is sp.true:
                text = self._print(value)
            else:
                text = f"({self._print(value)} if {self._print(condition)} else {text})"
        return text

    def _print_Rational(self, expr: sp.Rational) -> str:
        return repr(float(expr))

    def _print_Integer(self, expr: sp.Integer) -> str:
        return f"{int(expr)}.0"

    def _print_Pow(self, expr: sp.Pow, rational: bool = False) -> str:  # noqa: ARG002  the printer's own signature
        base, exponent = expr.as_base_exp()
        if exponent == sp.Rational(1, 2):
            return f"math.sqrt({self._print(base)})"
        if exponent == sp.Rational(-1, 2):
            return f"1.0/math.sqrt({self._print(base)})"
        text = self.parenthesize(base, PRECEDENCE["Pow"])
        if exponent.is_Integer and exponent < 0:  # numba raises on 0.0**-1, whatever its error model
            return f"1.0/{text}" if exponent == -1 else f"1.0/{text}**{-int(exponent)}"
        return f"{text}**{int(exponent) if exponent.is_Integer else self.parenthesize(exponent, PRECEDENCE['Pow'])}"

    def parenthesize(self, item: sp.Basic, level: int, strict: bool = False) -> str:
        """A fraction is printed as one number, and needs no brackets."""
        if isinstance(item, sp.Rational) and item >= 0:
            return self._print(item)
        return super().parenthesize(item, level, strict)


def identifier(name: str) -> str:
    """A Python identifier for a user's name: `x[2]` -> `x_2`, `lambda` -> `lambda_`."""
    text = re.sub(r"\W+", "_", name).strip("_")
    return text + "_" if text in _RESERVED else text


_RESERVED = frozenset(keyword.kwlist) | frozenset(dir(builtins)) | {"math", "np", "t", "mode", "V"}


def assignments(
    expressions: Sequence[sp.Basic], names: Mapping[sp.Symbol, str], temporary: str = "w"
) -> tuple[list[str], list[str]]:
    """Lines that compute common subexpressions, and one text an expression that uses them."""
    shared, reduced = sp.cse(list(expressions), symbols=sp.numbered_symbols(temporary), order="none")
    spelled = dict(names)
    spelled.update({symbol: symbol.name for symbol, _ in shared})
    printer = ScalarPrinter(spelled)
    lines = [f"{symbol.name} = {printer.doprint(value)}" for symbol, value in shared]
    return lines, [printer.doprint(value) for value in reduced]
