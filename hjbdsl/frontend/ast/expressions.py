"""The syntax tree: expressions. Every node carries its `Span`, which takes no part in comparison."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hjbdsl.errors import Span


@dataclass(frozen=True, slots=True)
class Number:
    """A decimal literal, kept as text so that 0.1 is one tenth: `text` matches digits[.digits][e[+-]digits]."""

    text: str
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Name:
    """An identifier in canonical (ASCII where there is one) spelling: `σ` arrives as `sigma`, `∞` as `inf`."""

    id: str
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Negate:
    operand: Expr
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Binary:
    """`+ - * / ^`; `^` is right-associative and binds tighter than unary minus: -x^2 is -(x^2)."""

    op: Literal["+", "-", "*", "/", "^"]
    left: Expr
    right: Expr
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Compare:
    """A chain `e0 op0 e1 op1 e2 ...`; `len(operands) == len(ops) + 1`."""

    operands: tuple[Expr, ...]
    ops: tuple[Literal["<", "<=", ">", ">=", "==", "!="], ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Boolean:
    op: Literal["and", "or"]
    operands: tuple[Expr, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Not:
    operand: Expr
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """`name(args)`: a built-in (also `if(cond, a, b)`), a `let` function, a parameter by mode, or a state at a time `x(T)`."""

    name: str
    args: tuple[Expr, ...]
    span: Span = field(compare=False, repr=False)
    name_span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Index:
    """`x[2]`, `A[i, j]`; indices count from 1. The base may itself be `x(T)`."""

    base: Expr
    indices: tuple[Expr, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Transpose:
    operand: Expr
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Norm:
    """`|v|`: absolute value of a scalar, Euclidean norm of a vector."""

    operand: Expr
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ListOf:
    """`[a, b]`; a list of lists is a matrix by rows."""

    items: tuple[Expr, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Comprehension:
    """`[body for i in low..high]` (kind "list") or `sum(body for i in low..high)` (kind "sum")."""

    kind: Literal["list", "sum"]
    body: Expr
    variable: str
    low: Expr
    high: Expr
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Integral:
    """`integral(low, high) integrand dt`; only inside an objective. `differential` is the name as written (`dt`)."""

    low: Expr
    high: Expr
    integrand: Expr
    differential: Name
    span: Span = field(compare=False, repr=False)


Expr = (
    Number | Name | Negate | Binary | Compare | Boolean | Not | Call | Index | Transpose | Norm | ListOf
    | Comprehension | Integral
)  # fmt: skip
