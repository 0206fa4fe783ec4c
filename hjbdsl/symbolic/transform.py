"""Changes of the problem before or after the equation: risk sensitivity and time reversal.

Risk: J = (1/theta) log E exp(theta*[...]) adds theta/2 p'A p to the Hamiltonian (Fleming, Soner, VI.2), and every jump difference
D becomes (exp(theta D) - 1)/theta. With a constant discount r the current value keeps the form with theta*exp(-r t).
"""

from __future__ import annotations

import sympy as sp

from hjbdsl.errors import Diagnostic, HjbError
from hjbdsl.model.problem import TIME, ControlProblem


def risk_weight(problem: ControlProblem) -> sp.Expr | None:
    """theta as it enters the current-value equation; None without `risk`. Raises HJB116 where a discount varies under risk."""
    objective = problem.objective
    if objective.form != "risk" or objective.risk is None:
        return None
    if objective.discount == 0:
        return objective.risk
    if objective.discount.free_symbols - set(problem.values):
        span = problem.origins.get("discount", objective.span)
        raise HjbError(
            (
                Diagnostic(
                    "HJB116",
                    "a risk-sensitive objective needs a constant discount rate",
                    f"the discount `{objective.discount}` varies, and the exponential of a varying discount depends on the path; "
                    "make the rate a parameter, or drop `risk`",
                    span,
                    problem.source.line(span),
                ),
            )
        )
    return objective.risk * sp.exp(-objective.discount * TIME)


def risk_difference(weight: sp.Expr | None, difference: sp.Expr) -> sp.Expr:
    """What a jump of V by `difference` adds, per unit of rate."""
    return difference if weight is None else (sp.exp(weight * difference) - 1) / weight
