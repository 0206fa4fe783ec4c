"""sympy -> one line of Unicode text: `½ σ² x² V_xx`, `-(μ - r) V'/(σ² x V'')`.

In: an expression and names for the derivative symbols. Out: a string.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sympy as sp

from hjbdsl.model.names import unicode_name
from hjbdsl.symbolic.latex import indicated, ordered_conditions, oriented, sorted_arguments
from hjbdsl.symbolic.printing import ADD, ATOM, MULTIPLY, POWER, Piece, Printer

_SUPERSCRIPT = {"0": "⁰", "1": "¹", "2": "²", "3": "³", "4": "⁴", "5": "⁵", "6": "⁶", "7": "⁷", "8": "⁸", "9": "⁹"}
_FRACTIONS = {(1, 2): "½", (1, 4): "¼", (3, 4): "¾"}
_RELATIONS = {"==": "=", "!=": "≠", "<": "<", "<=": "≤", ">": ">", ">=": "≥"}


class TextPrinter(Printer):
    def parentheses(self, inner: str) -> str:
        return f"({inner})"

    def symbol(self, symbol: sp.Symbol) -> str:
        return text_symbol(symbol.name)

    def fraction(self, numerator: sp.Expr, denominator: sp.Expr) -> Piece:
        return f"{self.bracketed(numerator, MULTIPLY)}/{self.bracketed(denominator, POWER)}", MULTIPLY

    def rational(self, numerator: int, denominator: int) -> Piece:
        symbol = _FRACTIONS.get((numerator, denominator))
        return (symbol, ATOM) if symbol else (f"{numerator}/{denominator}", MULTIPLY)

    def power(self, base: sp.Expr, exponent: sp.Expr) -> Piece:
        inner = self.bracketed(base, ATOM)
        if exponent.is_Integer and exponent >= 0:
            return inner + "".join(_SUPERSCRIPT[d] for d in str(exponent)), POWER
        return f"{inner}^{self._exponent(exponent)}", POWER

    def _exponent(self, exponent: sp.Expr) -> str:
        text, tightness = self._visit(exponent)
        return text if tightness == ATOM else f"({text})"

    def root(self, radicand: sp.Expr) -> Piece:
        text, tightness = self._visit(radicand)
        return (f"√{text}" if tightness == ATOM and radicand.is_Symbol else f"√({text})"), ATOM

    def product(self, factors: list[str]) -> str:
        joined = factors[0]
        for factor in factors[1:]:
            joined += f"·{factor}" if factor[0].isdigit() else f" {factor}"
        return joined

    def constant(self, expression: sp.Basic) -> str:
        table = {sp.pi: "π", sp.E: "e", sp.oo: "∞", -sp.oo: "-∞", sp.true: "always", sp.false: "never"}
        return table.get(expression, str(expression))

    def function(self, expression: sp.Basic) -> Piece:
        match expression:
            case sp.exp():
                return f"e^{self._exponent(expression.exp)}", POWER
            case sp.Abs():
                return f"|{self.print(expression.args[0])}|", ATOM
            case sp.Piecewise() if (condition := indicated(expression)) is not None:
                return f"indicator({self.print(condition)})", ATOM
            case sp.Piecewise():
                return self._cases(expression), ATOM
        name = {"Min": "min", "Max": "max", "atan": "arctan"}.get(type(expression).__name__, type(expression).__name__)
        return f"{name}({', '.join(self.print(a) for a in sorted_arguments(expression))})", ATOM

    def _cases(self, expression: sp.Piecewise) -> str:
        cases = []
        for value, condition in expression.args:
            cases.append(f"{self.print(value)} {'otherwise' if condition == sp.true else f'if {self.print(condition)}'}")
        return "{" + ", ".join(cases) + "}"

    def relation(self, expression: sp.Basic) -> Piece:
        match expression:
            case sp.And():
                return " and ".join(self.bracketed(a, ADD) for a in ordered_conditions(expression)), 0
            case sp.Or():
                return " or ".join(self.bracketed(a, ADD) for a in ordered_conditions(expression)), 0
            case sp.Not():
                return f"not {self.bracketed(expression.args[0], ATOM)}", 0
        left, right, sign = oriented(expression, self.rank)
        return f"{self.print(left)} {_RELATIONS[sign]} {self.print(right)}", ADD


def text_symbol(name: str) -> str:
    """A declared name in Unicode; components and modes keep their brackets."""
    for bracket in "[(":
        head, found, tail = name.partition(bracket)
        if found:
            return f"{unicode_name(head)}{bracket}{tail}"
    return unicode_name(name)


def to_text(
    expression: sp.Basic,
    names: Mapping[sp.Symbol, str] | None = None,
    rank: Callable[[sp.Symbol], int] = lambda _: 0,
) -> str:
    """`expression` as one line of text; `names` and `rank` as in `latex.to_latex`."""
    return TextPrinter(names or {}, rank).print(expression)
