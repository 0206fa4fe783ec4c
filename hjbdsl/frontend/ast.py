"""The syntax tree: what the parser makes of a file, before any name has been looked up.

In: nothing (data only). Every node carries its `Span`. Spans take no part in comparison, so
`parse(format(tree)) == tree` is a meaningful test.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hjbdsl.errors import Span

# ----------------------------------------------------------------------------------------------- expressions


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


# --------------------------------------------------------------------------------------------------- domains


@dataclass(frozen=True, slots=True)
class RealLine:
    """`R`, `R^n`, `R^(n,m)` after `in`; `shape` holds the extents, () for R."""

    shape: tuple[Expr, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Interval:
    """`[a, b]`, `(a, b]`, ..., `[a, b]^n`; also what `x > 0` and `a >= -1` become (the other end is `inf`)."""

    low: Expr
    high: Expr
    low_open: bool
    high_open: bool
    shape: tuple[Expr, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class FiniteSet:
    """`{1, 2, 5}`."""

    points: tuple[Expr, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class IntegerRange:
    """`{-4..4}`."""

    low: Expr
    high: Expr
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Labels:
    """`{good, bad}` of a `mode` statement."""

    labels: tuple[Name, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Circle:
    """`circle`: an angle modulo 2*pi."""

    span: Span = field(compare=False, repr=False)


Domain = RealLine | Interval | FiniteSet | IntegerRange | Labels | Circle


# ------------------------------------------------------------------------------------------------ statements


@dataclass(frozen=True, slots=True)
class ProblemHeader:
    name: str
    title: str | None
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Include:
    path: str
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ModeTable:
    """`{good: 0.08, bad: -0.02}`, the value of a parameter by mode."""

    entries: tuple[tuple[Name, Expr], ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ParamDecl:
    """`name(mode) : R^(n,m) = value in DOMAIN "description"`; `shape` is () for a scalar, `mode` None without one."""

    name: str
    mode: Name | None
    shape: tuple[Expr, ...]
    value: Expr | ModeTable
    domain: Domain | None
    description: str | None
    span: Span = field(compare=False, repr=False)
    """The name."""


@dataclass(frozen=True, slots=True)
class Param:
    declarations: tuple[ParamDecl, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Let:
    """`let u(c) = body`; `arguments` is None for a plain name."""

    name: str
    arguments: tuple[Name, ...] | None
    body: Expr
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class VariableDecl:
    """`x in R^n "description"`. A declaration without a domain (`noise W`) has domain None."""

    name: str
    domain: Domain | None
    description: str | None
    span: Span = field(compare=False, repr=False)
    """The name."""


@dataclass(frozen=True, slots=True)
class Variables:
    """`state`, `control`, `adversary`, `noise` or `mode`, with its declarations."""

    role: Literal["state", "control", "adversary", "noise", "mode"]
    declarations: tuple[VariableDecl, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class SubjectTo:
    constraints: tuple[Expr, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Correlation:
    """`dW dB = rho dt`; names without the `d`."""

    first: Name
    second: Name
    value: Expr
    differential: Name
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class LawCall:
    """`normal(m, s^2)`, `exponential(k)`, `uniform(a, b)`."""

    name: str
    args: tuple[Expr, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class LawTable:
    """`{-0.3: 0.25, 0.1: 0.75}`: value, probability."""

    entries: tuple[tuple[Expr, Expr], ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Mixture:
    """`mixture(0.5: normal(...), 0.5: normal(...))`: weight, component."""

    components: tuple[tuple[Expr, LawCall], ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class FileLaw:
    """`file "moons.npy"`."""

    path: str
    span: Span = field(compare=False, repr=False)


Law = LawCall | LawTable | Mixture | FileLaw


@dataclass(frozen=True, slots=True)
class Jump:
    """`jump N rate EXPR mark J ~ LAW`; without a mark `mark` and `law` are None."""

    name: Name
    rate: Expr
    mark: Name | None
    law: Law | None
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Transition:
    source: Name
    target: Name
    rate: Expr
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Rates:
    transitions: tuple[Transition, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class DynamicsTerm:
    """`coefficient differential`; the sign of a subtracted term is inside the coefficient as `Negate`.
    A bare `dW` has the coefficient `Number("1")`."""

    coefficient: Expr
    differential: Name
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Dynamics:
    """`dx = terms`; `state` is the name without its `d`, with the span of `dx`."""

    state: Name
    terms: tuple[DynamicsTerm, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Stopping:
    time: Name
    interval: Interval
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Exit:
    time: Name
    interval: Interval | None
    condition: Expr
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Discount:
    rate: Expr
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Explore:
    control: Name
    temperature: Expr
    prior: LawCall | None
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Objective:
    """`maximize|minimize|evaluate` BODY. `form`:
    expectation  E [ ... ], E ..., or no E at all: `body` holds Integral nodes, x(T), plain names such as tau
    average      `average EXPR`
    risk         `risk(theta) [ ... ]`; `parameter` is theta
    running_min, running_max   `running_min(low, high) EXPR`; `low`, `high` set
    `stochastic` is True where `E` was written.
    """

    sense: Literal["maximize", "minimize", "evaluate"]
    form: Literal["expectation", "average", "risk", "running_min", "running_max"]
    body: Expr
    stochastic: bool
    parameter: Expr | None
    low: Expr | None
    high: Expr | None
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Data:
    """`data y(0) ~ LAW`."""

    state: Name
    time: Expr
    law: Law
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Reverse:
    state: Name
    interval: Interval
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Boundary:
    """`boundary x = 0 : value K` (kinds: value, slope, reflect, outflow, constrain); `amount` for value and slope."""

    state: Expr
    location: Expr
    kind: Name
    amount: Expr | None
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RegionItem:
    state: Name
    low: Expr
    high: Expr
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Region:
    items: tuple[RegionItem, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Check:
    """`check V(t = 0, x = 36) = expected tol tolerance`; `point` is None where no parentheses were written."""

    target: Name
    point: tuple[tuple[Name, Expr], ...] | None
    expected: Expr
    tolerance: Expr | None
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Solve:
    """`solve grid(nx = 401, nt = 200)`."""

    method: Name
    options: tuple[tuple[Name, Expr], ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Variant:
    """`variant patient: rho = 0.02, gamma = 5`."""

    name: Name
    assignments: tuple[tuple[Name, Expr], ...]
    span: Span = field(compare=False, repr=False)


Statement = (
    ProblemHeader | Include | Param | Let | Variables | SubjectTo | Correlation | Jump | Rates | Dynamics | Stopping
    | Exit | Discount | Explore | Objective | Data | Reverse | Boundary | Region | Check | Solve | Variant
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class File:
    """A parsed file: its statements in order. `path` is as given on the command line; `lines` the text by lines,
    so that a diagnostic can quote one. `comments` holds (line, column, text) for the formatter."""

    statements: tuple[Statement, ...]
    path: str = field(compare=False)
    lines: tuple[str, ...] = field(compare=False, repr=False)
    comments: tuple[tuple[int, int, str], ...] = field(compare=False, repr=False, default=())
