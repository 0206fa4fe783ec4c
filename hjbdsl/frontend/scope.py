"""The names of a file and what they stand for.

In: declarations, in the order of the file. Out: `Scope`, one namespace for parameters, definitions, variables, noises, jumps,
modes and random times; duplicates, reserved words and unknown names are faults with the place of the other declaration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import sympy as sp

from hjbdsl.errors import Span
from hjbdsl.frontend import ast
from hjbdsl.frontend.findings import Consequence, Fault, Findings, closest
from hjbdsl.frontend.shapes import Array
from hjbdsl.model.problem import VariableGroup

RESERVED = frozenset({"t", "inf"})
KEYWORDS = frozenset(
    [
        "problem",
        "include",
        "param",
        "let",
        "state",
        "control",
        "adversary",
        "subject",
        "noise",
        "jump",
        "mode",
        "rate",
        "stopping",
        "exit",
        "discount",
        "explore",
        "maximize",
        "minimize",
        "evaluate",
        "data",
        "reverse",
        "boundary",
        "region",
        "check",
        "solve",
        "variant",
        "in",
        "and",
        "or",
        "not",
        "for",
    ]
)


@dataclass(frozen=True, slots=True)
class ParameterName:
    declaration: ast.ParamDecl
    what = "a parameter"


@dataclass(frozen=True, slots=True)
class Definition:
    statement: ast.Let
    what = "a definition"


@dataclass(frozen=True, slots=True)
class VariableName:
    """A state, control or adversary; `group` is None while its domain is still being read."""

    role: Literal["state", "control", "adversary"]
    declaration: ast.VariableDecl
    group: VariableGroup | None = None

    @property
    def what(self) -> str:
        return f"a {self.role}" if self.role != "adversary" else "the adversary's control"


@dataclass(frozen=True, slots=True)
class NoiseName:
    declaration: ast.VariableDecl
    what = "a noise"


@dataclass(frozen=True, slots=True)
class JumpName:
    statement: ast.Jump
    what = "a jump process"


@dataclass(frozen=True, slots=True)
class ChainName:
    """A mode chain, the `index`-th of the file."""

    index: int
    labels: tuple[str, ...]
    what = "a mode"


@dataclass(frozen=True, slots=True)
class RuleTime:
    """The random time of `stopping` or `exit`."""

    rule: Literal["stopping", "exit"]
    symbol: sp.Symbol
    what = "a random time"


_INFINITIES = frozenset({"inf", "infinity", "infty", "infinite", "oo"})

Entity = ParameterName | Definition | VariableName | NoiseName | JumpName | ChainName | RuleTime


@dataclass(slots=True)
class Scope:
    """`entities` by name with their places in `spans`; `broken` names were declared but their value could not be read;
    `used` collects the names that expressions referred to; `marks` are the names of jump marks, with their jump."""

    findings: Findings
    entities: dict[str, Entity] = field(default_factory=dict)
    spans: dict[str, Span] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    marks: dict[str, str] = field(default_factory=dict)
    _suggestions_left: int = 100

    def declare(self, name: str, entity: Entity, span: Span) -> bool:
        """Enter a name; a name that cannot be entered is reported and False comes back."""
        if self.refuse_reserved(name, span):
            if name in KEYWORDS:
                self.broken.add(name)
                self.spans.setdefault(name, span)
            return False
        if name in self.entities or name in self.broken:
            first = self.spans[name]
            where = f"line {first.line}" if first.file == span.file else f"{first.file}:{first.line}"
            what = self.entities[name].what if name in self.entities else "a name"
            self.findings.report(
                "HJB020",
                f"`{name}` is declared twice: it is already {what} ({where})",
                "remove one of the two, or rename it",
                span,
            )
            if name in self.entities and self.entities[name].what != entity.what:  # nobody knows which one a use means
                del self.entities[name]
                self.broken.add(name)
            return False
        self.entities[name], self.spans[name] = entity, span
        return True

    def refuse_reserved(self, name: str, span: Span) -> bool:
        """Whether the name is reserved; then that is reported."""
        if name not in RESERVED and name not in KEYWORDS:
            return False
        meaning = {"t": "the time", "inf": "infinity"}.get(name, "a keyword")
        self.findings.report("HJB022", f"`{name}` is reserved: it is {meaning}", "choose another name", span)
        return True

    def find(self, name: str, span: Span, extra: Mapping[str, Array] | None = None) -> Entity:
        """The entity of a name; unknown names are a fault with the nearest name as remedy."""
        self.used.add(name)
        if name in self.broken:
            raise Consequence
        entity = self.entities.get(name)
        if entity is not None:
            return entity
        raise self.unknown(name, span, extra or {})

    def unknown(self, name: str, span: Span, extra: Mapping[str, Array]) -> Fault:
        if name in self.marks:
            jump = self.marks[name]
            return Fault("HJB027", f"`{name}` is the mark of the jump `{jump}`", f"use it only before `d{jump}`", span)
        self._suggestions_left -= 1
        near = closest(name, [*self.entities, *extra, *self.broken]) if self._suggestions_left >= 0 else None
        if name.lower() in _INFINITIES:
            return Fault("HJB021", f"unknown name `{name}`", "infinity is written `inf`", span)
        if near is None:
            return Fault("HJB021", f"unknown name `{name}`", f"declare it, as in `param {name} = ...`", span)
        line = f" (line {self.spans[near].line})" if near in self.spans and self.spans[near].file == span.file else ""
        return Fault("HJB021", f"unknown name `{name}`", f"did you mean `{near}`{line}?", span)
