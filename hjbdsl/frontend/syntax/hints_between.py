"""Stage 1, text: hints for something missing between two things that stand side by side: `*`, a comma, a sign, `dt`.

In: where the parser stopped. Out: a `Fault`, or None where the mistake is another one.
"""

from __future__ import annotations

from hjbdsl.frontend.findings import Fault
from hjbdsl.frontend.syntax import vocabulary as words
from hjbdsl.frontend.syntax.stuck import Stuck
from hjbdsl.frontend.syntax.tokens import Token


def missing_comma(stuck: Stuck) -> Fault | None:
    """A second declaration, entry or assignment without a comma before it; `state x R`."""
    token = stuck.at(0)
    if token is None or "COMMA" not in stuck.accepts or stuck.type_at(-1) not in words.ENDS_ITEM:
        return None
    if stuck.tokens[0].text in {"state", "control", "adversary"} and token.text == "R" and stuck.type_at(-1) == "NAME":
        return stuck.fault("HJB015", "`in` is missing before `R`", f"write `{stuck.text_at(-1)} in R`", token)
    listing = stuck.tokens[0].text in words.LISTING
    named = token.type == "NAME" and (
        stuck.type_at(1) in {"EQUAL", "COLON", "IN", "COMPARE", "ARROW"} or (listing and "ADD" not in stuck.accepts)
        or (stuck.tokens[0].text in {"noise", "state", "control", "mode"})
    )  # fmt: skip
    signed = token.type == "LSQB" and stuck.type_at(-1) == "RSQB"
    numbers = stuck.type_at(-1) == "NUMBER" and (token.type == "NUMBER" or token.text == "inf")
    if not (named or signed or numbers):
        return None
    before = stuck.text_at(-1)
    return stuck.fault("HJB010", f"a comma is missing before `{token.text}`", f"write `{before}, {token.text}`", token)


def missing_sign(stuck: Stuck) -> Fault | None:
    """`boundary x = 0 value 1` without its colon, `dW dB 0.3 dt` without its `=`."""
    token = stuck.at(0)
    if token is None or token.type not in words.BEGINS_OPERAND:
        return None
    if stuck.tokens[0].text == "boundary" and "COLON" in stuck.accepts and token.text in words.BOUNDARY_KINDS:
        return stuck.fault("HJB015", f"a `:` is missing before `{token.text}`", f"write `: {token.text}`", token)
    if stuck.accepts == {"EQUAL"}:
        return stuck.fault("HJB015", f"a `=` is missing before `{token.text}`", f"write `= {token.text}`", token)
    return None


def product(stuck: Stuck) -> Fault | None:
    """`2x`, `2 x`, `x y`, `)(`; also `a x dt`, where `x` was taken for a differential."""
    token, previous = stuck.at(0), stuck.at(-1)
    if token is None or previous is None or token.type not in words.BEGINS_OPERAND:
        return None
    before = stuck.at(-2)
    if previous.type == "NAME" and before is not None and before.type in words.ENDS_OPERAND:
        if previous.text[0] == "d" and len(previous.text) > 1:
            help = f"write `{previous.text} + {token.text}`"
            return stuck.fault("HJB015", f"a sign is missing between `{previous.text}` and `{token.text}`", help, token)
        left, right = before, previous
    elif stuck.after_operand and "MUL" in stuck.accepts:
        left, right = previous, token
    else:
        return None
    if left.text == "E":
        help = "`E` follows `maximize`, `minimize` or `evaluate` and governs the rest of the statement"
        return stuck.fault("HJB015", "`E` stands in the wrong place", help, left)
    if left.text in words.FUNCTIONS and right.type in {"NAME", "NUMBER"}:
        help = f"write `{left.text}({right.text})`"
        return stuck.fault("HJB015", f"`{left.text}` takes its argument in brackets", help, left, right)
    if left.type == "PRIME" and before is not None and before.type == "NAME":
        help = f"write `{before.text}'*{right.text}`"
        message = f"`{before.text}'{right.text}` is not a product: multiplication is written `*`"
        return stuck.fault("HJB009", message, help, before, right)
    message = f"`{_written(left, right)}` is not a product: multiplication is written `*`"
    return stuck.fault("HJB009", message, f"write `{left.text}*{right.text}`", left, right)


def _written(left: Token, right: Token) -> str:
    return left.text + ("" if left.touches(right) else " ") + right.text


def missing_differential(stuck: Stuck) -> Fault | None:
    """An integral that never comes to its `dt`; a correlation without it."""
    if stuck.accepts & {"EQUAL", "IN"} or "NAME" not in stuck.accepts or stuck.type_at(-1) not in words.ENDS_OPERAND:
        return None
    integrals = [token for token in stuck.tokens[: stuck.index] if token.type == "INTEGRAL"]
    if not integrals:
        if stuck.tokens[0].type == "NAME":
            return stuck.fault("HJB011", "the correlation has no `dt`", "as in `dW dB = rho dt`", stuck.tokens[stuck.index - 1])
        return None
    if stuck.text_at(-1) == "dt" and stuck.type_at(-2) == "RPAR":
        return stuck.fault("HJB011", "the integral has no integrand", "write `1 dt`", stuck.tokens[stuck.index - 1])
    help = "write `integral(a, b) (...) dt`"
    return stuck.fault("HJB011", "the integral has no `dt`", help, integrals[-1])
