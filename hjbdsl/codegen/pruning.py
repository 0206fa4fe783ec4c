"""What a program does not use is taken out of its text: branches that are settled, and the functions, constants, parameters and
imports that nothing reaches any more. Comments and layout of the rest stay.

In: Python source that ends in `if __name__ == "__main__"`. Out: source.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping

_COMPARED: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Gt: operator.gt, ast.Lt: operator.lt,
    ast.GtE: operator.ge, ast.LtE: operator.le,
}  # fmt: skip

Edit = tuple[int, int, str]
"""Characters from..to of the source, and what stands there instead."""


def pruned(source: str, settled: Collection[str]) -> str:
    """The program without what it does not use. `settled`: module constants that nobody is meant to change; a branch on them is
    taken or left."""
    while True:
        text = _Text(source)
        edits = list(_branches(text, settled)) or list(_unreached(text))
        if not edits:
            return re.sub(r"\n{4,}", "\n\n\n", source).lstrip("\n")
        for start, end, instead in sorted(edits, reverse=True):
            source = source[:start] + instead + source[end:]


class _Text:
    """A source with its tree."""

    def __init__(self, source: str):
        self.source, self.tree = source, ast.parse(source)
        self.lines = source.splitlines(keepends=True)
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line))

    def place(self, line: int, column: int) -> int:
        """The character at a line (from 1) and a column in bytes."""
        return self.starts[line - 1] + len(self.lines[line - 1].encode()[:column].decode())

    def span(self, node: ast.expr) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.place(node.lineno, node.col_offset), self.place(node.end_lineno, node.end_col_offset)

    def of(self, node: ast.expr) -> str:
        start, end = self.span(node)
        return self.source[start:end]

    def rows(self, first: int, last: int, instead: str = "") -> Edit:
        """Lines first..last, from 1, replaced."""
        return self.starts[first - 1], self.starts[last], instead

    def above(self, line: int) -> int:
        """The first of the comment lines that stand directly above a line at its indentation."""
        indent = _indent(self.lines[line - 1])
        while line > 1 and self.lines[line - 2].lstrip().startswith("#") and _indent(self.lines[line - 2]) == indent:
            line -= 1
        return line


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _last(node: ast.stmt) -> int:
    assert node.end_lineno is not None
    return node.end_lineno


def _branches(text: _Text, settled: Collection[str]) -> Iterator[Edit]:
    """What is left of the outermost branches that are settled."""
    values = {
        target.id: statement.value.value
        for statement in text.tree.body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        for target in statement.targets
        if isinstance(target, ast.Name) and target.id in settled
    }
    waiting: list[tuple[ast.AST, int]] = [(text.tree, 0)]
    while waiting:
        node, siblings = waiting.pop()
        truth = _truth(node.test, values) if isinstance(node, ast.If | ast.IfExp) else None
        if truth is not None and isinstance(node, ast.IfExp):
            yield *text.span(node), text.of(node.body if truth else node.orelse)
        elif truth is not None and isinstance(node, ast.If) and node.body[0].lineno > _last_of(node.test):
            yield _settled(text, node, truth, siblings == 1)
        elif isinstance(node, ast.BoolOp) and _truth(node, values) is not None:
            yield *text.span(node), repr(_truth(node, values))
        elif isinstance(node, ast.BoolOp) and any(_truth(value, values) is not None for value in node.values):
            joint = " and " if isinstance(node.op, ast.And) else " or "
            yield *text.span(node), joint.join(text.of(value) for value in node.values if _truth(value, values) is None)
        else:
            for _, field in ast.iter_fields(node):
                children = field if isinstance(field, list) else [field]
                waiting += [(child, len(children)) for child in children if isinstance(child, ast.AST)]


def _last_of(expression: ast.expr) -> int:
    assert expression.end_lineno is not None
    return expression.end_lineno


def _truth(test: ast.expr, values: Mapping[str, object]) -> bool | None:
    """Whether a condition holds; None where that is not known from the constants alone."""
    match test:
        case ast.Constant(value=value):
            return bool(value)
        case ast.Name(id=name) if name in values:
            return bool(values[name])
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = _truth(operand, values)
            return None if inner is None else not inner
        case ast.BoolOp(op=op, values=parts):
            known = [_truth(part, values) for part in parts]
            decisive = isinstance(op, ast.Or)
            if decisive in known:
                return decisive
            return None if None in known else not decisive
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARED:
            low, high = _number(left, values), _number(right, values)
            return None if low is None or high is None else _COMPARED[type(op)](low, high)
        case _:
            return None


def _number(side: ast.expr, values: Mapping[str, object]) -> float | None:
    found = side.value if isinstance(side, ast.Constant) else values.get(side.id) if isinstance(side, ast.Name) else None
    return found if isinstance(found, int | float) else None


def _settled(text: _Text, node: ast.If, truth: bool, alone: bool) -> Edit:
    """A branching statement whose condition is known. `alone`: nothing else stands in its block."""
    lines, first, last = text.lines, node.lineno, _last(node)
    follows = lines[first - 1].lstrip().startswith("elif")
    end_of_body = _last(node.body[-1])
    indent = " " * node.col_offset
    if truth:
        body = lines[_last_of(node.test) : end_of_body]
        return text.rows(first, last, f"{indent}else:\n" + "".join(body) if follows else _dedented(body, node))
    if not node.orelse:
        start = first if follows else text.above(first)
        return text.rows(start, last, f"{indent}pass\n" if alone and not follows else "")
    other = next(k for k in range(end_of_body, last) if lines[k].lstrip().startswith(("elif", "else")))
    if follows:
        return text.rows(first, other)
    if lines[other].lstrip().startswith("elif"):
        return text.rows(first, last, "".join([lines[other].replace("elif", "if", 1), *lines[other + 1 : last]]))
    return text.rows(first, last, _dedented(lines[other + 1 : last], node))


def _dedented(lines: list[str], node: ast.If) -> str:
    depth = node.body[0].col_offset - node.col_offset
    return "".join(line[depth:] if line.strip() else line for line in lines)


def _unreached(text: _Text) -> Iterator[Edit]:
    """Definitions and imports that the program never comes to."""
    definitions: dict[str, ast.stmt] = {}
    roots: list[ast.stmt] = []
    for statement in text.tree.body:
        names = _defined(statement)
        definitions |= dict.fromkeys(names, statement)
        if not names:
            roots.append(statement)
    reached: set[ast.stmt] = set()
    used: set[str] = set()
    while roots:
        statement = roots.pop()
        reached.add(statement)
        used |= {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
        roots += [definitions[name] for name in used if name in definitions and definitions[name] not in reached]
    for statement in text.tree.body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            kept = [alias for alias in statement.names if (alias.asname or alias.name) in used]
            if len(kept) == len(statement.names) or (isinstance(statement, ast.ImportFrom) and statement.module == "__future__"):
                continue
            rest = ast.unparse(type(statement)(**dict(ast.iter_fields(statement)) | {"names": kept})) + "\n" if kept else ""
            yield text.rows(statement.lineno, _last(statement), rest)
        elif statement not in reached:
            decorators = statement.decorator_list if isinstance(statement, ast.FunctionDef | ast.ClassDef) else []
            first = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
            yield text.rows(text.above(first) if not isinstance(statement, ast.Assign) else first, _last(statement))


def _defined(statement: ast.stmt) -> list[str]:
    """The module's names that a definition gives a meaning to; none where a statement does something."""
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            return [alias.asname or alias.name for alias in aliases]
        case _:
            return []


__all__ = ["pruned"]
