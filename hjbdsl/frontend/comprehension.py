"""Sums and lists over a range, `sum(e for i in 1..n)` and `[e for i in 1..n]`.

In: `ast.Comprehension`. Out: arrays, or a fault at the outermost sum that is too large to write out, before any of it is. What is
foreseen is a lower bound for ranges that are constant, or affine or concave in the outer variable: what lies behind an `if` or a
name counts as nothing, so that nothing is refused which could have been written out.
"""

from __future__ import annotations

import sympy as sp

from hjbdsl.frontend import ast, shapes
from hjbdsl.frontend.applications import stacked, whole_number
from hjbdsl.frontend.context import Context, Evaluator
from hjbdsl.frontend.findings import Consequence, Fault
from hjbdsl.frontend.shapes import Array, scalar
from hjbdsl.frontend.walk import children, nodes

LONGEST_RANGE = 10_000
SHORT_RANGE = 16
"""Ranges up to this length are not worth foreseeing."""


def comprehension(reader: Evaluator, node: ast.Comprehension, context: Context) -> Array:
    low = whole_number(reader, node.low, context, "the start of a range")
    high = whole_number(reader, node.high, context, "the end of a range")
    if high - low >= LONGEST_RANGE:
        message = f"the range {low}..{high} is too large"
        raise Fault("HJB040", message, f"at most {LONGEST_RANGE} terms are written out", node.span)
    if high - low >= SHORT_RANGE:
        reader.foresee(_visits(reader, node.body, node.variable, (low, high), context), node.span)
    values = [reader.value(node.body, context.inner(**{node.variable: scalar(sp.Integer(i))})) for i in range(low, high + 1)]
    if node.kind == "sum":
        if not values:
            return scalar(sp.S.Zero)
        try:
            return shapes.add(values)
        except shapes.ShapeMismatch:
            raise Fault("HJB030", "the terms of the sum differ in shape", "all terms need one shape", node.span) from None
    if not values:
        raise Fault("HJB030", f"the range {low}..{high} is empty", "a list needs at least one entry", node.span)
    return stacked(values, node)


def _visits(reader: Evaluator, body: ast.Expr, variable: str, ends: tuple[int, int], context: Context) -> float:
    """Visits that writing out the body for every value of the variable takes at least."""
    low, high = ends
    if high < low:
        return 0.0
    middle = context.inner(**{variable: scalar(sp.Integer((low + high) // 2))})
    total, pending = 0.0, [body]
    while pending:
        node = pending.pop()
        total += 1.0
        match node:
            case ast.Comprehension():
                total += _inner(reader, node, middle, variable)
            case ast.Call("if" | "indicator"):
                continue
            case _:
                pending.extend(children(node))
    return (high - low + 1) * total


def _inner(reader: Evaluator, node: ast.Comprehension, context: Context, outer: str) -> float:
    """An inner sum at the middle of the outer range; halved where its range depends on the outer variable, for the mean of a
    nonnegative concave function is at least half of its value in the middle. An unreadable range counts as nothing."""
    try:
        with reader.scope.findings.unheard():
            low, high = (whole_number(reader, end, context, "the end of a range") for end in (node.low, node.high))
    except (Fault, Consequence):
        return 0.0
    fixed = not any(_mentions(end, outer) for end in (node.low, node.high))
    return _visits(reader, node.body, node.variable, (low, high), context) * (1.0 if fixed else 0.5)


def _mentions(expression: ast.Expr, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in nodes(expression))
