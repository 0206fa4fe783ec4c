"""The problem in the making: what the steps of lowering have read so far.

In: the statements of a file. Out: a workpiece that each step adds to; `lower` turns it into the problem.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import sympy as sp

from hjbdsl.errors import Span
from hjbdsl.frontend import ast
from hjbdsl.frontend.dynamics import Motion
from hjbdsl.frontend.evaluate import Reader
from hjbdsl.frontend.findings import Findings
from hjbdsl.frontend.randomness import Noises
from hjbdsl.frontend.region import Range
from hjbdsl.frontend.scope import Scope
from hjbdsl.model.problem import (
    BoundaryStatement,
    CheckStatement,
    Constraint,
    ExitRule,
    Exploration,
    MarkLaw,
    ModeChain,
    Objective,
    Reversal,
    SolveHint,
    StoppingRule,
)

S = TypeVar("S")


@dataclass(slots=True)
class Lowering:
    """The problem in the making."""

    statements: tuple[ast.Statement, ...]
    findings: Findings
    scope: Scope
    reader: Reader
    syntax_errors: bool
    path: str
    noises: Noises = field(default_factory=Noises)
    motion: Motion = field(default_factory=Motion)
    laws: dict[str, MarkLaw] = field(default_factory=dict)
    marks: dict[str, sp.Symbol | None] = field(default_factory=dict)
    rates: dict[str, sp.Expr] = field(default_factory=dict)
    chains: tuple[ModeChain, ...] = ()
    correlation: dict[tuple[int, int], sp.Expr] = field(default_factory=dict)
    constraints: list[Constraint] = field(default_factory=list)
    stopping: StoppingRule | None = None
    exit: ExitRule | None = None
    objective: Objective | None = None
    exploration: Exploration | None = None
    reversal: Reversal | None = None
    boundaries: list[BoundaryStatement] = field(default_factory=list)
    region: dict[str, tuple[Range, ...]] = field(default_factory=dict)
    checks: list[CheckStatement] = field(default_factory=list)
    hint: SolveHint | None = None
    origins: dict[str, Span] = field(default_factory=dict)

    def all(self, kind: type[S]) -> list[S]:
        return [statement for statement in self.statements if isinstance(statement, kind)]

    def sole(self, kind: type[S], what: str) -> S | None:
        """The one statement of a kind; a second one is reported."""
        found = self.all(kind)
        for extra in found[1:]:
            line = found[0].span.line  # type: ignore[attr-defined]
            message = f"a second {what}: the first is in line {line}"
            self.findings.report("HJB020", message, "keep one", extra.span)  # type: ignore[attr-defined]
        return found[0] if found else None
