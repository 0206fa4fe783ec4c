"""Stage 1, text: domains and the variables declared in them.

In: Lark trees of domains, shapes and bounds. Out: `ast` domains and declarations. Raises `Fault`.
"""

from __future__ import annotations

from lark import Tree

from hjbdsl.frontend import ast
from hjbdsl.frontend.findings import Fault
from hjbdsl.frontend.syntax.expressions import ExpressionReader


def shape(tree: Tree | None, reader: ExpressionReader) -> tuple[ast.Expr, ...]:
    """The extents behind `^`: `n`, `5`, `(n, m)`; none for a scalar."""
    if tree is None:
        return ()
    children = tree.children
    return (reader.read(children[0]),) if len(children) == 1 else reader.items(children[1:-1])


def interval(tree: Tree, reader: ExpressionReader) -> ast.Interval:
    """`[a, b)` and its kin, perhaps `^n`."""
    left, low, _, high, right, _, extent = tree.children
    ends = (reader.read(low), reader.read(high))
    return ast.Interval(*ends, left.type == "LPAR", right.type == "RPAR", shape(extent, reader), reader.span(tree))


def domain(tree: Tree, reader: ExpressionReader) -> ast.Domain:
    """What may follow `in`."""
    span = reader.span(tree)
    match tree.data:
        case "interval":
            return interval(tree, reader)
        case "integer_range":
            return ast.IntegerRange(reader.read(tree.children[1]), reader.read(tree.children[3]), span)
        case "finite_set":
            return ast.FiniteSet(reader.items(tree.children[1:-1]), span)
        case "named_domain":
            name, _, extent = tree.children
            if name.text == "R":
                return ast.RealLine(shape(extent, reader), span)
            if name.text == "circle" and extent is None:
                return ast.Circle(span)
            help = "a domain is `R`, `R^n`, `[a, b]`, `(0, inf)`, `{0, 1}`, `{-4..4}` or `circle`"
            raise Fault("HJB017", f"`{name.text}` is not a domain", help, span)
        case other:
            raise NotImplementedError(other)


def bounded_variable(tree: Tree, description: str | None, reader: ExpressionReader) -> ast.VariableDecl:
    """`x`, `x > 0`, `a >= -1`, `0 <= p <= 1`: a name, or a name between bounds."""
    declared = reader.read(tree.children[0])
    match declared:
        case ast.Name(id=name, span=span):
            return ast.VariableDecl(name, None, description, span)
        case ast.Compare((ast.Name() as variable, bound), (sign,), span):
            low, high = (bound, None) if sign in {">", ">="} else (None, bound)
            signs = (sign,)
        case ast.Compare((bound, ast.Name() as variable), (sign,), span):
            low, high = (None, bound) if sign in {">", ">="} else (bound, None)
            signs = (sign,)
        case ast.Compare((first, ast.Name() as variable, second), signs, span):
            low, high = (second, first) if ">" in signs[0] else (first, second)
        case _:
            help = "declare a name, as in `x in R`, `x > 0` or `0 <= x <= 1`"
            raise Fault("HJB017", "this declares no variable", help, declared.span)
    if not (all(sign in {"<", "<="} for sign in signs) or all(sign in {">", ">="} for sign in signs)):
        help = "bounds are written `x > 0`, `x >= 0`, `x < 1` or `0 <= x <= 1`; a finite set is `x in {0, 1}`"
        raise Fault("HJB017", f"these are no bounds of `{variable.id}`", help, declared.span)
    infinity = ast.Name("inf", span)
    low_sign, high_sign = (signs[0], signs[-1]) if "<" in signs[0] else (signs[-1], signs[0])
    values = ast.Interval(
        low=ast.Negate(infinity, span) if low is None else low,
        high=infinity if high is None else high,
        low_open=low is None or "=" not in low_sign,
        high_open=high is None or "=" not in high_sign,
        shape=(),
        span=span,
    )
    return ast.VariableDecl(variable.id, values, description, variable.span)
