r"""Expressions in LaTeX, as a person writes them: \frac, e^{-\rho t}, \lVert x \rVert, x^{\top} Q x, cases.

In: `ast.Expr` and which names are vectors. Out: LaTeX that KaTeX parses, with the fewest brackets and no
multiplication signs between letters.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from hjbdsl.frontend import ast
from hjbdsl.frontend.notation_text import AND, ATOM, NOT, OR, POWER, PRODUCT, SUM, precedence, signed
from hjbdsl.frontend.walk import spine
from hjbdsl.model.names import latex_name

_RELATIONS = {"<": "<", "<=": r"\le", ">": ">", ">=": r"\ge", "==": "=", "!=": r"\ne"}
_FUNCTIONS = {"log": r"\log", "sin": r"\sin", "cos": r"\cos", "tan": r"\tan", "tanh": r"\tanh", "sinh": r"\sinh",
              "cosh": r"\cosh", "atan": r"\arctan", "Phi": r"\Phi"}  # fmt: skip
LONGEST_EXPONENT = 60


@dataclass(frozen=True, slots=True)
class LatexPrinter:
    """`is_vector` tells whether an expression is a vector, for norms; `is_builtin` whether a name is a built-in function here."""

    is_vector: Callable[[ast.Expr], bool]
    is_builtin: Callable[[str], bool]

    def show(self, expression: ast.Expr, least: int = OR) -> str:
        """The expression, in brackets when it binds less tightly than `least`."""
        latex = self._show(expression)
        return _bracketed(latex) if self._level(expression) < least else latex

    def _level(self, expression: ast.Expr) -> int:
        """A fraction and a root are atoms in LaTeX; a power is not where another exponent follows."""
        match expression:
            case ast.Call("exp", (_,)) if self.is_builtin("exp"):
                return POWER
            case ast.Comprehension("sum"):
                return SUM
            case ast.Transpose():
                return POWER
            case ast.Call("if"):
                return PRODUCT
            case ast.Call("dot"):
                return PRODUCT
        return precedence(expression)

    def _show(self, expression: ast.Expr) -> str:  # noqa: PLR0912 - one case a node
        match expression:
            case ast.Number(text):
                return number(text)
            case ast.Name(word):
                return name(word)
            case ast.Negate(operand):
                return f"-{self.show(operand, PRODUCT)}"
            case ast.Binary("^", left, right):
                return self._power(left, right)
            case ast.Binary("+" | "-"):
                return self._sum(expression)
            case ast.Binary():
                return self._product(expression)
            case ast.Compare(operands, ops):
                shown = [self.show(operands[0], SUM)]
                for op, operand in zip(ops, operands[1:], strict=True):
                    shown += [_RELATIONS[op], self.show(operand, SUM)]
                return " ".join(shown)
            case ast.Boolean(op, operands):
                least = NOT if op == "and" else AND
                return rf" \text{{ {op} }} ".join(self.show(operand, least) for operand in operands)
            case ast.Not(operand):
                return rf"\text{{not }} {self.show(operand, NOT)}"
            case ast.Call():
                return self._call(expression)
            case ast.Index(base, indices):
                return self._index(base, indices)
            case ast.Transpose(operand):
                return f"{self.show(operand, ATOM)}^{{\\top}}"
            case ast.Norm(operand):
                return self._norm(operand)
            case ast.ListOf(items):
                return self._list(items)
            case ast.Comprehension(kind, body, variable, low, high):
                return self._loop(kind, body, variable, low, high)
            case ast.Integral(low, high, integrand, differential):
                ends = f"_{{{self.show(low)}}}^{{{self.show(high)}}}"
                return rf"\int{ends} {self.show(integrand, PRODUCT)} \,d{name(differential.id[1:])}"
        raise ValueError(f"no such expression: {expression}")

    def _power(self, left: ast.Expr, right: ast.Expr) -> str:
        if isinstance(left, ast.Transpose):
            return f"{_bracketed(self._show(left))}^{{{self.show(right)}}}"
        function = isinstance(left, ast.Call) and self.is_builtin(left.name) and left.name in _FUNCTIONS
        base = self.show(left, ATOM)
        if function or (isinstance(left, ast.Call) and left.name == "exp"):
            base = _bracketed(self._show(left))
        return (
            f"{{{base}}}^{{{self._inline(right)}}}"
            if "^" in base and not base.startswith("\\left(")
            else f"{base}^{{{self._inline(right)}}}"
        )

    def _inline(self, expression: ast.Expr) -> str:
        """An exponent: simple quotients on one line."""
        match expression:
            case ast.Binary("/", left, right) if not isinstance(left, ast.Binary) and not isinstance(right, ast.Binary):
                return f"{self.show(left, PRODUCT)}/{self.show(right, POWER)}"
            case ast.Negate(operand):
                inner = self._inline(operand)
                return f"-{inner}" if self._level(operand) >= PRODUCT else f"-({inner})"
        return self.show(expression)

    def _sum(self, node: ast.Binary) -> str:
        current, chain = spine(node, "+-")
        pieces = [self.show(current, SUM)]
        for link in chain:
            pieces += [link.op, self.show(link.right, PRODUCT)]
        return " ".join(pieces)

    def _product(self, node: ast.Binary) -> str:
        """a*b/c*d as \\frac{a b}{c} d."""
        positive = signed(node)
        if positive is not None:
            return f"-{self.show(positive, PRODUCT)}"
        current, chain = spine(node, "*/")
        factors, index = [current], 0
        shown = ""
        while index < len(chain):
            if chain[index].op == "*":
                factors.append(chain[index].right)
                index += 1
                continue
            below = []
            while index < len(chain) and chain[index].op == "/":
                below.append(chain[index].right)
                index += 1
            lone = len(factors) == 1 and not shown
            above = self.show(factors[0]) if lone else _joined([*([shown] if shown else []), *(self._factor(f) for f in factors)])
            under = self.show(below[0]) if len(below) == 1 else _joined([self._factor(b) for b in below])
            shown, factors = rf"\frac{{{above}}}{{{under}}}", []
        last = [self.show(factors.pop())] if factors and _is_sum_sign(factors[-1]) else []
        return _joined([*([shown] if shown else []), *(self._factor(f) for f in factors), *last])

    def _factor(self, expression: ast.Expr) -> str:
        shown = self.show(expression, PRODUCT)
        return _bracketed(shown) if isinstance(expression, ast.Call) and shown.startswith(r"\begin{cases}") else shown

    def _call(self, call: ast.Call) -> str:  # noqa: PLR0912 - one case a function
        shown = [self.show(argument) for argument in call.args]
        if not self.is_builtin(call.name):
            return f"{name(call.name)}{_bracketed(', '.join(shown))}"
        match call.name, call.args:
            case "exp", (argument,):
                exponent = self._inline(argument)
                simple = len(exponent) <= LONGEST_EXPONENT and not re.search(r"\\frac\{.*\\frac|\\begin|\\sum|\\int", exponent)
                return f"e^{{{exponent}}}" if simple else rf"\exp{_bracketed(shown[0])}"
            case "sqrt", (_,):
                return rf"\sqrt{{{shown[0]}}}"
            case "abs" | "norm", (argument,):
                return self._norm(argument)
            case "min" | "max", _:
                return rf"\{call.name}\left\{{{', '.join(shown)}\right\}}"
            case "if", (_, _, _):
                return self._cases(call)
            case "indicator", (_,):
                return rf"\mathbf{{1}}\left\{{{shown[0]}\right\}}"
            case "eye", (_,):
                return f"I_{{{shown[0]}}}"
            case "ones", _:
                extent = r" \times ".join(shown)
                return rf"\mathbf{{1}}_{{{extent}}}"
            case "zeros", _:
                return "0"
            case "diag", (ast.ListOf(items),):
                return rf"\operatorname{{diag}}{_bracketed(', '.join(self.show(item) for item in items))}"
            case "diag", (scalar, _):
                return f"{self.show(scalar, PRODUCT)} \\, I_{{{shown[1]}}}"
            case "dot", (left, right):
                return rf"{self.show(left, POWER)} \cdot {self.show(right, POWER)}"
            case function, (argument,) if function in _FUNCTIONS:
                if isinstance(argument, ast.Name) and function != "Phi":
                    return f"{_FUNCTIONS[function]} {shown[0]}"
                return f"{_FUNCTIONS[function]}{_bracketed(shown[0])}"
        return rf"\operatorname{{{call.name}}}{_bracketed(', '.join(shown))}"

    def _cases(self, call: ast.Call) -> str:
        rows, rest = [], call
        while True:
            condition, value, otherwise = rest.args
            rows.append(rf"{self.show(value)} & \text{{if }} {self.show(condition)}")
            if not (isinstance(otherwise, ast.Call) and otherwise.name == "if" and len(otherwise.args) == 3):
                break
            rest = otherwise
        rows.append(rf"{self.show(otherwise)} & \text{{otherwise}}")
        body = r" \\ ".join(rows)
        return rf"\begin{{cases}} {body} \end{{cases}}"

    def _index(self, base: ast.Expr, indices: tuple[ast.Expr, ...]) -> str:
        shown = ", ".join(self.show(index) for index in indices)
        if len(indices) > 1 and all(
            (isinstance(i, ast.Name) and len(i.id) == 1) or (isinstance(i, ast.Number) and len(i.text) == 1) for i in indices
        ):
            shown = " ".join(self.show(index) for index in indices)
        if isinstance(base, ast.Call) and not self.is_builtin(base.name):
            return f"{_subscripted(name(base.name), shown)}{_bracketed(', '.join(self.show(a) for a in base.args))}"
        return _subscripted(self.show(base, ATOM), shown)

    def _norm(self, operand: ast.Expr) -> str:
        if self.is_vector(operand):
            return rf"\left\lVert {self.show(operand)} \right\rVert"
        return rf"\left\lvert {self.show(operand)} \right\rvert"

    def _list(self, items: tuple[ast.Expr, ...]) -> str:
        if items and all(isinstance(item, ast.ListOf) for item in items):
            rows = [" & ".join(self.show(entry) for entry in item.items) for item in items if isinstance(item, ast.ListOf)]
            body = r" \\ ".join(rows)
            return rf"\begin{{pmatrix}} {body} \end{{pmatrix}}"
        return rf"{_bracketed(', '.join(self.show(item) for item in items))}^{{\top}}"

    def _loop(self, kind: str, body: ast.Expr, variable: str, low: ast.Expr, high: ast.Expr) -> str:
        ends = f"_{{{name(variable)}={self.show(low)}}}^{{{self.show(high)}}}"
        if kind == "sum":
            return rf"\sum{ends} {self.show(body, PRODUCT)}"
        return f"{_bracketed(self.show(body))}{ends}"


def number(text: str) -> str:
    r"""`1e-3` as 10^{-3}, `2.5e4` as 2.5 \cdot 10^{4}."""
    mantissa, _, exponent = text.lower().partition("e")
    if not exponent:
        return text
    power = f"10^{{{int(exponent)}}}"
    return power if mantissa in ("1", "1.0") else rf"{mantissa} \cdot {power}"


def name(word: str) -> str:
    return r"\infty" if word == "inf" else latex_name(word)


def _bracketed(latex: str) -> str:
    tall = any(mark in latex for mark in (r"\frac", r"\sum", r"\int", r"\begin", r"\left", "^"))
    return rf"\left({latex}\right)" if tall else f"({latex})"


def _is_sum_sign(expression: ast.Expr) -> bool:
    return isinstance(expression, ast.Comprehension) and expression.kind == "sum"


def _subscripted(base: str, index: str) -> str:
    return f"({base})_{{{index}}}" if "_" in base else f"{base}_{{{index}}}"


def _joined(factors: list[str]) -> str:
    r"""Factors side by side; `\cdot` before a digit, a thin space round words."""
    shown = factors[0]
    for factor in factors[1:]:
        if factor[0].isdigit() or factor.startswith("-"):
            shown += rf" \cdot {factor}"
        elif r"\mathrm" in factor or (shown.endswith("}") and r"\mathrm" in shown.rsplit(" ", 1)[-1]):
            shown += rf" \, {factor}"
        else:
            shown += f" {factor}"
    return shown
