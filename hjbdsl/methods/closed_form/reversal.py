"""Family: time reversal of a linear diffusion whose data are a Gaussian mixture. The marginals stay mixtures, so V is explicit.

Forward dy = (A(s) y + b(s)) ds + S(s) dW with law p_s; in reverse time t = T - s, V(t, y) = -log p_{T-t}(y) solves

    V_t - f.grad V + tr(S S' hess V)/2 - |S' grad V|^2/2 + div f = 0,   f, S at T - t,   V(T, y) = -log p_0(y),

the equation of minimising E[int (|u|^2/2 + div f) dt + V(T, y_T)] over dy = (-f + S u) dt + S dW; u* = -S' grad V, the score.
V_t comes from the moment equations of the components, so the residual of this equation tests the answer.
Source: Anderson (1982), Stochastic Processes Appl. 12; Berner, Richter, Ullrich (2024), TMLR.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy import linalg

from hjbdsl.methods.closed_form.family import Derivatives, ExactFunction, Proposal
from hjbdsl.methods.closed_form.notation import written
from hjbdsl.methods.closed_form.reversal_formula import scalar_formula
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import TIME, ControlProblem, GaussianMixture, Objective
from hjbdsl.model.solution import Array, Formula, PointValues, Rejected
from hjbdsl.numeric.forward_coefficients import entering_noises, forward_coefficients
from hjbdsl.numeric.forward_law import ForwardLaw, ForwardMoments, forward_law
from hjbdsl.numeric.time_array import TimeArray

_MOST_COMPARED = 4
_POWER = 32
"""Of a mean of c depths E_i > 0: between c^(-1/32) and 1 times the least."""


@dataclass(frozen=True, slots=True)
class MixtureReversal(ExactFunction):
    """`weights` (c,), `means` (c, n), `covariances` (c, n, n) or (c, n) where everything is diagonal; `noise` S (n, m)."""

    law: ForwardLaw
    weights: Array
    means: Array
    covariances: Array
    noise: TimeArray

    def evaluate(self, t: Array, x: Array, mode: NDArray[Any]) -> PointValues:  # noqa: ARG002 (there are no modes here)
        v = self._at(t, x, all_derivatives=False)
        control = np.empty((len(t), self.noise.constant.shape[1]))
        for time in np.unique(t):
            here = t == time
            control[here] = -v.gradient[here] @ self.noise(max(self.law.end - float(time), 0.0))
        size = 1 + np.abs(v.value) + np.sum(np.abs(v.gradient) * (1 + np.abs(x)), axis=1)
        return PointValues(v.value, (1e-14 + self.law.accuracy) * size, v.gradient, control)

    def derivatives(self, t: Array, x: Array, mode: NDArray[Any]) -> Derivatives:  # noqa: ARG002
        return self._at(t, x, all_derivatives=True)

    def _at(self, t: Array, x: Array, *, all_derivatives: bool) -> Derivatives:
        """Value and gradient; V_t and the Hessian too, or zeros."""
        k, n = x.shape
        value, time, gradient = np.empty(k), np.empty(k), np.empty((k, n))
        hessian = np.empty((k, n, n) if all_derivatives else (k, 0, 0))
        for clock in np.unique(t):
            here = t == clock
            now = self.law.at(max(self.law.end - float(clock), 0.0))
            slope = self.law.slope(max(self.law.end - float(clock), 0.0), now) if all_derivatives else None
            value[here], time[here], gradient[here], hessian[here] = self._marginal(now, slope, x[here])
        return Derivatives(value, time, gradient, hessian)

    def _marginal(self, now: ForwardMoments, slope: ForwardMoments | None, y: Array) -> tuple[Array, Array, Array, Array]:
        """V, V_t, gradient and Hessian from the components at one time."""
        components = [
            _component(now, slope, mean, covariance, y) for mean, covariance in zip(self.means, self.covariances, strict=True)
        ]
        logarithms = np.stack([c.log_density for c in components]) + np.log(self.weights)[:, None]
        top = logarithms.max(axis=0)
        shares = np.exp(logarithms - top)
        total = shares.sum(axis=0)
        shares /= total
        score = np.einsum("ck,cki->ki", shares, np.stack([c.score for c in components]))
        time = np.einsum("ck,ck->k", shares, np.stack([c.slope for c in components]))
        n = y.shape[1]
        curve = np.zeros((len(y), n, n) if slope is not None else (len(y), 0, 0))
        if slope is not None:
            curve += score[:, :, None] * score[:, None, :]
            for share, c in zip(shares, components, strict=True):
                curve -= share[:, None, None] * (c.score[:, :, None] * c.score[:, None, :] - c.precision)
        return -(top + np.log(total)), time, -score, curve


@dataclass(frozen=True, slots=True)
class _Component:
    """One Gaussian at k points: log density (k,), its derivative in s (k,), score (k, n), precision (n, n); the second and the
    last empty or zero where they are not asked for."""

    log_density: Array
    slope: Array
    score: Array
    precision: Array


def _component(now: ForwardMoments, slope: ForwardMoments | None, mean: Array, covariance: Array, y: Array) -> _Component:
    """Without `slope` only the log density and the score."""
    return (_diagonal_component if covariance.ndim == 1 else _full_component)(now, slope, mean, covariance, y)


def _diagonal_component(
    now: ForwardMoments, slope: ForwardMoments | None, mean: Array, covariance: Array, y: Array
) -> _Component:
    away = y - (now.transition * mean + now.offset)
    spread = now.transition**2 * covariance + now.covariance
    score = -away / spread
    log_density = -(len(mean) * np.log(2 * np.pi) + np.sum(np.log(spread))) / 2 + np.sum(away * score, axis=1) / 2
    if slope is None:
        return _Component(log_density, np.zeros(len(y)), score, np.zeros((0, 0)))
    widening = 2 * now.transition * slope.transition * covariance + slope.covariance
    moving = slope.transition * mean + slope.offset
    change = score**2 @ widening / 2 - score @ moving - np.sum(widening / spread) / 2
    return _Component(log_density, change, score, np.diag(1 / spread))


def _full_component(now: ForwardMoments, slope: ForwardMoments | None, mean: Array, covariance: Array, y: Array) -> _Component:
    away = y - (now.transition @ mean + now.offset)
    factor = linalg.cho_factor(now.transition @ covariance @ now.transition.T + now.covariance, lower=True)
    score = -linalg.cho_solve(factor, away.T).T
    determinant = 2 * np.sum(np.log(np.diagonal(factor[0])))
    log_density = -(len(mean) * np.log(2 * np.pi) + determinant) / 2 + np.sum(away * score, axis=1) / 2
    if slope is None:
        return _Component(log_density, np.zeros(len(y)), score, np.zeros((0, 0)))
    half = slope.transition @ covariance @ now.transition.T
    widening = half + half.T + slope.covariance
    precision = linalg.cho_solve(factor, np.eye(len(mean)))
    moving = slope.transition @ mean + slope.offset
    change = np.sum(score * (score @ widening), axis=1) / 2 - score @ moving - np.sum(precision * widening) / 2
    return _Component(log_density, change, score, precision)


def propose(equation: HJBEquation) -> Proposal | Rejected:
    problem = equation.problem
    if problem.reversal is None:
        return Rejected("the problem is no time reversal")
    if not isinstance(problem.reversal.law, GaussianMixture):
        return Rejected("the data are samples, not a Gaussian mixture")
    if problem.correlation or problem.jumps or problem.modes or problem.exit is not None or problem.stopping is not None:
        return Rejected("correlated noises, jumps, modes, stopping and exit are not reversed in closed form")
    if any(b.is_finite_set or b.lower != -sp.oo or b.upper != sp.oo for b in problem.state_bounds):
        return Rejected("the state is bounded, and a linear diffusion is not")
    try:
        coefficients = forward_coefficients(problem)
    except ValueError as reason:
        return Rejected(str(reason))
    mixture = problem.reversal.law
    n = problem.dimension
    weights = np.array([float(problem.numeric(w)) for w in mixture.weights])
    means = np.array([[float(problem.numeric(m)) for m in mean] for mean in mixture.means])
    covariances = np.array([[[float(problem.numeric(c[i, j])) for j in range(n)] for i in range(n)] for c in mixture.covariances])
    kept = weights > 0
    diagonal = all(np.count_nonzero(c) == np.count_nonzero(np.diagonal(c)) for c in covariances)
    diagonal = diagonal and coefficients.is_diagonal
    end = float(problem.numeric(problem.reversal.end))
    law = forward_law(coefficients.diffusion(diagonal), end)
    if diagonal:
        covariances = np.diagonal(covariances, axis1=1, axis2=2).copy()
    function = MixtureReversal(law, weights[kept], means[kept], covariances[kept], coefficients.noise)
    how = "matrix exponential" if law.path is None else "moment equations integrated to 2e-13"
    controlled = control_problem(problem)
    found = scalar_formula(problem)
    # far from all the data a written sum underflows, the function does not: of a mixture the formula is for the eye only
    exact = len(mixture.weights) == 1
    formula = None
    if found is not None:
        controls = {str(u): written(value) for u, value in found[1].items()}
        formula = Formula({"V": written(found[0])}, controls)
    return Proposal(
        family=f"time reversal: a mixture of {int(kept.sum())} Gaussian{'s' if kept.sum() > 1 else ''} stays one",
        function=function,
        statements=(
            f"V = -log p_(T-t), components moved by the {how}",
            "verified in the control problem dy = (-f + S u) dt + S dW, cost |u|^2/2 + div f, end cost -log p_0",
        ),
        accuracy=(1e-14 + law.accuracy) * 10,
        problem=controlled,
        formula=formula,
        symbolic={(): found[0]} if found is not None and exact else None,
        controls={(): found[1]} if found is not None and exact else None,
    )


def control_problem(problem: ControlProblem) -> ControlProblem:
    """The stochastic control problem whose value function is -log p_{T-t}: `reversal` with a mixture law made explicit."""
    reversal = problem.reversal
    if reversal is None or not isinstance(reversal.law, GaussianMixture):
        raise ValueError("only a reversal with a mixture law has a control problem in symbols")
    reverse = {TIME: reversal.end - TIME}
    entering = entering_noises(problem)
    controls = dict(zip(entering, reversal.control.symbols, strict=True))
    diffusion = {key: entry.xreplace(reverse) for key, entry in problem.diffusion.items()}
    drift = [-entry.xreplace(reverse) for entry in problem.drift]
    for (i, k), entry in diffusion.items():
        drift[i] += entry * controls[k]
    divergence = sp.Add(*(sp.diff(f, y) for f, y in zip(problem.drift, problem.state_symbols, strict=True)))
    objective = Objective(
        sense="minimize", form="expectation",
        running=sp.Add(*(u**2 for u in reversal.control.symbols)) / 2 + divergence.xreplace(reverse),
        terminal=-log_density(problem, reversal.law), stop_value=None, exit_value=None, discount=sp.S.Zero, end=reversal.end,
        risk=None, stochastic=True, span=reversal.span,
    )  # fmt: skip
    return replace(
        problem, controls=(reversal.control,), drift=tuple(drift), diffusion=diffusion, objective=objective, reversal=None
    )


def log_density(problem: ControlProblem, mixture: GaussianMixture) -> sp.Expr:
    """log p_0 in the states, its largest component (or nearly) taken out of the logarithm so that it does not underflow."""
    exponents, above = [], sp.Float(-1e300)
    for weight, mean, covariance in zip(mixture.weights, mixture.means, mixture.covariances, strict=True):
        matrix = np.array([[float(problem.numeric(c)) for c in covariance.row(i)] for i in range(covariance.rows)])
        away = [y - m for y, m in zip(problem.state_symbols, mean, strict=True)]
        level = float(np.log(float(problem.numeric(weight)))) - (len(mean) * np.log(2 * np.pi) + np.linalg.slogdet(matrix)[1]) / 2
        above = max(above, sp.Float(float(level), 17))
        exponents.append(sp.Float(float(level), 17) - _squared_distance(matrix, away) / 2)
    if len(exponents) == 1:
        return exponents[0]
    if len(exponents) <= _MOST_COMPARED:
        names = [sp.Dummy(real=True) for _ in exponents]
        top = sp.Max(*names)
        table = dict(zip(names, exponents, strict=True))
        return (top + sp.log(sp.Add(*(sp.exp(name - top) for name in names)))).xreplace(table)
    # sympy compares the arguments of Max in pairs wherever it meets them; a power mean is as good a thing to take out
    depths = [above + 1 - exponent for exponent in exponents]
    least = sp.Add(*(depth**-_POWER for depth in depths)) ** sp.Rational(-1, _POWER)
    return above + 1 - least + sp.log(sp.Add(*(sp.exp(least - depth) for depth in depths)))


def _squared_distance(covariance: Array, away: list[sp.Expr]) -> sp.Expr:
    """away' C^-1 away: the commonest eigenvalue of C times |away|^2 and a square for each other direction."""
    sizes, axes = np.linalg.eigh(covariance)
    counts = [int(np.sum(np.abs(sizes - size) <= 1e-12 * sizes[-1])) for size in sizes]
    common = float(sizes[int(np.argmax(counts))])
    terms = [a**2 / sp.Float(common, 17) for a in away]
    for size, axis in zip(sizes, axes.T, strict=True):
        weight = 1 / float(size) - 1 / common
        if abs(size - common) > 1e-12 * sizes[-1]:
            terms.append(
                sp.Float(weight, 17) * sp.Add(*(sp.Float(float(c), 17) * a for c, a in zip(axis, away, strict=True))) ** 2
            )
    return sp.Add(*terms)
