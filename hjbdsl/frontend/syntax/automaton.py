"""Stage 1, text: the LALR automaton of one statement, run over its tokens.

In: tokens. Out: Lark's tree, or the place where no tree can come any more. The table and the tree builders are Lark's; the
loop is here because most reductions only rename their one child (sum -> product -> factor -> ...), which costs nothing
unless a function is called for it: half the time of parsing a file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from lark import Tree
from lark.parsers.lalr_analysis import Shift

from hjbdsl.frontend.syntax.grammar import statement_parser
from hjbdsl.frontend.syntax.tokens import Token

HARD_KEYWORDS = {"in": "IN", "for": "FOR", "and": "AND", "or": "OR", "not": "NOT", "integral": "INTEGRAL"}
"""Words that are never names; token types by word."""

_FORMS = frozenset({"EXPECTATION", "AVERAGE", "RISK", "RUNNING_MIN", "RUNNING_MAX"})
_AFTER_NAME = frozenset({"MUL", "CARET", "COMPARE", "PRIME", "$END"})
_END = Token("$END", "", 0, 0, 0)
_KEYWORD_PRIORITY = 2


class Stopped(Exception):
    """No statement begins with the tokens up to and with the one at `index` (len(tokens) at the end)."""

    def __init__(self, index: int):
        super().__init__(index)
        self.index = index


@dataclass(frozen=True, slots=True)
class Automaton:
    """Lark's table with what a reduction does, by identity of the rule: size, origin, tree builder (None: one child, kept)."""

    states: dict[int, dict[str, tuple[Any, Any]]]
    start: int
    end: int
    reductions: dict[int, tuple[int, str, Callable[[list[Any]], Any] | None]]
    soft_keywords: dict[str, str]


@cache
def automaton() -> Automaton:
    """The automaton of `statement`."""
    parser = statement_parser()
    conf = parser.parse_interactive().parser_state.parse_conf
    rules = {id(arg): arg for row in conf.states.values() for action, arg in row.values() if action is not Shift}
    reductions = {
        key: (len(rule.expansion), rule.origin.name, None if _keeps_its_child(rule) else conf.callbacks[rule])
        for key, rule in rules.items()
    }
    keywords = {terminal.name for terminal in parser.terminals if terminal.priority == _KEYWORD_PRIORITY}
    soft = {name.lower(): name for name in keywords - {"EXPECTATION", *HARD_KEYWORDS.values()}} | {"E": "EXPECTATION"}
    return Automaton(conf.states, conf.start_state, conf.end_state, reductions, soft)


def _keeps_its_child(rule: Any) -> bool:
    return len(rule.expansion) == 1 and bool(rule.options.expand1) and rule.alias is None


def run(tokens: list[Token]) -> Tree:
    """The tree of one statement. Names that the grammar takes as keywords become keywords on the way. Raises Stopped."""
    table = automaton()
    states, reductions = table.states, table.reductions
    stack: list[int] = [table.start]
    values: list[Any] = []
    for index, token in enumerate([*tokens, _END]):
        row = states[stack[-1]]
        if token.type == "NAME":
            _classify(token, row, tokens, index, table.soft_keywords)
        kind = token.type
        while True:
            entry = row.get(kind)
            if entry is None:
                raise Stopped(index)
            action, argument = entry
            if action is Shift:
                stack.append(argument)
                values.append(token)
                break
            size, origin, build = reductions[id(argument)]
            if build is None:
                stack[-1] = states[stack[-2]][origin][1]
            else:
                cut = len(values) - size
                children = values[cut:]
                del values[cut:], stack[cut + 1 :]
                values.append(build(children))
                stack.append(states[stack[-1]][origin][1])
            if kind == "$END" and stack[-1] == table.end:
                return values[-1]
            row = states[stack[-1]]
    raise AssertionError("the end of a statement is either taken or refused")


def accepted_after(tokens: list[Token]) -> frozenset[str]:
    """The token types that may follow `tokens` (already classified)."""
    session = statement_parser().parse_interactive()
    for token in tokens:
        session.parser_state.feed_token(token)
    return frozenset(session.accepts())


def _classify(token: Token, row: dict[str, Any], tokens: list[Token], index: int, soft: dict[str, str]) -> None:
    hard = HARD_KEYWORDS.get(token.text)
    if hard is not None:
        token.type = hard
        return
    keyword = soft.get(token.text)
    if keyword is not None and keyword in row and not (keyword in _FORMS and _is_name(keyword, tokens, index)):
        token.type = keyword


def _is_name(keyword: str, tokens: list[Token], index: int) -> bool:
    """Whether a word such as `E` or `risk`, where an objective may begin with it, is a name after all.

    A name it is where an operator or the end follows: `E*x`, `risk(x(T))` against `E x`, `risk(theta) [ ... ]`.
    """
    place = index + 1
    if keyword not in {"EXPECTATION", "AVERAGE"}:
        if place >= len(tokens) or tokens[place].type != "LPAR":
            return True
        place = _behind_bracket(tokens, place)
    following = tokens[place] if place < len(tokens) else _END
    return following.type in _AFTER_NAME or following.text == "+"


def _behind_bracket(tokens: list[Token], opening: int) -> int:
    """The index behind the bracket that closes the one at `opening`."""
    depth = 0
    for place in range(opening, len(tokens)):
        depth += (tokens[place].type == "LPAR") - (tokens[place].type == "RPAR")
        if depth == 0:
            return place + 1
    return len(tokens)
