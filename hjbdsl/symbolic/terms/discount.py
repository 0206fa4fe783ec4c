"""The discount's share of the equation: -r V in current value, r from e^(-r h) over one step."""

from __future__ import annotations

import sympy as sp

from hjbdsl.model.problem import ControlProblem


def discount_term(problem: ControlProblem, value: sp.Expr) -> sp.Expr:
    """-r V. An average problem has none: its long-run average stands in its place."""
    return -problem.objective.discount * value
