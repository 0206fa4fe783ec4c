"""What the user wrote, set for the eye: drift, diffusion, rewards and the objective in vector notation, in text and in LaTeX.

In: the statements, the lowered objective, the scope. Out: `ControlProblem.notation`. The running reward and the
payoffs stand without their discount factors and final times, as the equation needs them: from the syntax where that
can be cut out, else from the symbols.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sympy as sp

from hjbdsl.frontend import ast
from hjbdsl.frontend.context import EVERYTHING, Context
from hjbdsl.frontend.evaluate import Reader
from hjbdsl.frontend.findings import Consequence, Fault
from hjbdsl.frontend.functions import BUILTINS
from hjbdsl.frontend.notation_latex import LatexPrinter
from hjbdsl.frontend.notation_objective import objective_notation
from hjbdsl.frontend.notation_payoff import at_present, is_time_factor, parts, summed, without_discount
from hjbdsl.frontend.notation_sympy import syntax_of
from hjbdsl.frontend.notation_text import blackboard
from hjbdsl.frontend.scope import Definition, JumpName, ParameterName, RuleTime, Scope, VariableName
from hjbdsl.frontend.walk import nodes
from hjbdsl.model.problem import Notation, Objective

LARGEST_FALLBACK = 400
MANY_SYMBOLS = 40
Key = tuple[str, ...]


def notations(statements: tuple[ast.Statement, ...], objective: Objective, reader: Reader) -> Mapping[Key, Notation]:
    scope = reader.scope
    printer = LatexPrinter(
        lambda e: is_vector(e, scope),
        lambda word: (word in BUILTINS or word in ("if", "indicator")) and word not in scope.entities,
    )
    found: dict[Key, Notation] = {}
    for key, expression in _pieces(statements, objective, reader):
        found[key] = Notation(blackboard(expression), printer.show(expression))
    written = next((s for s in statements if isinstance(s, ast.Objective)), None)
    if written is not None:
        found[("objective",)] = objective_notation(written, scope, printer)
    return found


def is_vector(expression: ast.Expr, scope: Scope) -> bool:
    """Whether the expression is a vector, judged by its names."""
    match expression:
        case ast.Name(word) | ast.Call(word, _) if word in scope.entities:
            return _named_vector(word, scope)
        case ast.ListOf():
            return True
        case ast.Comprehension(kind):
            return kind == "list"
        case ast.Call("ones" | "zeros"):
            return True
        case ast.Negate(operand):
            return is_vector(operand, scope)
        case ast.Binary("+" | "-", left, right):
            return is_vector(left, scope) or is_vector(right, scope)
        case ast.Binary("*", left, right):
            row = isinstance(left, ast.Transpose) or (isinstance(left, ast.Binary) and _starts_with_row(left))
            return not row and (is_vector(left, scope) or is_vector(right, scope))
        case ast.Binary("/", left, _):
            return is_vector(left, scope)
    return False


def _starts_with_row(node: ast.Binary) -> bool:
    current: ast.Expr = node
    while isinstance(current, ast.Binary):
        current = current.left
    return isinstance(current, ast.Transpose)


def _named_vector(word: str, scope: Scope) -> bool:
    match scope.entities[word]:
        case VariableName(group=group):
            return group is not None and group.shape != ()
        case ParameterName(declaration):
            return len(declaration.shape) == 1
        case Definition(statement):
            return statement.arguments is None and is_vector(statement.body, scope)
    return False


def _pieces(statements: tuple[ast.Statement, ...], objective: Objective, reader: Reader) -> Iterable[tuple[Key, ast.Expr]]:
    discount = next((s.rate for s in statements if isinstance(s, ast.Discount)), None)
    for statement in statements:
        match statement:
            case ast.Dynamics(state, terms):
                yield from _dynamics(state.id, terms, reader.scope)
            case ast.Jump(jump, intensity):
                yield ("rate", jump.id), intensity
            case ast.Let(name, None, body):
                yield ("let", name), body
            case ast.Objective():
                yield from _rewards(statement, objective, discount is not None, reader)
    rate = discount if discount is not None else _from_symbols(objective.discount)
    if rate is not None and objective.discount != 0:
        yield ("discount",), rate


def _dynamics(state: str, terms: tuple[ast.DynamicsTerm, ...], scope: Scope) -> Iterable[tuple[Key, ast.Expr]]:
    sums: dict[str, ast.Expr] = {"dt": ast.Number("0", terms[0].span)} if all(t.differential.id != "dt" for t in terms) else {}
    for term in terms:
        word = term.differential.id
        if word not in sums:
            sums[word] = term.coefficient
            continue
        op, operand = ("-", term.coefficient.operand) if isinstance(term.coefficient, ast.Negate) else ("+", term.coefficient)
        sums[word] = ast.Binary(op, sums[word], operand, term.span)  # type: ignore[arg-type]
    for word, coefficient in sums.items():
        if word == "dt":
            yield ("drift", state), coefficient
        else:
            kind = "jump" if isinstance(scope.entities.get(word[1:]), JumpName) else "diffusion"
            yield (kind, state, word[1:]), coefficient


def _rewards(statement: ast.Objective, objective: Objective, stated: bool, reader: Reader) -> Iterable[tuple[Key, ast.Expr]]:
    if statement.form in ("average", "running_min", "running_max"):
        yield ("running",), statement.body
        return
    scope = reader.scope
    integrals, payoffs = parts(statement.body)
    discounted = objective.discount != 0 and not stated
    running = None
    if len(integrals) == 1:
        running = without_discount(integrals[0].integrand, scope) if discounted else integrals[0].integrand
    written: dict[Key, ast.Expr | None] = {("running",): running}
    payoff = summed(payoffs)
    if payoff is not None and discounted:
        payoff = without_discount(payoff, scope)
    if payoff is not None:
        payoff = at_present(payoff, scope)
    for key in ("terminal", "stop", "exit"):
        written[(key,)] = payoff
    values = {("running",): objective.running, ("terminal",): objective.terminal, ("stop",): objective.stop_value,
              ("exit",): objective.exit_value}  # fmt: skip
    for place, value in values.items():
        if value is None or value == 0:
            continue
        shown = written[place]
        if shown is None or not (_is_safe(place, statement, discounted, value, scope) or _says(shown, value, reader)):
            shown = _from_symbols(value)
        expression = shown
        if expression is not None:
            yield place, expression


def _is_safe(place: Key, statement: ast.Objective, discounted: bool, value: sp.Expr, scope: Scope) -> bool:
    """Whether a large expression means what it says without reading it again: nothing was cut out but one discount factor."""
    if len(value.free_symbols) <= MANY_SYMBOLS or any(isinstance(entity, RuleTime) for entity in scope.entities.values()):
        return False
    if not discounted:
        return True
    factors = {call.args for call in nodes(statement.body) if isinstance(call, ast.Call) and is_time_factor(call, scope)}
    return place == ("running",) and len(factors) == 1


def _says(expression: ast.Expr, value: sp.Expr, reader: Reader) -> bool:
    """Whether the syntax means the value: what is shown must be what is solved."""
    with reader.scope.findings.unheard():
        try:
            meant = reader.scalar(expression, Context("a formula", EVERYTHING))
        except (Fault, Consequence):
            return False
    meant, value = _canonical(meant), _canonical(value)
    return bool(meant == value) or (sp.count_ops(value) <= LARGEST_FALLBACK and sp.expand(meant - value) == 0)


def _canonical(value: sp.Expr) -> sp.Expr:
    """Every comparison in one direction: x > K and K < x are the same."""
    return value.xreplace({relation: relation.canonical for relation in value.atoms(sp.core.relational.Relational)})


def _from_symbols(value: sp.Expr) -> ast.Expr | None:
    return syntax_of(value) if len(value.free_symbols) <= 40 and sp.count_ops(value) <= LARGEST_FALLBACK else None
