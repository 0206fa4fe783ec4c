"""Stage 1, text: the equations of motion and the correlations, with what people forget in them.

In: Lark trees of `dx = ... dt + ... dW` and `dW dB = ... dt`. Out: `ast.Dynamics`, `ast.Correlation`. Raises `Fault`.
"""

from __future__ import annotations

from typing import Any

from lark import Tree

from hjbdsl.errors import Span
from hjbdsl.frontend import ast
from hjbdsl.frontend.expressions import ExpressionReader
from hjbdsl.frontend.findings import Fault
from hjbdsl.frontend.tokens import Token


def correlation(parts: list[Any], reader: ExpressionReader, span: Span) -> ast.Statement:
    first, second, _, value, differential = parts
    for name in (first, second):
        if not is_differential(name):
            help = "a correlation is `dW dB = rho dt`; a product is written `*`"
            raise Fault("HJB008", f"`{first.text} {second.text} = ...` is not a statement", help, reader.name(name).span)
    return ast.Correlation(_differentiated(first, reader), _differentiated(second, reader), reader.read(value),
                           reader.name(differential), span)  # fmt: skip


def dynamics(parts: list[Any], reader: ExpressionReader, span: Span) -> ast.Statement:
    state = parts[0]
    if not is_differential(state):
        help = f"a constant is `param {state.text} = ...`, a name for an expression `let {state.text} = ...`"
        message = f"`{state.text} = ...` is not a statement: an equation of motion begins with a differential, as `dx`"
        raise Fault("HJB008", message, help, reader.name(state).span)
    signs = ["+", *(token.text for token in parts[3::2])]
    trees = parts[2::2]
    terms: list[ast.DynamicsTerm] = []
    for sign, tree in zip(signs, trees, strict=True):
        coefficient, differential = _term(tree, reader)
        if differential is None:
            raise _lacking(state, tree, trees, reader)
        if not is_differential(differential):
            help = f"write `*` before `{differential.text}`"
            raise Fault(
                "HJB009", f"`{differential.text}` is not a differential: a product is written `*`", help, reader.span(tree)
            )
        value = ast.Negate(coefficient, coefficient.span) if sign == "-" else coefficient
        terms.append(ast.DynamicsTerm(value, reader.name(differential), reader.span(tree)))
    return ast.Dynamics(_differentiated(state, reader), tuple(terms), span)


def is_differential(token: Token) -> bool:
    return len(token.text) > 1 and token.text[0] == "d"


def _differentiated(token: Token, reader: ExpressionReader) -> ast.Name:
    return ast.Name(token.text[1:], reader.name(token).span)


def _term(tree: Tree, reader: ExpressionReader) -> tuple[ast.Expr, Token | None]:
    """Coefficient and differential; a bare `dW` has the coefficient 1."""
    coefficient, differential = tree.children
    if differential is not None:
        return reader.read(coefficient), differential
    negative = False
    inner = coefficient
    while isinstance(inner, Tree) and inner.data == "signed":
        negative ^= inner.children[0].text == "-"
        inner = inner.children[1]
    if isinstance(inner, Token) and inner.type == "NAME" and is_differential(inner):
        span = reader.name(inner).span
        one = ast.Number("1", span)
        return (ast.Negate(one, span) if negative else one), inner
    return reader.read(coefficient), None


def _lacking(state: Token, tree: Tree, trees: list[Tree], reader: ExpressionReader) -> Fault:
    """What to say of a term without differential: parentheses are missing if a later term has `dt`, else `dt` is."""
    later = [other.children[1] for other in trees[trees.index(tree) + 1 :]]
    following = next((token for token in later if token is not None), None)
    if following is not None and following.text == "dt":
        message = "a coefficient of more than one term needs parentheses"
        return Fault("HJB011", message, f"write `{state.text} = (... + ...) dt`", reader.span(tree))
    if any(other.children[1] is not None and other.children[1].text == "dt" for other in trees):
        message = "this term has no differential"
        return Fault("HJB011", message, "each term ends in `dt`, `dW` or the like: `(...) dt + ... dW`", reader.span(tree))
    help = f"write `{state.text} = (...) dt` with ` + ... dW` for the noise"
    return Fault("HJB011", "the drift has no `dt`", help, reader.span(tree))
