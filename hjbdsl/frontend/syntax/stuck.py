"""Stage 1, text: the place where the parser stopped, as the hints see it.

In: tokens of a statement and what Lark would have accepted. Out: `Stuck`, with words for asking about it.
"""

from __future__ import annotations

from dataclasses import dataclass

from hjbdsl.frontend.findings import Fault
from hjbdsl.frontend.syntax import vocabulary as words
from hjbdsl.frontend.syntax.expressions import ExpressionReader
from hjbdsl.frontend.syntax.tokens import Token


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

    def type_at(self, offset: int) -> str:
        """The type of that token, `$END` where there is none."""
        token = self.at(offset)
        return "$END" if token is None else token.type

    def text_at(self, offset: int) -> str:
        token = self.at(offset)
        return "" if token is None else token.text

    @property
    def after_operand(self) -> bool:
        """Whether what stands before could be the end of an expression."""
        return self.type_at(-1) in words.ENDS_OPERAND and ("ADD" in self.accepts or "NAME" in self.accepts)

    def fault(self, code: str, message: str, help: str, first: Token, last: Token | None = None) -> Fault:
        return Fault(code, message, help, self.reader.between(first, last or first))
