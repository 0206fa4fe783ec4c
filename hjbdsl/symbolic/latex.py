r"""sympy -> LaTeX as a person sets it (KaTeX-compatible): \tfrac12, V_x, Greek names, exp as e^{...}.

In: an expression and names for the derivative symbols. Out: a string without dollar signs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import sympy as sp

from hjbdsl.model.names import latex_name
from hjbdsl.symbolic.letters import words_apart
from hjbdsl.symbolic.printing import ADD, ATOM, DERIVATIVE_RANK, MULTIPLY, POWER, Piece, Printer, finite_decimal

_FUNCTIONS: dict[str, str] = {
    "log": r"\log", "sin": r"\sin", "cos": r"\cos", "tan": r"\tan", "tanh": r"\tanh", "sinh": r"\sinh", "cosh": r"\cosh",
    "coth": r"\coth", "asin": r"\arcsin", "acos": r"\arccos", "atan": r"\arctan", "sign": r"\operatorname{sign}",
    "erf": r"\operatorname{erf}", "erfc": r"\operatorname{erfc}", "Min": r"\min", "Max": r"\max", "gamma": r"\Gamma",
    "atan2": r"\operatorname{atan2}", "floor": r"\operatorname{floor}", "Mod": r"\operatorname{mod}",
}  # fmt: skip
_RELATIONS = {"==": "=", "!=": r"\ne", "<": "<", "<=": r"\le", ">": ">", ">=": r"\ge"}


_SINGLE = re.compile(r"([_^])\{(\w)\}")
"""A script of one letter needs no braces."""


class LatexPrinter(Printer):
    def parentheses(self, inner: str) -> str:
        return rf"\left({inner}\right)" if r"\frac" in inner or r"\begin" in inner else f"({inner})"

    def symbol(self, symbol: sp.Symbol) -> str:
        return latex_symbol(symbol.name)

    inline = False
    """Inside an exponent: fractions with a slash."""

    def fraction(self, numerator: sp.Expr, denominator: sp.Expr) -> Piece:
        if self.inline:
            return f"{self.bracketed(numerator, MULTIPLY)}/{self.bracketed(denominator, POWER)}", MULTIPLY
        return rf"\frac{{{self.print(numerator)}}}{{{self.print(denominator)}}}", MULTIPLY

    def rational(self, numerator: int, denominator: int) -> Piece:
        if numerator < 10 and denominator < 10:
            return rf"\tfrac{numerator}{denominator}", ATOM
        return rf"\tfrac{{{numerator}}}{{{denominator}}}", ATOM

    def power(self, base: sp.Expr, exponent: sp.Expr) -> Piece:
        if isinstance(base, (sp.Abs,)) and exponent.is_Integer:
            return f"{self.print(base)}^{{{self.print(exponent)}}}", POWER
        text = self.bracketed(base, ATOM)
        if "'" in text or ("^" in text and base.is_Symbol):
            text = f"({text})"
        return f"{text}^{{{self._inline(exponent)}}}", POWER

    def _inline(self, exponent: sp.Expr) -> str:
        """An exponent with its fraction on one line."""
        numerator, denominator = exponent.as_numer_denom()
        if denominator == 1 or (exponent.is_Rational and not exponent.is_Integer and exponent.q in (5, 10, 20, 100)):
            return self.print(exponent)
        if exponent.is_Add and not exponent.is_number:
            return self._on_one_line(exponent)
        sign = ""
        if numerator.could_extract_minus_sign():
            sign, numerator = "-", -numerator
        return f"{sign}{self.bracketed(numerator, MULTIPLY)}/{self.bracketed(denominator, POWER)}"

    def _on_one_line(self, exponent: sp.Expr) -> str:
        before, self.inline = self.inline, True
        written = self.print(exponent)
        self.inline = before
        return written

    def root(self, radicand: sp.Expr) -> Piece:
        return rf"\sqrt{{{self.print(radicand)}}}", ATOM

    def product(self, factors: list[str]) -> str:
        joined = factors[0]
        for factor in factors[1:]:
            joined += rf" \cdot {factor}" if factor[0].isdigit() else rf" {factor}"
        return words_apart(joined)

    def constant(self, expression: sp.Basic) -> str:
        table = {sp.pi: r"\pi", sp.E: "e", sp.oo: r"\infty", -sp.oo: r"-\infty", sp.true: r"\text{always}",
                 sp.false: r"\text{never}"}  # fmt: skip
        return table.get(expression, r"\mathrm{" + str(expression) + "}")

    def function(self, expression: sp.Basic) -> Piece:
        match expression:
            case sp.exp():
                return f"e^{{{self._exponent(expression.exp)}}}", POWER
            case sp.Abs():
                return rf"\left|{self.print(expression.args[0])}\right|", ATOM
            case sp.Piecewise() if (condition := indicated(expression)) is not None:
                return rf"\mathbf{{1}}\{{{self.print(condition)}\}}", ATOM
            case sp.Piecewise():
                return self._cases(expression), ATOM
            case sp.erfc() if (inner := -expression.args[0] * sp.sqrt(2)) is not None and _is_normal_argument(expression):
                return rf"2\,\Phi\!\left({self.print(sp.simplify(inner))}\right)", MULTIPLY
        name = type(expression).__name__
        mark = _FUNCTIONS.get(name, rf"\operatorname{{{name}}}")
        arguments = ", ".join(self.print(argument) for argument in sorted_arguments(expression))
        return rf"{mark}\left({arguments}\right)", ATOM

    def _exponent(self, exponent: sp.Expr) -> str:
        return self._inline(exponent) if exponent.is_Mul or exponent.is_Rational else self._on_one_line(exponent)

    def _cases(self, expression: sp.Piecewise) -> str:
        lines = []
        for value, condition in expression.args:
            when = r"\text{otherwise}" if condition == sp.true else rf"\text{{if }} {self.print(condition)}"
            lines.append(f"{self.print(value)} & {when}")
        return r"\begin{cases} " + r" \\ ".join(lines) + r" \end{cases}"

    def relation(self, expression: sp.Basic) -> Piece:
        match expression:
            case sp.And():
                return r" \text{ and } ".join(self.bracketed(a, ADD) for a in ordered_conditions(expression)), 0
            case sp.Or():
                return r" \text{ or } ".join(self.bracketed(a, ADD) for a in ordered_conditions(expression)), 0
            case sp.Not():
                return rf"\text{{not }} {self.bracketed(expression.args[0], ATOM)}", 0
        left, right, sign = oriented(expression, self.rank)
        return f"{self.print(left)} {_RELATIONS[sign]} {self.print(right)}", ADD


def indicated(expression: sp.Piecewise) -> sp.Basic | None:
    """The condition c of an `indicator(c)`; None for other cases."""
    (value, condition), *others = expression.args
    return condition if value == 1 and len(others) == 1 and tuple(others[0]) == (0, sp.true) else None


def _is_normal_argument(expression: sp.erfc) -> bool:
    return bool(expression.args[0].has(sp.sqrt(2)))


def sorted_arguments(expression: sp.Basic) -> list[sp.Basic]:
    """Arguments in order; those of Min and Max, which sympy keeps as a set, by their sort key."""
    if isinstance(expression, (sp.Min, sp.Max)):
        return sorted(expression.args, key=sp.default_sort_key)
    return list(expression.args)


def ordered_conditions(expression: sp.Basic) -> list[sp.Basic]:
    return sorted(expression.args, key=sp.default_sort_key)


def oriented(expression: sp.Basic, rank: Callable[[sp.Symbol], int]) -> tuple[sp.Basic, sp.Basic, str]:
    """Left, right and sign of a relation: what varies most on the left, and no minus in front of both sides."""
    left, right, sign = expression.lhs, expression.rhs, expression.rel_op
    if _rank(right, rank) > _rank(left, rank):
        left, right, sign = right, left, _MIRRORED[sign]
    numerator, denominator = left.as_numer_denom() if isinstance(left, sp.Expr) else (left, sp.S.One)
    if denominator.is_positive and right.is_finite is not False:
        left, right = numerator, right * denominator
    if right == 0 and left.is_Add:
        moved = [t for t in left.args if _rank(t, rank) < DERIVATIVE_RANK]
        if 0 < len(moved) < len(left.args):
            right = -sp.Add(*moved)
            left = left + right
    if left.could_extract_minus_sign() and (right == 0 or right.could_extract_minus_sign() or not left.is_Add):
        left, right, sign = sp.factor_terms(-left), -right, _MIRRORED[sign]
    return *_without_common_number(left, right), sign


def _without_common_number(left: sp.Basic, right: sp.Basic) -> tuple[sp.Basic, sp.Basic]:
    """`V' > 2` for `1500 V' > 3000`: the number on the left divided out where the right stays a short number."""
    number = left.as_coeff_Mul()[0] if isinstance(left, sp.Expr) and not left.is_number else sp.S.One
    if not (number.is_Integer and number > 1 and right.is_Rational):
        return left, right
    quotient = right / number
    short = quotient.is_Integer or quotient.q in (2, 4) or finite_decimal(abs(quotient.p), quotient.q)
    common = number if short else sp.gcd(number, right)
    return left / common, right / common


_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}


def _rank(side: sp.Basic, rank: Callable[[sp.Symbol], int]) -> int:
    return max((rank(s) for s in side.free_symbols), default=-1)


def latex_symbol(name: str) -> str:
    """A declared name; `mu(z)`, a parameter by mode, keeps its argument."""
    head, bracket, argument = name.partition("(")
    return f"{latex_name(head)}({latex_name(argument.rstrip(')'))})" if bracket else latex_name(name)


def to_latex(
    expression: sp.Basic,
    names: Mapping[sp.Symbol, str] | None = None,
    rank: Callable[[sp.Symbol], int] = lambda _: 0,
) -> str:
    """`expression` in LaTeX; `names` overrides how a symbol is written, `rank` orders factors (see `printing`)."""
    return _SINGLE.sub(r"\1\2", LatexPrinter(names or {}, rank).print(expression))
