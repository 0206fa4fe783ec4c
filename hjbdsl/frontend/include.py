"""`include "file.hjb"`: parameters and definitions of other files.

In: a parsed file. Out: its statements with those of the included files put in their places. Loops, missing files
and statements that do not belong into an included file are reported at the include.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from hjbdsl.errors import Diagnostic, HjbError, Span
from hjbdsl.frontend import ast
from hjbdsl.frontend.findings import Fault, Findings
from hjbdsl.frontend.parse import parse_recovering
from hjbdsl.frontend.source import read_text, split_lines

DEEPEST = 16
MOST_FILES = 64


@dataclass(slots=True)
class Includes:
    """`texts` holds the text of every file read, `syntax` the mistakes in their writing; `given` texts stand for files."""

    findings: Findings
    texts: dict[str, str] = field(default_factory=dict)
    syntax: list[Diagnostic] = field(default_factory=list)
    given: Mapping[str, str] = field(default_factory=dict)

    def expanded(self, file: ast.File, opened: tuple[str, ...], top: Span | None = None) -> tuple[ast.Statement, ...]:
        """The statements of `file`. `opened` are the real paths being read; `top` the include of the top file that led here."""
        result: list[ast.Statement] = []
        for statement in file.statements:
            if not isinstance(statement, ast.Include):
                result.append(statement)
                continue
            with self.findings.attempt():
                result.extend(self._included(statement, file.path, opened, top or statement.span))
        return tuple(result)

    def _included(self, statement: ast.Include, path: str, opened: tuple[str, ...], top: Span) -> list[ast.Statement]:
        place = os.path.normpath(os.path.join(os.path.dirname(path), statement.path))
        real = os.path.realpath(place)
        if real in opened:
            raise Fault("HJB065", f"the include of `{statement.path}` is a loop: the file is being read already",
                        "move what both need into a third file", top)  # fmt: skip
        if len(opened) >= DEEPEST or len(self.texts) >= MOST_FILES:
            raise Fault("HJB065", "includes are nested too deeply", f"at most {DEEPEST} levels and {MOST_FILES} files", top)
        try:
            text = self.given[place] if place in self.given else read_text(place)
        except HjbError as error:
            first = error.diagnostics[0]
            if first.span is not None and first.code != "HJB001":
                raise
            remedy = "the path is relative to the file that includes it"
            raise Fault("HJB065", f"cannot include `{statement.path}`: {_reason(place)}", remedy, statement.span) from None
        if place in self.texts:
            return []
        self.texts[place] = text
        self.findings.files[place] = split_lines(text)
        file, mistakes = parse_recovering(text, place)
        self.syntax.extend(mistakes)
        statements: list[ast.Statement] = []
        for inner in self.expanded(file, (*opened, real), top):
            if isinstance(inner, ast.Param | ast.Let):
                statements.append(inner)
            elif not isinstance(inner, ast.ProblemHeader) or inner.span.file == place:
                remedy = "an included file holds parameters and definitions only"
                self.findings.report(
                    "HJB065", f"`{statement.path}` holds more than parameters and definitions", remedy, inner.span
                )
        return statements


def _reason(place: str) -> str:
    if not os.path.exists(place):
        return "there is no such file"
    return "it is a folder" if os.path.isdir(place) else "it cannot be read"
