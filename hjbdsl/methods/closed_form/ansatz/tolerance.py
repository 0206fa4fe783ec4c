"""Hyperbolic absolute risk aversion: utilities whose risk tolerance -u'/u'' is affine, and the shift of wealth they need.

In: a problem with one continuous state. Out: the exponent p of V = A (w + shift)^p (0: the logarithm) read off the utility of
consumption or of terminal wealth, tolerance = (argument + constant)/(1 - p). Source: Merton, J. Econ. Theory 3 (1971), section 6.
"""

from __future__ import annotations

import sympy as sp

from hjbdsl.methods.closed_form.ansatz.homogeneity import constant_value
from hjbdsl.model.problem import ControlProblem
from hjbdsl.numeric.compile import UnsupportedExpression


def hyperbolic_exponent(problem: ControlProblem) -> sp.Expr | None:
    """p, or None where no reward is a utility of this kind (exponential utility, p infinite, among them)."""
    variables = {*problem.state_symbols, *problem.control_symbols, *problem.adversary_symbols}
    objective = problem.objective
    for reward in (objective.terminal, objective.running):
        arguments = variables & reward.free_symbols if reward is not None else set()
        if reward is None or len(arguments) != 1:
            continue
        tolerance = risk_tolerance(reward, arguments.pop())
        slope = None if tolerance is None else _slope(problem, tolerance, reward)
        if slope is not None and problem.numeric(slope) > 0:
            return sp.cancel(1 - 1 / slope)
    return None


def risk_tolerance(utility: sp.Expr, argument: sp.Symbol) -> sp.Expr | None:
    """-u'/u''; None for a utility without curvature."""
    second = sp.diff(utility, argument, 2)
    return None if second == 0 else sp.cancel(sp.powsimp(-sp.diff(utility, argument) / second))


def _slope(problem: ControlProblem, tolerance: sp.Expr, reward: sp.Expr) -> sp.Expr | None:
    (argument,) = {*problem.state_symbols, *problem.control_symbols, *problem.adversary_symbols} & reward.free_symbols
    try:
        return constant_value(problem, sp.diff(tolerance, argument))
    except UnsupportedExpression:
        return None
