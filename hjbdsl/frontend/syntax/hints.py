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

import difflib
from collections.abc import Callable

from hjbdsl.frontend.findings import Fault, closest
from hjbdsl.frontend.syntax import vocabulary as words
from hjbdsl.frontend.syntax.hints_between import missing_comma, missing_differential, missing_sign, product
from hjbdsl.frontend.syntax.stuck import Stuck


def explain(stuck: Stuck) -> Fault:
    """The word of the first rule that knows the mistake."""
    for rule in _RULES:
        fault = rule(stuck)
        if fault is not None:
            return fault
    return _fallback(stuck)


def _foreign_sign(stuck: Stuck) -> Fault | None:
    """`**`, `:=`, `&&`, `;`, and comparisons turned round: `=<`, `=>`."""
    token, following = stuck.at(0), stuck.at(1)
    if token is None:
        return None
    remedy = words.FOREIGN_SIGNS.get(token.type)
    if remedy is not None:
        return stuck.fault("HJB012", f"`{token.text}` is not used here", remedy, token)
    if token.type == "COMPARE" and stuck.type_at(-1) == "EQUAL":
        token, following = stuck.at(-1), token
    if token is not None and following is not None and token.type == "EQUAL" and following.text in {"<", ">"}:
        help = f"write `{following.text}=`"
        return stuck.fault("HJB012", f"`={following.text}` is not a comparison", help, token, following)
    return None


def _not_a_statement(stuck: Stuck) -> Fault | None:
    """The first word is no keyword, and no equation of motion either."""
    first, second = stuck.tokens[0], stuck.tokens[1] if len(stuck.tokens) > 1 else None
    if first.type != "NAME":
        if stuck.index > 0:
            return None
        help = "a statement begins with a keyword, as `param` or `state`, or with `dx = ...`; an indented line continues"
        return stuck.fault("HJB008", f"a statement cannot begin with `{first.text}`", help, first)
    differentials = first.text[0] == "d" and len(first.text) > 1
    if second is not None and second.type == "EQUAL" and (differentials or stuck.index > 2):
        return None
    if differentials and second is not None and second.type == "NAME" and stuck.type_at(2 - stuck.index) == "EQUAL":
        return None
    if differentials and second is not None and second.text == "/":
        help = f"write `{first.text} = (...) dt`"
        return stuck.fault("HJB008", "an equation of motion is written in differentials", help, first)
    guess = words.SYNONYMS.get(first.text.lower()) or closest(first.text, words.STATEMENTS)
    if guess is None and differentials:
        return None
    help = f"did you mean `{guess}`?" if guess else f"statements begin with {', '.join(words.STATEMENTS)} or `dx = ...`"
    return stuck.fault("HJB008", f"`{first.text}` begins no statement", help, first)


def _indented_statement(stuck: Stuck) -> Fault | None:
    """An indented line that reads as a statement of its own."""
    token, previous = stuck.at(0), stuck.at(-1)
    if token is None or previous is None or token.line == previous.line:
        return None
    equation = token.text[0] == "d" and stuck.type_at(1) == "EQUAL"
    if not (equation or token.text in words.STATEMENTS):
        return None
    help = f"remove the blanks before `{token.text}` to begin a statement"
    return stuck.fault("HJB005", f"this line is indented, so it continues line {previous.line}", help, token)


def _second_statement(stuck: Stuck) -> Fault | None:
    """`state x in R control a in R`: the next statement on the same line."""
    token = stuck.at(0)
    if token is None or stuck.index == 0 or token.text not in words.STATEMENTS or stuck.type_at(-1) not in words.ENDS_ITEM:
        return None
    help = f"begin a new line before `{token.text}`"
    return stuck.fault("HJB015", f"`{token.text}` begins a statement of its own", help, token)


def _reserved(stuck: Stuck) -> Fault | None:
    """A reserved word where a name is declared."""
    token = stuck.at(0)
    if token is None or token.type not in words.RESERVED_TYPES or "NAME" not in stuck.accepts:
        return None
    if stuck.after_operand and stuck.type_at(-1) != "COMMA":
        return None
    help = f"choose another name, such as `{token.text}_`"
    return stuck.fault("HJB013", f"`{token.text}` is a reserved word and cannot be a name", help, token)


def _misspelt_keyword(stuck: Stuck, likeness: float = 0.75) -> Fault | None:
    """A name where a keyword can stand and no name: `explore a wiht temperature`."""
    token = stuck.at(0)
    if token is None or token.type != "NAME":
        return None
    keywords = [kind.lower() for kind in stuck.accepts if kind.lower() in words.INNER]
    guesses = difflib.get_close_matches(token.text.lower(), keywords, n=1, cutoff=likeness)
    if not guesses:
        return None
    return stuck.fault("HJB016", f"unexpected `{token.text}`", f"did you mean `{guesses[0]}`?", token)


