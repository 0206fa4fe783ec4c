"""`hjb fmt`: what is printed parses to the same tree, and printing it again changes nothing."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hjbdsl.frontend import ast
from hjbdsl.frontend.format import WIDTH, format_file, format_statement, wrapped
from hjbdsl.frontend.parse import parse_file, parse_text
from tests.frontend.trees import file_of, statements

_TOKEN = r'"[^"]*"|[^\W\d]\w*|\d+(?:\.\d+)?(?:e[+-]?\d+)?|\.\.|->|[<>=!]=|\S'
PROBLEMS = sorted((Path(__file__).resolve().parents[2] / "problems").glob("*.hjb"))


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(statements)
def test_printed_statement_parses_to_the_same_tree(statement):
    text = format_file(file_of(statement))
    read = parse_text(text)
    assert read.statements == (statement,), text
    assert format_file(read) == text


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(statements, st.integers(0, 2), st.sampled_from(["", "# above", "#above"]), st.booleans()), max_size=8))
def test_comments_and_groups_survive(parts):
    lines = []
    for statement, blanks, above, trailing in parts:
        lines += [""] * blanks + ([above] if above else [])
        lines += [format_statement(statement) + ("   # behind" if trailing else "")]
    file = parse_text("\n".join(lines))
    once = format_file(file)
    again = parse_text(once)
    assert again.statements == file.statements
    assert [text for _, _, text in again.comments] == [text for _, _, text in file.comments]
    assert format_file(again) == once
    assert "\n\n\n" not in once


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(statements, st.randoms(use_true_random=False))
def test_layout_means_nothing(statement, chance: random.Random):
    """Blanks between tokens, and line ends followed by an indent, change nothing."""
    pieces = re.findall(_TOKEN, format_statement(statement))
    text = pieces[0] + "".join(chance.choice([" ", "  ", "\t", "\n  ", "\n\t# note\n "]) + piece for piece in pieces[1:])
    assert parse_text(text).statements == (statement,)


@pytest.mark.parametrize("path", PROBLEMS, ids=lambda path: path.stem)
def test_gallery_keeps_its_meaning(path):
    file = parse_file(path)
    once = format_file(file)
    read = parse_text(once)
    assert read == file
    assert len(read.comments) == len(file.comments)
    assert format_file(read) == once


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("-x^2", "-x^2"),
        ("(-x)^2", "(-x)^2"),
        ("2^3^2", "2^3^2"),
        ("(2^3)^2", "(2^3)^2"),
        ("2^-x", "2^-x"),
        ("a - (b - c)", "a - (b - c)"),
        ("(a - b) - c", "a - b - c"),
        ("a - b + c", "a - b + c"),
        ("a/(b*c)", "a/(b*c)"),
        ("(a/b)*c", "a/b*c"),
        ("a*(b/c)", "a*(b/c)"),
        ("-(a + b)*c", "-(a + b)*c"),
        ("-(a*b)", "-(a*b)"),
        ("+x", "x"),
        ("(x')*Q*(x)", "x'*Q*x"),
        ("(a*b)'", "(a*b)'"),
        ("||x| - 1|", "||x| - 1|"),
        ("x(T)[1]", "x(T)[1]"),
        ("(a<b)and(b<c)or not(c)", "a < b and b < c or not c"),
        ("not (a and b)", "not (a and b)"),
        ("(a or b) and c", "(a or b) and c"),
        ("0<x<=1", "0 < x <= 1"),
        ("(0<x)==y", "(0 < x) == y"),
        ("sum( x[i]^2 for i in 1..n )", "sum(x[i]^2 for i in 1..n)"),
        ("[ [i*j for j in 1..m] for i in 1..n ]", "[[i*j for j in 1..m] for i in 1..n]"),
        (".5 + 1. + 1E5", "0.5 + 1 + 1e5"),
        ("σ·x² − µ", "sigma*x^2 - mu"),
        ("x₁ᵀ", "x_1'"),
        ("√(x) ≤ ∞", "sqrt(x) <= inf"),
    ],
)
def test_spelling_of_expressions(written, canonical):
    assert format_file(parse_text(f"let k = {written}")) == f"let     k = {canonical}\n"


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("state x in (0,inf)", "state   x > 0"),
        ("state 0<x", "state   x > 0"),
        ("state x in [ -1 , inf )", "state   x >= -1"),
        ("control 0<=p<=1", "control p in [0, 1]"),
        ("control v in (-inf, 5]", "control v <= 5"),
        ("minimize E[integral(0,T)x^2 dt]", "minimize E integral(0, T) x^2 dt"),
        ("minimize E integral(0,T) x^2+a^2 dt+x(T)", "minimize E [ integral(0, T) (x^2 + a^2) dt + x(T) ]"),
        ("maximize 𝔼 [ ∫(0, ∞) x² dt ]", "maximize E integral(0, inf) x^2 dt"),
        ("dx = (a) dt -σ dW", "dx = a dt - sigma dW"),
        ("dx = 1 dW + -dB", "dx = dW - dB"),
        ("minimize risk( th ) tau", "minimize risk(th) [ tau ]"),
        ("subject   to a<=1,b<=2", "subject to a <= 1, b <= 2"),
        ("solve grid()", "solve   grid"),
    ],
)
def test_spelling_of_statements(written, canonical):
    assert format_file(parse_text(written)) == canonical + "\n"


def test_long_statement_is_broken_at_its_outer_commas():
    rows = ", ".join("[" + ", ".join(["0.125"] * 6) + "]" for _ in range(6))
    text = format_file(parse_text(f"param A : R^(6,6) = [{rows}]"))
    lines = text.splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert all(line.startswith("  [") for line in lines[1:])


def test_a_line_that_cannot_be_broken_stays():
    assert wrapped("let k = " + "a*" * 80 + "a") == ["let k = " + "a*" * 80 + "a"]


def test_every_statement_is_generated():
    """The strategy names every statement class of the syntax tree, so a new one cannot be forgotten."""
    source = Path(__file__).with_name("trees.py").read_text(encoding="utf-8")
    missing = [cls.__name__ for cls in ast.Statement.__args__ if f"ast.{cls.__name__}" not in source]
    assert missing == []


def test_comment_inside_a_statement_moves_above_it():
    text = "param a = 1,  # first\n\n   # second\n  b = 2 # third\nstate x in R\n"
    once = format_file(parse_text(text))
    assert once == "# first\n# second\nparam   a = 1, b = 2  # third\nstate   x in R\n"
    assert format_file(parse_text(once)) == once
