"""The syntax tree: domains of variables and laws of random quantities."""

from __future__ import annotations

from dataclasses import dataclass, field

from hjbdsl.errors import Span
from hjbdsl.frontend.ast.expressions import Expr, Name


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
