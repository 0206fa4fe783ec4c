"""The jump terms of the generator, rate * E[V(x + displacement) - V(x)], with the expectation over the mark in closed form.

In: a value as an expression. Out: the term. Discrete marks are summed; for normal, exponential and uniform marks the moments and
exponential moments are known (`expectation`), and what is neither raises `NoClosedExpectation`.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from hjbdsl.model.problem import ControlProblem, Jump, MarkLaw
from hjbdsl.symbolic.transform import risk_difference


class NoClosedExpectation(Exception):
    """The expectation over the mark of a jump has no closed form here; the integrand is named in the message."""


def moved(problem: ControlProblem, jump: Jump, value: sp.Expr) -> sp.Expr:
    """V(x + displacement), all components at once."""
    states = problem.state_symbols
    return value.subs({states[i]: states[i] + d for i, d in jump.displacement.items()}, simultaneous=True)


def mean_difference(problem: ControlProblem, jump: Jump, value: sp.Expr) -> sp.Expr:
    """E[V(x + displacement)] - V(x). Raises `NoClosedExpectation`."""
    return expectation(moved(problem, jump, value) - value, jump.mark, jump.law)


def jump_term(
    problem: ControlProblem,
    jump: Jump,
    value: sp.Expr,
    weight: sp.Expr | None = None,
    controls: Mapping[sp.Symbol, sp.Expr] | None = None,
) -> sp.Expr:
    """rate * E[V(x + displacement) - V(x)] at `controls`, or the risk-sensitive form with `weight` = theta.

    The controls are those before the jump: they are put in after x has been moved. Raises `NoClosedExpectation`.
    """
    chosen = dict(controls or {})
    difference = risk_difference(weight, moved(problem, jump, value) - value).xreplace(chosen)
    return jump.rate.xreplace(chosen) * expectation(difference, jump.mark, jump.law)


def expectation(expression: sp.Expr, mark: sp.Symbol | None, law: MarkLaw) -> sp.Expr:
    """E[expression] over `mark` ~ `law`."""
    if mark is None or mark not in expression.free_symbols:
        return expression
    match law.kind:
        case "discrete":
            return sp.Add(*(probability * expression.xreplace({mark: value}) for value, probability in law.atoms))
        case "normal" | "exponential" | "uniform":
            return _continuous(expression, mark, law)
        case _:
            raise NoClosedExpectation(f"the mark {mark} has the law `{law.kind}`")


def _continuous(expression: sp.Expr, mark: sp.Symbol, law: MarkLaw) -> sp.Expr:
    terms = []
    for term in sp.Add.make_args(sp.expand(expression)):
        outside, inside = term.as_independent(mark, as_Add=False)
        terms.append(outside * _term(inside, mark, law))
    return sp.Add(*terms)


def _term(term: sp.Expr, mark: sp.Symbol, law: MarkLaw) -> sp.Expr:
    """E of mark^n exp(k mark), by n derivatives of the moment generating function at k."""
    power, rate = 0, sp.Integer(0)
    for factor in sp.Mul.make_args(term):
        base, exponent = factor.as_base_exp()
        if base == mark and exponent.is_Integer and exponent >= 0:
            power += int(exponent)
        elif isinstance(factor, sp.exp) and sp.expand(factor.exp).is_polynomial(mark) and sp.degree(factor.exp, mark) == 1:
            slope, intercept = sp.Poly(factor.exp, mark).all_coeffs()
            if intercept != 0:
                raise NoClosedExpectation(f"E[{term}]")
            rate += slope
        elif mark in factor.free_symbols:
            raise NoClosedExpectation(f"E[{term}] over the mark {mark}")
    k = sp.Dummy("k", real=True)
    derivative = sp.diff(_generating_function(law, k), k, power)
    if law.kind == "uniform" and rate == 0:
        low, high = law.arguments
        return (high ** (power + 1) - low ** (power + 1)) / ((power + 1) * (high - low))
    if law.kind == "exponential" and rate != 0 and not (law.arguments[0] - rate).is_positive:
        raise NoClosedExpectation(f"E[{term}] is finite only if {law.arguments[0]} > {rate}, which is not certain")
    return sp.simplify(derivative.subs(k, rate))


def _generating_function(law: MarkLaw, k: sp.Symbol) -> sp.Expr:
    match law.kind:
        case "normal":
            mean, variance = law.arguments
            return sp.exp(mean * k + variance * k**2 / 2)
        case "exponential":
            (rate,) = law.arguments
            return rate / (rate - k)
        case _:
            low, high = law.arguments
            return (sp.exp(high * k) - sp.exp(low * k)) / ((high - low) * k)
