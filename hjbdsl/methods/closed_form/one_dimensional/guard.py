"""A limit on every proposer of this room: in time, and to functions that have numerical counterparts."""

from __future__ import annotations

from functools import wraps

from hjbdsl.budget import BudgetExceeded, time_budget
from hjbdsl.methods.closed_form.family import Family, Proposal
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Rejected
from hjbdsl.numeric.compile import UnsupportedExpression


def guarded(seconds: float, propose: Family) -> Family:
    """`propose`, given up after `seconds` or where an expression cannot be evaluated, with the reason."""

    @wraps(propose)
    def attempt(equation: HJBEquation) -> Proposal | Rejected:
        try:
            with time_budget(seconds):
                return propose(equation)
        except BudgetExceeded:
            return Rejected(f"given up after {seconds:g} s")
        except UnsupportedExpression as unsupported:
            return Rejected(str(unsupported))

    return attempt
