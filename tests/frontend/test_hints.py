"""What is said of a mistake: tests/bad/*.hjb against their .expected text, and the form of every diagnostic.

`python -m tests.frontend.test_hints` rewrites the goldens: read the difference before committing it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hjbdsl.errors import HjbError
from hjbdsl.frontend.format import format_statement
from hjbdsl.frontend.parse import MAX_ERRORS, parse_file, parse_recovering, parse_text
from hjbdsl.frontend.syntax import hints
from tests.frontend.trees import statements

BAD = sorted((Path(__file__).resolve().parents[1] / "bad").glob("*.hjb"))


def rendered(path: Path) -> str:
    try:
        parse_file(path)
    except HjbError as error:
        text = "\n\n".join(diagnostic.render() for diagnostic in error.diagnostics) + "\n"
        return text.replace(str(path), path.name)
    return "no mistake in the writing\n"


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_golden(path):
    assert rendered(path) == path.with_suffix(".expected").read_text(encoding="utf-8")


def only(text):
    with pytest.raises(HjbError) as caught:
        parse_text(text)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic


@pytest.mark.parametrize(
    ("text", "code", "column", "words"),
    [
        ("dx = (a*x + b dt", "HJB007", 6, ["`(`", "`)`"]),
        ("let k = [1, 2", "HJB007", 9, ["`]`"]),
        ("let k = (1, 2]", "HJB007", 9, ["`]`", "`)`"]),
        ("let k = a)", "HJB007", 10, ["closes nothing"]),
        ("let k = |x + 1", "HJB007", 9, ["`|`"]),
        ("let k = 3*(2x^2 + 1)", "HJB009", 12, ["2*x"]),
        ("let k = sin x + 1", "HJB015", 9, ["sin(x)"]),
        ("dx = (A'x) dt", "HJB009", 7, ["A'*x"]),
        ("state x R", "HJB015", 9, ["x in R"]),
        ("control a in [-1 1]", "HJB010", 18, ["1, 1"]),
        ("minimize E integral(0 inf) x dt", "HJB010", 23, ["0, inf"]),
        ("let k = 2 x", "HJB009", 9, ["2*x"]),
        ("let k = x y", "HJB009", 9, ["x*y"]),
        ("let k = (a)(b)", "HJB009", 11, ["*"]),
        ("let k = 2(a)", "HJB009", 9, ["2*("]),
        ("let k = x 2", "HJB009", 9, ["x*2"]),
        ("dx = r x dt + dW", "HJB009", 6, ["r*x"]),
        ("minimize E integral(0, T) r x dt", "HJB009", 27, ["r*x"]),
        ("contrl a in R", "HJB008", 1, ["contrl", "control"]),
        ("Param a = 1", "HJB008", 1, ["Param", "param"]),
        ("maximise x", "HJB008", 1, ["maximize"]),
        ("lett k = 2*a b", "HJB008", 1, ["let"]),
        ("min x", "HJB008", 1, ["minimize"]),
        ("parameter a = 1", "HJB008", 1, ["param"]),
        ("rho = 0.05", "HJB008", 1, ["param rho", "let rho"]),
        ("dx = a*x + b*u dt", "HJB011", 6, ["parentheses", "(a*x + b*u) dt"]),
        ("dx = a*x dt + b*u", "HJB011", 15, ["b*u dt"]),
        ("dx = (a + b) + sigma dW", "HJB011", 6, ["dt", "(a + b) dt"]),
        ("dx = a*x + b*u", "HJB011", 6, ["(a*x + b*u) dt"]),
        ("dx/dt = a*x", "HJB008", 1, ["dx = (...) dt"]),
        ("minimize integral(0, T) x^2", "HJB011", 10, ["dt"]),
        ("minimize integral(0, T) dt", "HJB011", 25, ["1 dt"]),
        ("minimize E [ integral(0, T) x^2 + x(T) ]", "HJB011", 14, ["dt"]),
        ("dx = a dt b dW", "HJB015", 11, ["dt + b"]),
        ("dW dB = 0.5", "HJB011", 9, ["dt"]),
        ("control a in R, b in R subject to a + b <= 1", "HJB015", 24, ["new line", "subject"]),
        ("param a = 1 state x in R", "HJB015", 13, ["new line", "state"]),
        ("param a == 1", "HJB012", 9, ["`=`"]),
        ("param a := 1", "HJB012", 9, ["`=`"]),
        ("param a : 1", "HJB015", 11, ["a name"]),
        ("let k = if(x = 0, 1, 2)", "HJB012", 14, ["=="]),
        ("let k = x**2", "HJB012", 10, ["`^`"]),
        ("let k = a if x > 0 else b", "HJB012", 11, ["if(condition, a, b)"]),
        ("let k = a && b", "HJB012", 11, ["and"]),
        ("let k = a;", "HJB012", 10, [";"]),
        ("exit tau when x => 1", "HJB012", 17, [">="]),
        ("exit tau when x =< 1", "HJB012", 17, ["<="]),
        ("exit tau when x < = 1", "HJB012", 19, ["<="]),
        ("param a = 1 b = 2", "HJB010", 13, ["comma", "b"]),
        ("state x in R y in R", "HJB010", 14, ["comma"]),
        ("noise W B", "HJB010", 9, ["W, B"]),
        ("let k = [1 2]", "HJB010", 12, ["1, 2"]),
        ("let k = [[1] [2]]", "HJB010", 12, ["comma"]),
        ("param m = {a: 1 b: 2}", "HJB010", 17, ["comma"]),
        ("check V(x = 0 y = 1) = 2", "HJB010", 15, ["comma"]),
        ("param for = 1", "HJB013", 7, ["`for`", "reserved"]),
        ("let k = a +", "HJB014", 11, ["expression"]),
        ("param a =", "HJB014", 9, ["expression"]),
        ("stopping tau [0, T]", "HJB015", 14, ["`in`"]),
        ("explore a wiht temperature b", "HJB016", 11, ["with"]),
        ("jump N rat b", "HJB016", 8, ["rate"]),
        ("exit tau whn x > 1", "HJB016", 10, ["when"]),
        ("subject x <= 1", "HJB015", 9, ["`to`"]),
        ("boundary x = 0 value 1", "HJB015", 16, ["`:`"]),
        ("boundary x = 0 : relfect", "HJB017", 18, ["reflect"]),
        ("boundary x = 0 : value", "HJB017", 18, ["amount"]),
        ("boundary x = 0 : reflect 3", "HJB017", 26, ["no amount"]),
        ("state x in r", "HJB017", 12, ["circle"]),
        ("control a in -1, 1", "HJB017", 14, ["domain"]),
        ("region x in (0, 1)", "HJB017", 13, ["[a, b]"]),
        ('param a = 1 "d" in R', "HJB017", 17, ["order"]),
        ("mode z in {1, 2}", "HJB017", 11, ["names"]),
        ("state x == 1", "HJB017", 7, ["bounds"]),
        ("param A : S^2 = 1", "HJB017", 11, ["R^n"]),
        ("let k = max(x for i in 1..3)", "HJB018", 15, ["sum"]),
        ("maximize -E [ x(T) ]", "HJB015", 11, ["`E`"]),
        ("problem p 'title'", "HJB015", 11, ["double quotes"]),
        ("include a", "HJB015", 9, ["double quotes"]),
        ('problem p "title', "HJB006", 11, ["never ends"]),
        ("let k = a @ b", "HJB004", 11, ["`*`"]),
        ("let k = \\sigma", "HJB004", 9, ["sigma"]),
        ("let k = a\u200bb", "HJB004", 10, ["U+200B", "zero width space"]),
        ("let k = a\x00b", "HJB004", 10, ["NUL"]),
        ("let k = 1e9999", "HJB003", 9, ["out of range"]),
        ("3 + x", "HJB008", 1, ["keyword"]),
        ("  state x in R", "HJB005", 1, ["first column"]),
    ],
)
def test_one_mistake(text, code, column, words):
    diagnostic = only(text)
    assert (diagnostic.code, diagnostic.span.column) == (code, column), diagnostic.render()
    for word in words:
        assert word in f"{diagnostic.message} {diagnostic.help}", diagnostic.render()


def test_statement_indented_by_mistake():
    diagnostic = only("state x in R\n control a in R\nnoise W")
    assert (diagnostic.code, diagnostic.span.line, diagnostic.span.column) == ("HJB005", 2, 2)


def test_all_mistakes_in_one_run():
    text = "parm a = 1\nstate x in\nlet k = 2x\ncontrol u in R\ndx = u + dW\nlet q = (1\nnoise W"
    _, diagnostics = parse_recovering(text)
    assert [diagnostic.span.line for diagnostic in diagnostics] == [1, 2, 3, 5, 6]


def test_too_many_mistakes_are_cut_with_a_note():
    _, diagnostics = parse_recovering("let k = 2x\n" * 1000)
    assert len(diagnostics) == MAX_ERRORS + 1
    assert diagnostics[-1].code == "HJB019"
    assert diagnostics[-1].span.line == MAX_ERRORS + 1


def test_table_of_codes_is_complete():
    package = Path(hints.__file__).parent
    own = ["tokens", "expressions", "declarations", "motion", "transform", "objective", "laws", "brackets"]
    own += ["hints", "hints_between", "../parse", "../source"]
    used = {code for stem in own for code in re.findall(r'"(HJB0[01]\d)"', (package / f"{stem}.py").read_text(encoding="utf-8"))}
    listed = set(re.findall(r"\| (HJB0\d\d) \|", hints.__doc__))
    assert used == listed


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(statements, st.integers(0, 200), st.sampled_from(["", "(", ")", "x", "2", "=", "in", "+", "|", ",", '"', "for", "@", "²"]))
def test_every_mistake_has_place_and_remedy(statement, place, intruder):
    """A good statement spoilt at a random place still ends in a tree, or in diagnostics that point into it and help."""
    text = format_statement(statement)
    place = min(place, len(text))
    spoilt = text[:place] + intruder + text[place + (intruder == "") :]
    file, diagnostics = parse_recovering(spoilt)
    assert bool(file.statements) != bool(diagnostics) or not spoilt.strip() or spoilt.lstrip().startswith("#")
    for diagnostic in diagnostics:
        assert diagnostic.message
        assert diagnostic.help
        assert diagnostic.span.line == 1
        assert 1 <= diagnostic.span.column <= len(spoilt)
        assert diagnostic.render()


if __name__ == "__main__":
    for golden in BAD:
        golden.with_suffix(".expected").write_text(rendered(golden), encoding="utf-8")
