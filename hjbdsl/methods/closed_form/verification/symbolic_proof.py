"""The residual of a formula, in symbols: zero for all parameters, or with the numbers put in exactly, or to 30 digits at points.

In: equation, V and controls by joint mode. Out: the words of what was shown, or None where nothing could be shown within the
budget.
"""

from __future__ import annotations

from collections.abc import Mapping

import mpmath
import numpy as np
import sympy as sp

from hjbdsl.budget import BudgetExceeded, time_budget
from hjbdsl.methods.closed_form.verification.points import Samples
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import TIME, ControlProblem
from hjbdsl.model.solution import Array
from hjbdsl.numeric.compile import UnsupportedExpression, compile_expressions, compile_precise
from hjbdsl.symbolic.residual import residual
from hjbdsl.symbolic.terms.jump import NoClosedExpectation

Mode = tuple[int, ...]
PARAMETRIC_SECONDS, NUMERIC_SECONDS, PRECISE_SECONDS = 0.4, 0.4, 1.0
_PRECISE_POINTS = 6


def prove(
    equation: HJBEquation,
    values: Mapping[Mode, sp.Expr],
    controls: Mapping[Mode, Mapping[sp.Symbol, sp.Expr]],
    average: sp.Expr | None,
    at: Samples,
) -> str | None:
    """The strongest statement that could be established; None if the residual has no symbolic form or did not come out zero."""
    problem = equation.problem
    try:
        with time_budget(PARAMETRIC_SECONDS):
            by_mode = residual(equation, values, controls, sp.S.Zero if average is None else average)
    except (BudgetExceeded, NoClosedExpectation, ValueError):
        return None
    residuals = [by_mode[mode] for mode in problem.mode_tuples()]
    if _vanish(residuals, PARAMETRIC_SECONDS):
        return "residual 0 (symbolic, for all parameters)"
    numeric = [sp.sympify(problem.numeric(r)) for r in residuals]
    if _vanish(numeric, NUMERIC_SECONDS):
        return "residual 0 (symbolic, with the parameters' exact numbers)"
    return _vanish_precisely(problem, numeric, at)


def matches(
    equation: HJBEquation,
    values: Mapping[Mode, sp.Expr],
    controls: Mapping[Mode, Mapping[sp.Symbol, sp.Expr]],
    at: Samples,
    claimed: tuple[Array, Array],
) -> float:
    """Largest relative difference between the formula and the `claimed` V (k,) and controls (k, m) at the samples; 0 where the
    formula holds a function without a numerical counterpart."""
    problem = equation.problem
    symbols = (*problem.control_symbols, *problem.adversary_symbols)
    worst = 0.0
    for index, mode in enumerate(problem.mode_tuples()):
        here = at.mode == index
        table = controls.get(mode, {})
        named = [k for k, s in enumerate(symbols) if s in table]
        expressions = [problem.numeric(sp.sympify(e)) for e in (values[mode], *(table[symbols[k]] for k in named))]
        try:
            found = compile_expressions((TIME, *problem.state_symbols), expressions)(at.t[here], *at.x[here].T)
        except UnsupportedExpression:
            continue
        for got, said in zip(found, (claimed[0][here], *(claimed[1][here, k] for k in named)), strict=True):
            worst = max(worst, float(np.max(np.abs(got - said) / (1 + np.abs(said)), initial=0.0)))
    return worst


def _vanish(residuals: list[sp.Expr], seconds: float) -> bool:
    try:
        with time_budget(seconds):
            return all(_is_zero(r) for r in residuals)
    except BudgetExceeded:
        return False


def _is_zero(expression: sp.Expr) -> bool:
    if expression == 0 or sp.expand(expression) == 0:
        return True
    numerator = sp.expand(sp.fraction(sp.together(sp.powsimp(sp.expand(expression))))[0])
    if numerator == 0 or sp.expand(sp.powsimp(sp.expand_power_exp(numerator))) == 0:
        return True
    return bool(sp.simplify(expression) == 0)


def _vanish_precisely(problem: ControlProblem, residuals: list[sp.Expr], at: Samples) -> str | None:
    """Each residual at a few exact points in 30 digits, against the size of its terms."""
    modes = problem.mode_tuples()
    worst = mpmath.mpf(0)
    try:
        with time_budget(PRECISE_SECONDS):
            for mode, expression in zip(modes, residuals, strict=True):
                parts = sp.Add.make_args(expression)
                function = compile_precise((TIME, *problem.state_symbols), parts, 40)
                chosen = np.flatnonzero(at.mode == modes.index(mode))[:_PRECISE_POINTS]
                for k in chosen:
                    numbers = function(float(at.t[k]), *(float(v) for v in at.x[k]))
                    with mpmath.workdps(40):
                        size = mpmath.fsum(numbers, absolute=True) + mpmath.mpf(10) ** -300
                        worst = max(worst, abs(mpmath.fsum(numbers)) / size)
    except (BudgetExceeded, UnsupportedExpression, NameError, TypeError, ValueError, ZeroDivisionError):
        return None
    return f"residual {mpmath.nstr(worst, 2)} of its terms in 40-digit arithmetic at sampled points" if worst < 1e-28 else None
