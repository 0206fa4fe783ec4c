"""Exact solutions: families of ansatz propose, one verifier proves, the first proved proposal is the answer."""

from __future__ import annotations

from hjbdsl.methods.closed_form import ansatz, engine, linear_quadratic, one_dimensional, radial, reversal
from hjbdsl.methods.closed_form.engine import Outcome
from hjbdsl.methods.closed_form.expectation import feynman_kac, hopf_cole, hopf_lax, separable
from hjbdsl.methods.closed_form.family import Family
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Accepted, Rejected


def _solve_part(equation: HJBEquation) -> Accepted | Rejected:
    """The engine on an independent part of a problem."""
    return engine.explain(equation, FAMILIES).answer


# One line a family, tried from top to bottom: the cheapest test of applicability and the strongest form first.
FAMILIES: tuple[tuple[str, Family], ...] = (
    ("linear_quadratic", linear_quadratic.propose),
    ("time_reversal", reversal.propose),
    ("feynman_kac", feynman_kac.propose),
    ("hopf_cole", hopf_cole.propose),
    ("hopf_lax", hopf_lax.propose),
    ("invariant_ansatz", ansatz.propose),
    ("perpetual_stopping", one_dimensional.propose_perpetual_stopping),
    ("free_boundary", one_dimensional.propose_free_boundary),
    ("boundary_value", one_dimensional.propose_boundary_value),
    ("deterministic_flow", one_dimensional.propose_first_order),
    ("radial", radial.propose),
    ("separable", separable.family(_solve_part)),
)  # fmt: skip


def solve(equation: HJBEquation) -> Accepted | Rejected:
    """The first proved closed form, or every family's reason. Raises `HjbError` where a family shows the problem ill posed."""
    return engine.explain(equation, FAMILIES).answer


def explain(equation: HJBEquation) -> Outcome:
    """The same with each declined family's reason beside the answer, for `hjb solve --explain`."""
    return engine.explain(equation, FAMILIES)
