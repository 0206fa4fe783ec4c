"""Sampled facts about a Hamiltonian in one control: whether it grows without bound, whether it starts infinitely steep.

In: expressions and a problem. The samples only ever show growth at *every* sampled gradient, so a single finite one is enough
to say nothing.
"""

from __future__ import annotations

import itertools

import sympy as sp

from hjbdsl.model.problem import Bounds, ControlProblem
from hjbdsl.symbolic.signs import sign_of

_GRADIENTS = (sp.Rational(-13, 7), sp.Rational(-1, 3), sp.Rational(2, 5), sp.Rational(17, 9))


def _samples(problem: ControlProblem, expression: sp.Expr, control: sp.Symbol) -> list[sp.Expr]:
    """`expression` in the control alone: parameters as numbers, states in the region, derivatives of both signs."""
    mode = problem.mode_tuples()[0]
    numeric = problem.numeric(problem.at_mode(expression, mode))
    region = dict(zip(problem.state_symbols, problem.region, strict=False))
    free = sorted(numeric.free_symbols - {control}, key=lambda s: s.name)
    results = []
    for k, gradient in itertools.product(range(2), _GRADIENTS):
        table: dict[sp.Symbol, sp.Expr] = {}
        for place, symbol in enumerate(free):
            if symbol in region:
                low, high = region[symbol]
                table[symbol] = low + (high - low) * sp.Rational(3 + 2 * k + place % 3, 11)
            elif symbol.is_nonnegative:
                table[symbol] = sp.Rational(1 + k, 3)
            else:
                table[symbol] = gradient * (1 if (place + k) % 2 == 0 else sp.Rational(-3, 4) * (-1) ** place)
        results.append(numeric.xreplace(table))
    return results


def _number(expression: sp.Expr, control: sp.Symbol, at: sp.Expr) -> float | None:
    value = sp.N(expression.xreplace({control: at}), 15)
    return float(value) if value.is_Float or value.is_Integer else None


def grows_without_bound(problem: ControlProblem, objective: sp.Expr, control: sp.Symbol, bounds: Bounds) -> str:
    """`inf` or `-inf` where the objective goes to infinity there at every sampled gradient; else an empty string."""
    for end, sign, bound in (("inf", 1, bounds.upper), ("-inf", -1, bounds.lower)):
        if bound not in (sp.oo, -sp.oo):
            continue
        if all(_grows(sample, control, sign) for sample in _samples(problem, objective, control)):
            return end
    return ""


def _grows(sample: sp.Expr, control: sp.Symbol, sign: int) -> bool:
    values = [_number(sample, control, sp.Integer(sign * 10**k)) for k in (2, 4, 6)]
    if any(v is None for v in values):
        return False
    first, second, third = (v for v in values if v is not None)
    return third > 10 * abs(second) and second > 10 * abs(first) and third > 1e5


def _bases(expression: sp.Expr, control: sp.Symbol) -> set[sp.Expr]:
    """Sums in the control under a logarithm or a power that is not a whole positive number: they must be positive."""
    powers = {p.base for p in expression.atoms(sp.Pow) if not (p.exp.is_Integer and p.exp > 0)}
    logs = {p.args[0] for p in expression.atoms(sp.log)}
    return {base for base in powers | logs if base.is_Add and control in base.free_symbols}


def inside_domain(expression: sp.Expr, control: sp.Symbol) -> sp.Expr:
    """The expression with such bases as positive symbols: what is known about its sign wherever H is defined."""
    return expression.xreplace({base: sp.Dummy("y", positive=True) for base in _bases(expression, control)})


def undefined_at(problem: ControlProblem, expression: sp.Expr, control: sp.Symbol, location: sp.Expr) -> bool:
    """Whether one of the bases is negative there (consumption below habit): H is not defined at that face."""
    return any(sign_of(problem, base.xreplace({control: location})) in (-1, 0) for base in _bases(expression, control))


def starts_infinitely_steep(slope: sp.Expr, control: sp.Symbol, location: sp.Expr) -> bool:
    """Whether dH/da is singular at a face: then the face is never the maximiser of a unimodal H."""
    value = slope.xreplace({control: location})
    return bool(value.has(sp.zoo, sp.oo, -sp.oo, sp.nan))
