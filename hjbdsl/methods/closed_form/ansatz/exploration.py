"""Exploration: the equation of a random policy as one without a choice, and the spread of that policy.

In: an equation whose Gibbs policy has a closed form. Out: the Hamiltonian after its soft optimum, a function of t, x, p, M alone,
and the standard deviations of the explored controls. Source: Wang, Zariphopoulou, Zhou, J. Machine Learning Research 21 (2020).
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from hjbdsl.methods.closed_form.ansatz.transitions import Transition
from hjbdsl.model.equation import HJBEquation


class NotApplicable(Exception):
    """The engine cannot treat the problem; the message is the reason."""


def soft_hamiltonian(equation: HJBEquation, transitions: Sequence[Transition]) -> sp.Expr:
    """Raises `NotApplicable` where the policy has no closed form, or acts through jumps, switches or the discount."""
    problem, policy = equation.problem, equation.policy
    controls = {*problem.control_symbols, *problem.adversary_symbols}
    if equation.reduced is None or policy is None or policy.kind == "density" or len(equation.optimum.candidates) != 1:
        raise NotApplicable("the optimal random policy has no closed form")
    if controls & equation.reduced.free_symbols:
        raise NotApplicable("the soft optimum leaves a control in the equation")
    if controls & set().union(problem.objective.discount.free_symbols, *(t.integrand.free_symbols for t in transitions)):
        raise NotApplicable("an explored control sets a jump, a switch or the discount")
    return equation.reduced


def policy_spread(equation: HJBEquation) -> list[sp.Expr]:
    """The standard deviation of every control, 0 for one that is not random."""
    policy, problem = equation.policy, equation.problem
    result: list[sp.Expr] = []
    for a in (*problem.control_symbols, *problem.adversary_symbols):
        variance: sp.Expr = sp.S.Zero
        if policy is not None and policy.kind == "finite":
            chances = [(sp.sympify(point[a]), p) for point, p in policy.probabilities if a in point]
            mean = sp.Add(*(p * value for value, p in chances))
            variance = sp.Add(*(p * (value - mean) ** 2 for value, p in chances))
        elif policy is not None:
            variance = policy.covariance.get((a, a), sp.S.Zero)
        result.append(sp.sqrt(problem.numeric(variance)))
    return result
