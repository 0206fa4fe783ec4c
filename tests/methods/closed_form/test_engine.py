"""The engine: order, reasons, budgets, and the rule that a proposal which fails its proof is never an answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hjbdsl.errors import HjbError
from hjbdsl.methods import closed_form
from hjbdsl.methods.closed_form import engine, linear_quadratic
from hjbdsl.methods.closed_form.family import Proposal, ill_posed
from hjbdsl.model.solution import Accepted, Rejected
from tests.methods.closed_form.solving import equation

MOTION = "state x in R\ncontrol a in R\nnoise W\ndx = (-0.5*x + a) dt + 0.3 dW\n"
REGULATOR = MOTION + "minimize E integral(0, inf) exp(-0.1*t)*(x^2 + a^2) dt\n"


def declines(_equation) -> Rejected:
    return Rejected("not of my kind")


def lies(problem) -> Proposal | Rejected:
    answer = linear_quadratic.propose(problem)
    assert isinstance(answer, Proposal)
    return replace(answer, function=replace(answer.function, value=answer.function.value * 1.01), symbolic=None)


def broods(_equation) -> Rejected:
    while True:  # the budget counts processor time
        pass


def test_reasons_are_kept_in_order() -> None:
    outcome = engine.explain(equation(REGULATOR), (("first", declines), ("liar", lies), ("lq", linear_quadratic.propose)))
    assert isinstance(outcome.answer, Accepted)
    assert [name for name, _ in outcome.declined] == ["first", "liar"]
    assert "failed its proof" in outcome.declined[1][1]
    assert outcome.answer.solution.status == "proved"
    assert outcome.answer.solution.method == "closed_form"


def test_nothing_left() -> None:
    outcome = engine.explain(equation(REGULATOR), (("first", declines), ("liar", lies)))
    assert isinstance(outcome.answer, Rejected)
    assert "first: not of my kind" in outcome.answer.reason


def test_a_family_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "FAMILY_SECONDS", 0.1)
    outcome = engine.explain(equation(REGULATOR), (("slow", broods),))
    assert "given up after 0.1 s" in outcome.declined[0][1]


def test_a_family_that_breaks_down_leaves_the_word_to_the_next() -> None:
    def breaks(_equation) -> Rejected:
        raise ZeroDivisionError("of its own making")

    outcome = engine.explain(equation(REGULATOR), (("broken", breaks), ("lq", linear_quadratic.propose)))
    assert isinstance(outcome.answer, Accepted)
    assert outcome.failed == ("broken",)
    assert outcome.declined == (("broken", "failed: ZeroDivisionError: of its own making"),)
    alone = engine.explain(equation(REGULATOR), (("broken", breaks),))
    assert isinstance(alone.answer, Rejected)
    assert "broken: failed: ZeroDivisionError" in alone.answer.reason


def test_an_ill_posed_problem_is_a_diagnostic() -> None:
    def refuses(problem) -> Rejected:
        raise ill_posed(problem.problem, "HJB120", "x", "the value is infinite", "change it")

    with pytest.raises(HjbError, match="HJB120"):
        engine.explain(equation(REGULATOR), (("strict", refuses), ("lq", linear_quadratic.propose)))


def test_every_family_stands_in_the_tuple() -> None:
    names = [name for name, _ in closed_form.FAMILIES]
    assert len(set(names)) == len(names)
    root = Path(closed_form.__file__).parent
    proposing = {p for p in root.rglob("*.py") if "\ndef propose(" in p.read_text() and "ansatz/propose" not in str(p)}
    listed = Path(closed_form.__file__).read_text()
    for path in proposing:
        module = path.parent if path.name == "__init__.py" else path.with_suffix("")
        assert f'"{".".join(module.relative_to(root).parts)}"' in listed, path


def test_every_family_can_be_asked() -> None:
    problem = equation(REGULATOR)
    for _, propose in closed_form.FAMILIES:
        assert isinstance(propose(problem), Proposal | Rejected)
