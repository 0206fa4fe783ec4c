"""Cutting an objective apart: integrals and payoffs, without discount factors and final times.

In: the syntax of an objective. Out: the syntax of the running reward and of a payoff as functions of the present state, None
where the syntax does not allow the cut.
"""

from __future__ import annotations

from dataclasses import replace

from hjbdsl.frontend import ast
from hjbdsl.frontend.scope import Definition, ParameterName, RuleTime, Scope, VariableName
from hjbdsl.frontend.walk import nodes


def parts(body: ast.Expr) -> tuple[list[ast.Integral], list[ast.Expr]]:
    """The integrals that stand alone with sign +, and the other terms; no integrals where one is multiplied."""
    current: ast.Expr = body
    terms: list[ast.Expr] = []
    while isinstance(current, ast.Binary) and current.op in "+-":
        terms.append(ast.Negate(current.right, current.right.span) if current.op == "-" else current.right)
        current = current.left
    terms.append(current)
    integrals = [term for term in terms if isinstance(term, ast.Integral)]
    payoffs: list[ast.Expr] = [term for term in reversed(terms) if not isinstance(term, ast.Integral)]
    if any(isinstance(node, ast.Integral) for term in payoffs for node in nodes(term)):
        return [], []
    return integrals, payoffs


def summed(terms: list[ast.Expr]) -> ast.Expr | None:
    if not terms:
        return None
    total = terms[0]
    for term in terms[1:]:
        op, operand = ("-", term.operand) if isinstance(term, ast.Negate) else ("+", term)
        total = ast.Binary(op, total, operand, term.span)  # type: ignore[arg-type]
    return total


def without_discount(expression: ast.Expr, scope: Scope) -> ast.Expr | None:
    """The expression without its one factor exp(...) of time alone; None where it is not a factor of the whole."""
    match expression:
        case ast.Negate(operand):
            inner = without_discount(operand, scope)
            return None if inner is None else replace(expression, operand=inner)
        case ast.Binary("*", left, right):
            if is_time_factor(left, scope):
                return right
            if is_time_factor(right, scope):
                return left
            inner = without_discount(left, scope)
            if inner is not None:
                return replace(expression, left=inner)
            inner = without_discount(right, scope)
            return None if inner is None else replace(expression, right=inner)
        case ast.Binary("/", left, _):
            inner = without_discount(left, scope)
            return None if inner is None else replace(expression, left=inner)
        case ast.Binary("+" | "-", left, right):
            sides = without_discount(left, scope), without_discount(right, scope)
            return None if sides[0] is None or sides[1] is None else replace(expression, left=sides[0], right=sides[1])
    return ast.Number("1", expression.span) if is_time_factor(expression, scope) else None


def is_time_factor(expression: ast.Expr, scope: Scope) -> bool:
    if not isinstance(expression, ast.Call) or expression.name != "exp" or "exp" in scope.entities:
        return False
    names = [node for node in nodes(expression.args[0]) if isinstance(node, ast.Name | ast.Call)]
    return bool(names) and all(_is_time_or_parameter(node, scope) for node in names)


def _is_time_or_parameter(node: ast.Name | ast.Call, scope: Scope) -> bool:
    word = node.id if isinstance(node, ast.Name) else node.name
    return word == "t" or isinstance(scope.entities.get(word), ParameterName | RuleTime)


def at_present(expression: ast.Expr, scope: Scope) -> ast.Expr | None:
    """x(T) as x; None where the payoff depends on the random time itself or hides final states in a definition."""
    for node in nodes(expression):
        word = node.id if isinstance(node, ast.Name) else node.name if isinstance(node, ast.Call) else None
        entity = scope.entities.get(word) if word is not None else None
        if isinstance(entity, Definition) and any(
            isinstance(inner, ast.Call) and isinstance(scope.entities.get(inner.name), VariableName)
            for inner in nodes(entity.statement.body)
        ):
            return None
        inside_condition = isinstance(node, ast.Compare) and any(
            isinstance(inner, ast.Name) and isinstance(scope.entities.get(inner.id), RuleTime)
            for operand in node.operands
            for inner in ((operand,) if isinstance(operand, ast.Name) else ())
        )
        if inside_condition:
            return None
    return _without_times(expression, scope)


def _without_times(expression: ast.Expr, scope: Scope) -> ast.Expr:
    def inner(part: ast.Expr) -> ast.Expr:
        return _without_times(part, scope)

    match expression:
        case ast.Call(word) if isinstance(scope.entities.get(word), VariableName):
            return ast.Name(word, expression.name_span)
        case ast.Call(args=args):
            return replace(expression, args=tuple(inner(a) for a in args))
        case ast.Negate(operand) | ast.Not(operand) | ast.Transpose(operand) | ast.Norm(operand):
            return replace(expression, operand=inner(operand))
        case ast.Binary(_, left, right):
            return replace(expression, left=inner(left), right=inner(right))
        case ast.Compare(operands) | ast.Boolean(_, operands):
            return replace(expression, operands=tuple(inner(o) for o in operands))
        case ast.Index(base):
            return replace(expression, base=inner(base))
        case ast.ListOf(items):
            return replace(expression, items=tuple(inner(i) for i in items))
        case ast.Comprehension(body=body):
            return replace(expression, body=inner(body))
    return expression
