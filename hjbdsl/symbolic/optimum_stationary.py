"""Roots of dH/da for one control: sums of powers, of exponentials, quadratics; sympy's solver for the rest, within a budget.

In: the derivative of the Hamiltonian and the control. Out: the real roots with the condition under which each exists, or None.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from hjbdsl.budget import BudgetExceeded, time_budget
from hjbdsl.symbolic.expansion import multiplied_out, split_powers

_SOLVER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Root:
    value: sp.Expr
    exists: sp.Basic = sp.true


def stationary_points(derivative: sp.Expr, control: sp.Symbol) -> tuple[Root, ...] | None:
    """Every real root in `control` of `derivative`; None where they cannot be written down.

    A `control` that is a positive symbol has its negative roots left out.
    """
    shift = _shifted(derivative, control)
    if shift is not None:
        inner, variable, scale, offset = shift
        roots = stationary_points(inner, variable)
        return None if roots is None else tuple(Root(simplify_root((r.value - offset) / scale), r.exists) for r in roots)
    sums = _power_exponential_sums(derivative, control)
    if sums is not None:
        solved = _solve_sums(sums, control)
        if solved is not None:
            return tuple(Root(simplify_root(r.value), r.exists) for r in solved)
    return _solve_by_sympy(derivative, control)


def simplify_root(expression: sp.Expr) -> sp.Expr:
    """Like powers gathered and common factors taken out: the short form a person would write."""
    if sp.count_ops(expression) > 80:
        return expression
    gathered = sp.powsimp(sp.powdenest(expression))
    if gathered.is_Add:
        gathered = sp.factor_terms(gathered)
    return min((expression, gathered), key=sp.count_ops)


def _shifted(derivative: sp.Expr, control: sp.Symbol) -> tuple[sp.Expr, sp.Symbol, sp.Expr, sp.Expr] | None:
    """`(scale*a + offset)^e` with a power that is not a positive integer: go over to y = scale*a + offset > 0."""
    for power in derivative.atoms(sp.Pow):
        base, exponent = power.as_base_exp()
        if base.is_Add and control in base.free_symbols and not (exponent.is_Integer and exponent > 0):
            linear = sp.Poly(base, control) if base.is_polynomial(control) else None
            if linear is None or linear.degree() != 1:
                return None
            scale, offset = linear.all_coeffs()
            positive = sp.Dummy("y", positive=True)
            moved = split_powers(derivative.xreplace({base: positive}).xreplace({control: (positive - offset) / scale}))
            return moved, positive, scale, offset
    return None


def _power_exponential_sums(derivative: sp.Expr, control: sp.Symbol) -> dict[tuple[sp.Expr, sp.Expr], sp.Expr] | None:
    """{(e, k): coefficient} of sum coefficient * a^e * exp(k*a), or None when some term has another form."""
    sums: dict[tuple[sp.Expr, sp.Expr], sp.Expr] = {}
    for term in multiplied_out(derivative, {control}):
        exponent: sp.Expr = sp.Integer(0)
        rate: sp.Expr = sp.Integer(0)
        rest: list[sp.Expr] = []
        for factor in sp.Mul.make_args(term):
            base, power = factor.as_base_exp()
            if base == control and control not in power.free_symbols:
                exponent += power
            elif isinstance(factor, sp.exp) and factor.exp.is_polynomial(control) and sp.degree(factor.exp, control) == 1:
                slope, intercept = sp.Poly(factor.exp, control).all_coeffs()
                rate += slope
                rest.append(sp.exp(intercept))
            elif control in factor.free_symbols:
                return None
            else:
                rest.append(factor)
        key = (sp.expand(exponent), sp.expand(rate))
        sums[key] = sums.get(key, sp.Integer(0)) + sp.Mul(*rest)
    sums = {key: sp.factor_terms(value) for key, value in sums.items()}
    return {key: value for key, value in sums.items() if value != 0}


def _solve_sums(sums: dict[tuple[sp.Expr, sp.Expr], sp.Expr], control: sp.Symbol) -> list[Root] | None:
    rates = {rate for _, rate in sums}
    exponents = {exponent for exponent, _ in sums}
    if len(rates) == 1:
        return _solve_powers({e: c for (e, _), c in sums.items()}, control)
    if len(rates) == 2 and len(exponents) == 1 and len(sums) == 2:
        (_, first), (_, second) = sums
        a, b = sums.values()
        ratio = -b / a
        return [Root(_logarithm(ratio) / (first - second), sp.Gt(ratio, 0))]
    return None


def _logarithm(ratio: sp.Expr) -> sp.Expr:
    """log(ratio), -log of the denominator where the numerator is one."""
    numerator, denominator = ratio.as_numer_denom()
    return -sp.log(denominator) if numerator == 1 else sp.log(ratio)


def _solve_powers(powers: dict[sp.Expr, sp.Expr], control: sp.Symbol) -> list[Root] | None:
    """Roots of sum c_e a^e with two powers, or three in arithmetic progression of step one."""
    if not all((e - next(iter(powers))).is_number for e in powers) and len(powers) != 2:
        return None
    if len(powers) == 1:
        (exponent,) = powers
        return [] if control.is_positive or not exponent.is_positive else [Root(sp.Integer(0))]
    ordered = sorted(powers, key=lambda e: sp.default_sort_key(e - min(powers, key=sp.default_sort_key)))
    if all(e.is_number for e in powers):
        ordered = sorted(powers)
    lowest = ordered[0]
    zero = [Root(sp.Integer(0))] if not control.is_positive and lowest.is_Integer and lowest > 0 else []
    if len(ordered) == 2:
        roots = _two_powers(powers[ordered[1]], ordered[1] - lowest, powers[lowest], control)
        return None if roots is None else roots + zero
    if len(ordered) == 3 and [e - lowest for e in ordered] == [0, 1, 2]:
        c, b, a = (powers[e] for e in ordered)
        discriminant = b**2 - 4 * a * c
        exists = sp.Ge(discriminant, 0)
        root = sp.sqrt(discriminant)
        return [Root((-b + root) / (2 * a), exists), Root((-b - root) / (2 * a), exists), *zero]
    return None


def _two_powers(high: sp.Expr, gap: sp.Expr, low: sp.Expr, control: sp.Symbol) -> list[Root] | None:
    """high*a^gap + low = 0."""
    ratio = sp.powsimp(-low / high)
    exists = sp.Gt(ratio, 0) if control.is_positive else sp.true
    if gap == 1:
        return [Root(ratio, exists)]
    if gap == -1:
        return [Root(1 / ratio, exists)]
    if control.is_positive:
        return [Root(split_powers(ratio ** (1 / gap)), sp.Gt(ratio, 0))]
    if gap.is_Integer and gap.is_odd and gap > 0:
        return [Root(sp.sign(ratio) * sp.Abs(ratio) ** (1 / gap))]
    if gap.is_Integer and gap > 0:
        root = ratio ** (1 / gap)
        return [Root(root, sp.Gt(ratio, 0)), Root(-root, sp.Gt(ratio, 0))]
    return None


def _solve_by_sympy(derivative: sp.Expr, control: sp.Symbol) -> tuple[Root, ...] | None:
    """sympy's own solver; its answers are kept only if they are explicit and put back exactly."""
    try:
        with time_budget(_SOLVER_SECONDS):
            found = sp.solve(derivative, control)
            if not found or len(found) > 3 or any(not isinstance(r, sp.Expr) or r.has(sp.Piecewise, sp.I) for r in found):
                return None
            if any(sp.simplify(derivative.subs(control, r)) != 0 for r in found):
                return None
    except (BudgetExceeded, NotImplementedError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    return tuple(Root(r) for r in found)
