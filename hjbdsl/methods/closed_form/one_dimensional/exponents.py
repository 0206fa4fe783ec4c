"""Linear equations with characteristic exponents: geometric (x^p) and arithmetic (e^(p x)) Brownian motion.

In: drift, variance and discount in symbols. Out: the two exponents of r u = L u, sums of powers (or polynomials and
exponentials) as terms, and the particular solution of r P = L P + f term by term.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import sympy as sp

Scale = Literal["power", "exponential"]


@dataclass(frozen=True, slots=True)
class Term:
    """`coefficient` * x^exponent on the power scale; `coefficient` * x^degree * e^(exponent x) on the exponential scale."""

    coefficient: sp.Expr
    exponent: sp.Expr
    degree: int = 0


@dataclass(frozen=True, slots=True)
class Characteristic:
    """dx = mu x dt + sigma x dW ("power", variance sigma^2) or dx = mu dt + sigma dW ("exponential"), discount r; all
    free of x.
    """

    scale: Scale
    state: sp.Symbol
    mu: sp.Expr
    variance: sp.Expr
    discount: sp.Expr

    def symbol(self, p: sp.Expr) -> sp.Expr:
        """lambda(p) with L u_p = lambda(p) u_p for u_p = x^p or e^(p x)."""
        return self.variance * p * (p - self.shift) / 2 + self.mu * p

    @property
    def shift(self) -> int:
        return 1 if self.scale == "power" else 0

    def exponents(self) -> tuple[sp.Expr, sp.Expr]:
        """The negative and the positive root of lambda(p) = r (real and of opposite sign when r > 0)."""
        half = sp.Rational(self.shift, 2) - self.mu / self.variance
        root = sp.sqrt(sp.factor(sp.together(half**2 + 2 * self.discount / self.variance)))
        return _tidy(half - root), _tidy(half + root)

    def basis(self, p: sp.Expr) -> sp.Expr:
        return self.state**p if self.scale == "power" else sp.exp(p * self.state)

    def expression(self, terms: tuple[Term, ...]) -> sp.Expr:
        return sp.Add(*(term.coefficient * self.state**term.degree * self.basis(term.exponent) for term in terms))

    def terms(self, expression: sp.Expr) -> tuple[Term, ...] | None:
        """`expression` as a sum of terms, or None."""
        found: dict[tuple[sp.Expr, int], sp.Expr] = {}
        for piece in sp.Add.make_args(sp.expand(sp.powsimp(sp.expand(expression)))):
            if piece == 0:
                continue
            coefficient, dependent = piece.as_independent(self.state, as_Add=False)
            key = self._power_key(dependent) if self.scale == "power" else self._exponential_key(dependent)
            if key is None:
                return None
            found[key] = found.get(key, sp.S.Zero) + coefficient
        return tuple(Term(c, p, k) for (p, k), c in found.items() if c != 0)

    def _power_key(self, factor: sp.Expr) -> tuple[sp.Expr, int] | None:
        base, exponent = sp.powsimp(factor).as_base_exp()
        if factor == 1:
            return sp.S.Zero, 0
        return (exponent, 0) if base == self.state and not exponent.has(self.state) else None

    def _exponential_key(self, factor: sp.Expr) -> tuple[sp.Expr, int] | None:
        if factor == 1:
            return sp.S.Zero, 0
        if isinstance(factor, sp.exp):
            rate = sp.expand(factor.args[0] / self.state)
            return None if rate.has(self.state) else (rate, 0)
        base, exponent = factor.as_base_exp()
        return (sp.S.Zero, int(exponent)) if base == self.state and exponent.is_Integer and exponent > 0 else None

    def particular(self, running: tuple[Term, ...]) -> tuple[Term, ...]:
        """P with r P = L P + f. Exponents of `running` must not be roots of lambda(p) = r."""
        result = [Term(t.coefficient / (self.discount - self.symbol(t.exponent)), t.exponent) for t in running if t.degree == 0]
        coefficients = {t.degree: t.coefficient for t in running if t.degree > 0}
        solved: dict[int, sp.Expr] = {}
        for k in range(max(coefficients, default=0), -1, -1):
            # coefficient of x^k in r P - L P = f
            above = self.mu * (k + 1) * solved.get(k + 1, 0) + self.variance / 2 * (k + 2) * (k + 1) * solved.get(k + 2, 0)
            solved[k] = sp.simplify((coefficients.get(k, sp.S.Zero) + above) / self.discount)
        return (*result, *(Term(c, sp.S.Zero, k) for k, c in solved.items() if c != 0))


def characteristic(state: sp.Symbol, drift: sp.Expr, variance: sp.Expr, discount: sp.Expr) -> Characteristic | None:
    """The characteristic equation of a diffusion with these coefficients, where it has one."""
    if discount.has(state) or discount == 0 or variance == 0:
        return None
    if not drift.has(state) and not variance.has(state):
        return Characteristic("exponential", state, drift, variance, discount)
    mu, scale = sp.simplify(drift / state), sp.simplify(variance / state**2)
    if mu.has(state) or scale.has(state) or state.is_positive is not True:
        return None
    return Characteristic("power", state, mu, scale, discount)


def _tidy(expression: sp.Expr) -> sp.Expr:
    return min((expression, sp.simplify(expression), sp.factor(expression)), key=sp.count_ops)
