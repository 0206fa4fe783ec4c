"""Bottom floor: where text came from, and how a mistake in it is reported.

Everything above may raise `HjbError`; only `cli` and notebooks turn one into words. A diagnostic always says
where (line, column, caret), what (message with the user's own symbol) and what to do (help).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one line of a file. `line` and `column` count from 1, in Unicode code points; `length` >= 1.

    Something that runs over several lines is marked on its first line only.
    """

    file: str
    line: int
    column: int
    length: int = 1


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. `code` is `HJB0xx` for text, names and shapes, `HJB1xx` for the mathematics of the problem."""

    code: str
    message: str
    help: str
    span: Span | None
    source_line: str = ""
    severity: Severity = "error"

    def as_json(self) -> dict[str, object]:
        """The object of `hjb check --json` (shared contract): severity, code, file, line, column, length, message, help."""
        span = self.span
        return {
            "severity": self.severity,
            "code": self.code,
            "file": span.file if span else None,
            "line": span.line if span else None,
            "column": span.column if span else None,
            "length": span.length if span else None,
            "message": self.message,
            "help": self.help,
        }

    def render(self) -> str:
        """Plain text in four lines: heading, place, source line with its caret, help."""
        lines = [f"{self.severity}[{self.code}]: {self.message}"]
        if self.span is not None:
            lines.append(f"  {self.span.file}:{self.span.line}:{self.span.column}")
            if self.source_line:
                number = str(self.span.line)
                text, caret_column, caret_length = _clip(self.source_line, self.span.column, self.span.length)
                lines.append(f"  {number} | {text}")
                lines.append(f"  {' ' * len(number)} | {' ' * (caret_column - 1)}{'^' * caret_length}")
        if self.help:
            lines.append(f"  help: {self.help}")
        return "\n".join(lines)


def _clip(line: str, column: int, length: int, width: int = 110) -> tuple[str, int, int]:
    """A window of `line` round the caret, so that a line of a megabyte does not fill the terminal."""
    line = line.replace("\t", " ")
    start = max(0, column - 1 - width // 2) if len(line) > width else 0
    text = line[start : start + width]
    if start:
        text = "…" + text[1:]
    if start + width < len(line):
        text = text[:-1] + "…"
    caret = column - start
    return text, caret, max(1, min(length, len(text) - caret + 1))


class HjbError(Exception):
    """The file (or what it says) is wrong; carries every diagnostic found. Exit status 3."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]):
        super().__init__("\n\n".join(d.render() for d in diagnostics))
        self.diagnostics = diagnostics


class NoMethodError(Exception):
    """No method applies; `reasons` maps each method's name to why it declined. Exit status 4."""

    def __init__(self, reasons: dict[str, str]):
        super().__init__("\n".join(f"{name}: {reason}" for name, reason in reasons.items()))
        self.reasons = reasons


class SolverError(Exception):
    """A method that had accepted the problem failed to produce an answer. Exit status 5."""


class UsageError(Exception):
    """The command line or the call is wrong (an unknown parameter, a point that lacks a state). Exit status 2."""
