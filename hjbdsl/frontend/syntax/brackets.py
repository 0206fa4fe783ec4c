"""Stage 1, text: brackets and bars without a partner, found on the tokens before anything is parsed.

In: the tokens of a statement. Out: a `Fault` at the opening bracket, or None.
"""

from __future__ import annotations

from hjbdsl.frontend.findings import Fault
from hjbdsl.frontend.syntax.expressions import MAX_DEPTH, ExpressionReader
from hjbdsl.frontend.syntax.tokens import Token

PARTNER = {"LPAR": ")", "LSQB": "]", "LBRACE": "}"}
_OPENER = {"RPAR": "LPAR", "RSQB": "LSQB", "RBRACE": "LBRACE"}


def bracket_fault(tokens: list[Token], reader: ExpressionReader) -> Fault | None:
    """What is wrong with the brackets. An interval may end otherwise than it begins: `[0, 1)` after `in` or `on`."""
    opened: list[tuple[Token, bool]] = []
    previous: Token | None = None
    for token in tokens:
        if token.type in PARTNER:
            half_open = previous is not None and previous.text in {"in", "on"} and token.type != "LBRACE"
            opened.append((token, half_open))
            if len(opened) > MAX_DEPTH:
                message = f"brackets nested too deep: more than {MAX_DEPTH} inside one another"
                return Fault("HJB003", message, "name a part of the expression with `let`", reader.name(token).span)
        elif token.type in _OPENER:
            if not opened:
                help = "delete it, or open its bracket before it"
                return Fault("HJB007", f"`{token.text}` closes nothing", help, reader.name(token).span)
            opening, half_open = opened.pop()
            if _OPENER[token.type] != opening.type and not (half_open and token.type != "RBRACE"):
                return _unclosed(opening, token, reader)
        previous = token
    return _unclosed(opened[-1][0], None, reader) if opened else None


def _unclosed(opening: Token, closing: Token | None, reader: ExpressionReader) -> Fault:
    partner = PARTNER[opening.type]
    if closing is None:
        message = f"`{opening.text}` is never closed: a `{partner}` is missing"
        help = f"close it with `{partner}`; lines that continue a statement are indented"
        return Fault("HJB007", message, help, reader.name(opening).span)
    message = f"`{opening.text}` is closed by `{closing.text}`: a `{partner}` is missing"
    return Fault("HJB007", message, f"expected `{partner}` before line {closing.line}, column {closing.column}",
                 reader.name(opening).span)  # fmt: skip
