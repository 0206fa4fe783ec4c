"""Walking over expressions without recursion.

In: `ast.Expr`. Out: the parts, all nodes, the chain of a long sum or product.
"""

from __future__ import annotations

from collections.abc import Iterator

from hjbdsl.frontend import ast


def children(expression: ast.Expr) -> tuple[ast.Expr, ...]:
    """The expressions directly below."""
    match expression:
        case ast.Number() | ast.Name():
            return ()
        case ast.Negate(operand) | ast.Not(operand) | ast.Transpose(operand) | ast.Norm(operand):
            return (operand,)
        case ast.Binary(_, left, right):
            return left, right
        case ast.Compare(operands) | ast.Boolean(_, operands):
            return operands
        case ast.Call(_, args):
            return args
        case ast.Index(base, indices):
            return base, *indices
        case ast.ListOf(items):
            return items
        case ast.Comprehension(_, body, _, low, high):
            return body, low, high
        case ast.Integral(low, high, integrand):
            return low, high, integrand
    raise ValueError(f"no such expression: {expression}")


def nodes(expression: ast.Expr) -> Iterator[ast.Expr]:
    """The expression and everything below it, without recursion."""
    pending = [expression]
    while pending:
        current = pending.pop()
        yield current
        pending.extend(reversed(children(current)))


def spine(node: ast.Binary, operators: str) -> tuple[ast.Expr, list[ast.Binary]]:
    """The leftmost operand of a chain such as a + b - c, and the chain's nodes from left to right."""
    chain: list[ast.Binary] = []
    current: ast.Expr = node
    while isinstance(current, ast.Binary) and current.op in operators:
        chain.append(current)
        current = current.left
    return current, chain[::-1]