def _perhaps_keyword(stuck: Stuck) -> Fault | None:
    """The same with less likeness, where nothing better was found: `x > 0 adn y > 0`."""
    return _misspelt_keyword(stuck, likeness=0.6) if len(stuck.text_at(0)) > 2 else None


def _equality(stuck: Stuck) -> Fault | None:
    """`=` for `==` in a condition and the reverse in a definition."""
    token = stuck.at(0)
    if token is None:
        return None
    if token.type == "EQUAL" and stuck.type_at(-1) == "COMPARE":
        sign = stuck.text_at(-1) + "="
        return stuck.fault("HJB012", f"`{sign}` is written without a blank", f"write `{sign}`", token)
    if token.type == "EQUAL" and "COMPARE" in stuck.accepts and "EQUAL" not in stuck.accepts:
        return stuck.fault("HJB012", "`=` gives a value; equality in a condition is `==`", "write `==`", token)
    if token.text == "==" and "EQUAL" in stuck.accepts:
        return stuck.fault("HJB012", "`==` compares; a definition takes one `=`", "write `=`", token)
    if token.type == "COLON" and "EQUAL" in stuck.accepts:
        return stuck.fault("HJB012", "`:` does not define a value", "write `=`", token)
    return None


def _conditional(stuck: Stuck) -> Fault | None:
    """`a if c else b`."""
    token = stuck.at(0)
    if token is None or token.text not in {"if", "else", "then", "elif"} or not stuck.after_operand:
        return None
    return stuck.fault("HJB012", f"`{token.text}` stands behind no value", "write `if(condition, a, b)`", token)


def _bar(stuck: Stuck) -> Fault | None:
    """`|x` without its second bar."""
    bars = [token for token in stuck.tokens[: stuck.index] if token.type == "BAR"]
    if len(bars) % 2 == 0 or "BAR" not in stuck.accepts:
        return None
    return stuck.fault("HJB007", "`|` is never closed: the second `|` is missing", "write `|x|`", bars[-1])


def _quotes(stuck: Stuck) -> Fault | None:
    """A description or path without double quotes."""
    token = stuck.at(0)
    if token is None or "STRING" not in stuck.accepts:
        return None
    if token.type == "PRIME" or (stuck.accepts == {"STRING"} and token.type == "NAME"):
        return stuck.fault("HJB015", "a text stands in double quotes", f'write `"{token.text.strip(chr(39))}..."`', token)
    return None


def _order(stuck: Stuck) -> Fault | None:
    """A description before the domain."""
    token = stuck.at(0)
    if token is None or token.type != "IN" or stuck.type_at(-1) != "STRING":
        return None
    return stuck.fault("HJB017", "the description comes last", 'the order is value, `in DOMAIN`, "description"', token)


def _domain(stuck: Stuck) -> Fault | None:
    """Something that is no domain after `in`."""
    if stuck.type_at(-1) not in {"IN", "ON"} or "LSQB" not in stuck.accepts:
        return None
    token = stuck.at(0) or stuck.tokens[-1]
    if "NAME" in stuck.accepts:
        help = "`R`, `R^n`, `[a, b]`, `(0, inf)`, `{0, 1}`, `{-4..4}` or `circle`"
        return stuck.fault("HJB017", f"a domain is expected after `{stuck.text_at(-1)}`", help, token)
    what = "a closed interval `[a, b]`" if "LPAR" not in stuck.accepts else "an interval, as `[0, T]`,"
    return stuck.fault("HJB017", f"{what} is expected here", "write `[low, high]`", token)


def _early_end(stuck: Stuck) -> Fault | None:
    """The statement is over before it is complete."""
    if stuck.index < len(stuck.tokens):
        return None
    last = stuck.tokens[-1]
    message = f"the statement ends too early, after `{last.text}`"
    return stuck.fault("HJB014", message, f"expected {words.expectation(stuck.accepts)}", last)


def _fallback(stuck: Stuck) -> Fault:
    token = stuck.tokens[min(stuck.index, len(stuck.tokens) - 1)]
    return stuck.fault("HJB015", f"unexpected `{token.text}`", f"expected {words.expectation(stuck.accepts)}", token)


_RULES: tuple[Callable[[Stuck], Fault | None], ...] = (
    _foreign_sign,
    _indented_statement,
    _not_a_statement,
    _second_statement,
    _reserved,
    _bar,
    _equality,
    _conditional,
    _misspelt_keyword,
    missing_comma,
    missing_sign,
    _perhaps_keyword,
    product,
    missing_differential,
    _quotes,
    _order,
    _domain,
    _early_end,
)
