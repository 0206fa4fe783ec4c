"""Sums, products and powers of expressions, with shape errors that name both operands.

In: `ast.Binary` nodes. Out: arrays. Long sums and products are walked along their left spine, not recursively, and a sum is built
once from all its terms.
"""

from __future__ import annotations

import sympy as sp

from hjbdsl.frontend import ast, shapes
from hjbdsl.frontend.arithmetic import Unworkable
from hjbdsl.frontend.context import Context, Evaluator, PartialOperation, fault_of
from hjbdsl.frontend.findings import Consequence, Fault
from hjbdsl.frontend.notation_text import plain
from hjbdsl.frontend.shapes import Array, shape_text
from hjbdsl.frontend.walk import spine


def binary(reader: Evaluator, node: ast.Binary, context: Context) -> Array:
    match node.op:
        case "+" | "-":
            return _sum(reader, node, context)
        case "*" | "/":
            return _product(reader, node, context.unexpecting())
        case "^":
            return _power(reader, node, context.unexpecting())
    raise ValueError(f"no such operator: {node.op}")


def _sum(reader: Evaluator, node: ast.Binary, context: Context) -> Array:
    first, chain = spine(node, "+-")
    inner = context.unexpecting()
    operands = [first, *(link.right for link in chain)]
    try:
        values = [reader.value(operand, inner) for operand in operands]
    except (Fault, Consequence):
        values = _all_operands(reader, operands, inner)
    signed = [values[0], *(shapes.negate(v) if link.op == "-" else v for link, v in zip(chain, values[1:], strict=True))]
    try:
        total = shapes.add(signed)
    except shapes.ShapeMismatch:
        raise _sum_fault(reader, operands, values, context) from None
    reader.spend(len(values) * len(total.entries), node.span)
    return total


def _all_operands(reader: Evaluator, operands: list[ast.Expr], context: Context) -> list[Array]:
    """The values of all terms; when terms are wrong each is reported, so that one run finds them all."""
    values = []
    for operand in operands:
        with reader.scope.findings.attempt():
            values.append(reader.value(operand, context))
    if len(values) < len(operands):
        raise Consequence
    return values


def _sum_fault(reader: Evaluator, operands: list[ast.Expr], values: list[Array], context: Context) -> Fault:
    wanted = context.expected
    if wanted is None or all(shapes.fits(v, wanted) for v in values) or not any(shapes.fits(v, wanted) for v in values):
        wanted = next((v.shape for v in values if not v.is_single), values[0].shape) if values[0].is_single else values[0].shape
    culprit = next(i for i, v in enumerate(values) if not shapes.fits(v, wanted))
    other = next(i for i, v in enumerate(values) if shapes.fits(v, wanted))
    left, right = sorted((culprit, other))
    described = " but ".join(f"`{plain(operands[i])}` is {shape_text(values[i].shape)}" for i in (left, right))
    parts = _shapes_of_names(reader, operands[culprit], context)
    remedy = "the terms of a sum need one shape"
    if values[culprit].shape == () or values[other].shape == ():
        size = max(len(values[culprit].entries), len(values[other].entries))
        remedy += f"; a scalar is added to each component as `s*ones({size})`"
    return Fault("HJB030", f"shapes do not fit: {described}{parts}", remedy, operands[culprit].span)


def _shapes_of_names(reader: Evaluator, expression: ast.Expr, context: Context) -> str:
    """`: B is 3x1, u is 1x1` for the names of a product, so that the wrong declaration can be found."""
    if isinstance(expression, ast.Name):
        return ""
    described = []
    for name in dict.fromkeys(_names(expression)):
        try:
            value = reader.value(name, context)
        except Fault:
            continue
        if value.shape:
            described.append(f"`{name.id}` is {shape_text(value.shape)}")
    return f": {', '.join(described)}" if described else ""


def _names(expression: ast.Expr) -> list[ast.Name]:
    match expression:
        case ast.Name():
            return [expression]
        case ast.Binary(_, left, right):
            return [*_names(left), *_names(right)]
        case ast.Negate(operand) | ast.Transpose(operand) | ast.Norm(operand):
            return _names(operand)
        case _:
            return []


