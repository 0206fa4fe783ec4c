"""Stage 1, text: from the Lark tree of a statement to a node of the syntax tree.

In: a Lark tree that keeps all tokens. Out: one `ast` statement. What the grammar lets pass and the language does not
(a term without its differential, a domain that is none) raises `Fault`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lark import Tree

from hjbdsl.errors import Span
from hjbdsl.frontend import ast
from hjbdsl.frontend.findings import Fault, closest
from hjbdsl.frontend.syntax.declarations import bounded_variable, domain, interval, shape
from hjbdsl.frontend.syntax.expressions import ExpressionReader, first_token, last_token
from hjbdsl.frontend.syntax.laws import law, text_of
from hjbdsl.frontend.syntax.motion import correlation, dynamics
from hjbdsl.frontend.syntax.objective import average, expectation, risk, running_extreme
from hjbdsl.frontend.syntax.vocabulary import BOUNDARY_KINDS


def statement(tree: Tree, reader: ExpressionReader) -> ast.Statement:
    """The node of one statement. Raises Fault."""
    return _STATEMENTS[tree.data](tree.children, reader, reader.between(first_token(tree), last_token(tree)))


def _problem(parts: list[Any], _: ExpressionReader, span: Span) -> ast.Statement:
    return ast.ProblemHeader(parts[1].text, text_of(parts[2]), span)


def _include(parts: list[Any], _: ExpressionReader, span: Span) -> ast.Statement:
    return ast.Include(text_of(parts[1]) or "", span)


def _param(parts: list[Any], reader: ExpressionReader, span: Span) -> ast.Statement:
    return ast.Param(tuple(_declaration(part, reader) for part in parts[1::2]), span)


def _declaration(tree: Tree, reader: ExpressionReader) -> ast.ParamDecl:
    name, by_mode, of_shape, _, value, within, description = tree.children
    extents: tuple[ast.Expr, ...] = ()
    if of_shape is not None:
        _, reals, _, extent = of_shape.children
        if reals.text != "R":
            help = "a shape is `R`, `R^n` or `R^(n,m)`; a domain follows the value, as in `= 0.2 in (0, inf)`"
            raise Fault("HJB017", f"`{reals.text}` is not a shape", help, reader.name(reals).span)
        extents = shape(extent, reader)
    return ast.ParamDecl(
        name=name.text,
        mode=None if by_mode is None else reader.name(by_mode.children[1]),
        shape=extents,
        value=_table(value, reader) if isinstance(value, Tree) and value.data == "table" else reader.read(value),
        domain=None if within is None else domain(within.children[1], reader),
        description=text_of(description),
        span=reader.name(name).span,
    )


def _table(tree: Tree, reader: ExpressionReader) -> ast.ModeTable:
    inner = tree.children[1:-1]
    entries = tuple((reader.name(label), reader.read(value)) for label, value in zip(inner[::4], inner[2::4], strict=True))
    return ast.ModeTable(entries, reader.span(tree))


def _let(parts: list[Any], reader: ExpressionReader, _: Span) -> ast.Statement:
    name, parameters, body = parts[1], parts[2], parts[4]
    arguments = None if parameters is None else tuple(reader.name(token) for token in parameters.children[1:-1:2])
    return ast.Let(name.text, arguments, reader.read(body), reader.name(name).span)


def _variables(parts: list[Any], reader: ExpressionReader, span: Span) -> ast.Statement:
    role = parts[0].text
    return ast.Variables(role, tuple(_variable(role, part, reader) for part in parts[1::2]), span)


def _variable(role: str, tree: Tree, reader: ExpressionReader) -> ast.VariableDecl:
    if tree.data == "variable_bound":
        return bounded_variable(tree, text_of(tree.children[1]), reader)
    name, within, description = tree.children
    values = domain(within.children[1], reader)
    if role == "mode":
        values = _labels(values)
    return ast.VariableDecl(name.text, values, text_of(description), reader.name(name).span)


def _labels(values: ast.Domain) -> ast.Domain:
    labels = values.points if isinstance(values, ast.FiniteSet) else ()
    names = tuple(label for label in labels if isinstance(label, ast.Name))
    if not names or len(names) != len(labels):
        raise Fault("HJB017", "a mode takes its values among names", "as in `mode z in {good, bad}`", values.span)
    return ast.Labels(names, values.span)


def _subject(parts: list[Any], reader: ExpressionReader, span: Span) -> ast.Statement:
    return ast.SubjectTo(reader.items(parts[2:]), span)


def _jump(parts: list[Any], reader: ExpressionReader, span: Span) -> ast.Statement:
    _, name, _, rate, mark = parts
    if mark is None:
        return ast.Jump(reader.name(name), reader.read(rate), None, None, span)
    return ast.Jump(reader.name(name), reader.read(rate), reader.name(mark.children[1]), law(mark.children[3], reader), span)


def _rates(parts: list[Any], reader: ExpressionReader, span: Span) -> ast.Statement:
    return ast.Rates(tuple(_transition(part, reader) for part in parts[1::2]), span)


def _transition(tree: Tree, reader: ExpressionReader) -> ast.Transition:
    source, _, target, _, rate = tree.children
    return ast.Transition(reader.name(source), reader.name(target), reader.read(rate), reader.span(tree))


def _stopping(parts: list[Any], reader: ExpressionReader, span: Span) -> ast.Statement:
    return ast.Stopping(reader.name(parts[1]), interval(parts[3], reader), span)


def _exit(parts: list[Any], reader: ExpressionReader, span: Span) -> ast.Statement:
    _, time, _, window, _, condition = parts
    return ast.Exit(reader.name(time), None if window is None else interval(window, reader), reader.read(condition), span)


def _discount(parts: list[Any], reader: ExpressionReader, span: Span) -> ast.Statement:
    return ast.Discount(reader.read(parts[1]), span)


def _explore(parts: list[Any], reader: ExpressionReader, span: Span) -> ast.Statement:
    _, control, _, _, temperature, prior = parts
    reference = None
    if prior is not None:
        _, name, _, arguments, end = prior.children
        reference = ast.LawCall(name.text, reader.arguments(arguments), reader.between(name, end))
    return ast.Explore(reader.name(control), reader.read(temperature), reference, span)


def _data(parts: list[Any], reader: ExpressionReader, span: Span) -> ast.Statement:
    _, state, _, time, _, _, distribution = parts
    return ast.Data(reader.name(state), reader.read(time), law(distribution, reader), span)


def _reverse(parts: list[Any], reader: ExpressionReader, span: Span) -> ast.Statement:
    return ast.Reverse(reader.name(parts[1]), interval(parts[3], reader), span)


def _boundary(parts: list[Any], reader: ExpressionReader, span: Span) -> ast.Statement:
    _, state, _, location, _, kind, amount = parts
    takes_amount = BOUNDARY_KINDS.get(kind.text)
    if takes_amount is None:
        guess = closest(kind.text, BOUNDARY_KINDS)
        help = f"did you mean `{guess}`?" if guess else "write `value K`, `slope s`, `reflect`, `outflow` or `constrain`"
        raise Fault("HJB017", f"`{kind.text}` is not a boundary condition", help, reader.name(kind).span)
    if takes_amount and amount is None:
        raise Fault("HJB017", f"`{kind.text}` needs an amount", f"as in `{kind.text} 0`", reader.name(kind).span)
    if not takes_amount and amount is not None:
        raise Fault("HJB017", f"`{kind.text}` takes no amount", f"write `: {kind.text}` alone", reader.span(amount))
    value = None if amount is None else reader.read(amount)
    return ast.Boundary(reader.read(state), reader.read(location), reader.name(kind), value, span)


def _region(parts: list[Any], reader: ExpressionReader, span: Span) -> ast.Statement:
    return ast.Region(tuple(_range(part, reader) for part in parts[1::2]), span)


def _range(tree: Tree, reader: ExpressionReader) -> ast.RegionItem:
    state, _, _, low, _, high, _ = tree.children
    return ast.RegionItem(reader.name(state), reader.read(low), reader.read(high), reader.span(tree))


def _check(parts: list[Any], reader: ExpressionReader, span: Span) -> ast.Statement:
    _, target, point, _, expected, _, tolerance = parts
    at = None if point is None else _assignments(point.children[1:-1], reader)
    allowed = None if tolerance is None else reader.read(tolerance)
    return ast.Check(reader.name(target), at, reader.read(expected), allowed, span)


def _solve(parts: list[Any], reader: ExpressionReader, span: Span) -> ast.Statement:
    _, method, options = parts
    chosen = () if options is None else _assignments(options.children[1:-1], reader)
    return ast.Solve(reader.name(method), chosen, span)


def _variant(parts: list[Any], reader: ExpressionReader, span: Span) -> ast.Statement:
    return ast.Variant(reader.name(parts[1]), _assignments(parts[3:], reader), span)


def _assignments(parts: list[Any], reader: ExpressionReader) -> tuple[tuple[ast.Name, ast.Expr], ...]:
    trees = [part for part in parts if isinstance(part, Tree)]
    return tuple((reader.name(tree.children[0]), reader.read(tree.children[2])) for tree in trees)


_STATEMENTS: dict[str, Callable[[list[Any], ExpressionReader, Span], ast.Statement]] = {
    "problem": _problem,
    "include": _include,
    "param": _param,
    "let": _let,
    "variables": _variables,
    "subject": _subject,
    "correlation": correlation,
    "jump": _jump,
    "rates": _rates,
    "dynamics": dynamics,
    "stopping": _stopping,
    "exit": _exit,
    "discount": _discount,
    "explore": _explore,
    "expectation": expectation,
    "average": average,
    "risk": risk,
    "running_extreme": running_extreme,
    "data": _data,
    "reverse": _reverse,
    "boundary": _boundary,
    "region": _region,
    "check": _check,
    "solve": _solve,
    "variant": _variant,
}
