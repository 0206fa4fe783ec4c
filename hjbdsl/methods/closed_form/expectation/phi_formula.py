"""Formulas in Phi and exp for payoffs of one Gaussian or log-normal state: sums of c z^k e^(a z) between kinks.

In: a problem with one state. Out: V(t, x) as an expression in the problem's symbols, or None. The payoff is a sum of half-line
payoffs; with Z ~ N(m, v), s = sqrt(v), m' = m + a v, d = (m' - l)/s,

    E[Z^k e^(a Z) 1(Z > l)] = e^(a m + a^2 v/2) I_k,
    I_0 = Phi(d),  I_k = m' I_{k-1} + (k - 1) v I_{k-2} + s l^(k-1) phi(d),

and with Phi(-d) and -phi(d) for Z < l.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from hjbdsl.budget import BudgetExceeded, time_budget
from hjbdsl.methods.closed_form.expectation.chart import Chart, choose_chart
from hjbdsl.methods.closed_form.expectation.pieces import SmoothPieces, TooManyBreaks, smooth_pieces
from hjbdsl.methods.closed_form.notation import written
from hjbdsl.model.problem import TIME, ControlProblem, Notation
from hjbdsl.model.solution import Rejected
from hjbdsl.numeric.polynomial import expanded, quadratic_parts

PHI = sp.Function("Phi", real=True)
"""The standard normal distribution function, left unevaluated for the eye."""
_SECONDS = 3.0
_LARGEST_POWER = 6
_LARGEST_FORMULA = 1500


@dataclass(frozen=True, slots=True)
class _Law:
    """Mean and variance of the final coordinate, the discount exponent, and `left`, the time that remains."""

    mean: sp.Expr
    variance: sp.Expr
    discount: sp.Expr
    left: sp.Symbol


def phi_formula(problem: ControlProblem) -> sp.Expr | None:
    """V in symbols, with `PHI`; None where there is no such formula, or sympy takes too long to find it."""
    if problem.dimension != 1 or problem.objective.terminal is None or problem.objective.running != 0:
        return None
    try:
        with time_budget(_SECONDS):
            return _formula(problem)
    except (BudgetExceeded, TooManyBreaks, TypeError):
        return None


def _formula(problem: ControlProblem) -> sp.Expr | None:
    chart = choose_chart(problem)
    if isinstance(chart, Rejected):
        return None
    law = _law(problem, chart)
    if law is None or problem.objective.terminal is None:
        return None
    z = chart.coordinates[0]
    result: list[sp.Expr] = []
    for difference, side, end in _increments(smooth_pieces(chart.carry(problem.objective.terminal), z, problem.values)):
        terms = _exponential_terms(difference, z)
        if terms is None:
            return None
        for coefficient, power, rate, constant in terms:
            exponent = _tidy(rate * law.mean + rate**2 * law.variance / 2 + constant - law.discount, law.left)
            result.append(coefficient * sp.exp(exponent) * _partial_moment(power, rate, side, end, law))
    total = sp.Add(*result).xreplace({law.left: problem.objective.end - TIME})
    return total if sp.count_ops(total) <= _LARGEST_FORMULA else None


def _increments(pieces: SmoothPieces) -> list[tuple[sp.Expr, int, sp.Expr]]:
    """The payoff as a sum of (expression, side, end): whole lines (side 0), half-lines z > end (1) or z < end (-1)."""
    parts = pieces.pieces
    if parts[-1] == 0 and parts[0] != 0:
        steps = [(parts[i] - parts[i + 1], -1, end) for i, end in enumerate(pieces.exact)]
    else:
        steps = [(parts[0], 0, sp.S.Zero), *((parts[i + 1] - parts[i], 1, end) for i, end in enumerate(pieces.exact))]
    return [step for step in steps if step[0] != 0]


def _law(problem: ControlProblem, chart: Chart) -> _Law | None:
    """dz = (alpha z + beta(t)) dt + ... with a constant alpha; integrals of the coefficients from t to the end."""
    z, end = chart.coordinates[0], problem.objective.end
    left = sp.Symbol("left", positive=True)
    rows = [chart.carry(e) * (sp.exp(-z) if chart.logarithmic[0] else 1) for e in problem.diffusion.values()]
    correlation = problem.correlation
    noises = [k for _, k in problem.diffusion]
    rate = expanded(sp.Add(*(
        a * b * (1 if k == m else correlation.get((min(k, m), max(k, m)), 0))
        for a, k in zip(rows, noises, strict=True) for b, m in zip(rows, noises, strict=True)
    )))  # fmt: skip
    drift = chart.carry(problem.drift[0])
    if chart.logarithmic[0]:
        drift = sp.expand(drift * sp.exp(-z)) - rate / 2
    parts = quadratic_parts(drift, (z,))
    alpha, discount = parts.linear.get(0, sp.S.Zero), problem.objective.discount
    if not parts.is_affine or {z, *chart.states} & (rate.free_symbols | discount.free_symbols) or TIME in alpha.free_symbols:
        return None

    def integral(function: sp.Expr, power: int) -> sp.Expr:
        """int_t^T e^(power alpha (T - s)) function(s) ds."""
        kernel = power * alpha
        if TIME not in function.free_symbols:
            return function * left if kernel == 0 else function * (sp.exp(kernel * left) - 1) / kernel
        clock = sp.Symbol("s", real=True)
        integrand = sp.exp(kernel * (end - clock)) * function.xreplace({TIME: clock})
        solved = sp.integrate(integrand, (clock, TIME, end))
        if solved.has(sp.Integral, sp.Piecewise):
            raise TypeError("the coefficient has no elementary integral")
        return sp.expand(solved)

    start = sp.log(chart.states[0]) if chart.logarithmic[0] else chart.states[0]
    mean = start * sp.exp(alpha * left) + integral(parts.constant, 1)
    return _Law(mean, integral(rate, 2), integral(discount, 0), left)


def _exponential_terms(piece: sp.Expr, z: sp.Symbol) -> list[tuple[sp.Expr, int, sp.Expr, sp.Expr]] | None:
    """Summands as (c, k, a, b) of c z^k e^(a z + b)."""
    result = []
    for term in sp.Add.make_args(expanded(piece)):
        coefficient, power, rate, constant = sp.S.One, 0, sp.S.Zero, sp.S.Zero
        for factor in sp.Mul.make_args(term):
            if z not in factor.free_symbols:
                coefficient *= factor
            elif factor == z:
                power += 1
            elif factor.is_Pow and factor.base == z and factor.exp.is_Integer and 0 < factor.exp <= _LARGEST_POWER:
                power += int(factor.exp)
            elif isinstance(factor, sp.exp) and (parts := quadratic_parts(factor.args[0], (z,))).is_affine:
                rate += parts.linear.get(0, sp.S.Zero)
                constant += parts.constant
            else:
                return None
        if power > _LARGEST_POWER:
            return None
        if coefficient != 0:
            result.append((coefficient, power, rate, constant))
    return result


def _partial_moment(power: int, rate: sp.Expr, side: int, end: sp.Expr, law: _Law) -> sp.Expr:
    """I_k of the module's docstring over the whole line or a half-line."""
    mean = law.mean + rate * law.variance
    spread = sp.sqrt(law.variance)
    distance = _tidy(mean - end, law.left) / spread
    density = side * sp.exp(-(distance**2) / 2) / sp.sqrt(2 * sp.pi)
    moments = [PHI(side * distance) if side else sp.S.One]
    for k in range(1, power + 1):
        value = mean * moments[k - 1] + spread * end ** (k - 1) * density
        moments.append(value + (k - 1) * law.variance * moments[k - 2] if k > 1 else value)
    return moments[power]


def without_phi(expression: sp.Expr) -> sp.Expr:
    """Phi written as erfc(-u/sqrt(2))/2."""
    return expression.replace(PHI, lambda u: sp.erfc(-u / sp.sqrt(2)) / 2)


def phi_notation(expression: sp.Expr) -> Notation:
    """Text with `Phi(...)`, LaTeX with its letter."""
    plain = written(expression)
    return Notation(plain.text, plain.latex.replace(r"\operatorname{Phi}", r"\Phi"))


def _tidy(expression: sp.Expr, left: sp.Symbol) -> sp.Expr:
    """Logarithms joined, the rest collected in the time that remains."""
    logarithms: list[sp.Expr] = []
    rest: list[sp.Expr] = []
    for term in sp.Add.make_args(sp.expand(expression, log=True, power_base=False)):
        (logarithms if term.has(sp.log) else rest).append(term)
    return sp.logcombine(sp.Add(*logarithms)) + sp.collect(sp.expand(sp.Add(*rest)), left)
