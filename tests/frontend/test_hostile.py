"""Hostile text: every file ends in a tree or in diagnostics, within seconds and without much memory, and nothing runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hjbdsl.errors import Diagnostic, HjbError
from hjbdsl.frontend.format import format_file
from hjbdsl.frontend.parse import MAX_ERRORS, parse_file, parse_recovering, parse_text
from hjbdsl.frontend.source import MAX_LINES, read_text
from hjbdsl.frontend.syntax.vocabulary import INNER, STATEMENTS
from tests.frontend.lowering import lowered, only_mistake, place, with_control
from tests.work import counted

REPOSITORY = Path(__file__).resolve().parents[2]

HOSTILE = {
    "lines": "param a = 1\n" * 100_000,
    "lines_at_the_limit": "param a = 1\n" * MAX_LINES,
    "wrong_lines": "param a = (1\n" * 100_000,
    "parentheses": "let k = " + "(" * 5000 + "1" + ")" * 5000,
    "lists": "let k = " + "[" * 5000 + "1" + "]" * 5000,
    "open_parentheses": "let k = " + "(" * 1_000_000,
    "closing_parentheses": "let k = " + ")" * 1_000_000,
    "norms": "let k = " + "|" * 5000 + "x" + "|" * 5000,
    "signs": "let k = " + "-" * 5000 + "x",
    "nots": "let k = " + "not " * 5000 + "x",
    "tower": "let k = " + "2^" * 5000 + "2",
    "calls": "let k = " + "f(" * 5000 + "x" + ")" * 5000,
    "indices": "let k = x" + "[1]" * 5000,
    "transposes": "let k = x" + "'" * 5000,
    "sum_of_terms": "let k = " + "x + " * 50_000 + "x",
    "product_of_factors": "let k = " + "x*" * 50_000 + "x",
    "comparisons": "let k = " + "x < " * 50_000 + "x",
    "integrals": "minimize " + "integral(0, 1) " * 5000 + "x" + " dt" * 5000,
    "loops": "let k = sum(x" + " for i in 1..2" * 5000 + ")",
    "name_of_a_megabyte": "let k = " + "x" * 1_000_000,
    "number_of_a_megabyte": "let k = " + "9" * 1_000_000,
    "exponent_of_a_megabyte": "let k = 1e" + "9" * 1_000_000,
    "superscripts": "let k = x" + "²" * 1_000_000,
    "text_of_a_megabyte": 'problem p "' + "x" * 1_000_000 + '"',
    "open_text": 'problem p "' + "x" * 1_000_000,
    "quotes": '"' * 1_000_000,
    "comment_of_a_megabyte": "# " + "x" * 1_000_000,
    "strays": "let k = " + "§" * 1_000_000,
    "blanks": " " * 1_000_000 + "x",
    "tokens": "let k = " + "+ " * 900_000,
    "many_on_a_line": "let k = " + "a b " * 400_000,
    "nulls": "\0" * 1_000_000,
    "flat_list": "param v : R^n = [" + "1, " * 60_000 + "1]",
    "unicode": "let k = " + "σ" * 1_000_000,
    "continued": "let k = 1\n" + "  + 1\n" * 15_000,
}


def read(text: str) -> tuple[Diagnostic, ...]:
    file, diagnostics = parse_recovering(text, "hostile.hjb")
    if not diagnostics:
        format_file(file)
    return tuple(diagnostics)


@pytest.mark.parametrize("kind", HOSTILE)
def test_ends_soon(kind):
    work, diagnostics = counted(lambda: read(HOSTILE[kind]))
    assert work < 100 * len(HOSTILE[kind])  # calls a character
    for diagnostic in diagnostics:
        assert diagnostic.help
        assert len(diagnostic.render()) < 2000
    assert len(diagnostics) <= MAX_ERRORS + 1


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        ("parentheses", "HJB003", "nested too deep"),
        ("signs", "HJB003", "nested too deep"),
        ("tower", "HJB003", "nested too deep"),
        ("indices", "HJB003", "nested too deep"),
        ("sum_of_terms", "HJB003", "nested too deep"),
        ("lines", "HJB003", "too large"),
        ("tokens", "HJB003", "too large"),
        ("name_of_a_megabyte", "HJB003", "name of 1000000 letters"),
        ("exponent_of_a_megabyte", "HJB003", "out of range"),
        ("nulls", "HJB004", "U+0000"),
    ],
)
def test_says_which_limit(kind, code, words):
    _, diagnostics = parse_recovering(HOSTILE[kind], "hostile.hjb")
    assert any(diagnostic.code == code and words in diagnostic.message for diagnostic in diagnostics), diagnostics[:3]


@pytest.mark.slow
def test_stays_under_a_gigabyte(tmp_path):
    """All of it in one process that may have no more."""
    for kind, text in HOSTILE.items():
        (tmp_path / f"{kind}.hjb").write_text(text, encoding="utf-8")
    script = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from hjbdsl.errors import Diagnostic, HjbError
from hjbdsl.frontend.parse import parse_file
for path in sys.argv[1:]:
    try:
        parse_file(path)
    except HjbError:
        pass
"""
    files = [str(path) for path in sorted(tmp_path.iterdir())]
    run = subprocess.run([sys.executable, "-c", script, *files], cwd=REPOSITORY, capture_output=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr.decode()[-2000:]


def test_nothing_runs(tmp_path):
    witness = tmp_path / "witness"
    for text in (
        f"let k = __import__(os).system(touch {witness})",
        f'let k = exec("touch {witness}")',
        f'param __class__ = 1, __import__ = 2\nlet k = __import__(__class__)\ninclude "$(touch {witness})"',
        "let k = ().__class__.__bases__[0]",
        'problem p "{0.__class__}%s%n"',
    ):
        parse_recovering(text)
    assert not witness.exists()


def refused(path):
    with pytest.raises(HjbError) as caught:
        parse_file(path)
    return caught.value.diagnostics


def test_bytes_that_are_not_utf8(tmp_path):
    path = tmp_path / "latin.hjb"
    path.write_bytes("param σ = 1 # ".encode() + b"\xe9\nstate x in R\r\n# \xff\xfe\n")
    first, second = refused(path)
    assert (first.code, first.span.line, first.span.column) == ("HJB002", 1, 15)
    assert "UTF-8" in first.message
    assert "é" in first.help
    assert (second.span.line, second.span.column) == (3, 3)


@pytest.mark.parametrize("kind", ["missing", "directory", "device", "forbidden name"])
def test_paths_that_are_no_files(tmp_path, kind):
    path = {
        "missing": tmp_path / "no.hjb",
        "directory": tmp_path,
        "device": Path("/dev/zero"),
        "forbidden name": "a\0b",
    }[kind]
    (diagnostic,) = refused(path)
    assert diagnostic.code == "HJB001"


def test_file_too_large(tmp_path):
    path = tmp_path / "large.hjb"
    path.write_bytes(b"# " + b"x" * 3_000_000)
    (diagnostic,) = refused(path)
    assert diagnostic.code == "HJB003"


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=200))
def test_any_bytes(tmp_path, content):
    path = tmp_path / "bytes.hjb"
    path.write_bytes(content)
    try:
        _judge(read_text(path))
    except HjbError as error:
        lines = [diagnostic.span.line for diagnostic in error.diagnostics]
    else:
        lines = []
    assert lines == sorted(set(lines))


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(max_size=120))
def test_any_text(text):
    _judge(text)


