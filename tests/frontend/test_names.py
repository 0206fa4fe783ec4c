"""Names: which words may be one, where they may stand, and what a slip is told."""

from __future__ import annotations

import pytest
import sympy as sp

from hjbdsl.errors import HjbError, UsageError
from hjbdsl.frontend.load import load_problem
from hjbdsl.frontend.scope import KEYWORDS
from hjbdsl.frontend.syntax.vocabulary import STATEMENTS
from tests.frontend.lowering import lowered, mistakes, only_mistake, place, with_control

CLAIMED = [
    "beta",
    "gamma",
    "zeta",
    "S",
    "N",
    "Q",
    "I",
    "O",
    "E",
    "lambda",
    "R",
    "Piecewise",
    "oo",
    "exp1",
    "__import__",
    "symbols",
    "diff",
    "pi",
    "norm",
    "x1",
    "Symbol",
]


@pytest.mark.parametrize("word", CLAIMED)
def test_a_word_that_libraries_claim_is_a_plain_name(word: str) -> None:
    problem = lowered(f"param {word} = 2", "state x in R", "control a in R", f"dx = {word}*a dt",
                      "minimize integral(0, inf) exp(-0.1*t)*(x^2 + a^2) dt")  # fmt: skip
    assert [p.name for p in problem.parameters] == [word]
    assert problem.numeric(problem.drift[0]) == 2 * problem.control_symbols[0]


def test_pi_is_the_number_unless_declared() -> None:
    assert lowered(*with_control("check V(x = 0) = pi")).checks[0].expected == (sp.pi,)


@pytest.mark.parametrize(
    ("lines", "where", "words"),
    [
        (("param t = 2",), (1, 7), ["t", "reserved"]),
        (("param k = 1, k = 2",), (1, 14), ["k", "twice", "line 1"]),
        (("param x = 1",), (2, 7), ["x", "twice"]),
        (("param k = nosuch",), (1, 11), ["nosuch"]),
        (("param kappa = 1", "let f(y) = kapa*y"), (2, 12), ["kapa", "kappa", "line 1"]),
        (("let f(y) = 1 + y*f(y - 1)",), (1, 18), ["f", "itself"]),
        (("let f(y) = g(y)", "let g(y) = f(y)"), (1, 12), ["f", "itself"]),
        (("param k = l, l = k",), (1, 18), ["itself"]),
        (("let f(y) = sine(y)",), (1, 12), ["sine", "sin"]),
        (("param k = x",), (1, 11), ["x", "parameter"]),
        (("param k = t",), (1, 11), ["t"]),
    ],
)
def test_mistakes_with_names(lines: tuple[str, ...], where: tuple[int, int], words: list[str]) -> None:
    found = mistakes(*lines, *with_control())
    assert place(found[0]) == where
    for word in words:
        assert word in found[0].message + found[0].help


def test_a_mistake_is_reported_once_not_once_a_use() -> None:
    found = mistakes("param k = nosuch, l = 2*k", "let f(y) = k*y", *with_control("check V = f(x) + l"))
    assert [d.code for d in found] == ["HJB021"]
    found = mistakes("state x in R", "contrl a in R", "noise W", "dx = a dt + 0.3 dW", "minimize E x(1)^2 + x(1)*a")
    assert [d.span.line for d in found if d.span] == [2]


def test_all_mistakes_come_in_one_run_in_order() -> None:
    found = mistakes(
        "param k = 1/0",
        "state x in R, y in R",
        "control a in R",
        "noise W",
        "dx = (alpah*x + bta*a) dt + 0.3 dw",
        "minimize E integral(0, 1) (x^2 + W) dt",
        "region w in [0, 1]",
        "check U = 1",
    )
    assert [d.span.line for d in found if d.span] == [1, 2, 5, 5, 5, 6, 7, 8]


def test_equations_and_states_go_together() -> None:
    found = only_mistake("state x in R, y in R", "noise W", "dx = x dt + 0.3 dW", "evaluate E x(1)")
    assert place(found) == (1, 15)
    assert "`y` has no equation" in found.message
    found = only_mistake("state x in R", "noise W", "dx = x dt + 0.3 dW", "dz = -1 dt", "evaluate E x(1)")
    assert place(found) == (4, 1)
    assert "z" in found.message
    assert "two equations" in only_mistake("state x in R", "dx = 1 dt", "dx = 2 dt", "evaluate x(1)").message


