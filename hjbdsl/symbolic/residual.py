"""Put a candidate value function and controls into the full equation.

In: an equation, V(t, x) by joint mode, controls by joint mode. Out: what is left of the PDE by joint mode: zero for a solution.
Jumps, modes, risk, entropy and discount are all in; obstacles are not (this is the continuation equation).
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from hjbdsl.model.equation import AVERAGE, VALUE, HJBEquation
from hjbdsl.model.problem import TIME
from hjbdsl.symbolic.derivatives import derivative_table
from hjbdsl.symbolic.terms.jump import jump_term, mean_difference
from hjbdsl.symbolic.terms.mode import mode_term
from hjbdsl.symbolic.transform import risk_difference, risk_weight

Modes = tuple[int, ...]


def substitute_derivatives(equation: HJBEquation, expression: sp.Expr, value: sp.Expr) -> sp.Expr:
    """`expression` with the symbols of V, its gradient and its Hessian replaced by `value` and its derivatives.

    A jump difference becomes its expectation. Raises `NoClosedExpectation` where a jump difference occurs that has none.
    """
    needed = expression.free_symbols
    table = {VALUE: value, **derivative_table(equation.problem, equation.gradient, equation.hessian, value)}
    for jump, symbol in zip(equation.problem.jumps, equation.jump_differences, strict=True):
        if symbol in needed:
            table[symbol] = mean_difference(equation.problem, jump, value)
    return expression.xreplace({symbol: table[symbol] for symbol in needed & table.keys()})


def residual(
    equation: HJBEquation,
    values: Mapping[Modes, sp.Expr],
    controls: Mapping[Modes, Mapping[sp.Symbol, sp.Expr]],
    average: sp.Expr = AVERAGE,
) -> dict[Modes, sp.Expr]:
    """V_t + f + L^a V - r V at the given controls, by joint mode (average problems: minus `average`).

    Under `explore` the soft maximum stands in the Hamiltonian's place and `controls` are not needed.
    Raises `NoClosedExpectation` for a jump whose mark leaves no closed moment, `ValueError` where the soft maximum has none.
    """
    problem = equation.problem
    weight = risk_weight(problem)
    result: dict[Modes, sp.Expr] = {}
    for mode in problem.mode_tuples():
        value = values[mode]
        terms = [sp.diff(value, TIME), _local_part(equation, mode, value, controls.get(mode, {}))]
        chosen = dict(controls.get(mode, {}))
        for jump in problem.jumps:
            terms.append(problem.at_mode(jump_term(problem, jump, value, weight, chosen), mode))
        terms.append(mode_term(problem, mode, values, lambda difference: risk_difference(weight, difference)))
        if problem.objective.form == "average":
            terms.append(-average)
        else:
            rate = problem.at_mode(problem.objective.discount, mode).xreplace(chosen)
            terms.append(-rate * value)
        result[mode] = sp.Add(*terms)
    return result


def _local_part(equation: HJBEquation, mode: Modes, value: sp.Expr, controls: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
    """The Hamiltonian, optimised softly under `explore`, with the derivatives of `value` in it."""
    if equation.entropy is not None:
        if equation.reduced is None:
            raise ValueError("the soft maximum of this Hamiltonian has no closed form")
        soft = equation.problem.at_mode(equation.reduced, mode)
        return substitute_derivatives(equation, soft, value)
    local = substitute_derivatives(equation, equation.problem.at_mode(equation.hamiltonian, mode), value)
    return local.xreplace(dict(controls))
