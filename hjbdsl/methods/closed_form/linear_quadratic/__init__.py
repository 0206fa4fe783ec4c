"""The linear-quadratic family, whole: affine dynamics, quadratic costs, in every composition the language has.

In: the equation. Out: a proposal or the reason why not. Reading the arrays is cheap; only what is read goes to scipy.
"""

from __future__ import annotations

from hjbdsl.methods.closed_form.family import Proposal
from hjbdsl.methods.closed_form.linear_quadratic.applicability import inapplicable
from hjbdsl.methods.closed_form.linear_quadratic.coefficients import NotLinearQuadratic, linear_quadratic
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Rejected


def propose(equation: HJBEquation) -> Proposal | Rejected:
    """V = x'P x + 2 p'x + c. Raises `HjbError` for an escape time, an infinite value, a Hamiltonian without optimum."""
    reason = inapplicable(equation.problem)
    if reason:
        return Rejected(reason)
    try:
        problem = linear_quadratic(equation.problem)
    except NotLinearQuadratic as error:
        return Rejected(str(error))
    from hjbdsl.methods.closed_form.linear_quadratic.solution import propose_quadratic  # noqa: PLC0415 (scipy only where needed)

    return propose_quadratic(equation, problem)
