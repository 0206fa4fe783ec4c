"""Taking the discount out of an objective.

In: a payoff in which every factor exp(phi), phi a function of time alone, is marked by `Weight(phi)`. Out: the
common factor and the rest. The marks keep exp(-rho*t) apart from exp(x): sympy would merge the two.
"""

from __future__ import annotations

import sympy as sp

from hjbdsl.model.problem import TIME

Weight = sp.Function("Weight", real=True, positive=True)
"""Weight(phi) stands for exp(phi) until the discount has been taken out."""


def unmarked(expression: sp.Expr) -> sp.Expr:
    """Every remaining mark becomes its exponential."""
    marks = expression.atoms(Weight)
    return expression.xreplace({mark: sp.exp(mark.args[0]) for mark in marks}) if marks else expression


def factored(expression: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """(phi, rest) with expression = exp(phi)*rest, phi the exponent common to all terms (0 where there is none)."""
    if isinstance(expression, Weight):
        return expression.args[0], sp.S.One
    if expression.is_Mul:
        parts = [factored(factor) for factor in expression.args]
        if all(phi == 0 for phi, _ in parts):
            return sp.S.Zero, expression
        return sp.Add(*(phi for phi, _ in parts)), sp.Mul(*(rest for _, rest in parts))
    if expression.is_Pow and expression.exp.is_number:
        phi, rest = factored(expression.base)
        return (phi * expression.exp, rest**expression.exp) if phi != 0 else (sp.S.Zero, expression)
    if expression.is_Add:
        parts = [factored(term) for term in expression.args]
        first = sp.expand(parts[0][0])
        if first != 0 and all(sp.expand(phi) == first for phi, _ in parts):
            return first, sp.Add(*(rest for _, rest in parts))
        return sp.S.Zero, expression
    if isinstance(expression, sp.Piecewise):
        parts = [factored(value) for value, _ in expression.args]
        known = [sp.expand(phi) for (phi, rest) in parts if rest != 0]
        if known and known[0] != 0 and all(phi == known[0] for phi in known):
            pairs = [(rest, condition) for (_, rest), (_, condition) in zip(parts, expression.args, strict=True)]
            return known[0], sp.Piecewise(*pairs, evaluate=False)
    return sp.S.Zero, expression


def exponents(expression: sp.Expr) -> tuple[sp.Expr, ...]:
    """The exponents of the terms of a sum whose terms have different discount factors."""
    terms = sp.Add.make_args(expression)
    return tuple(dict.fromkeys(sp.expand(factored(term)[0]) for term in terms))


def divided(expression: sp.Expr, phi: sp.Expr) -> sp.Expr:
    """expression*exp(-phi), term by term, with equal exponents cancelled."""
    terms = []
    for term in sp.Add.make_args(expression):
        own, rest = factored(term)
        remaining = sp.expand(own - phi)
        terms.append(unmarked(rest) * (sp.exp(remaining) if remaining != 0 else 1))
    return sp.Add(*terms)


def rate_of(phi: sp.Expr) -> sp.Expr:
    """The discount rate -phi'(t) of the factor exp(phi(t))."""
    return -sp.diff(phi, TIME)
