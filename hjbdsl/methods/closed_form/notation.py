"""Formulas for the reader in two notations: text in the language's own syntax, and LaTeX.

In: an expression, or a table of numbers. Out: `Notation`.
"""

from __future__ import annotations

import sympy as sp
from sympy.printing.str import StrPrinter

from hjbdsl.model.problem import TIME, ControlProblem, Notation
from hjbdsl.symbolic.latex import to_latex


class _LanguagePrinter(StrPrinter):
    """sympy in the syntax of `.hjb` files: `^` for powers, `if(c, a, b)` for cases, decimals where a fraction has one."""

    def _print_Pow(self, expr: sp.Pow, rational: bool = False) -> str:
        return super()._print_Pow(expr, rational).replace("**", "^")

    def _call(self, name: str, expr: sp.Basic) -> str:
        return f"{name}({', '.join(self._print(a) for a in expr.args)})"

    def _print_Abs(self, expr: sp.Abs) -> str:
        return self._call("abs", expr)

    def _print_Min(self, expr: sp.Min) -> str:
        return self._call("min", expr)

    def _print_Max(self, expr: sp.Max) -> str:
        return self._call("max", expr)

    def _print_erfc(self, expr: sp.erfc) -> str:
        return f"(1 - {self._call('erf', expr)})"

    def _print_Piecewise(self, expr: sp.Piecewise) -> str:
        *cases, (last, _) = expr.args
        text = self._print(last)
        for value, condition in reversed(cases):
            text = f"if({self._print(condition)}, {self._print(value)}, {text})"
        return text


def written(expression: sp.Basic) -> Notation:
    """`expression` as `.hjb` text and as LaTeX."""
    return Notation(_LanguagePrinter().doprint(expression), to_latex(expression))


def unused_symbol(problem: ControlProblem, *names: str) -> sp.Symbol:
    """The first of `names` that the problem does not use, else the first with a number behind it."""
    taken = {s.name for s in (*problem.state_symbols, *problem.control_symbols, *problem.adversary_symbols, TIME)}
    taken |= {g.name for g in (*problem.states, *problem.controls, *problem.adversaries)} | {p.name for p in problem.parameters}
    candidates = [*names, *(f"{names[0]}{k}" for k in range(1, len(taken) + 2))]
    return sp.Symbol(next(name for name in candidates if name not in taken), real=True)