_soup = st.lists(
    st.sampled_from([*STATEMENTS, *sorted(INNER), *'()[]{}|,:;=<>+-*/^"~#²σ\n.', "\n  ", "..", "->", "dx", "dt", "dW", "E", "x",
                     "1", "0.5", "integral", "not", "R", "circle", "average", "risk", "normal", '"a"']),
    max_size=25,
)  # fmt: skip


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(_soup)
def test_any_soup_of_words(words):
    _judge(" ".join(words))


def _judge(text: str) -> None:
    """Diagnostics point into the text; a text without them is printed and read again."""
    file, diagnostics = parse_recovering(text)
    for diagnostic in diagnostics:
        assert diagnostic.message
        assert diagnostic.help
        assert 1 <= diagnostic.span.line <= len(file.lines)
        assert 1 <= diagnostic.span.column <= len(file.lines[diagnostic.span.line - 1])
        assert diagnostic.source_line == file.lines[diagnostic.span.line - 1]
    if not diagnostics:
        once = format_file(file)
        assert parse_text(once) == file
        assert format_file(parse_text(once)) == once


@pytest.mark.parametrize(
    "ranges",
    [
        "for k in 1..9999) for j in 1..9999) for i in 1..9999)",
        "for k in 1..j) for j in 1..i) for i in 1..9999)",
        "for k in 1..(9999 - j)) for j in i..9999) for i in 1..9999)",
    ],
)
def test_a_sum_too_large_is_refused_before_it_is_written_out(ranges: str) -> None:
    lines = ("state x in R", "control a in R", "noise W", f"dx = a dt + sum(sum(sum(sin(i*j*k*x)^(i/j)*exp(x*k) {ranges} dW")
    work, found = counted(lambda: only_mistake(*lines, "minimize E integral(0, 1) x^2 + a^2 dt"))
    assert work < 20_000
    assert (found.code, place(found)) == ("HJB040", (4, 13))


def test_a_large_sum_that_can_be_written_out_is() -> None:
    lines = ("param s = sum(sum(if(j == i, sum(k for k in 1..9), 0) for j in 1..i) for i in 1..100)", *with_control())
    problem = lowered(*lines)
    assert problem.numeric(problem.parameters[0].entries[0]) == 4500
