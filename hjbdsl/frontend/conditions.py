"""Conditions: comparisons, `and`, `or`, `not`, and comparisons with a mode.

In: syntax. Out: a sympy Boolean. What the parameters alone decide is decided here, so that no branch is kept that cannot be
taken; `z == good` becomes a symbol that is 1 in the mode `good` and 0 elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import sympy as sp

from hjbdsl.frontend import ast
from hjbdsl.frontend.arithmetic import as_float
from hjbdsl.frontend.context import Context, Evaluator
from hjbdsl.frontend.findings import Fault, closest
from hjbdsl.frontend.notation_text import plain
from hjbdsl.frontend.scope import ChainName
from hjbdsl.frontend.shapes import shape_text

RELATIONS: dict[str, Callable[[sp.Expr, sp.Expr], sp.Basic]] = {
    "<": sp.Lt,
    "<=": sp.Le,
    ">": sp.Gt,
    ">=": sp.Ge,
    "==": sp.Eq,
    "!=": sp.Ne,
}
ModeIndicator = Callable[[ChainName, str, int], sp.Expr]


def compare(reader: Evaluator, node: ast.Compare, context: Context, mode_indicator: ModeIndicator) -> sp.Basic:
    parts = []
    for left, operator, right in zip(node.operands, node.ops, node.operands[1:], strict=False):
        chain = _chain(reader, left, context) or _chain(reader, right, context)
        if chain is not None:
            parts.append(_in_mode(reader, chain, left, operator, right, context, mode_indicator))
        else:
            parts.append(_relation(reader, left, operator, right, context))
    return sp.And(*parts)


def _chain(reader: Evaluator, operand: ast.Expr, context: Context) -> tuple[str, ChainName] | None:
    if isinstance(operand, ast.Name) and operand.id not in context.locals:
        entity = reader.scope.entities.get(operand.id)
        if isinstance(entity, ChainName):
            return operand.id, entity
    return None


def _in_mode(
    reader: Evaluator,
    named: tuple[str, ChainName],
    left: ast.Expr,
    operator: str,
    right: ast.Expr,
    context: Context,
    mode_indicator: ModeIndicator,
) -> sp.Basic:
    name, chain = named
    reader.scope.used.add(name)
    label = right if isinstance(left, ast.Name) and left.id == name else left
    if operator not in ("==", "!="):
        raise Fault("HJB049", f"the modes of `{name}` have no order", f"compare with `{name} == {chain.labels[0]}`", label.span)
    if "mode" not in context.roles:
        raise Fault("HJB027", f"the mode `{name}` may not appear in {context.place}", "use a constant", label.span)
    index = label_index(label, name, chain)
    holds = sp.Eq(mode_indicator(chain, name, index), 1)
    return holds if operator == "==" else sp.Not(holds)


def label_index(label: ast.Expr, name: str, chain: ChainName) -> int:
    """The number of a label of the chain; anything else is a fault that lists the labels."""
    if isinstance(label, ast.Name) and label.id in chain.labels:
        return chain.labels.index(label.id)
    near = closest(label.id, chain.labels) if isinstance(label, ast.Name) else None
    remedy = f"did you mean `{near}`?" if near else f"its modes are {', '.join(f'`{word}`' for word in chain.labels)}"
    raise Fault("HJB049", f"`{plain(label)}` is no mode of `{name}`", remedy, label.span)


def _relation(reader: Evaluator, left: ast.Expr, operator: str, right: ast.Expr, context: Context) -> sp.Basic:
    sides = []
    for side in (left, right):
        value = reader.value(side, context)
        if not value.is_single:
            message = f"`{plain(side)}` is {shape_text(value.shape)}: only scalars can be compared"
            raise Fault("HJB030", message, "compare a component `x[i]`, or the norm `|x|`", side.span)
        sides.append(value.entries[0])
    return decide(reader, RELATIONS[operator](*sides), sides[0], operator, sides[1])


def decide(reader: Evaluator, relation: sp.Basic, left: sp.Expr, operator: str, right: sp.Expr) -> sp.Basic:
    """The relation, or its truth where both sides are numbers once the parameters have theirs."""
    if relation in (sp.true, sp.false):
        return relation
    numbers = [reader.arithmetic.number(side) for side in (left, right)]
    if numbers[0] is None or numbers[1] is None:
        return relation
    difference = numbers[0] - numbers[1]
    size = 0.0 if difference.is_zero else as_float(difference)
    return relation if math.isnan(size) else sp.S(RELATIONS[operator](sp.Float(size), 0))
