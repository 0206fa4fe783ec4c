"""The formula of a scalar time reversal with constant coefficients: V = -log of a sum of Gaussians, written out.

In: a problem with `reverse` of one state. Out: V and u* in the problem's symbols, or None. With s = T - t, a component of
initial mean m0 and variance v0 has m = e^(a s) m0 + b (e^(a s) - 1)/a, v = e^(2 a s) v0 + q (e^(2 a s) - 1)/(2 a).
"""

from __future__ import annotations

import sympy as sp

from hjbdsl.model.problem import TIME, ControlProblem, GaussianMixture
from hjbdsl.numeric.polynomial import expanded, quadratic_parts

_MOST_COMPONENTS = 3


def scalar_formula(problem: ControlProblem) -> tuple[sp.Expr, dict[sp.Symbol, sp.Expr]] | None:
    """V(t, y) and the controls."""
    reversal = problem.reversal
    if reversal is None or problem.dimension != 1 or not isinstance(reversal.law, GaussianMixture):
        return None
    y, mixture = problem.state_symbols[0], reversal.law
    parts = quadratic_parts(problem.drift[0], (y,))
    noise = expanded(sp.Add(*(entry**2 for entry in problem.diffusion.values())))
    rate = parts.linear.get(0, sp.S.Zero)
    if TIME in (rate.free_symbols | parts.constant.free_symbols | noise.free_symbols) or len(mixture.weights) > _MOST_COMPONENTS:
        return None
    left = reversal.end - TIME
    densities, exponents = [], []
    for weight, (start,), covariance in zip(mixture.weights, mixture.means, mixture.covariances, strict=True):
        mean = start * sp.exp(rate * left) + _integral(parts.constant, rate, left)
        variance = covariance[0, 0] * sp.exp(2 * rate * left) + _integral(noise, 2 * rate, left)
        exponents.append((y - mean) ** 2 / (2 * variance) + sp.log(2 * sp.pi * variance) / 2)
        densities.append(weight * sp.exp(-((y - mean) ** 2) / (2 * variance)) / sp.sqrt(2 * sp.pi * variance))
    value = exponents[0] if len(exponents) == 1 else -sp.log(sp.Add(*densities))
    slope = sp.diff(value, y)
    entering = sorted({k for _, k in problem.diffusion})
    controls = {
        u: -problem.diffusion[0, k].xreplace({TIME: left}) * slope
        for k, u in zip(entering, reversal.control.symbols, strict=True)
    }
    return value, controls


def _integral(amount: sp.Expr, rate: sp.Expr, left: sp.Expr) -> sp.Expr:
    """int_0^s amount e^(rate r) dr."""
    if amount == 0:
        return sp.S.Zero
    return amount * left if rate == 0 else amount * (sp.exp(rate * left) - 1) / rate
