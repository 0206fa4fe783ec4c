"""The grammar by itself, and the parser's table on disk: rebuilt when it is damaged, shared by processes, never in the way."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import lark
import pytest

from hjbdsl.frontend.parse import parse_file
from hjbdsl.frontend.syntax import grammar

REPOSITORY = Path(__file__).resolve().parents[2]


def test_grammar_has_no_conflicts_and_reads_the_gallery_by_itself():
    """The grammar file alone, under Lark's own contextual lexer in strict mode, reads every statement of the gallery."""
    pytest.importorskip("interegular")
    parser = lark.Lark(grammar.grammar_text(), start="statement", parser="lalr", lexer="contextual", strict=True)
    for path in sorted((REPOSITORY / "problems").glob("*.hjb")):
        file = parse_file(path)
        remarks = {line: column for line, column, _ in file.comments}
        starts = [statement.span.line for statement in file.statements] + [len(file.lines) + 1]
        code = [line[: remarks.get(number, len(line) + 1) - 1] for number, line in enumerate(file.lines, start=1)]
        for first, last in pairwise(starts):
            text = "\n".join(code[first - 1 : last - 1])
            if text.isascii():
                parser.parse(text)


class TestStoredParser:
    """The parser kept on disk is used when whole and rebuilt when not."""

    @pytest.fixture
    def place(self, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        grammar.statement_parser.cache_clear()
        yield grammar.cache_path(grammar.grammar_text())
        grammar.statement_parser.cache_clear()

    def test_is_written_and_read(self, place):
        grammar.statement_parser()
        assert place.exists()
        assert [entry.name for entry in place.parent.iterdir()] == [place.name]
        assert grammar.load_cached(place) is not None

    @pytest.mark.parametrize("damage", [b"", b"rubbish", b"\x00" * 4096, None])
    def test_is_rebuilt_when_corrupt(self, place, damage):
        grammar.statement_parser()
        whole = place.read_bytes()
        place.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
        assert grammar.load_cached(place) is None
        grammar.statement_parser.cache_clear()
        grammar.statement_parser().parse_interactive()
        assert grammar.load_cached(place) is not None

    @pytest.mark.skipif(sys.platform == "win32", reason="files have no owner there")
    def test_of_another_user_is_not_trusted(self, place, monkeypatch):
        grammar.statement_parser()
        monkeypatch.setattr(os, "getuid", lambda: place.stat().st_uid + 1)
        assert grammar.load_cached(place) is None

    def test_is_not_needed(self, tmp_path, monkeypatch):
        blocked = tmp_path / "file"
        blocked.write_text("no directory")
        monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
        grammar.statement_parser.cache_clear()
        assert "PARAM" in grammar.statement_parser().parse_interactive().accepts()
        assert not grammar.store(grammar.statement_parser(), grammar.cache_path("x"))
        grammar.statement_parser.cache_clear()

    def test_many_writers_at_once(self, place):
        script = "from hjbdsl.frontend.parse import parse_text; parse_text('state x in R')"
        writers = [subprocess.Popen([sys.executable, "-c", script], cwd=REPOSITORY) for _ in range(3)]
        assert [writer.wait(60) for writer in writers] == [0, 0, 0]
        assert grammar.load_cached(place) is not None
        assert [entry.name for entry in place.parent.iterdir()] == [place.name]
