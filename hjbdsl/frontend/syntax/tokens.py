"""Stage 1, text: from lines to statements of tokens.

In: the lines of a file. Out: for each statement its tokens in canonical spelling, the comments set aside, and what is no
token at all as diagnostics. An indented line continues the statement above it; so does, while a bracket is open, a line
that begins no statement.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from hjbdsl.errors import Diagnostic, Span
from hjbdsl.frontend.syntax.letters import (
    SIGNS,
    SUBSCRIPTS,
    SUPERSCRIPTS,
    WORDS,
    canonical_exponent,
    canonical_name,
    describe_character,
)
from hjbdsl.frontend.syntax.vocabulary import STATEMENTS

MAX_TOKENS = 200_000
MAX_FAULTS = 60
"""Mistakes kept of one statement: more than are shown of a file."""

MAX_NAME = 80
MAX_DIGITS = 60
MAX_DECIMAL_EXPONENT = 300

_OPERATORS: dict[str, str] = {
    "<=": "COMPARE", ">=": "COMPARE", "==": "COMPARE", "!=": "COMPARE", "<": "COMPARE", ">": "COMPARE", "->": "ARROW",
    "+": "ADD", "-": "ADD", "*": "MUL", "/": "MUL", "^": "CARET", "'": "PRIME", "|": "BAR", "~": "TILDE", "=": "EQUAL",
    ":": "COLON", ",": "COMMA", "..": "DOTS", "(": "LPAR", ")": "RPAR", "[": "LSQB", "]": "RSQB", "{": "LBRACE",
    "}": "RBRACE", "**": "POWER", ":=": "ASSIGN", "&&": "AMPERSANDS", ";": "SEMICOLON",
}  # fmt: skip
"""Spelling to token type. The last four are no part of the language: they are read so that an error can name them."""

_SCRIPTS = re.escape("".join(SUPERSCRIPTS))
_TOKEN = re.compile(
    rf"""(?P<blank>\s+)
    |(?P<NAME>[^\W\d{_SCRIPTS}ᵀ{SUBSCRIPTS}](?:[^\W{_SCRIPTS}ᵀ])*)
    |(?P<NUMBER>(?:[0-9]+(?:\.(?!\.)[0-9]*)?|(?<!\.)\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    |(?P<comment>\#.*)
    |(?P<operator>\*\*|:=|&&|->|<=|>=|==|!=|\.\.|[-+*/^'|~=:,()\[\]{{}}<>;])
    |(?P<STRING>"[^"]*")
    |(?P<superscript>[{_SCRIPTS}]+)
    |(?P<open_string>".*)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)


_FIRST_WORD = re.compile(r"[^\W\d]\w*")
_EQUATION = re.compile(r"d\w+(\s+d\w+)?\s*=(?!=)")


class Token:
    """A token in canonical spelling. `length` is that of the text it was read from; Lark needs `type` only."""

    __slots__ = ("column", "length", "line", "text", "type")

    def __init__(self, type: str, text: str, line: int, column: int, length: int):
        self.type, self.text, self.line, self.column, self.length = type, text, line, column, length

    def touches(self, following: Token) -> bool:
        """Whether `following` stands right behind, without a blank."""
        return self.line == following.line and self.column + self.length == following.column

    def __repr__(self) -> str:
        return f"Token({self.type}, {self.text!r}, {self.line}:{self.column})"


@dataclass(slots=True)
class Chunk:
    """The tokens of one statement and what was wrong with its letters."""

    tokens: list[Token] = field(default_factory=list)
    faults: list[Diagnostic] = field(default_factory=list)


@dataclass(slots=True)
class Reader:
    """State of the pass over the lines; `chunks` and `comments` are its result."""

    path: str
    lines: tuple[str, ...]
    chunks: list[Chunk] = field(default_factory=list)
    comments: list[tuple[int, int, str]] = field(default_factory=list)
    depth: int = 0
    count: int = 0

    def read(self) -> None:
        """Read all lines, or as many as the limit on tokens lets pass."""
        for number, line in enumerate(self.lines, start=1):
            self._read_line(number, line)
            if self.count > MAX_TOKENS:
                help = "keep tables of numbers in a file of their own"
                self._fault(number, 1, 1, "HJB003", f"the file is too large: more than {MAX_TOKENS} words and signs", help)
                return

    def _read_line(self, number: int, line: str) -> None:
        stripped = line.lstrip()
        if not stripped:
            return
        if stripped[0] == "#":
            self.comments.append((number, len(line) - len(stripped) + 1, stripped.rstrip()))
            return
        indented = len(stripped) < len(line)
        no_start = self.depth > 0 and not _begins_statement(stripped)
        if not self.chunks or not (indented or no_start):
            self.chunks.append(Chunk())
            self.depth = 0
            if indented:
                help = "start a statement at the first column; an indented line continues the statement above it"
                self._fault(number, 1, len(line) - len(stripped), "HJB005", "an indented line with no statement above it", help)
        self._read_tokens(number, line)

    def _read_tokens(self, number: int, line: str) -> None:
        tokens, faults = self.chunks[-1].tokens, self.chunks[-1].faults
        before = len(tokens)
        most = before + MAX_TOKENS - self.count
        for match in _TOKEN.finditer(line):
            if len(tokens) > most or len(faults) >= MAX_FAULTS:
                break
            reads = _READERS.get(match.lastgroup or "")
            if reads is not None:
                reads(self, match.group(), number, match.start() + 1)
        if "√" in line:
            tokens[before:] = _with_roots(tokens[before:])
        self.count += len(tokens) - before

    def _operator(self, text: str, number: int, column: int, length: int | None = None) -> None:
        kind = _OPERATORS[text]
        if kind in {"LPAR", "LSQB", "LBRACE"}:
            self.depth += 1
        elif kind in {"RPAR", "RSQB", "RBRACE"}:
            self.depth -= 1
        self.chunks[-1].tokens.append(Token(kind, text, number, column, len(text) if length is None else length))

    def _name(self, text: str, number: int, column: int) -> None:
        name = canonical_name(text)
        if len(name) > MAX_NAME:
            message = f"a name of {len(name)} letters; the limit is {MAX_NAME}"
            self._fault(number, column, len(text), "HJB003", message, "give it a shorter name")
        elif not name.isidentifier():
            help = "a name is made of letters, digits and `_`, and starts with a letter"
            self._fault(number, column, len(text), "HJB004", f"`{text[:12]}` is not a name", help)
        else:
            self.chunks[-1].tokens.append(Token("NAME", name, number, column, len(text)))

    def _text(self, text: str, number: int, column: int) -> None:
        self.chunks[-1].tokens.append(Token("STRING", text, number, column, len(text)))

    def _open_text(self, _: str, number: int, column: int) -> None:
        help = 'end the text with `"` on the same line'
        self._fault(number, column, 1, "HJB006", "a text that begins here never ends", help)

    def _comment(self, text: str, number: int, column: int) -> None:
        self.comments.append((number, column, text.rstrip()))

    def _number(self, text: str, number: int, column: int) -> None:
        """A decimal literal as digits[.digits][e[sign]digits]: `.5` is 0.5, `1.` is 1, `1E5` is 1e5."""
        mantissa, _, exponent = text.lower().partition("e")
        whole, _, fraction = mantissa.partition(".")
        if len(mantissa) > MAX_DIGITS or len(exponent) > 8 or abs(int(exponent or "0")) > MAX_DECIMAL_EXPONENT:
            message = f"a number out of range: at most {MAX_DIGITS} digits and an exponent up to {MAX_DECIMAL_EXPONENT}"
            help = "choose units in which the number is of ordinary size; for infinity write `inf`"
            self._fault(number, column, len(text), "HJB003", message, help)
            return
        written = (whole or "0") + (f".{fraction}" if fraction else "") + (f"e{exponent}" if exponent else "")
        self.chunks[-1].tokens.append(Token("NUMBER", written, number, column, len(text)))

    def _superscript(self, text: str, number: int, column: int) -> None:
        tokens = self.chunks[-1].tokens
        exponent = canonical_exponent(text)
        signed, digits = exponent[0] in "+-", exponent.lstrip("+-")
        if not ((digits.isdigit() and len(digits) <= 8) or digits == "n") or len(exponent) - len(digits) > 1:
            help = "an exponent is written `^`, as in `x^(n + 1)`"
            self._fault(number, column, len(text), "HJB004", f"`{text[:12]}` is not an exponent", help)
            return
        tokens.append(Token("CARET", "^", number, column, len(text)))
        if signed:
            tokens.append(Token("ADD", exponent[0], number, column, len(text)))
        tokens.append(Token("NAME" if digits == "n" else "NUMBER", digits, number, column, len(text)))

    def _other(self, text: str, number: int, column: int) -> None:
        if text in SIGNS:
            self._operator(SIGNS[text], number, column, 1)
        elif text in WORDS:
            self.chunks[-1].tokens.append(Token("NAME", WORDS[text], number, column, 1))
        else:
            help = _REMEDIES.get(text, "delete it, or put it in a comment behind `#`")
            self._fault(number, column, 1, "HJB004", f"{describe_character(text)} has no meaning here", help)

    def _fault(self, number: int, column: int, length: int, code: str, message: str, help: str) -> None:
        span = Span(self.path, number, column, max(1, length))
        self.chunks[-1].faults.append(Diagnostic(code, message, help, span, self.lines[number - 1]))


_READERS: dict[str, Callable[[Reader, str, int, int], None]] = {
    "NAME": Reader._name,
    "NUMBER": Reader._number,
    "STRING": Reader._text,
    "comment": Reader._comment,
    "operator": Reader._operator,
    "superscript": Reader._superscript,
    "open_string": Reader._open_text,
    "other": Reader._other,
}
"""What reads a match of `_TOKEN`, by the name of its group; blanks are read by nobody."""


def _begins_statement(text: str) -> bool:
    """Whether a line that stands in open brackets is a new statement all the same, so that one slip does not hide the next."""
    word = _FIRST_WORD.match(text)
    return word is not None and (word.group() in STATEMENTS or _EQUATION.match(text) is not None)


def _with_roots(tokens: list[Token]) -> list[Token]:
    """`√x` and `√2` as `sqrt(x)`, `sqrt(2)`: the sign takes the one name or number that follows it."""
    result: list[Token] = []
    for previous, token in zip([None, *tokens], tokens, strict=False):
        rooted = previous is not None and previous.text == "sqrt" and previous.length == 1
        if rooted and token.type in {"NAME", "NUMBER"}:
            opening = Token("LPAR", "(", token.line, token.column, token.length)
            closing = Token("RPAR", ")", token.line, token.column, token.length)
            result += [opening, token, closing]
        else:
            result.append(token)
    return result


_REMEDIES: dict[str, str] = {
    "&": "in a condition write `and`",
    "!": "in a condition write `not`; unequal is `!=`",
    "@": "the matrix product is `*`",
    "%": "a remainder is not in the language; a percentage is written as a number, 5% as 0.05",
    "\\": "write the name alone: `sigma`, not `\\sigma`; a long line is continued by indenting the next",
    "$": "a formula stands without dollar signs",
    "`": "a transpose is written `'`, a text in double quotes",
    "“": 'a text stands in plain double quotes `"`',
    "”": 'a text stands in plain double quotes `"`',
    "’": "a transpose is written with the plain apostrophe `'`",
    "?": "a choice is written `if(condition, a, b)`",
    ".": "a decimal point stands between digits; a file name stands in double quotes",
    "\0": "the file holds a NUL byte: is it a text file?",
}
