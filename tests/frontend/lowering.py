"""Helpers of the lowering tests: problems from lines, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import sympy as sp

from hjbdsl.errors import Diagnostic, HjbError
from hjbdsl.frontend.load import loads_problem
from hjbdsl.model.problem import ControlProblem


def lowered(*lines: str, overrides: Mapping[str, str] = {}, variant: str | None = None) -> ControlProblem:
    return loads_problem("\n".join(lines), overrides=overrides, variant=variant)


def mistakes(*lines: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(HjbError) as caught:
        lowered(*lines)
    return caught.value.diagnostics


def only_mistake(*lines: str) -> Diagnostic:
    found = [d for d in mistakes(*lines) if d.severity == "error"]
    assert len(found) == 1, "\n".join(d.render() for d in found)
    return found[0]


def place(diagnostic: Diagnostic) -> tuple[int, int]:
    assert diagnostic.span is not None
    return diagnostic.span.line, diagnostic.span.column


def at(problem: ControlProblem, expression: sp.Basic, **values: float) -> float:
    """The number an expression has where symbols of these names have these values."""
    numbers = {s: sp.sympify(values[s.name]) for s in expression.free_symbols if s.name in values}
    return float(problem.numeric(expression).xreplace(numbers))


def with_control(*lines: str, objective: str = "minimize E integral(0, inf) exp(-0.1*t)*(x^2 + a^2) dt") -> tuple[str, ...]:
    """A scalar problem round some extra lines."""
    return ("state x in R", "control a in R", "noise W", "dx = a dt + 0.3 dW", objective, *lines)
