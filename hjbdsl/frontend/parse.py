"""Stage 1, text: from the text of a file to its syntax tree.

In: text and path. Out: `ast.File`, or every mistake in the writing of the file at once: statements are parsed one by one, so
that a mistake in one hides nothing in the next.
"""

from __future__ import annotations

import os
from functools import cache

from lark import Tree
from lark.exceptions import UnexpectedToken
from lark.parsers.lalr_interactive_parser import InteractiveParser

from hjbdsl.errors import Diagnostic, HjbError, Span
from hjbdsl.frontend import ast
from hjbdsl.frontend.brackets import bracket_fault
from hjbdsl.frontend.expressions import ExpressionReader
from hjbdsl.frontend.findings import Fault
from hjbdsl.frontend.grammar import statement_parser
from hjbdsl.frontend.hints import Stuck, explain
from hjbdsl.frontend.source import MAX_LINES, read_text, split_lines
from hjbdsl.frontend.tokens import Chunk, Reader, Token
from hjbdsl.frontend.transform import statement

MAX_ERRORS = 50

RESERVED = frozenset({"t", "inf", "in", "for", "and", "or", "not", "integral"})
"""Words that no declaration can take: time, infinity, and the keywords that stand inside expressions."""

_HARD = {"in": "IN", "for": "FOR", "and": "AND", "or": "OR", "not": "NOT", "integral": "INTEGRAL"}
_FORMS = frozenset({"EXPECTATION", "AVERAGE", "RISK", "RUNNING_MIN", "RUNNING_MAX"})
_AFTER_NAME = frozenset({"MUL", "CARET", "COMPARE", "PRIME", "$END"})
_END = Token("$END", "", 0, 0, 0)


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
    session = statement_parser().parse_interactive()
    index = 0
    try:
        for index, token in enumerate(tokens):
            _feed(session, token, tokens, index)
        index = len(tokens)
        tree: Tree = session.parser_state.feed_token(_END, is_end=True)
    except UnexpectedToken:
        raise explain(_stuck(tokens, index, reader)) from None
    return statement(tree, reader)


def _feed(session: InteractiveParser, token: Token, tokens: list[Token], index: int) -> None:
    state = session.parser_state
    if token.type == "NAME":
        keyword = _HARD.get(token.text) or _soft_keywords().get(token.text)
        if keyword is not None and (
            token.text in _HARD
            or (keyword in state.parse_conf.states[state.state_stack[-1]] and not _is_name(keyword, tokens, index))
        ):
            token.type = keyword
    state.feed_token(token)


def _is_name(keyword: str, tokens: list[Token], index: int) -> bool:
    """Whether a word such as `E` or `risk`, where an objective may begin with it, is a name after all."""
    if keyword not in _FORMS:
        return False
    following = tokens[index + 1] if index + 1 < len(tokens) else _END
    if keyword in {"EXPECTATION", "AVERAGE"}:
        return following.type in _AFTER_NAME or following.text == "+"
    return following.type != "LPAR"


@cache
def _soft_keywords() -> dict[str, str]:
    """Word to token type, for the keywords that are names wherever the grammar does not accept the keyword."""
    names = [terminal.name for terminal in statement_parser().terminals if terminal.priority == 2]
    words = {name.lower(): name for name in names if name not in {"EXPECTATION", *_HARD.values()}}
    return words | {"E": "EXPECTATION"}


def _stuck(tokens: list[Token], index: int, reader: ExpressionReader) -> Stuck:
    """What the parser could have taken in place of the token at `index`: the tokens before it are fed anew, because the
    failing token may already have closed constructs that others would not."""
    session = statement_parser().parse_interactive()
    for position in range(index):
        session.parser_state.feed_token(tokens[position])
    return Stuck(tuple(tokens), index, frozenset(session.accepts()), reader)
