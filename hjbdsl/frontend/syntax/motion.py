"""Stage 1, text: the equations of motion and the correlations, with what people forget in them.

In: Lark trees of `dx = ... dt + ... dW` and `dW dB = ... dt`. Out: `ast.Dynamics`, `ast.Correlation`. Raises `Fault`.
"""

from __future__ import annotations

from typing import Any

from lark import Tree

from hjbdsl.errors import Span
from hjbdsl.frontend import ast
from hjbdsl.frontend.findings import Fault, closest
from hjbdsl.frontend.syntax.expressions import ExpressionReader
from hjbdsl.frontend.syntax.tokens import Token
from hjbdsl.frontend.syntax.vocabulary import STATEMENTS


def correlation(parts: list[Any], reader: ExpressionReader, span: Span) -> ast.Statement:
    first, second, _, value, differential = parts
    for name in (first, second):
        if not is_differential(name):
            guess = closest(first.text, STATEMENTS)
            help = f"did you mean `{guess}`?" if guess else "a correlation is `dW dB = rho dt`; a product is written `*`"
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
            help = f"write `{reader.quote(tree.children[0])}*{differential.text}`, or the differential `d{differential.text}`"
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
    place = trees.index(tree)
    ends = [index for index, other in enumerate(trees) if _differential_text(other) == "dt"]
    following = next((index for index, other in enumerate(trees) if index > place and _differential_text(other)), None)
    if following is not None and following in ends:
        message = "a coefficient of more than one term needs parentheses"
        written = reader.quote(Tree("terms", [tree, trees[following].children[0]]))
        return Fault("HJB011", message, f"write `({written}) dt`", reader.span(tree))
    if ends:
        help = f"write `{reader.quote(tree)} dt` if it is part of the drift, or name its noise, as in `... dW`"
        return Fault("HJB011", "this term has no differential", help, reader.span(tree))
    bare = [other for other in trees[place:] if not _differential_text(other)]
    written = reader.quote(Tree("terms", [tree, bare[-1]])) if bare == trees[place : place + len(bare)] else reader.quote(tree)
    written = f"({written})" if len(bare) > 1 else written
    help = f"write `d{state.text[1:]} = {written} dt`, with ` + ... dW` for the noise"
    return Fault("HJB011", "the drift has no `dt`", help, reader.span(tree))


def _differential_text(term: Tree) -> str:
    return "" if term.children[1] is None else term.children[1].text
