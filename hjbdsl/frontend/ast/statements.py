"""The syntax tree: statements, and the file they make."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hjbdsl.errors import Span
from hjbdsl.frontend.ast.domains import Domain, Interval, Law, LawCall
from hjbdsl.frontend.ast.expressions import Expr, Name


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
