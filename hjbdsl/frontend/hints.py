"""Stage 1, text: what to say of a statement that cannot be parsed.

In: the tokens of the statement, where the parser stopped, what it would have accepted there. Out: a `Fault` with the place
of the culprit and a remedy. Each rule knows one mistake; the first that recognises its own speaks.

| code   | meaning                                              |
| ------ | ---------------------------------------------------- |
| HJB001 | the file cannot be read                              |
| HJB002 | the file is not UTF-8                                |
| HJB003 | beyond a limit: too large, nested too deep, too long |
| HJB004 | a character without meaning                          |
| HJB005 | indentation: a line continues what it should not     |
| HJB006 | a text in quotes never ends                          |
| HJB007 | a bracket without its partner                        |
| HJB008 | not the beginning of a statement                     |
| HJB009 | a product without `*`                                |
| HJB010 | a comma is missing                                   |
| HJB011 | a differential is missing, or parentheses before it  |
| HJB012 | a sign spelt as in another language                  |
| HJB013 | a reserved word used as a name                       |
| HJB014 | the statement ends too early                         |
| HJB015 | something else was expected                          |
| HJB016 | a keyword inside the statement is misspelt           |
| HJB017 | a declaration, domain or boundary of the wrong form  |
| HJB018 | `for` where nothing runs over an index               |
| HJB019 | too many mistakes to list                            |
"""

from __future__ import annotations

from dataclasses import dataclass

from hjbdsl.frontend.expressions import MAX_DEPTH, ExpressionReader
from hjbdsl.frontend.findings import Fault
from hjbdsl.frontend.tokens import Token


@dataclass(frozen=True, slots=True)
class Stuck:
    """Where the parser stopped: `index` is len(tokens) at the end of the statement; `accepts` holds token types."""

    tokens: tuple[Token, ...]
    index: int
    accepts: frozenset[str]
    reader: ExpressionReader

    def at(self, offset: int) -> Token | None:
        """The token `offset` places from the one that could not be taken."""
        place = self.index + offset
        return self.tokens[place] if 0 <= place < len(self.tokens) else None


def explain(stuck: Stuck) -> Fault:
    token = stuck.at(0) or stuck.tokens[-1]
    return Fault(
        "HJB015", f"unexpected `{token.text}`", "expected " + ", ".join(sorted(stuck.accepts)), stuck.reader.between(token, token)
    )


_PARTNER = {"LPAR": ")", "LSQB": "]", "LBRACE": "}"}
_CLOSER = {"RPAR": "LPAR", "RSQB": "LSQB", "RBRACE": "LBRACE"}


def bracket_fault(tokens: list[Token], reader: ExpressionReader) -> Fault | None:
    """A bracket without partner, or brackets nested too deep. An interval may end otherwise than it begins: `[0, 1)`."""
    opened: list[tuple[Token, bool]] = []
    previous: Token | None = None
    for token in tokens:
        if token.type in _PARTNER:
            half_open = previous is not None and previous.text in {"in", "on"} and token.type != "LBRACE"
            opened.append((token, half_open))
            if len(opened) > MAX_DEPTH:
                message = f"brackets nested too deep: more than {MAX_DEPTH}"
                return Fault("HJB003", message, "name a part of the expression with `let`", reader.name(token).span)
        elif token.type in _CLOSER:
            if not opened:
                message = f"`{token.text}` closes nothing"
                return Fault("HJB007", message, "delete it, or open its bracket before", reader.name(token).span)
            opening, half_open = opened.pop()
            if _CLOSER[token.type] != opening.type and not (half_open and token.type != "RBRACE"):
                return _unclosed(opening, reader, token)
        previous = token
    return _unclosed(opened[-1][0], reader, None) if opened else None


def _unclosed(opening: Token, reader: ExpressionReader, closing: Token | None) -> Fault:
    partner = _PARTNER[opening.type]
    if closing is None:
        message = f"`{opening.text}` is never closed: a `{partner}` is missing"
        return Fault(
            "HJB007",
            message,
            f"close it with `{partner}`; a line that continues a statement is indented",
            reader.name(opening).span,
        )
    message = f"`{opening.text}` is closed by `{closing.text}`, expected `{partner}`"
    return Fault("HJB007", message, f"write `{partner}`, or close the inner bracket first", reader.name(opening).span)
