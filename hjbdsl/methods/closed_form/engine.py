"""Closed forms as one engine: each family proposes, one verifier proves.

In: the equation and the families in their order. Out: `Accepted` with the first proved proposal, or `Rejected` with every
family's reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hjbdsl.budget import BudgetExceeded, time_budget
from hjbdsl.errors import HjbError
from hjbdsl.methods.closed_form.family import Family, Proposal
from hjbdsl.methods.closed_form.verify import verify
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Accepted, Evidence, Rejected, Solution

_ROUNDING = 1e-14
"""Of a formula in binary floating point, a share of its value."""
FAMILY_SECONDS = 20.0
"""A family may think this long; then it is given up and the next one tried."""
VERIFY_SECONDS = 20.0
"""The verifier's own bound; a proposal that cannot be checked within it is no answer."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`answer`, and why each family that was tried before it (or all of them) did not give one: (family, reason). `failed` names
    those that broke down instead of declining."""

    answer: Accepted | Rejected
    declined: tuple[tuple[str, str], ...]
    failed: tuple[str, ...] = ()


def explain(equation: HJBEquation, families: Sequence[tuple[str, Family]]) -> Outcome:
    """Try `families` in order. `HjbError` from a family (the problem is ill posed) propagates; a family that breaks down leaves
    the word to the next one, and its breakdown on record."""
    declined: list[tuple[str, str]] = []
    failed: list[str] = []
    for name, propose in families:
        try:
            answer = _attempt(equation, propose)
        except HjbError:
            raise
        except Exception as error:
            declined.append((name, f"failed: {type(error).__name__}: {error}"))
            failed.append(name)
            continue
        if isinstance(answer, Solution):
            return Outcome(Accepted(answer), tuple(declined), tuple(failed))
        declined.append((name, answer.reason))
    reasons = "; ".join(f"{name}: {reason}" for name, reason in declined)
    return Outcome(Rejected(reasons), tuple(declined), tuple(failed))


def examine(equation: HJBEquation, families: Sequence[tuple[str, Family]]) -> tuple[str, ...]:
    """Ask `families` in order, up to the first that proposes, whether the problem is ill posed: then `HjbError`. Nothing is
    verified, so this is quick. Returns what broke down: "family: error"."""
    failed: list[str] = []
    for name, propose in families:
        try:
            with time_budget(FAMILY_SECONDS):
                if isinstance(propose(equation), Proposal):
                    break
        except BudgetExceeded:
            continue
        except HjbError:
            raise
        except Exception as error:
            failed.append(f"{name}: {type(error).__name__}: {error}")
    return tuple(failed)


def _attempt(equation: HJBEquation, propose: Family) -> Solution | Rejected:
    try:
        with time_budget(FAMILY_SECONDS):
            proposal = propose(equation)
    except BudgetExceeded:
        return Rejected(f"given up after {FAMILY_SECONDS:g} s")
    if isinstance(proposal, Rejected):
        return proposal
    if proposal.problem is not None:
        equation = replace(equation, problem=proposal.problem)
    try:
        with time_budget(VERIFY_SECONDS):
            evidence = verify(equation, proposal)
    except BudgetExceeded:
        return Rejected(f"{proposal.family}: its verification took more than {VERIFY_SECONDS:g} s")
    if isinstance(evidence, Rejected):
        return Rejected(f"{proposal.family} proposed an answer that failed its proof: {evidence.reason}")
    return _solution(proposal, evidence)


def _solution(proposal: Proposal, evidence: Evidence) -> Solution:
    return Solution(
        method="closed_form",
        family=proposal.family,
        status="proved",
        function=proposal.function,
        evidence=evidence,
        formula=proposal.formula,
        average=proposal.average,
        average_error=proposal.accuracy + _ROUNDING * abs(proposal.average) if proposal.average is not None else None,
        warnings=proposal.warnings,
    )
