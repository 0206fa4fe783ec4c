"""Where an expression stands, and what the parts that read expressions need of one another.

In: nothing (data and protocols). `Context` says which names may appear; `Evaluator` is what sums, calls and conditions ask of
the reader; `ObjectiveHooks` is what only an objective can give a meaning to: integrals, final states, discount factors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import sympy as sp

from hjbdsl.errors import Span
from hjbdsl.frontend import ast
from hjbdsl.frontend.arithmetic import Arithmetic, Unworkable
from hjbdsl.frontend.findings import Fault
from hjbdsl.frontend.scope import RuleTime, Scope
from hjbdsl.frontend.shapes import Array, Shape
from hjbdsl.model.problem import ModeParameter, VariableGroup


@dataclass(frozen=True, slots=True)
class Context:
    """`place` names the surroundings in messages; `roles` holds what may appear of time, state, control, adversary, mode;
    `numeric`: scalar parameters give their numbers; `expected`: the shape wanted, to find the culprit of a mismatch."""

    place: str
    roles: frozenset[str] = frozenset()
    numeric: bool = False
    locals: Mapping[str, Array] = field(default_factory=dict)
    hooks: ObjectiveHooks | None = None
    expected: Shape | None = None

    def inner(self, **locals: Array) -> Context:
        """The same place with more local names and no expectation on the shape."""
        if not locals:
            return self.unexpecting()
        return replace(self, locals={**self.locals, **locals}, expected=None)

    def unexpecting(self) -> Context:
        """The same place without an expectation on the shape."""
        return self if self.expected is None else replace(self, expected=None)

    def body(self, locals: Mapping[str, Array]) -> Context:
        """Inside a definition: its arguments and nothing local from outside."""
        return replace(self, locals=locals, expected=None)


EVERYTHING = frozenset({"time", "state", "control", "adversary", "mode"})
CONSTANT = Context("a constant", numeric=True)


class ObjectiveHooks(Protocol):
    def time_factor(self, argument: sp.Expr, written: ast.Expr) -> sp.Expr | None: ...

    def integral(self, node: ast.Integral, context: Context) -> Array: ...

    def final_state(self, group: VariableGroup, when: ast.Expr) -> Array: ...

    def random_time(self, entity: RuleTime) -> sp.Expr: ...

    def misplaced(self, name: ast.Name, role: str) -> Fault: ...


@dataclass(frozen=True, slots=True)
class PartialOperation:
    """A root, power or logarithm that is not real everywhere: its argument must be >= 0 (root, power) or > 0 (log)."""

    argument: sp.Expr
    text: str
    argument_text: str
    strict: bool
    span: Span


class Evaluator(Protocol):
    @property
    def partial_operations(self) -> dict[sp.Expr, PartialOperation]: ...

    @property
    def mode_parameters(self) -> dict[str, ModeParameter]: ...

    @property
    def scope(self) -> Scope: ...

    @property
    def arithmetic(self) -> Arithmetic: ...

    def value(self, expression: ast.Expr, context: Context) -> Array: ...

    def condition(self, expression: ast.Expr, context: Context) -> sp.Basic: ...

    def spend(self, work: int, span: Span) -> None: ...

    def foresee(self, visits: float, span: Span) -> None: ...


def fault_of(problem: Unworkable, span: Span) -> Fault:
    """A failed operation, at the place of its expression."""
    return Fault(problem.code, problem.reason, problem.remedy, span)
