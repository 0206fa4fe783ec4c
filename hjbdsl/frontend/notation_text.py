"""Expressions back to one line of text: as typed (for messages) or as on a blackboard (`σ x`, `∫₀^T`, for the eye).

In: `ast.Expr`. Out: a string with the fewest brackets. Products are `2*x` as typed, `2 x` on the blackboard.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hjbdsl.frontend import ast
from hjbdsl.frontend.walk import spine
from hjbdsl.model.names import unicode_name

OR, AND, NOT, COMPARE, SUM, PRODUCT, SIGN, POWER, ATOM = range(9)
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_RELATIONS = {"<=": "≤", ">=": "≥", "!=": "≠", "==": "="}


def precedence(expression: ast.Expr) -> int:
    """How tightly the outermost operation binds."""
    match expression:
        case ast.Binary("+" | "-"):
            return SUM
        case ast.Binary("*" | "/"):
            return SUM if signed(expression) is not None else PRODUCT
        case ast.Negate():
            return SUM
        case ast.Binary("^"):
            return POWER
        case ast.Compare():
            return COMPARE
        case ast.Boolean(op):
            return OR if op == "or" else AND
        case ast.Not():
            return NOT
        case ast.Integral():
            return SUM
        case _:
            return ATOM


def signed(product: ast.Binary) -> ast.Binary | None:
    """The product without the minus sign of its first factor, (-a)*b as a*b to be written -a*b; None where there is none."""
    match product.left:
        case ast.Negate(operand):
            return replace(product, left=operand)
        case ast.Binary("*" | "/") as inner:
            rest = signed(inner)
            return None if rest is None else replace(product, left=rest)
    return None


@dataclass(frozen=True, slots=True)
class TextPrinter:
    """`blackboard`: Greek letters, juxtaposed products, superscript squares."""

    blackboard: bool

    def show(self, expression: ast.Expr, least: int = OR) -> str:
        """The expression, in brackets when it binds less tightly than `least`."""
        text = self._show(expression)
        return f"({text})" if precedence(expression) < least else text

    def _show(self, expression: ast.Expr) -> str:  # noqa: PLR0912 - one case a node
        match expression:
            case ast.Number(text):
                return text
            case ast.Name(word):
                return self.name(word)
            case ast.Negate(operand):
                return f"-{self.show(operand, PRODUCT if self.blackboard else POWER)}"
            case ast.Binary():
                return self._binary(expression)
            case ast.Compare(operands, ops):
                parts = [self.show(operands[0], SUM)]
                for op, operand in zip(ops, operands[1:], strict=True):
                    parts += [_RELATIONS.get(op, op) if self.blackboard else op, self.show(operand, SUM)]
                return " ".join(parts)
            case ast.Boolean(op, operands):
                return f" {op} ".join(self.show(operand, NOT) for operand in operands)
            case ast.Not(operand):
                return f"not {self.show(operand, NOT)}"
            case ast.Call(name, args):
                return f"{self.name(name)}({', '.join(self.show(a) for a in args)})"
            case ast.Index(base, indices):
                return f"{self.show(base, ATOM)}[{', '.join(self.show(i) for i in indices)}]"
            case ast.Transpose(operand):
                return self.show(operand, ATOM) + ("ᵀ" if self.blackboard else "'")
            case ast.Norm(operand):
                return f"|{self.show(operand)}|"
            case ast.ListOf(items):
                return f"[{', '.join(self.show(item) for item in items)}]"
            case ast.Comprehension(kind, body, variable, low, high):
                loop = f"{self.show(body)} for {variable} in {self.show(low, SUM)}..{self.show(high, SUM)}"
                return f"sum({loop})" if kind == "sum" else f"[{loop}]"
            case ast.Integral(low, high, integrand, differential):
                return self._integral(low, high, integrand, differential.id)
        raise ValueError(f"no such expression: {expression}")

    def name(self, word: str) -> str:
        if not self.blackboard:
            return word
        return "∞" if word == "inf" else unicode_name(word)

    def _binary(self, node: ast.Binary) -> str:
        if node.op == "^":
            base, height = self.show(node.left, ATOM), self.show(node.right, SIGN)
            if self.blackboard and isinstance(node.right, ast.Number) and node.right.text.isdigit():
                return base + node.right.text.translate(_SUPERSCRIPTS)
            return f"{base}^{height}"
        positive = signed(node) if node.op in "*/" else None
        if positive is not None:
            return f"-{self.show(positive, PRODUCT)}"
        operators, own = ("+-", SUM) if node.op in "+-" else ("*/", PRODUCT)
        current, chain = spine(node, operators)
        pieces = [self.show(current, own)]
        for link in chain:
            pieces.append(self._sign(link.op))
            pieces.append(self.show(link.right, own + 1 if link.op in "+*" or own == SUM else SIGN))
        return "".join(pieces)

    def _sign(self, op: str) -> str:
        if op in "+-":
            return f" {op} "
        return " " if self.blackboard and op == "*" else op

    def _integral(self, low: ast.Expr, high: ast.Expr, integrand: ast.Expr, differential: str) -> str:
        if not self.blackboard:
            return f"integral({self.show(low)}, {self.show(high)}) {self.show(integrand, PRODUCT)} {differential}"
        start = self.show(low).translate(_SUBSCRIPTS) if isinstance(low, ast.Number) else f"_{self.show(low, ATOM)}"
        return f"∫{start}^{self.show(high, ATOM)} {self.show(integrand, PRODUCT)} {self.name(differential)}"


def plain(expression: ast.Expr, longest: int = 60) -> str:
    """The expression as it is typed, shortened when it is long; for messages."""
    text = TextPrinter(blackboard=False).show(expression)
    return text if len(text) <= longest else text[: longest - 3] + "..."


def blackboard(expression: ast.Expr) -> str:
    return TextPrinter(blackboard=True).show(expression)
