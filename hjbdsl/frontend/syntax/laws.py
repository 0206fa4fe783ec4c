"""Stage 1, text: laws of random quantities, and texts in quotes.

In: Lark trees behind `~`. Out: `ast` laws. Raises `Fault`.
"""

from __future__ import annotations

from lark import Tree

from hjbdsl.frontend import ast
from hjbdsl.frontend.findings import Fault
from hjbdsl.frontend.syntax.expressions import ExpressionReader
from hjbdsl.frontend.syntax.tokens import Token


def text_of(token: Token | None) -> str | None:
    return None if token is None else token.text[1:-1]


def law(tree: Tree, reader: ExpressionReader) -> ast.Law:
    parts, span = tree.children, reader.span(tree)
    match tree.data:
        case "law_call":
            return ast.LawCall(parts[0].text, reader.arguments(parts[2]), span)
        case "law_table":
            inner = parts[1:-1]
            entries = zip(inner[::4], inner[2::4], strict=True)
            return ast.LawTable(tuple((reader.read(value), reader.read(chance)) for value, chance in entries), span)
        case "mixture":
            if parts[0].text != "mixture":
                help = "a weighted sum of laws is `mixture(0.5: normal(...), 0.5: normal(...))`"
                raise Fault("HJB017", f"`{parts[0].text}` takes no weights", help, reader.name(parts[0]).span)
            return ast.Mixture(tuple(_component(part, reader) for part in parts[2:-1:2]), span)
        case "file_law":
            return ast.FileLaw(text_of(parts[1]) or "", span)
        case other:
            raise NotImplementedError(other)


def _component(tree: Tree, reader: ExpressionReader) -> tuple[ast.Expr, ast.LawCall]:
    weight, _, name, _, arguments, end = tree.children
    return reader.read(weight), ast.LawCall(name.text, reader.arguments(arguments), reader.between(name, end))
