"""The documentation keeps its word: its problems load, its fragments parse, its mistakes are found, its commands run."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import hjbdsl
from hjbdsl.cli.main import main
from hjbdsl.errors import HjbError
from hjbdsl.frontend.parse import parse_text
from hjbdsl.methods.closed_form import FAMILIES

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_BLOCK = re.compile(r"^```([\w-]+)[ ]*([\w ]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"HJB\d{3}")


def blocks(kind: str) -> list[Any]:
    """(what follows the kind, text) of every fenced block of this kind, named by page and line."""
    result = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in _BLOCK.finditer(text):
            if found[1] == kind:
                line = text[: found.start()].count("\n") + 1
                result.append(pytest.param(found[2].strip(), found[3], id=f"{page.name}:{line}"))
    return result


@pytest.mark.parametrize(("_", "text"), blocks("hjb"))
def test_problems_load_and_have_an_equation(_: str, text: str) -> None:
    problem = hjbdsl.loads(text)
    assert not problem.model.warnings
    assert str(problem.hjb)


@pytest.mark.parametrize(("_", "text"), blocks("hjb-fragment"))
def test_fragments_parse(_: str, text: str) -> None:
    assert parse_text(text).statements


@pytest.mark.parametrize(("code", "text"), blocks("hjb-error"))
def test_mistakes_are_the_ones_named(code: str, text: str) -> None:
    with pytest.raises(HjbError) as raised:
        hjbdsl.loads(text).solve("closed_form")  # some mistakes show in the equation only, some when it is solved
    assert {diagnostic.code for diagnostic in raised.value.diagnostics} == {code}


@pytest.mark.parametrize(("_", "session"), blocks("console"))
def test_commands_run_and_print_what_is_shown(
    _: str, session: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every `$ hjb ...` ends with status 0, in a folder that holds `problems/`; the lines below it stand in its output, in this
    order. `...` stands for lines left out."""
    (tmp_path / "problems").symlink_to(ROOT / "problems")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HJBDSL_CACHE", str(tmp_path / "cache"))
    commands = re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]
    assert commands
    for command in commands:
        line, *shown = command.splitlines()
        words = shlex.split(line)
        assert words[0] == "hjb"
        with pytest.raises(SystemExit) as ended:
            main(words[1:])
        printed = iter([text.rstrip() for text in capfd.readouterr().out.splitlines()])
        assert ended.value.code == 0, line
        for expected in shown:
            assert expected.strip() in ("", "...") or expected.rstrip() in printed, f"{line}: {expected!r} is not printed there"


def test_the_table_of_codes_is_complete() -> None:
    table = set(re.findall(r"^\| (HJB\d{3}) \|", (ROOT / "docs" / "language.md").read_text(encoding="utf-8"), re.MULTILINE))
    used = {code for path in (ROOT / "hjbdsl").rglob("*.py") for code in _CODE.findall(path.read_text(encoding="utf-8"))}
    assert table == used


def test_the_table_of_families_is_complete() -> None:
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| (\w+) \| [^|]+ \| [^|]+ \|$", page.partition("## The families")[2], re.MULTILINE)
    assert [name for name in table if name != "name"] == [name for name, _ in FAMILIES]


def test_pages_name_no_file_that_is_missing() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert os.path.exists(page.parent / target), f"{page.name}: {target}"
