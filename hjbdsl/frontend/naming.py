"""The first pass: every declared name is entered; definitions are checked for unknown names and recursion.

In: statements. Out: a filled `Scope`. Nothing is evaluated here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import sympy as sp

from hjbdsl.errors import Diagnostic, Span
from hjbdsl.frontend import ast
from hjbdsl.frontend.evaluate import recursion
from hjbdsl.frontend.findings import Fault, closest
from hjbdsl.frontend.functions import BUILTINS
from hjbdsl.frontend.scope import (
    ChainName,
    Definition,
    JumpName,
    NoiseName,
    ParameterName,
    RuleTime,
    Scope,
    VariableName,
)
from hjbdsl.frontend.walk import children, nodes

_WORD = re.compile(r"[^\W\d]\w*")
SPECIAL_FORMS = ("if", "indicator")
References = list[tuple[str, Span]]
"""The names a definition uses, with their places."""


def declare_all(statements: Iterable[ast.Statement], scope: Scope) -> None:
    """Enter the names of all statements, in their order."""
    for statement in statements:
        _declare(statement, scope)
    for mark, jump in scope.marks.items():
        if mark in scope.entities:
            entity = scope.entities[jump]
            place = entity.statement.mark if isinstance(entity, JumpName) else None
            span = place.span if place is not None else scope.spans[mark]
            message = f"`{mark}` is declared twice: it is {scope.entities[mark].what} (line {scope.spans[mark].line})"
            scope.findings.report("HJB020", message, "rename the mark", span)


def _declare(statement: ast.Statement, scope: Scope) -> None:
    match statement:
        case ast.Param(declarations):
            for declaration in declarations:
                scope.declare(declaration.name, ParameterName(declaration), declaration.span)
        case ast.Let(name):
            if scope.declare(name, Definition(statement), statement.span):
                _check_arguments(statement, scope)
        case ast.Variables(role, declarations):
            for variable in declarations:
                _declare_variable(role, variable, scope)
        case ast.Jump(name, _, mark):
            reserved = mark is not None and scope.refuse_reserved(mark.id, mark.span)
            if scope.declare(name.id, JumpName(statement), name.span) and mark is not None and not reserved:
                scope.marks[mark.id] = name.id
        case ast.Stopping(time):
            scope.declare(time.id, RuleTime("stopping", sp.Symbol(time.id, real=True, nonnegative=True)), time.span)
        case ast.Exit(time):
            scope.declare(time.id, RuleTime("exit", sp.Symbol(time.id, real=True, nonnegative=True)), time.span)
        case _:
            return


def _declare_variable(role: str, variable: ast.VariableDecl, scope: Scope) -> None:
    match role:
        case "state" | "control" | "adversary":
            scope.declare(variable.name, VariableName(role, variable), variable.span)
        case "noise":
            scope.declare(variable.name, NoiseName(variable), variable.span)
        case "mode":
            labels = _labels(variable)
            if labels is None:
                remedy = f"write `mode {variable.name} in {{good, bad}}`"
                scope.findings.report("HJB049", f"the mode `{variable.name}` needs its labels", remedy, variable.span)
                scope.broken.add(variable.name)
                scope.spans.setdefault(variable.name, variable.span)
                return
            _refuse_shared_labels(variable.name, labels, scope)
            index = sum(isinstance(entity, ChainName) for entity in scope.entities.values())
            scope.declare(variable.name, ChainName(index, tuple(dict.fromkeys(label.id for label in labels))), variable.span)
            for i, label in enumerate(labels):
                if label.id in [other.id for other in labels[:i]]:
                    scope.findings.report("HJB020", f"the label `{label.id}` stands twice", "labels differ", label.span)
        case _:
            raise ValueError(f"no such role: {role}")


def _refuse_shared_labels(name: str, labels: tuple[ast.Name, ...], scope: Scope) -> None:
    """A rate `a -> b` finds its chain by the labels alone, so no label may belong to two chains."""
    for label in dict.fromkeys(labels):
        for other, entity in scope.entities.items():
            if isinstance(entity, ChainName) and label.id in entity.labels and other != name:
                message = f"the label `{label.id}` belongs to two modes, `{other}` (line {scope.spans[other].line}) and `{name}`"
                remedy = f"rename one, as in `{label.id}_{name}`: a rate finds its mode by its labels"
                scope.findings.report("HJB020", message, remedy, label.span)


def _labels(variable: ast.VariableDecl) -> tuple[ast.Name, ...] | None:
    match variable.domain:
        case ast.Labels(labels) if labels:
            return labels
        case ast.FiniteSet(points) if points and all(isinstance(point, ast.Name) for point in points):
            return tuple(point for point in points if isinstance(point, ast.Name))
    return None


def _check_arguments(statement: ast.Let, scope: Scope) -> None:
    seen: set[str] = set()
    for argument in statement.arguments or ():
        if argument.id in ("t", "inf"):
            scope.findings.report("HJB022", f"`{argument.id}` is reserved", "choose another name", argument.span)
        if argument.id in seen:
            scope.findings.report("HJB020", f"the argument `{argument.id}` stands twice", "rename one", argument.span)
        seen.add(argument.id)


def forgive(scope: Scope, diagnostics: Iterable[Diagnostic]) -> None:
    """Words in statements that could not be read count as declared, so that one slip is not reported once a use."""
    for diagnostic in diagnostics:
        if diagnostic.span is None:
            continue
        lines = scope.findings.files.get(diagnostic.span.file, ())
        line = diagnostic.span.line
        text = lines[line - 1 : line]
        while line < len(lines) and lines[line][:1] in (" ", "\t"):
            text, line = (*text, lines[line]), line + 1
        for word in _WORD.findall(" ".join(text)[:10_000]):
            if word not in scope.entities:
                scope.broken.add(word)
                scope.spans.setdefault(word, diagnostic.span)


def check_definitions(scope: Scope) -> None:
    """Report recursion and unknown names in the bodies of all definitions, used or not."""
    definitions = {n: e.statement for n, e in scope.entities.items() if isinstance(e, Definition)}
    references = {name: _references(statement) for name, statement in definitions.items()}
    covered: set[str] = set()
    for name in _unresolved(references):
        reached = _reached(name, references) if name not in covered else set()
        if name in reached:
            back = next(span for target, span in references[name] if name in {target} | _reached(target, references))
            fault = recursion(name, back)
            scope.findings.report(fault.code, fault.message, fault.help, fault.span)
            covered |= reached
    scope.broken |= covered & set(definitions)
    for name, statement in definitions.items():
        if name not in scope.broken:
            _check_names(statement.body, {a.id for a in statement.arguments or ()}, scope)
    for name in definitions:
        if name in scope.broken:
            del scope.entities[name]


def _references(statement: ast.Let) -> References:
    own = {argument.id for argument in statement.arguments or ()}
    found = []
    for node in nodes(statement.body):
        if isinstance(node, ast.Name) and node.id not in own:
            found.append((node.id, node.span))
        elif isinstance(node, ast.Call):
            found.append((node.name, node.span))
    return found


def _unresolved(references: Mapping[str, References]) -> list[str]:
    """The definitions that cannot be put in an order of use: those on a loop, or leading to one."""
    waiting = {name: {target for target, _ in used if target in references} for name, used in references.items()}
    users: dict[str, list[str]] = {}
    for name, targets in waiting.items():
        for target in targets:
            users.setdefault(target, []).append(name)
    ready = [name for name, targets in waiting.items() if not targets]
    while ready:
        done = ready.pop()
        del waiting[done]
        for user in users.get(done, []):
            waiting[user].discard(done)
            if not waiting[user]:
                ready.append(user)
    return list(waiting)


def _reached(name: str, references: Mapping[str, References]) -> set[str]:
    """All names that the definition of a name leads to."""
    pending, seen = [name], set[str]()
    while pending:
        fresh = {target for target, _ in references.get(pending.pop(), ())} - seen
        seen |= fresh
        pending.extend(fresh)
    return seen


def _check_names(expression: ast.Expr, local: set[str], scope: Scope) -> None:
    labels = {label for entity in scope.entities.values() if isinstance(entity, ChainName) for label in entity.labels}
    pending: list[tuple[ast.Expr, frozenset[str]]] = [(expression, frozenset(local))]
    while pending:
        node, known = pending.pop()
        with scope.findings.attempt():
            match node:
                case ast.Name(word):
                    if word not in known and word not in labels and word not in ("t", "inf", "pi"):
                        used = word in scope.used
                        scope.find(word, node.span, dict.fromkeys(known))  # type: ignore[arg-type]
                        if not used:
                            scope.used.discard(word)
                case ast.Call(word):
                    _check_function(node, known, scope)
        inner = known | {node.variable} if isinstance(node, ast.Comprehension) else known
        pending.extend((child, inner) for child in children(node))


def _check_function(call: ast.Call, known: frozenset[str], scope: Scope) -> None:
    if call.name in scope.entities or call.name in scope.broken or call.name in BUILTINS or call.name in SPECIAL_FORMS:
        return
    if call.name in known:
        raise Fault("HJB029", f"`{call.name}` is an argument, not a function", f"write `{call.name}*(...)`", call.name_span)
    functions = [n for n, e in scope.entities.items() if isinstance(e, Definition | VariableName)]
    near = closest(call.name, [*BUILTINS, *SPECIAL_FORMS, *functions])
    if near is None:
        remedy = f"define it, as in `let {call.name}(y) = ...`; a product is written `{call.name}*(...)`"
    else:
        remedy = f"did you mean `{near}`?"
    raise Fault("HJB029", f"unknown function `{call.name}`", remedy, call.name_span)
