"""The horizon of an objective: the T of `integral(0, T)`, of `x(T)` and of the rules, which must agree.

In: the objective's syntax and the rules. Out: the end, a constant expression or oo.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sympy as sp

from hjbdsl.errors import Span
from hjbdsl.frontend import ast
from hjbdsl.frontend.arithmetic import as_float
from hjbdsl.frontend.context import Context
from hjbdsl.frontend.evaluate import Reader
from hjbdsl.frontend.findings import Fault
from hjbdsl.frontend.notation_text import plain
from hjbdsl.frontend.scope import Definition, RuleTime, VariableName
from hjbdsl.frontend.walk import nodes


@dataclass(frozen=True, slots=True)
class End:
    """One end that the file names, with the words that name it."""

    value: sp.Expr
    number: float
    text: str
    span: Span


def with_definitions(expression: ast.Expr, reader: Reader) -> Iterator[ast.Expr]:
    """`nodes`, and those of the definitions that are used, each once."""
    pending, seen = [expression], set()
    while pending:
        for node in nodes(pending.pop()):
            yield node
            name = node.id if isinstance(node, ast.Name) else node.name if isinstance(node, ast.Call) else None
            entity = reader.scope.entities.get(name) if name is not None else None
            if isinstance(entity, Definition) and name not in seen:
                seen.add(name)
                pending.append(entity.statement.body)


def read_end(expression: ast.Expr, reader: Reader) -> End | None:
    """A time at which something ends; None for the random time of a rule."""
    text = plain(expression)
    if isinstance(expression, ast.Name):
        if expression.id == "inf":
            return End(sp.oo, float("inf"), text, expression.span)
        if isinstance(reader.scope.entities.get(expression.id), RuleTime):
            return None
    value = reader.scalar(expression, Context("a horizon"))
    number = reader.arithmetic.number(value)
    size = as_float(number) if number is not None else float("nan")
    if not size > 0:
        raise Fault("HJB053", f"the horizon `{text}` is not positive", "time runs from 0 to T > 0", expression.span)
    return End(value, size, text, expression.span)


def check_start(expression: ast.Expr, reader: Reader) -> None:
    value = reader.scalar(expression, Context("the start of an integral", numeric=True))
    if value != 0:
        message = f"time starts at 0, not at `{plain(expression)}`"
        raise Fault("HJB051", message, "write `integral(0, T)`; V(t, x) restarts the problem at any t", expression.span)


def common_end(objective: ast.Objective, rules: list[ast.Interval], reader: Reader) -> sp.Expr:
    """The end on which integrals, final states and rules agree; oo where nothing bounds the time."""
    written: list[ast.Expr] = [] if objective.high is None else [objective.high]
    for node in with_definitions(objective.body, reader):
        match node:
            case ast.Integral(low, high):
                check_start(low, reader)
                written.append(high)
            case ast.Call(name, (when,)) if isinstance(reader.scope.entities.get(name), VariableName):
                if when != ast.Name("t", when.span):
                    written.append(when)
    for interval in rules:
        check_start(interval.low, reader)
        written.append(interval.high)
    ends = [end for end in (read_end(expression, reader) for expression in written) if end is not None]
    for end in ends[1:]:
        if end.number != ends[0].number:
            message = f"two horizons: `{ends[0].text}` and `{end.text}`"
            raise Fault("HJB053", message, "integrals, final states and rules end at one time", end.span)
    return ends[0].value if ends else sp.oo
