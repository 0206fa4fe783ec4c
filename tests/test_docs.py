"""The documentation keeps its word: its problems load, its fragments parse, its mistakes are found, its commands run."""

from __future__ import annotations

import math
import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import sympy

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


@pytest.mark.slow
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
    assert set(table) - {"name"} == {name for name, _ in FAMILIES}


def test_pages_name_no_file_that_is_missing() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert os.path.exists(page.parent / target), f"{page.name}: {target}"


_MOTION = "param a = 0.1, b = 0.3, T = 2\nstate x in R\ncontrol u in [-1, 1]\nnoise W\ndx = u dt + dW\n"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("x/2*3", "(3/2)*x"),
        ("2*-u", "-(2*u)"),
        ("-x^2", "-(x^2)"),
        ("2^3^2", "512"),
        ("2^-1", "1/2"),
        ("√2*x²", "sqrt(2)*x^2"),
        ("√x²", "x"),
        ("σ₁(x)", "sigma_1(x)"),
        ("x^2 + u", "u + x^2"),
        ("x(t)", "x"),
        ("sum(i*j for i in 1..2 for j in 1..i)", "1*1 + 2*1 + 2*2"),
    ],
)
def test_what_the_language_page_says_of_expressions(written: str, meant: str) -> None:
    head = "let sigma_1(y) = y^3\n" + _MOTION
    read = [hjbdsl.loads(f"{head}minimize E integral(0, 1) {text} dt").model.objective.running for text in (written, meant)]
    assert sympy.simplify(read[0] - read[1]) == 0


@pytest.mark.parametrize(
    ("objective", "rate", "terminal"),
    [
        ("integral(0, T) exp(-a*t)*x^2 dt + exp(-a*T)*x(T)", 0.1, "x"),
        ("integral(0, T) exp(-a*t)*x^2 dt + x(T)", 0.1, "exp(a*T)*x"),
        ("exp(-a*T)*x(T)", 0.1, "x"),
        ("integral(0, inf) exp(-a*t)*x^2 + exp(-b*t)*u^2 dt", 0.1, None),
        ("integral(0, T) exp(-a*t)*x^2 + exp(-b*t)*u^2 dt", 0, "0"),
        ("integral(0, T) exp(a*t)*x^2 dt", 0, "0"),
        ("integral(0, T) exp(-a*t - x)*u dt", 0, "0"),
        ("integral(0, inf) 0.5^t*x^2 dt", math.log(2), None),
    ],
)
def test_what_the_language_page_says_of_discounting(objective: str, rate: float, terminal: str | None) -> None:
    problem = hjbdsl.loads(f"{_MOTION}minimize E [ {objective} ]").model
    assert float(problem.numeric(problem.objective.discount)) == pytest.approx(rate)
    if terminal is None:
        assert problem.objective.terminal is None
    else:
        letters = {symbol.name: symbol for symbol in (*problem.values, *problem.state_symbols)}
        expected = {"x": letters["x"], "0": sympy.S.Zero, "exp(a*T)*x": sympy.exp(letters["a"] * letters["T"]) * letters["x"]}
        assert sympy.simplify(problem.objective.terminal - expected[terminal]) == 0


@pytest.mark.parametrize(
    ("domain", "low", "high"),
    [("x in R", -1, 1), ("x in [0, 4]", 0, 4), ("x >= 3", 3, 5), ("x > 3", 3.5, 5), ("x <= 3", 1, 3), ("x < 3", 1, 2.5)],
)
def test_what_the_language_page_says_of_regions(domain: str, low: float, high: float) -> None:
    problem = hjbdsl.loads(f"state {domain}\nnoise W\ndx = (x - 3) dW\nevaluate E x(1)").model
    assert [float(end) for end in problem.region[0]] == [low, high]
