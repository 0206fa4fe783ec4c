"""The canonical spelling of expressions, domains and laws: as few parentheses as the grammar allows.

In: `ast` nodes. Out: text which parses to the same nodes.
"""

from __future__ import annotations

from hjbdsl.frontend import ast

OR, AND, NOT, COMPARISON, SUM, PRODUCT, FACTOR, POWER, POSTFIX, ATOM = range(10)
"""Binding strengths, one for each rule of the grammar."""


def expression(node: ast.Expr, needed: int = OR) -> str:
    """The text of `node` where an expression that binds at least as strongly as `needed` may stand."""
    text, strength = _spell(node)
    return text if strength >= needed else f"({text})"


def listed(nodes: tuple[ast.Expr, ...]) -> str:
    return ", ".join(expression(node) for node in nodes)


def _spell(node: ast.Expr) -> tuple[str, int]:  # noqa: PLR0912 - one case a node
    """Text and binding strength."""
    match node:
        case ast.Number(text=text):
            return text, ATOM
        case ast.Name(id=name):
            return name, ATOM
        case ast.Negate(operand):
            return f"-{expression(operand, FACTOR)}", FACTOR
        case ast.Binary():
            return _binary(node)
        case ast.Compare(operands, signs):
            first, *rest = (expression(operand, SUM) for operand in operands)
            return first + "".join(f" {sign} {text}" for sign, text in zip(signs, rest, strict=True)), COMPARISON
        case ast.Boolean("or", operands):
            return " or ".join(expression(operand, AND) for operand in operands), OR
        case ast.Boolean(_, operands):
            return " and ".join(expression(operand, NOT) for operand in operands), AND
        case ast.Not(operand):
            return f"not {expression(operand, NOT)}", NOT
        case ast.Call(name, arguments):
            return f"{name}({listed(arguments)})", ATOM
        case ast.Index(base, indices):
            return f"{expression(base, POSTFIX)}[{listed(indices)}]", POSTFIX
        case ast.Transpose(operand):
            return f"{expression(operand, POSTFIX)}'", POSTFIX
        case ast.Norm(operand):
            return f"|{expression(operand, SUM)}|", ATOM
        case ast.ListOf(items):
            return f"[{listed(items)}]", ATOM
        case ast.Comprehension(kind, body, variable, low, high):
            loop = f"{expression(body)} for {variable} in {expression(low, SUM)}..{expression(high, SUM)}"
            return (f"sum({loop})" if kind == "sum" else f"[{loop}]"), ATOM
        case ast.Integral(low, high, integrand, differential):
            ends = f"{expression(low)}, {expression(high)}"
            return f"integral({ends}) {expression(integrand, PRODUCT)} {differential.id}", FACTOR
    raise TypeError(f"no spelling for {type(node).__name__}")


def _binary(node: ast.Binary) -> tuple[str, int]:
    """`a - (b - c)`, `a/(b*c)`, `2^3^2` from the right, `(-a)^2` against `-a^2`."""
    if node.op in {"+", "-"}:
        return f"{expression(node.left, SUM)} {node.op} {expression(node.right, PRODUCT)}", SUM
    if node.op == "^":
        return f"{expression(node.left, POSTFIX)}^{expression(node.right, FACTOR)}", POWER
    left = expression(node.left, ATOM if isinstance(node.left, ast.Integral) else PRODUCT)
    return f"{left}{node.op}{expression(node.right, FACTOR)}", PRODUCT


def shape(extents: tuple[ast.Expr, ...]) -> str:
    """`^n`, `^(n,m)`, or nothing for a scalar."""
    match extents:
        case ():
            return ""
        case (ast.Number() | ast.Name() as extent,):
            return f"^{expression(extent)}"
        case _:
            return f"^({','.join(expression(extent) for extent in extents)})"


def domain(node: ast.Domain) -> str:
    """What stands behind `in`."""
    match node:
        case ast.RealLine(extents):
            return f"R{shape(extents)}"
        case ast.Interval():
            return interval(node)
        case ast.FiniteSet(points):
            return f"{{{listed(points)}}}"
        case ast.IntegerRange(low, high):
            return f"{{{expression(low)}..{expression(high)}}}"
        case ast.Labels(labels):
            return f"{{{', '.join(label.id for label in labels)}}}"
        case ast.Circle():
            return "circle"
    raise TypeError(f"no spelling for {type(node).__name__}")


def interval(node: ast.Interval) -> str:
    opening, closing = "(" if node.low_open else "[", ")" if node.high_open else "]"
    return f"{opening}{expression(node.low)}, {expression(node.high)}{closing}{shape(node.shape)}"


def variable(node: ast.VariableDecl) -> str:
    """`x`, `x in R`, and `x > 0` for an interval with one end at infinity."""
    match node.domain:
        case None:
            text = node.name
        case ast.Interval(low, ast.Name(id="inf"), low_open, True, ()) if not _is_minus_infinity(low):
            text = f"{node.name} {'>' if low_open else '>='} {expression(low, SUM)}"
        case ast.Interval(low, high, True, high_open, ()) if _is_minus_infinity(low) and not _is_infinity(high):
            text = f"{node.name} {'<' if high_open else '<='} {expression(high, SUM)}"
        case values:
            text = f"{node.name} in {domain(values)}"
    return text + description(node.description)


def _is_infinity(node: ast.Expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "inf"


def _is_minus_infinity(node: ast.Expr) -> bool:
    return isinstance(node, ast.Negate) and _is_infinity(node.operand)


def description(text: str | None) -> str:
    return "" if text is None else f' "{text}"'


def law(node: ast.Law) -> str:
    match node:
        case ast.LawCall(name, arguments):
            return f"{name}({listed(arguments)})"
        case ast.LawTable(entries):
            return "{" + ", ".join(f"{expression(value)}: {expression(chance)}" for value, chance in entries) + "}"
        case ast.Mixture(components):
            return f"mixture({', '.join(f'{expression(weight)}: {law(part)}' for weight, part in components)})"
        case ast.FileLaw(path):
            return f'file "{path}"'
    raise TypeError(f"no spelling for {type(node).__name__}")
