"""Stage 1, text: from the text of a file to its syntax tree.

In: text and path. Out: `ast.File`, or every mistake in the writing of the file at once: statements are parsed one by one, so
that a mistake in one hides nothing in the next.
"""

from __future__ import annotations

import os

from hjbdsl.errors import Diagnostic, HjbError, Span
from hjbdsl.frontend import ast
from hjbdsl.frontend.findings import Fault
from hjbdsl.frontend.source import MAX_LINES, read_text, split_lines
from hjbdsl.frontend.syntax.automaton import HARD_KEYWORDS, Stopped, accepted_after, run
from hjbdsl.frontend.syntax.brackets import bracket_fault
from hjbdsl.frontend.syntax.expressions import ExpressionReader
from hjbdsl.frontend.syntax.hints import explain
from hjbdsl.frontend.syntax.stuck import Stuck
from hjbdsl.frontend.syntax.tokens import Chunk, Reader, Token
from hjbdsl.frontend.syntax.transform import statement

MAX_ERRORS = 50

RESERVED = frozenset({"t", "inf", *HARD_KEYWORDS})
"""Words that no declaration can take: time, infinity, and the keywords that stand inside expressions."""


def parse_file(path: str | os.PathLike[str]) -> ast.File:
    """The syntax tree of a file. Raises HjbError with all mistakes in its writing."""
    return parse_text(read_text(path), os.fspath(path))


def parse_text(text: str, path: str = "<text>") -> ast.File:
    """The syntax tree of a text. Raises HjbError with all mistakes in its writing."""
    file, diagnostics = parse_recovering(text, path)
    if diagnostics:
        raise HjbError(diagnostics)
    return file


def parse_recovering(text: str, path: str = "<text>") -> tuple[ast.File, tuple[Diagnostic, ...]]:
    """The statements that could be read, and what is wrong with the others (at most `MAX_ERRORS`, then a note)."""
    lines = split_lines(text)
    if len(lines) > MAX_LINES:
        message = f"the file is too large: {len(lines)} lines, at most {MAX_LINES}"
        help = "keep tables of numbers in a file of their own"
        return ast.File((), path, lines), (Diagnostic("HJB003", message, help, Span(path, MAX_LINES + 1, 1), ""),)
    reader = Reader(path, lines)
    reader.read()
    statements: list[ast.Statement] = []
    diagnostics: list[Diagnostic] = []
    for chunk in reader.chunks:
        parsed = _parse_chunk(chunk, path, lines)
        if isinstance(parsed, list):
            diagnostics.extend(parsed)
        elif parsed is not None:
            statements.append(parsed)
        if len(diagnostics) > MAX_ERRORS:
            diagnostics = [*diagnostics[:MAX_ERRORS], _too_many(diagnostics[MAX_ERRORS])]
            break
    return ast.File(tuple(statements), path, lines, tuple(reader.comments)), tuple(diagnostics)


def _too_many(first_hidden: Diagnostic) -> Diagnostic:
    message = f"more than {MAX_ERRORS} mistakes: the file was read no further than here"
    return Diagnostic("HJB019", message, "mend the ones above first", first_hidden.span, first_hidden.source_line)


def _parse_chunk(chunk: Chunk, path: str, lines: tuple[str, ...]) -> ast.Statement | list[Diagnostic] | None:
    if chunk.faults:
        return chunk.faults
    if not chunk.tokens:
        return None
    try:
        return parse_statement(chunk.tokens, path, lines)
    except Fault as fault:
        line = lines[fault.span.line - 1]
        return [Diagnostic(fault.code, fault.message, fault.help, fault.span, line)]


def parse_statement(tokens: list[Token], path: str, lines: tuple[str, ...]) -> ast.Statement:
    """One statement. Raises Fault."""
    reader = ExpressionReader(path, lines)
    fault = bracket_fault(tokens, reader)
    if fault is not None:
        raise fault
    try:
        tree = run(tokens)
    except Stopped as stopped:
        accepts = accepted_after(tokens[: stopped.index])
        raise explain(Stuck(tuple(tokens), stopped.index, accepts, reader)) from None
    return statement(tree, reader)
