"""Stage 1, text: the objective in all its forms.

In: the Lark tree of a `maximize`, `minimize` or `evaluate` statement. Out: `ast.Objective`, with the square brackets that only
group taken away. Raises `Fault`.
"""

from __future__ import annotations

from typing import Any

from lark import Tree

from hjbdsl.errors import Span
from hjbdsl.frontend import ast
from hjbdsl.frontend.findings import Fault
from hjbdsl.frontend.syntax.expressions import ExpressionReader


def expectation(parts: list[Any], reader: ExpressionReader, span: Span) -> ast.Statement:
    sense, expectation, body = parts
    objective = _objective(sense, "expectation", reader.read(body), expectation is not None, span)
    if expectation is None:
        _refuse_inner_expectation(objective.body)
    return objective


def _refuse_inner_expectation(node: ast.Expr) -> None:
    """`maximize -E[...]`: here `E` would be a name, which nobody means."""
    match node:
        case ast.Binary(_, left, right):
            _refuse_inner_expectation(left)
            _refuse_inner_expectation(right)
        case ast.Negate(operand):
            _refuse_inner_expectation(operand)
        case ast.Index(ast.Name(id="E", span=span), indices) if any(not isinstance(i, ast.Name | ast.Number) for i in indices):
            help = "write `maximize E [ -(...) ]`: `E` follows the first word and governs the rest of the statement"
            raise Fault("HJB015", "`E` stands in the wrong place", help, span)


def average(parts: list[Any], reader: ExpressionReader, span: Span) -> ast.Statement:
    sense, _, expectation, body = parts
    return _objective(sense, "average", reader.read(body), expectation is not None, span)


def risk(parts: list[Any], reader: ExpressionReader, span: Span) -> ast.Statement:
    sense, expectation, _, _, parameter, _, body = parts
    return _objective(sense, "risk", reader.read(body), expectation is not None, span, parameter=reader.read(parameter))


def running_extreme(parts: list[Any], reader: ExpressionReader, span: Span) -> ast.Statement:
    sense, expectation, running, _, low, _, high, _, body = parts
    form = running.children[0].text
    ends = (reader.read(low), reader.read(high))
    return _objective(sense, form, reader.read(body), expectation is not None, span, ends=ends)


def _objective(
    sense: Tree,
    form: Any,
    body: ast.Expr,
    stochastic: bool,
    span: Span,
    parameter: ast.Expr | None = None,
    ends: tuple[ast.Expr | None, ast.Expr | None] = (None, None),
) -> ast.Objective:
    return ast.Objective(sense.children[0].text, form, ungrouped(body), stochastic, parameter, *ends, span)


def ungrouped(body: ast.Expr) -> ast.Expr:
    """The body of an objective without the square brackets that group it: `E [ a + b ]`, `E [ a ]/2 + b`."""
    if isinstance(body, ast.ListOf) and len(body.items) == 1:
        return body.items[0]
    return _spine(body, leading=True)


def _spine(node: ast.Expr, leading: bool) -> ast.Expr:
    match node:
        case ast.ListOf((item,)) if leading or _has_integral(item):
            return item
        case ast.Binary(op, left, right, span) if op != "^":
            return ast.Binary(op, _spine(left, leading), _spine(right, False), span)
        case ast.Negate(operand, span):
            return ast.Negate(_spine(operand, leading), span)
        case _:
            return node


def _has_integral(node: ast.Expr) -> bool:
    match node:
        case ast.Integral():
            return True
        case ast.Binary(_, left, right):
            return _has_integral(left) or _has_integral(right)
        case ast.Negate(operand):
            return _has_integral(operand)
        case _:
            return False
