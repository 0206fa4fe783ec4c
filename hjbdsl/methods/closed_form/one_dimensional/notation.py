"""Formulas of this room in the two notations of the reader: text in the language's own syntax, and LaTeX."""

from __future__ import annotations

import sympy as sp
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

from hjbdsl.model.names import latex_name
from hjbdsl.model.problem import ControlProblem, Notation


def notation(expression: sp.Basic) -> Notation:
    """`expression` as `.hjb` text and as LaTeX."""
    names = {symbol: latex_name(symbol.name) for symbol in expression.free_symbols}
    return Notation(_LanguagePrinter().doprint(expression), LatexPrinter({"symbol_names": names}).doprint(expression))


def fresh_symbol(problem: ControlProblem, name: str, *, positive: bool | None = None) -> sp.Symbol:
    """A letter named `name` that the problem does not use, with primes of the form `name1`, `name2` if it does."""
    taken = {s.name for s in problem.state_symbols + problem.control_symbols + problem.adversary_symbols}
    taken |= {parameter.name for parameter in problem.parameters} | {"t"}
    candidate, count = name, 0
    while candidate in taken:
        count += 1
        candidate = f"{name}{count}"
    return sp.Symbol(candidate, real=True, positive=positive)


class _LanguagePrinter(StrPrinter):
    """Prints sympy in the syntax of the language: `^` for powers, `if(c, a, b)` for cases."""

    def _print_Pow(self, expr: sp.Pow, rational: bool = False) -> str:
        return super()._print_Pow(expr, rational).replace("**", "^")

    def _print_Piecewise(self, expr: sp.Piecewise) -> str:
        *cases, (last, _) = expr.args
        text = self._print(last)
        for value, condition in reversed(cases):
            text = f"if({self._print(condition)}, {self._print(value)}, {text})"
        return text
