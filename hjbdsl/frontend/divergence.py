"""Integrals to infinity that certainly diverge: a running term without discount that nothing can keep near zero.

In: the lowered problem. Out: whether the integral of f is infinite under every control. Two criteria, each a proof:

1. |f| >= delta > 0 for all states and controls.
2. f >= c*sum |v - v0|^p, p >= 1, over a state x and all variables v of its drift; that drift is affine, the domain of x the
   line, its noise of constant variance s^2 > 0, its path without jumps. Were E integral f over a unit of time small, every v
   would be near v0 in L^1, so x near x0, while its drift nearly adds a constant times dt: but between two times x moves by s
   times the noise besides, which is not small. So each unit of time costs at least some delta > 0. The same holds for -f.

The first asks no more than f; the second fails, rightly, where noise or cost may vanish (portfolios, multiplicative noise).
"""

from __future__ import annotations

import sympy as sp

from hjbdsl.frontend.arithmetic import as_float
from hjbdsl.frontend.definite import is_positive_definite
from hjbdsl.frontend.interval import enclosure
from hjbdsl.frontend.ranges import choice_ranges, state_ranges, variance
from hjbdsl.model.problem import ControlProblem

MOST_MODES = 16


def certainly_diverges(problem: ControlProblem) -> bool:
    """Whether the undiscounted integral of f to infinity is infinite (of either sign) for every control."""
    modes = problem.mode_tuples()
    switching = (rate for chain in problem.modes for rate in chain.rates.values())
    if len(modes) > MOST_MODES or not all(problem.numeric(rate).is_number for rate in switching):
        return False
    running = [problem.numeric(problem.at_mode(problem.objective.running, mode)) for mode in modes]
    box = {**state_ranges(problem), **choice_ranges(problem)}
    for sign in (1, -1):
        costs = [sign * cost for cost in running]
        if all(enclosure(cost, box)[0] > 0 for cost in costs):
            return True
        if any(_never_rests(problem, index, costs) for index in range(problem.dimension)):
            return True
    return False


def _never_rests(problem: ControlProblem, index: int, costs: list[sp.Expr]) -> bool:
    """The second criterion, for one state component and the cost in every mode."""
    bounds = problem.state_bounds[index]
    if (bounds.lower, bounds.upper) != (-sp.oo, sp.oo) or any(index in jump.displacement for jump in problem.jumps):
        return False
    state = problem.state_symbols[index]
    for mode, cost in zip(problem.mode_tuples(), costs, strict=True):
        spread = variance(problem, index, mode)
        drift = problem.numeric(problem.at_mode(problem.drift[index], mode))
        if not spread.is_number or not as_float(spread) > 0 or not _is_affine(drift):
            return False
        if not drift.free_symbols | {state} <= _weighed(cost):
            return False
    return True


def _is_affine(expression: sp.Expr) -> bool:
    symbols = tuple(expression.free_symbols)
    return not symbols or (expression.is_polynomial(*symbols) and sp.Poly(expression, *symbols).total_degree() <= 1)


def _weighed(cost: sp.Expr) -> set[sp.Symbol]:
    """The variables v with cost >= c*sum |v - v0|^p for some c > 0, v0 and p >= 1; empty where the cost may be negative."""
    symbols = tuple(sorted(cost.free_symbols, key=str))
    if not symbols:
        return set()
    if cost.is_polynomial(*symbols):
        polynomial = sp.Poly(cost, *symbols)
        if polynomial.total_degree() == 2:
            return set(symbols) if _is_positive_quadratic(polynomial) else set()
    weighed: set[sp.Symbol] = set()
    for term in sp.Add.make_args(sp.expand(cost)):
        power = _power_of_size(term)
        if power is not None:
            weighed |= power
        elif not enclosure(term, {})[0] >= 0:
            return set()
    return weighed


def _is_positive_quadratic(polynomial: sp.Poly) -> bool:
    """Whether z'Qz + l'z + k has a definite Q and a minimum that is not negative."""
    symbols = polynomial.gens
    expression = polynomial.as_expr()
    hessian = sp.hessian(expression, symbols)
    if not is_positive_definite([[as_float(entry) for entry in hessian.row(i)] for i in range(len(symbols))]):
        return False
    slope = sp.Matrix([polynomial.coeff_monomial(symbol) for symbol in symbols])
    if slope.is_zero_matrix:
        return as_float(polynomial.coeff_monomial(1)) >= 0
    lowest = polynomial.coeff_monomial(1) - (slope.T * hessian.LUsolve(slope))[0] / 2
    return as_float(lowest) >= 0


def _power_of_size(term: sp.Expr) -> set[sp.Symbol] | None:
    """The variables of c*v^(2k), c*|v|^p or c*sqrt(v^2 + w^2 + ...) with c > 0 and p >= 1; None for anything else."""
    coefficient, rest = term.as_coeff_Mul()
    if not as_float(coefficient) > 0:
        return None
    base, height = rest.as_base_exp()
    if not height.is_number or not as_float(height) > 0:
        return None
    if isinstance(base, sp.Abs) and base.args[0].is_Symbol:
        return {base.args[0]} if as_float(height) >= 1 else None
    if base.is_Symbol:
        return {base} if height.is_even else None
    squares = [_power_of_size(part) for part in sp.Add.make_args(base)] if base.is_Add else [None]
    even = all(part.as_coeff_Mul()[1].as_base_exp()[1] == 2 for part in sp.Add.make_args(base))
    if not even or any(part is None for part in squares) or as_float(height) < 1 / 2:
        return None
    return {symbol for part in squares if part is not None for symbol in part}
