"""Stage 2's collector: every mistake of a file is noted once, and the reading goes on behind it.

In: faults raised while a statement is read. Out: the diagnostics of the run, sorted by place.

Codes: 020-029 names, 030-039 shapes, 040-049 numbers, domains and laws, 050-059 objective and rules, 060-069 checks, hints,
variants and includes; 101 and on what only the mathematics of the problem shows.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hjbdsl.errors import Diagnostic, Severity, Span


class Fault(Exception):
    """One mistake, found while a statement was read; the rest of that statement is given up."""

    def __init__(self, code: str, message: str, help: str, span: Span):
        super().__init__(message)
        self.code, self.message, self.help, self.span = code, message, help, span


class Consequence(Exception):
    """Something needed here was already reported: say nothing more, but do not use it."""


@dataclass(slots=True)
class Findings:
    """The diagnostics so far, each once. `files` gives the text of every file read, by lines."""

    files: dict[str, tuple[str, ...]]
    diagnostics: dict[Diagnostic, None] = field(default_factory=dict)

    def report(self, code: str, message: str, help: str, span: Span, severity: Severity = "error") -> None:
        lines = self.files.get(span.file, ())
        line = lines[span.line - 1] if 0 < span.line <= len(lines) else ""
        found = Diagnostic(code, message, help, span, line, severity)
        self.diagnostics.setdefault(found)

    def warn(self, code: str, message: str, help: str, span: Span) -> None:
        self.report(code, message, help, span, "warning")

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Run the body; a fault in it is noted and the body given up."""
        try:
            yield
        except Fault as fault:
            self.report(fault.code, fault.message, fault.help, fault.span)
        except Consequence:
            return

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """Run the body and forget what it reports: for trying whether something can be read."""
        before = dict(self.diagnostics)
        try:
            yield
        finally:
            self.diagnostics = before

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self.diagnostics if d.severity == "error")

    def sorted(self) -> tuple[Diagnostic, ...]:
        """In order of place: the file's own lines in order, then those without a place."""
        return tuple(sorted(self.diagnostics, key=lambda d: (d.span.line, d.span.column) if d.span else (1 << 30, 0)))


def closest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate a reader would say was meant, or None."""
    pool = sorted(set(candidates) - {word})
    for candidate in pool:
        if candidate.lower() == word.lower():
            return candidate
    near = difflib.get_close_matches(word, pool, n=1, cutoff=0.6 if len(word) > 2 else 0.5)
    return near[0] if near else None
