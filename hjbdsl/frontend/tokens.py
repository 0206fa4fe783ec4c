"""Stage 1, text: from lines to statements of tokens.

In: the lines of a file. Out: for each statement its tokens in canonical spelling, the comments set aside, and what is no
token at all as diagnostics. An indented line continues the statement above it; so does, while a bracket is open, a line
that starts with something no statement can start with.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from hjbdsl.errors import Diagnostic, Span
from hjbdsl.frontend.letters import (
    SIGNS,
    SUBSCRIPTS,
    SUPERSCRIPTS,
    WORDS,
    canonical_exponent,
    canonical_name,
    describe_character,
)

MAX_TOKENS = 200_000
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


class Token:
    """A token in canonical spelling. `length` is that of the text it was read from; Lark needs `type` only."""

    __slots__ = ("column", "length", "line", "text", "type")

    def __init__(self, type: str, text: str, line: int, column: int, length: int):
        self.type, self.text, self.line, self.column, self.length = type, text, line, column, length

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
            if self.count > MAX_TOKENS:
                self.chunks.append(Chunk())
                help = "keep tables of numbers in a file of their own"
                self._fault(number, 1, 1, "HJB003", f"the file is too large: more than {MAX_TOKENS} words and signs", help)
                return
            self._read_line(number, line)

    def _read_line(self, number: int, line: str) -> None:
        stripped = line.lstrip()
        if not stripped:
            return
        if stripped[0] == "#":
            self.comments.append((number, len(line) - len(stripped) + 1, stripped.rstrip()))
            return
        indented = len(stripped) < len(line)
        no_start = self.depth > 0 and not (stripped[0].isalpha() or stripped[0] == "_")
        if not self.chunks or not (indented or no_start):
            self.chunks.append(Chunk())
            self.depth = 0
            if indented:
                help = "start a statement at the first column; an indented line continues the statement above it"
                self._fault(number, 1, len(line) - len(stripped), "HJB005", "an indented line with no statement above it", help)
        self._read_tokens(number, line)

    def _read_tokens(self, number: int, line: str) -> None:
        tokens = self.chunks[-1].tokens
        before = len(tokens)
        for match in _TOKEN.finditer(line):
            kind, text, column = match.lastgroup, match.group(), match.start() + 1
            match kind:
                case "blank":
                    continue
                case "NAME":
                    if text.isascii() and len(text) <= MAX_NAME:
                        tokens.append(Token("NAME", text, number, column, len(text)))
                    else:
                        self._name(text, number, column)
                case "operator":
                    self._operator(text, number, column, len(text))
                case "NUMBER":
                    self._number(text, number, column)
                case "STRING":
                    tokens.append(Token("STRING", text, number, column, len(text)))
                case "comment":
                    self.comments.append((number, column, text.rstrip()))
                case "superscript":
                    self._superscript(text, number, column)
                case "open_string":
                    help = 'end the text with `"` on the same line'
                    self._fault(number, column, 1, "HJB006", "a text that begins here never ends", help)
                case _:
                    self._other(text, number, column)
        self.count += len(tokens) - before

    def _operator(self, text: str, number: int, column: int, length: int) -> None:
        kind = _OPERATORS[text]
        if kind in {"LPAR", "LSQB", "LBRACE"}:
            self.depth += 1
        elif kind in {"RPAR", "RSQB", "RBRACE"}:
            self.depth -= 1
        self.chunks[-1].tokens.append(Token(kind, text, number, column, length))

    def _name(self, text: str, number: int, column: int) -> None:
        name = canonical_name(text)
        if len(name) > MAX_NAME:
            message = f"a name of {len(name)} letters; the limit is {MAX_NAME}"
            self._fault(number, column, len(text), "HJB003", message, "give it a shorter name")
            return
        if not name.isidentifier():
            help = "a name is made of letters, digits and `_`, and starts with a letter"
            self._fault(number, column, len(text), "HJB004", f"`{text}` is not a name", help)
            return
        self.chunks[-1].tokens.append(Token("NAME", name, number, column, len(text)))

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
            self._fault(number, column, len(text), "HJB004", f"`{text}` is not an exponent", help)
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
