"""`hjb fmt`: one canonical text for a file.

In: a parsed file without mistakes. Out: its text; `parse(format(file)) == file`, and formatting twice changes nothing. Comments
stay with their statements, blank lines between groups stay (one of them), a long statement is broken after its commas.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable

from hjbdsl.frontend import ast
from hjbdsl.frontend.syntax.spelling import (
    FACTOR,
    PRODUCT,
    description,
    domain,
    expression,
    interval,
    law,
    listed,
    shape,
    variable,
)

WIDTH = 100
"""A longer statement is broken where a comma or a sum allows it."""

_INDENT = "  "
_FORM_WORDS = re.compile(r"(E|average|risk|running_min|running_max)\b")
_BREAK = re.compile(r'"[^"]*"|(?P<bracket>[][(){}])|(?P<comma>, )|(?P<sign> [+-] )')


def format_file(file: ast.File) -> str:
    """The canonical text of a file, with a newline at its end."""
    if not file.lines:
        return "".join(f"{line}\n" for statement in file.statements for line in wrapped(format_statement(statement)))
    starts = [statement.span.line for statement in file.statements] + [len(file.lines) + 1]
    code_lines = _code_lines(file)
    remarks = deque(file.comments)
    output: list[str] = []
    previous_end = 0
    for statement, start, following in zip(file.statements, starts, starts[1:], strict=False):
        end = max(start, code_lines[bisect_left(code_lines, following) - 1])
        while remarks and remarks[0][0] < start:
            number, _, comment = remarks.popleft()
            previous_end = _put(output, [comment], previous_end, number, number)
        inner = [comment for _, _, comment in _taken_until(remarks, end)]
        lines = wrapped(format_statement(statement))
        lines[-1] += "".join(f"  {comment}" for _, _, comment in _taken_until(remarks, end + 1))
        previous_end = _put(output, inner + lines, previous_end, start, end)
    for number, _, comment in remarks:
        previous_end = _put(output, [comment], previous_end, number, number)
    return "".join(f"{line}\n" for line in output)


def _taken_until(remarks: deque[tuple[int, int, str]], line: int) -> list[tuple[int, int, str]]:
    """Take from the front the comments that stand above `line`."""
    taken = []
    while remarks and remarks[0][0] < line:
        taken.append(remarks.popleft())
    return taken


def _put(output: list[str], lines: list[str], previous_end: int, start: int, end: int) -> int:
    """Append `lines`, with a blank line before them where the source had one; returns the source line they end at."""
    if output and start > previous_end + 1:
        output.append("")
    output.extend(lines)
    return end


def _code_lines(file: ast.File) -> list[int]:
    """The numbers of the lines that hold more than blanks and a comment."""
    cut = {number: column for number, column, _ in file.comments}
    return [number for number, line in enumerate(file.lines, start=1) if line[: cut.get(number, len(line) + 1) - 1].strip()]


def wrapped(text: str) -> list[str]:
    """The text in lines of at most `WIDTH` where that can be had; continuation lines are indented.

    A line is broken in its second half, where the fewest brackets are open.
    """
    lines: list[str] = []
    depth = 0
    while len(text) > WIDTH:
        breaks: list[tuple[int, int, int]] = []
        level = depth
        for match in _BREAK.finditer(text, len(_INDENT)):
            if match.lastgroup == "bracket":
                level += 1 if match.group() in "([{" else -1
            elif match.lastgroup is not None:
                place = match.end() - 1 if match.lastgroup == "comma" else match.start()
                breaks.append((level, place, match.end() if match.lastgroup == "comma" else match.start() + 1))
                if place > WIDTH:
                    break
        fitting = [place for place in breaks if place[1] <= WIDTH] or breaks[:1]
        if not fitting:
            break
        late = [place for place in fitting if place[1] > WIDTH // 2] or fitting[-1:]
        depth, end, begin = min(late, key=lambda place: (place[0], -place[1]))
        lines.append(text[:end])
        text = _INDENT + text[begin:]
    return [*lines, text]


def format_statement(statement: ast.Statement) -> str:
    """The canonical text of one statement, on one line."""
    keyword, body = _statement(statement)
    return f"{keyword:<7} {body}" if keyword else body


def _statement(statement: ast.Statement) -> tuple[str, str]:
    """Keyword and what follows it."""
    match statement:
        case ast.ProblemHeader(name, title):
            return "problem", name + description(title)
        case ast.Include(path):
            return "include", f'"{path}"'
        case ast.Param(declarations):
            return "param", ", ".join(_declaration(declaration) for declaration in declarations)
        case ast.Let(name, arguments, body):
            head = name if arguments is None else f"{name}({', '.join(argument.id for argument in arguments)})"
            return "let", f"{head} = {expression(body)}"
        case ast.Variables(role, variables):
            return role, ", ".join(variable(declared) for declared in variables)
        case ast.SubjectTo(constraints):
            return "subject", f"to {listed(constraints)}"
        case ast.Correlation(first, second, value, differential):
            return "", f"d{first.id} d{second.id} = {expression(value, PRODUCT)} {differential.id}"
        case ast.Dynamics(state, terms):
            return "", f"d{state.id} = {_terms(terms)}"
        case ast.Objective():
            return statement.sense, _objective(statement)
        case _:
            return _clause(statement)


def _clause(statement: ast.Statement) -> tuple[str, str]:  # noqa: PLR0912 - one case a node
    match statement:
        case ast.Jump(name, rate, mark, size):
            tail = f" mark {mark.id} ~ {law(size)}" if mark is not None and size is not None else ""
            return "jump", f"{name.id} rate {expression(rate)}{tail}"
        case ast.Rates(transitions):
            return "rate", ", ".join(f"{t.source.id} -> {t.target.id} = {expression(t.rate)}" for t in transitions)
        case ast.Stopping(time, window):
            return "stopping", f"{time.id} in {interval(window)}"
        case ast.Exit(time, window, condition):
            within = "" if window is None else f" in {interval(window)}"
            return "exit", f"{time.id}{within} when {expression(condition)}"
        case ast.Discount(rate):
            return "discount", expression(rate)
        case ast.Explore(control, temperature, prior):
            tail = "" if prior is None else f" prior {law(prior)}"
            return "explore", f"{control.id} with temperature {expression(temperature)}{tail}"
        case ast.Data(state, time, start):
            return "data", f"{state.id}({expression(time)}) ~ {law(start)}"
        case ast.Reverse(state, window):
            return "reverse", f"{state.id} on {interval(window)}"
        case ast.Boundary(state, location, kind, amount):
            value = "" if amount is None else f" {expression(amount)}"
            return "boundary", f"{expression(state)} = {expression(location)} : {kind.id}{value}"
        case ast.Region(items):
            return "region", ", ".join(f"{i.state.id} in [{expression(i.low)}, {expression(i.high)}]" for i in items)
        case ast.Check(target, point, expected, tolerance):
            where = "" if point is None else f"({_assignments(point)})"
            within = "" if tolerance is None else f" tol {expression(tolerance)}"
            return "check", f"{target.id}{where} = {expression(expected)}{within}"
        case ast.Solve(method, options):
            return "solve", method.id + (f"({_assignments(options)})" if options else "")
        case ast.Variant(name, assignments):
            return "variant", f"{name.id}: {_assignments(assignments)}"
    raise TypeError(f"no spelling for {type(statement).__name__}")


def _assignments(pairs: Iterable[tuple[ast.Name, ast.Expr]]) -> str:
    return ", ".join(f"{name.id} = {expression(value)}" for name, value in pairs)


def _declaration(declared: ast.ParamDecl) -> str:
    mode = "" if declared.mode is None else f"({declared.mode.id})"
    of_shape = f" : R{shape(declared.shape)}" if declared.shape else ""
    match declared.value:
        case ast.ModeTable(entries):
            value = "{" + ", ".join(f"{label.id}: {expression(entry)}" for label, entry in entries) + "}"
        case plain:
            value = expression(plain)
    within = "" if declared.domain is None else f" in {domain(declared.domain)}"
    return f"{declared.name}{mode}{of_shape} = {value}{within}{description(declared.description)}"


def _terms(terms: tuple[ast.DynamicsTerm, ...]) -> str:
    """`(a*x + b) dt - s dW`; a coefficient 1 is left out."""
    parts: list[str] = []
    for index, term in enumerate(terms):
        match index, term.coefficient:
            case 0, ast.Negate(coefficient):
                sign, needed = "-", FACTOR
            case _, ast.Negate(coefficient):
                sign, needed = " - ", PRODUCT
            case _, coefficient:
                sign, needed = " + " if index else "", PRODUCT
        one = isinstance(coefficient, ast.Number) and coefficient.text == "1"
        parts.append(sign + ("" if one else f"{expression(coefficient, needed)} ") + term.differential.id)
    return "".join(parts)


def _objective(objective: ast.Objective) -> str:
    body = expression(objective.body)
    expectation = "E " if objective.stochastic else ""
    brackets = bool(_FORM_WORDS.match(body)) or _begins_with_list(objective.body)
    match objective.form:
        case "expectation":
            head = expectation
            brackets |= objective.stochastic and _is_sum(objective.body)
        case "average":
            head = f"average {expectation}"
        case "risk":
            brackets = True
            head = f"{expectation}risk({expression(objective.parameter) if objective.parameter else ''}) "
        case extreme:
            ends = ", ".join(expression(end) for end in (objective.low, objective.high) if end is not None)
            head = f"{expectation}{extreme}({ends}) "
    return f"{head}[ {body} ]" if brackets else f"{head}{body}"


def _is_sum(body: ast.Expr) -> bool:
    match body:
        case ast.Negate() | ast.Binary("+" | "-"):
            return True
        case _:
            return False


def _begins_with_list(body: ast.Expr) -> bool:
    """Whether square brackets at its front would be taken for the brackets of the objective."""
    match body:
        case ast.ListOf():
            return len(body.items) == 1
        case ast.Binary(op, left, _) if op != "^":
            return _begins_with_list(left)
        case ast.Negate(operand):
            return _begins_with_list(operand)
        case _:
            return False
