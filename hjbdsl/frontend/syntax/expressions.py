"""Stage 1, text: from a Lark tree to the expressions of the syntax tree.

In: the Lark tree of one statement (every token kept). Out: `ast` expressions with spans. What the grammar lets pass and the
language does not raises `Fault`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lark import Tree

from hjbdsl.errors import Span
from hjbdsl.frontend import ast
from hjbdsl.frontend.findings import Fault
from hjbdsl.frontend.syntax.tokens import Token

MAX_DEPTH = 200
"""Levels of an expression: brackets inside brackets, or terms of one sum."""

Node = Any
"""A Lark tree or a token: Lark has no types to check."""


def first_token(node: Node) -> Token:
    while type(node) is not Token:
        node = node.children[0]
    return node


def last_token(node: Node) -> Token:
    while type(node) is not Token:
        node = next(child for child in reversed(node.children) if child is not None)
    return node


class ExpressionReader:
    """Reads the expressions of one statement; `path` and `lines` are those of its file."""

    __slots__ = ("_depth", "_lines", "_path", "_readers")

    def __init__(self, path: str, lines: tuple[str, ...]):
        self._path, self._lines, self._depth = path, lines, 0
        self._readers: dict[str, Callable[[Tree], ast.Expr]] = {
            "disjunction": self._boolean,
            "conjunction": self._boolean,
            "negation": self._not,
            "comparison": self._compare,
            "sum": self._fold,
            "product": self._fold,
            "signed": self._signed,
            "power": self._power,
            "index": self._index,
            "transpose": lambda tree: ast.Transpose(self.read(tree.children[0]), self.span(tree)),
            "call": self._call,
            "group": lambda tree: self.read(tree.children[1]),
            "norm": lambda tree: ast.Norm(self.read(tree.children[1]), self.span(tree)),
            "list": lambda tree: ast.ListOf(self.items(tree.children[1:-1]), self.span(tree)),
            "list_loop": self._list_loop,
            "integral": self._integral,
        }

    def span(self, node: Node) -> Span:
        return self.between(first_token(node), last_token(node))

    def between(self, first: Token, last: Token) -> Span:
        """From the first token to the end of the last one, or to the end of the line where they stand on two lines."""
        end = last.column + last.length if last.line == first.line else len(self._lines[first.line - 1].rstrip()) + 1
        return Span(self._path, first.line, first.column, max(1, end - first.column))

    def quote(self, node: Node) -> str:
        """The text of a node as it was written, or `...` where it runs over several lines."""
        first, last = first_token(node), last_token(node)
        return self._lines[first.line - 1][first.column - 1 : last.column + last.length - 1] if first.line == last.line else "..."

    def name(self, token: Token) -> ast.Name:
        return ast.Name(token.text, Span(self._path, token.line, token.column, token.length))

    def read(self, node: Node) -> ast.Expr:
        if type(node) is Token:
            span = Span(self._path, node.line, node.column, node.length)
            return ast.Name(node.text, span) if node.type == "NAME" else ast.Number(node.text, span)
        self._descend(node, 1)
        result = self._readers[node.data](node)
        self._depth -= 1
        return result

    def items(self, children: list[Node]) -> tuple[ast.Expr, ...]:
        """Expressions separated by commas."""
        return tuple(self.read(child) for child in children[::2])

    def arguments(self, tree: Tree) -> tuple[ast.Expr, ...]:
        """The arguments of a law: expressions only."""
        if len(tree.children) > 1 and isinstance(tree.children[1], Tree):
            raise Fault("HJB018", "a law takes no `for`", "write its arguments one by one", self.span(tree.children[1]))
        return self.items(tree.children)

    def _descend(self, tree: Tree, levels: int) -> None:
        self._depth += levels
        if self._depth > MAX_DEPTH:
            message = f"the expression is nested too deep: more than {MAX_DEPTH} levels"
            help = "name a part of it with `let`; a long sum is `sum(... for i in 1..n)`"
            raise Fault("HJB003", message, help, self.span(tree))

    def _boolean(self, tree: Tree) -> ast.Expr:
        return ast.Boolean("or" if tree.data == "disjunction" else "and", self.items(tree.children), self.span(tree))

    def _not(self, tree: Tree) -> ast.Expr:
        return ast.Not(self.read(tree.children[1]), self.span(tree))

    def _compare(self, tree: Tree) -> ast.Expr:
        signs = tuple(token.text for token in tree.children[1::2])
        return ast.Compare(self.items(tree.children), signs, self.span(tree))

    def _fold(self, tree: Tree) -> ast.Expr:
        """`a - b + c` as (a - b) + c."""
        children = tree.children
        levels = len(children) // 2
        self._descend(tree, levels)
        first = first_token(tree)
        left = self.read(children[0])
        for sign, operand in zip(children[1::2], children[2::2], strict=True):
            left = ast.Binary(sign.text, left, self.read(operand), self.between(first, last_token(operand)))
        self._depth -= levels
        return left

    def _signed(self, tree: Tree) -> ast.Expr:
        sign, operand = tree.children
        return self.read(operand) if sign.text == "+" else ast.Negate(self.read(operand), self.span(tree))

    def _power(self, tree: Tree) -> ast.Expr:
        base, _, exponent = tree.children
        return ast.Binary("^", self.read(base), self.read(exponent), self.span(tree))

    def _index(self, tree: Tree) -> ast.Expr:
        if isinstance(tree.children[0], Tree) and tree.children[0].data in {"list", "list_loop"}:
            between = self.between(last_token(tree.children[0]), tree.children[1])
            raise Fault("HJB010", "a comma is missing between two lists", "write `], [`", between)
        return ast.Index(self.read(tree.children[0]), self.items(tree.children[2:-1]), self.span(tree))

    def _call(self, tree: Tree) -> ast.Expr:
        name, _, arguments, _ = tree.children
        span = self.span(tree)
        loops = [child for child in arguments.children[1:] if isinstance(child, Tree) and child.data == "loop"]
        if not loops:
            return ast.Call(name.text, self.items(arguments.children), span, self.name(name).span)
        if name.text != "sum":
            help = "`sum(e for i in 1..n)` and `[e for i in 1..n]` run over an index"
            raise Fault("HJB018", f"`{name.text}` takes no `for`", help, self.span(loops[0]))
        self._descend(tree, len(loops))
        body = self.read(arguments.children[0])
        for loop in reversed(loops):
            body = self._comprehension("sum", body, loop, span)
        self._depth -= len(loops)
        return body

    def _list_loop(self, tree: Tree) -> ast.Expr:
        _, body, *loops, _ = tree.children
        if len(loops) > 1:
            help = "a matrix by rows is `[[e for j in 1..m] for i in 1..n]`"
            raise Fault("HJB018", "a list runs over one index", help, self.span(loops[1]))
        return self._comprehension("list", self.read(body), loops[0], self.span(tree))

    def _comprehension(self, kind: str, body: ast.Expr, loop: Tree, span: Span) -> ast.Comprehension:
        _, variable, _, low, _, high = loop.children
        return ast.Comprehension(kind, body, variable.text, self.read(low), self.read(high), span)  # type: ignore[arg-type]

    def _integral(self, tree: Tree) -> ast.Expr:
        _, _, low, _, high, _, integrand, differential = tree.children
        return ast.Integral(self.read(low), self.read(high), self.read(integrand), self.name(differential), self.span(tree))
