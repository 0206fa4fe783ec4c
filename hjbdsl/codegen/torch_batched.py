"""Printer: sympy expressions -> torch source text over batched tensors.

In: expressions and where each symbol stands: a scalar name, or a column of a batched tensor (`x[..., 3]`). Out: assignment lines
and result texts. Long sums and vectors are printed as matrix products and sums over gathered columns, so that a thousand states
are a few operations. The text calls the helpers of the template `neural_helpers.py.j2`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import sympy as sp
from sympy.printing.pycode import PythonCodePrinter

LONG = 6
"""Sums of more terms are looked through for matrix products and repeated terms."""

_FUNCTIONS = {
    "exp": "exp", "log": "log", "sin": "sin", "cos": "cos", "tan": "tan", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh",
    "asin": "asin", "acos": "acos", "atan": "atan", "asinh": "asinh", "acosh": "acosh", "atanh": "atanh", "Abs": "abs",
    "sign": "sign", "erf": "special.erf", "erfc": "special.erfc", "erfinv": "special.erfinv", "loggamma": "special.gammaln",
    "digamma": "special.digamma", "floor": "floor", "ceiling": "ceil", "expm1": "expm1", "log1p": "log1p",
}  # fmt: skip


class UnsupportedInTorch(ValueError):
    """The expression holds a function that torch has no counterpart for; the message names it."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where symbols stand in the generated program. `scalars`: symbol -> name of a tensor (batch,), or of a parameter;
    `columns`: symbol -> (name of a tensor (batch, n), column)."""

    scalars: Mapping[sp.Symbol, str]
    columns: Mapping[sp.Symbol, tuple[str, int]]
    widths: Mapping[str, int]

    def spelled(self, symbol: sp.Symbol) -> str:
        if symbol in self.columns:
            name, column = self.columns[symbol]
            return f"{name}[..., {column}]"
        if symbol not in self.scalars:
            raise UnsupportedInTorch(f"`{symbol}` has no place in the program")
        return self.scalars[symbol]


class TorchPrinter(PythonCodePrinter):
    """Prints one expression; `letters` holds texts of parts that were pulled out before."""

    def __init__(self, places: Places, letters: Mapping[sp.Symbol, str] | None = None):
        super().__init__({"fully_qualified_modules": False, "strict": True})
        self.places, self.letters = places, dict(letters or {})

    def text(self, expression: sp.Basic) -> str:
        return self._print(sp.sympify(expression))

    def _print(self, expr: sp.Basic, **options: object) -> str:
        # whatever is free of symbols is a number: no tensor operation is spent on it
        if isinstance(expr, sp.Expr) and not expr.is_Symbol and expr.is_number:
            return _number(expr)
        apart = isinstance(expr, (sp.Piecewise, sp.Mod))
        return self._print_Function(expr) if isinstance(expr, sp.Function) and not apart else super()._print(expr, **options)

    def _print_Symbol(self, expr: sp.Symbol) -> str:
        return self.letters[expr] if expr in self.letters else self.places.spelled(expr)

    def _print_Function(self, expr: sp.Function) -> str:
        name = type(expr).__name__
        arguments = ", ".join(self._print(a) for a in expr.args)
        match name, len(expr.args):
            case "atan2", 2:
                return f"torch.atan2({arguments})"
            case "Heaviside", _:
                return f"select({self._print(expr.args[0])} >= 0.0, 1.0, 0.0)"
            case "gamma", 1:
                return f"torch.exp(torch.special.gammaln({arguments}))"
            case _, 1 if name in _FUNCTIONS:
                return f"torch.{_FUNCTIONS[name]}({arguments})"
        raise UnsupportedInTorch(f"`{name}` has no counterpart in torch")

    def _fold(self, helper: str, arguments: Sequence[sp.Basic]) -> str:
        text = self._print(arguments[0])
        for argument in arguments[1:]:
            text = f"{helper}({text}, {self._print(argument)})"
        return text

    def _print_Max(self, expr: sp.Max) -> str:
        return self._fold("larger", expr.args)

    def _print_Min(self, expr: sp.Min) -> str:
        return self._fold("smaller", expr.args)

    def _print_And(self, expr: sp.And) -> str:
        return f"({' & '.join(self._print(a) for a in expr.args)})"

    def _print_Or(self, expr: sp.Or) -> str:
        return f"({' | '.join(self._print(a) for a in expr.args)})"

    def _print_Xor(self, expr: sp.Xor) -> str:
        return f"({' ^ '.join(self._print(a) for a in expr.args)})"

    def _print_Not(self, expr: sp.Not) -> str:
        return f"negation({self._print(expr.args[0])})"

    def _print_ITE(self, expr: sp.ITE) -> str:
        condition, yes, no = (self._print(a) for a in expr.args)
        return f"(({condition}) & ({yes}) | negation({condition}) & ({no}))"

    def _print_Relational(self, expr: sp.Basic) -> str:
        return f"({self._print(expr.lhs)} {expr.rel_op} {self._print(expr.rhs)})"

    def _print_BooleanTrue(self, _expr: sp.Basic) -> str:
        return "True"

    def _print_BooleanFalse(self, _expr: sp.Basic) -> str:
        return "False"

    def _print_Piecewise(self, expr: sp.Piecewise) -> str:
        text = "math.nan"
        for value, condition in reversed(expr.args):
            if condition == sp.true:
                text = self._print(value)
            else:
                text = f"select({self._print(condition)}, {self._print(value)}, {text})"
        return text

    def _print_Mod(self, expr: sp.Mod) -> str:
        return f"torch.remainder({self._print(expr.args[0])}, {self._print(expr.args[1])})"

    def _print_Pow(self, expr: sp.Pow, rational: bool = False) -> str:  # noqa: ARG002 (the signature of the parent)
        base, exponent = expr.args
        if base == sp.E:
            return f"torch.exp({self._print(exponent)})"
        text = self._print(base)
        match exponent:
            case sp.S.Half:
                return f"torch.sqrt({text})"
            case _ if exponent == -sp.S.Half:
                return f"torch.rsqrt({text})"
            case _ if exponent == -1:
                return f"(1.0/({text}))"
            case _ if exponent == 2:
                return f"torch.square({text})"
            case _ if exponent.is_Integer:
                return f"({text})**{int(exponent)}" if exponent > 0 else f"(1.0/({text})**{-int(exponent)})"
        if base.is_number:
            return f"torch.exp({_number(sp.log(base))}*({self._print(exponent)}))"
        return f"({text})**({self._print(exponent)})"

    def emptyPrinter(self, expr: sp.Basic) -> str:
        raise UnsupportedInTorch(f"`{type(expr).__name__}` has no counterpart in torch")

    def _print_not_supported(self, expr: sp.Basic) -> str:
        return self.emptyPrinter(expr)

    _print_Derivative = _print_Integral = _print_Subs = _print_Sum = _print_Product = _print_Limit = _print_not_supported
    _print_Order = _print_AppliedUndef = _print_ImaginaryUnit = _print_not_supported


def _number(expression: sp.Expr) -> str:
    if expression in (sp.oo, -sp.oo):
        return "math.inf" if expression == sp.oo else "(-math.inf)"
    value = sp.sympify(expression).evalf(17)
    if value in (sp.zoo, sp.nan) or not value.is_real:
        return "math.nan"
    number = float(value)
    return repr(number) if number >= 0.0 else f"({number!r})"


@dataclass(slots=True)
class Writer:
    """Writes the body of one function: `constants` are the tables that it needs at the level of the module, `lines` its
    assignments so far. `prefix` keeps the tables of several functions apart."""

    places: Places
    prefix: str
    constants: list[tuple[str, str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    letters: dict[sp.Symbol, str] = field(default_factory=dict)

    def scalars(self, expressions: Sequence[sp.Basic]) -> list[str]:
        """One text (batch,) an expression; common subexpressions become lines."""
        narrow = [self._narrowed(sp.sympify(e)) for e in expressions]
        names = sp.numbered_symbols(f"w{len(self.lines)}_", real=True)
        shared, reduced = sp.cse(narrow, symbols=names, order="none", optimizations=()) if narrow else ([], [])
        for symbol, value in shared:
            self.lines.append(f"{symbol.name} = {self._printer().text(value)}")
            self.letters[symbol] = symbol.name
        return [self._printer().text(value) for value in reduced]

    def vector(self, expressions: Sequence[sp.Basic]) -> str:
        """A text (batch, len(expressions)): a matrix product where all are affine in the columns, else a column at a time."""
        expressions = [sp.sympify(e) for e in expressions]
        if len(expressions) > 2:
            parts = [self._affine(e) for e in expressions]
            if all(part is not None for part in parts):
                return self._product([part for part in parts if part is not None])
        texts = ", ".join(self.scalars(expressions))
        return f"columns(like, [{texts}])"

    def _printer(self) -> TorchPrinter:
        return TorchPrinter(self.places, self.letters)

    # ------------------------------------------------------------------------------------------ long sums

    def _narrowed(self, expression: sp.Basic, depth: int = 8) -> sp.Basic:
        """`expression` with every long sum replaced by a letter whose line is already written."""
        if isinstance(expression, sp.Add) and len(expression.args) > LONG:
            return self._sum(expression, depth)
        if depth == 0 or not expression.args or expression.is_number:
            return expression
        parts = [self._narrowed(part, depth - 1) for part in expression.args]
        changed = any(new is not old for new, old in zip(parts, expression.args, strict=True))
        return expression.func(*parts) if changed else expression

    def _sum(self, expression: sp.Add, depth: int) -> sp.Basic:
        groups: dict[sp.Basic, list[tuple[float, tuple[tuple[str, int], ...]]]] = {}
        rest: list[sp.Basic] = []
        for term in expression.args:
            found = self._template(term)
            if found is None:
                rest.append(self._narrowed(term, depth - 1) if depth else term)
            else:
                groups.setdefault(found[0], []).append((found[1], found[2]))
        for template, members in groups.items():
            rest.append(self._gathered(template, members))
        return sp.Add(*rest)

    def _template(self, term: sp.Basic) -> tuple[sp.Basic, float, tuple[tuple[str, int], ...]] | None:
        """`term` as number * template(placeholders), and the columns that the placeholders stand for; None where the term has
        other symbols than columns or is itself long."""
        coefficient, body = term.as_coeff_Mul()
        numbers = [factor for factor in sp.Mul.make_args(body) if factor.is_number]
        coefficient = coefficient * sp.Mul(*numbers)
        body = sp.Mul(*(factor for factor in sp.Mul.make_args(body) if not factor.is_number))
        symbols = sorted(body.free_symbols & set(self.places.columns), key=lambda s: self.places.columns[s])
        if not symbols or len(symbols) > 3 or len(symbols) < len(body.free_symbols):
            return None
        columns = tuple(self.places.columns[s] for s in symbols)
        named = {s: sp.Symbol(f"{columns[k][0]}_{k}", real=True, positive=s.is_positive) for k, s in enumerate(symbols)}
        number = float(coefficient)
        return (body.xreplace(named), number, columns) if math.isfinite(number) else None

    def _gathered(self, template: sp.Basic, members: list[tuple[float, tuple[tuple[str, int], ...]]]) -> sp.Basic:
        """The sum of all terms of one template, as a letter."""
        members = sorted(members, key=lambda member: member[1])
        blocks = [name for name, _ in members[0][1]]
        names = [f"{name}_{k}" for k, name in enumerate(blocks)]
        symbols = {s.name: s for s in template.free_symbols}
        scalars = {}
        for k, name in enumerate(names):
            index = [columns[k][1] for _, columns in members]
            scalars[symbols[name]] = self._gather(blocks[k], index)
        inner = TorchPrinter(Places(scalars, {}, {})).text(template)
        weights = [weight for weight, _ in members]
        if len(set(weights)) == 1:
            text = f"{weights[0]!r}*({inner}).sum(-1)"
        else:
            text = f"({inner}) @ constant({self._table(repr(weights))}, like)"
        return self._letter(text)

    def _gather(self, block: str, index: list[int]) -> str:
        if index == list(range(self.places.widths[block])):
            return block
        if index == list(range(index[0], index[0] + len(index))):
            return f"{block}[..., {index[0]}:{index[0] + len(index)}]"
        return f"{block}[..., {self._table(repr(index))}]"

    # ------------------------------------------------------------------------------------------ affine vectors

    def _affine(self, expression: sp.Basic) -> tuple[dict[tuple[str, int], float], float] | None:
        """{column: coefficient} and the constant of an expression that is affine in the columns with numbers for coefficients."""
        coefficients: dict[tuple[str, int], float] = {}
        offset = 0.0
        for term in sp.Add.make_args(expression):
            symbols = term.free_symbols
            if not symbols:
                offset += float(term)
                continue
            (symbol, *others) = symbols
            if others or symbol not in self.places.columns:
                return None
            factor = term / symbol
            if factor.free_symbols:
                return None
            column = self.places.columns[symbol]
            coefficients[column] = coefficients.get(column, 0.0) + float(factor)
        return coefficients, offset

    def _product(self, rows: list[tuple[dict[tuple[str, int], float], float]]) -> str:
        parts = []
        for block in sorted({name for coefficients, _ in rows for name, _ in coefficients}):
            parts.append(self._block_product(block, [{j: c for (n, j), c in row.items() if n == block} for row, _ in rows]))
        offsets = [offset for _, offset in rows]
        if any(offsets) or not parts:
            text = f"constant({self._table(repr(offsets))}, like)"
            parts.append(text if parts else f"{text}.expand(*like.shape, {len(rows)})")
        return " + ".join(parts)

    def _block_product(self, block: str, rows: list[dict[int, float]]) -> str:
        width = self.places.widths[block]
        if width == len(rows) and all(set(row) <= {i} for i, row in enumerate(rows)):
            diagonal = [row.get(i, 0.0) for i, row in enumerate(rows)]
            if len(set(diagonal)) == 1:
                return block if diagonal[0] == 1.0 else f"{diagonal[0]!r}*{block}"
            return f"{block}*constant({self._table(repr(diagonal))}, like)"
        transposed = [[row.get(j, 0.0) for row in rows] for j in range(width)]
        return f"{block} @ constant({self._table(repr(transposed))}, like)"

    def _table(self, text: str) -> str:
        text = re.sub(r"\binf\b", "math.inf", text)
        for name, known in self.constants:
            if known == text:
                return name
        name = f"{self.prefix}_{len(self.constants)}"
        self.constants.append((name, text))
        return name

    def _letter(self, text: str) -> sp.Symbol:
        name = f"w{len(self.lines)}"
        symbol = sp.Symbol(name, real=True)
        self.lines.append(f"{name} = {text}")
        self.letters[symbol] = name
        return symbol
