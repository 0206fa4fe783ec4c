"""Family: nothing to choose. V is the expectation of a payoff under a linear (Gaussian or log-normal) law, by Feynman-Kac.

The discount may be a linear or quadratic function of the states (short-rate models). Payoffs are cut at their kinks and
integrated in the few dimensions they have; one-dimensional ones of exponentials and powers have a formula in Phi and exp.
Source: Karatzas and Shreve, Brownian Motion and Stochastic Calculus, theorem 5.7.6.
"""

from __future__ import annotations

import numpy as np
import sympy as sp

from hjbdsl.methods.closed_form.expectation.assemble import gaussian_value, is_constant
from hjbdsl.methods.closed_form.expectation.chart import one_sided
from hjbdsl.methods.closed_form.expectation.linear_control import LinearControl, linear_control
from hjbdsl.methods.closed_form.expectation.phi_formula import phi_formula, phi_notation, without_phi
from hjbdsl.methods.closed_form.expectation.report import formula_gap, measured_accuracy, reduced_dimensions, region_points
from hjbdsl.methods.closed_form.expectation.running import AccruedValue
from hjbdsl.methods.closed_form.expectation.value import GaussianValue
from hjbdsl.methods.closed_form.family import ExactFunction, Proposal
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import TIME, ControlProblem
from hjbdsl.model.solution import Formula, Rejected
from hjbdsl.numeric.polynomial import additive_terms

_FORMULA_GAP = 1e-10
_LARGEST_ERROR = 1e-8
"""Relative to the size of V: a worse quadrature is no closed form."""


def propose(equation: HJBEquation) -> Proposal | Rejected:
    problem = equation.problem
    if problem.control_symbols or problem.adversary_symbols:
        return Rejected("there is something to choose")
    if problem.objective.form != "expectation":
        return Rejected(f"the objective is a {problem.objective.form.replace('_', ' ')}, not an expectation")
    model = linear_control(problem)
    if isinstance(model, Rejected):
        return model
    function = _value(model, problem)
    if isinstance(function, Rejected):
        return function
    accuracy = measured_accuracy(problem, function)
    if not accuracy.relative <= _LARGEST_ERROR:
        return Rejected(f"the quadrature reached only {accuracy.relative:.1e} of the size of V")
    statements = [reduced_dimensions(function), accuracy.statement]
    formula = phi_formula(problem)
    gap = np.inf if formula is None else formula_gap(problem, function, without_phi(formula))
    shown = formula is not None and gap <= _FORMULA_GAP
    if shown:
        statements.append(f"the formula agrees with the quadrature to {gap:.0e}")
    return Proposal(
        family="Feynman-Kac: expectation under a " + ("log-normal" if any(model.chart.logarithmic) else "Gaussian") + " law",
        function=function,
        symbolic={(): without_phi(formula)} if formula is not None and shown else None,
        controls={(): {}} if shown else None,
        formula=Formula({"V": phi_notation(formula)}, {}) if formula is not None and shown else None,
        statements=tuple(statements),
        accuracy=accuracy.absolute,
        warnings=one_sided(problem, model.chart),
    )


def _value(model: LinearControl, problem: ControlProblem) -> ExactFunction | Rejected:
    running = model.chart.carry(problem.numeric(problem.objective.running))
    finite = bool(np.isfinite(model.end))
    if not finite and running == 0:
        return Rejected("there is neither an end nor a running reward")
    terminal = None
    if finite and (model.terminal != 0 or running == 0):
        found = gaussian_value(model, model.terminal, 0.0, problem)
        if isinstance(found, Rejected):
            return found
        terminal = found
    if running == 0 and terminal is not None:
        return terminal
    if not is_constant(model):
        return Rejected("the reward on the way is integrated only where the coefficients do not depend on time")
    return _accrued(model, running, terminal, problem)


def _decay(part: GaussianValue, rate: float, problem: ControlProblem) -> float:
    """The slowest rate at which the discounted expectation of a reward falls between the times 15/rate and 30/rate."""
    _, x = region_points(problem, 9)
    late, later = (
        np.abs(part.in_chart(np.full(len(x), part.law.end - k / rate), x, with_hessian=False)[0].value) for k in (15.0, 30.0)
    )
    seen = np.isfinite(late + later) & (late > 1e-280) & (later > 1e-280)
    return float(np.min(np.log(late[seen] / later[seen]), initial=15.0)) * rate / 15


def _accrued(
    model: LinearControl, running: sp.Expr, terminal: GaussianValue | None, problem: ControlProblem
) -> ExactFunction | Rejected:
    """Sum of a_j(t) h_j(z): summands with the same factor of time together."""
    gathered: dict[sp.Expr, list[sp.Expr]] = {}
    for term in additive_terms(running, frozenset({TIME, *model.chart.coordinates})):
        factor, rest = term.as_independent(*model.chart.coordinates, as_Add=False)
        if TIME in rest.free_symbols:
            return Rejected("the running reward is no sum of products of a function of t and one of the states")
        clock, constant = factor.as_independent(TIME, as_Add=False)[::-1]
        gathered.setdefault(clock, []).append(constant * rest)
    parts = []
    for factor, terms in gathered.items():
        part = gaussian_value(model, sp.Add(*terms), 0.0, problem)
        if isinstance(part, Rejected):
            return part
        parts.append((factor, part))
    reach = 0.0
    if not np.isfinite(model.end):
        rate = float(model.discount.constant(0.0))
        if np.any(model.discount.linear(0.0)) or np.any(model.discount.quadratic(0.0)) or rate <= 0:
            return Rejected("an infinite horizon needs a constant, positive discount rate")
        decay = min(_decay(part, rate, problem) for _, part in parts)
        if not decay > 1e-3 * rate:
            return Rejected("the discounted reward does not decay, so that its integral over all time is not finite")
        reach = 42.0 / decay
    return AccruedValue(terminal, tuple(parts), model.end, reach)