def _product(reader: Evaluator, node: ast.Binary, context: Context) -> Array:
    first, chain = spine(node, "*/")
    total = reader.value(first, context)
    for link in chain:
        right = reader.value(link.right, context)
        reader.spend(_multiplications(total, right), link.span)
        try:
            total = shapes.product(total, right) if link.op == "*" else _quotient(reader, total, right)
        except Unworkable as problem:
            raise fault_of(problem, link.right.span) from None
        except shapes.ShapeMismatch:
            raise _product_fault(reader, link, total, right, context) from None
    return total


def _multiplications(left: Array, right: Array) -> int:
    if left.is_single or right.is_single:
        return max(len(left.entries), len(right.entries))
    return max(1, len(left.entries) * (right.shape[1] if len(right.shape) == 2 else 1))


def _quotient(reader: Evaluator, numerator: Array, denominator: Array) -> Array:
    if not denominator.is_single:
        raise shapes.ShapeMismatch
    divisor = denominator.entries[0]
    reader.arithmetic.refuse_zero(divisor)
    return shapes.mapped(numerator, lambda entry: entry / divisor)


def _product_fault(reader: Evaluator, link: ast.Binary, left: Array, right: Array, context: Context) -> Fault:
    if link.op == "/":
        message = f"`{plain(link.right)}` is {shape_text(right.shape)}: only a scalar can divide"
        return Fault("HJB030", message, "divide component by component, as in `[1/x[i] for i in 1..n]`", link.right.span)
    names = f"`{plain(link.left)}` is {shape_text(left.shape)} but `{plain(link.right)}` is {shape_text(right.shape)}"
    parts = _shapes_of_names(reader, link.right, context) or _shapes_of_names(reader, link.left, context)
    if left.is_vector and right.is_vector and left.shape == right.shape:
        remedy = f"write `{plain(link.left)}'*{plain(link.right)}` for the inner product, or `diag(v)*w` component by component"
    else:
        remedy = "the columns of the left factor must be the rows of the right one; a transpose is written `A'`"
    return Fault("HJB030", f"shapes do not fit in a product: {names}{parts}", remedy, link.span)


def _power(reader: Evaluator, node: ast.Binary, context: Context) -> Array:
    base = reader.value(node.left, context)
    try:
        exponent = reader.value(node.right, context)
    except Fault as fault:
        if fault.code == "HJB040":  # a tower of powers is one number: mark it from its start
            fault.span = node.span
        raise
    if not exponent.is_single:
        raise Fault("HJB030", f"the exponent is {shape_text(exponent.shape)}", "an exponent must be a scalar", node.right.span)
    height = exponent.entries[0]
    if not base.is_single:
        return _matrix_power(reader, node, base, height)
    if context.roles and not height.is_integer:
        operation = PartialOperation(base.entries[0], plain(node), plain(node.left), False, node.span)
        reader.partial_operations.setdefault(base.entries[0], operation)
    try:
        if context.hooks is not None and reader.arithmetic.number(base.entries[0]) is not None:
            factor = context.hooks.time_factor(height, node.right)
            if factor is not None:  # b^phi is exp(phi*log(b))
                growth = reader.arithmetic.logarithm(base.entries[0])
                return shapes.scalar(factor.func(factor.args[0] * growth))
        return shapes.scalar(reader.arithmetic.power(base.entries[0], height))
    except Unworkable as problem:
        raise fault_of(problem, node.span) from None


def _matrix_power(reader: Evaluator, node: ast.Binary, base: Array, height: sp.Expr) -> Array:
    square = len(base.shape) == 2 and base.shape[0] == base.shape[1]
    if not square or not height.is_Integer or not 1 <= height <= 16:
        text = plain(node.left)
        remedy = f"write `|{text}|^2` for the squared length, or `[{text}[i]^2 for i in 1..n]` component by component"
        raise Fault("HJB030", f"`{text}` is {shape_text(base.shape)}: a power needs a scalar", remedy, node.span)
    total = base
    for _ in range(int(height) - 1):
        reader.spend(_multiplications(total, base), node.span)
        total = shapes.product(total, base)
    return total