@pytest.mark.parametrize("word", ["t", "inf"])
def test_a_mark_is_a_name_like_any_other(word: str) -> None:
    found = only_mistake(*with_control(f"jump N rate 1 mark {word} ~ normal(0, 1)"))
    assert (found.code, place(found)) == ("HJB022", (6, 20))


def test_every_word_that_begins_a_statement_is_reserved() -> None:
    assert set(STATEMENTS) <= KEYWORDS
    assert only_mistake(*with_control("param subject = 1")).code == "HJB022"


def test_a_label_belongs_to_one_mode() -> None:
    found = mistakes(*with_control("mode z in {good, bad}", "mode w in {fair, good}", "rate good -> bad = 1, fair -> good = 2"))
    assert [(d.code, place(d)) for d in found if d.severity == "error"] == [("HJB020", (7, 18))]
    assert "`z` (line 6) and `w`" in found[0].message


def test_an_oracle_that_is_not_real_fails_and_hides_nothing() -> None:
    problem = lowered(*with_control("param k = -1", "check V = 1 + k^0.5*x + log(k)", "check a = -x"))
    assert [d.code for d in problem.warnings] == ["HJB041", "HJB041"]
    assert all("fails" in d.message and place(d)[0] == 7 for d in problem.warnings)
    assert problem.checks[0].expected == (sp.nan,)
    assert problem.checks[1].expected == (-problem.state_symbols[0],)
    assert "HJB021" in [d.code for d in mistakes(*with_control("check V = log(-1) + nobody"))]


def test_unused_noises_and_controls_are_warnings() -> None:
    problem = lowered("state x in R", "control a in R, b in R", "noise W, Z", "dx = a dt + 0.3 dW", "minimize E x(1)^2")
    assert sorted(w.message.split("`")[1] for w in problem.warnings) == ["Z", "b"]
    assert {w.severity for w in problem.warnings} == {"warning"}


def test_overrides_and_variants_come_before_everything() -> None:
    lines = ("param n = 2, k = 3*n", "state x in R^n", "control u in R^n", "dx = k*u dt",
             "minimize integral(0, 1) |u|^2 dt", "variant wide: n = 3")  # fmt: skip
    assert lowered(*lines).dimension == 2
    assert lowered(*lines, variant="wide").dimension == 3
    both = lowered(*lines, variant="wide", overrides={"n": "2 + 2"})
    assert both.dimension == 4
    assert sp.Integer(12) in both.values.values()
    with pytest.raises(UsageError, match="did you mean `k`"):
        lowered(*lines, overrides={"K": "1"})
    with pytest.raises(UsageError, match="wide"):
        lowered(*lines, variant="wid")
    for text in ("1 +", "1\nparam z = 3", "{a: 1}"):
        with pytest.raises(UsageError):
            lowered(*lines, overrides={"k": text})


def test_includes(tmp_path) -> None:
    (tmp_path / "shared.hjb").write_text("param k = 3\nlet f(y) = k*y^2\n")
    top = tmp_path / "top.hjb"
    top.write_text("\n".join(('include "shared.hjb"', *with_control("check V = f(x)"))))
    problem = load_problem(top)
    assert str(problem.checks[0].expected[0]) == "k*x**2"
    assert len(problem.source.files) == 2
    (tmp_path / "shared.hjb").write_text('include "top.hjb"\n')
    with pytest.raises(HjbError) as caught:
        load_problem(top)
    assert any(place(d) == (1, 1) and "loop" in d.message for d in caught.value.diagnostics)
    (tmp_path / "shared.hjb").write_text("state z in R\n")
    with pytest.raises(HjbError, match="parameters and definitions"):
        load_problem(top)
    (tmp_path / "shared.hjb").unlink()
    with pytest.raises(HjbError, match="no such file"):
        load_problem(top)


def test_a_reserved_word_and_a_broken_law_are_reported_once() -> None:
    for declared, drift, code in (
        ("param rate = 0.1", "rate*x dt", "HJB022"),
        ("jump N rate 1 mark J ~ normal(0, -1)", "x*(exp(J) - 1) dN", "HJB047"),
    ):
        found = mistakes(declared, "state x > 0", "noise W", f"dx = {drift} + x dW", "evaluate E x(1)")
        assert [d.code for d in found] == [code]


@pytest.mark.parametrize("word", ["infinity", "Inf", "oo"])
def test_infinity_has_one_name(word: str) -> None:
    found = only_mistake("state x in R", "dx = x dt", f"evaluate integral(0, {word}) exp(-t)*x dt")
    assert (found.code, found.help) == ("HJB021", "infinity is written `inf`")
