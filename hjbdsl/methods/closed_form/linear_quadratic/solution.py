"""The linear-quadratic family: V = x'P(t)x + 2 p(t)'x + c(t), by mode.

In: the equation. Out: a proposal, or the reason why the problem is not of this form; an escape time, an infinite value and a
Hamiltonian without optimum are diagnostics.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from hjbdsl.methods.closed_form.family import Proposal
from hjbdsl.methods.closed_form.linear_quadratic.bounds import bound_reason, bounded
from hjbdsl.methods.closed_form.linear_quadratic.coefficients import LinearQuadratic
from hjbdsl.methods.closed_form.linear_quadratic.diagnostics import escaped, no_optimum, value_infinite
from hjbdsl.methods.closed_form.linear_quadratic.failures import Escape, Infinite, Undecided
from hjbdsl.methods.closed_form.linear_quadratic.formula import presented, scalar_formula
from hjbdsl.methods.closed_form.linear_quadratic.function import StationaryQuadratic, TimeQuadratic
from hjbdsl.methods.closed_form.linear_quadratic.kinks import kinks
from hjbdsl.methods.closed_form.linear_quadratic.riccati import NoSaddle, policy_spread, system_at
from hjbdsl.methods.closed_form.linear_quadratic.riccati_algebraic import solve_stationary
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Rejected

FAMILY = "linear-quadratic: Riccati equation"


def propose_quadratic(equation: HJBEquation, problem: LinearQuadratic) -> Proposal | Rejected:
    """Solve the Riccati equation of a problem already read as linear-quadratic."""
    horizon = float(equation.problem.numeric(equation.problem.objective.end))
    try:
        if math.isfinite(horizon):
            return _finite(equation, problem, horizon)
        return _stationary(equation, problem)
    except NoSaddle as error:
        return no_optimum(equation.problem, error.player)
    except Undecided as error:
        return Rejected(str(error))


def _finite(equation: HJBEquation, problem: LinearQuadratic, horizon: float) -> Proposal | Rejected:
    from hjbdsl.methods.closed_form.linear_quadratic.riccati_ode import integrate  # noqa: PLC0415 (slow to import)

    try:
        path = integrate(problem, horizon, kinks(equation.problem, horizon))
    except Escape as error:
        if bounded(equation.problem):
            return Rejected("without its bounds the problem has no finite value, so they must bind")
        raise escaped(equation.problem, horizon, error) from error
    function = TimeQuadratic(path, problem.sign, problem.states, len(problem.modes), bool(problem.explored))
    statements = (
        f"Riccati differential equation by DOP853, checked by LSODA: they differ by {path.error:.0e}",
        "no escape before t = 0; the curvature in the controls keeps its sign on [0, T]",
    )
    proposal = _proposed(equation, problem, function, statements)
    if isinstance(proposal, Rejected):
        return proposal
    return replace(proposal, accuracy=max(path.error, 1e-13) * _size(equation, function))


def _stationary(equation: HJBEquation, problem: LinearQuadratic) -> Proposal | Rejected:
    if not problem.autonomous:
        return Rejected("a coefficient depends on t and the horizon is infinite: V is not stationary")
    average = equation.problem.objective.form == "average"
    try:
        solved = solve_stationary(problem, average)
    except Infinite as error:
        if bounded(equation.problem):
            return Rejected("without its bounds the problem has no finite value, so they must bind")
        raise value_infinite(equation.problem, problem, error) from error
    system = system_at(problem, 0.0)
    spread = None
    if problem.explored:
        pairs = zip(system.modes, solved.curvature, strict=True)
        spread = np.array([policy_spread(c, problem.explored, m.temperature) for m, c in pairs])
    function = StationaryQuadratic(problem.sign * solved.value, solved.gain, spread, solved.error)
    proposal = _proposed(equation, problem, function, solved.statements)
    if isinstance(proposal, Rejected) or solved.average is None:
        return proposal
    return replace(proposal, average=problem.sign * solved.average)


def _proposed(
    equation: HJBEquation,
    problem: LinearQuadratic,
    function: StationaryQuadratic | TimeQuadratic,
    statements: tuple[str, ...],
) -> Proposal | Rejected:
    """The proposal without its accuracy and average; rejected where a bound could bind."""
    reason = bound_reason(equation.problem, problem, function)
    if reason:
        return Rejected(reason)
    symbols = scalar_formula(equation.problem, problem, function)
    return Proposal(
        family=FAMILY,
        function=function,
        symbolic=symbols.value if symbols else None,
        controls=symbols.controls if symbols else None,
        formula=presented(equation.problem, problem, function, symbols),
        statements=statements,
        average_symbolic=symbols.average if symbols else None,
    )


def _size(equation: HJBEquation, function: TimeQuadratic) -> float:
    """Size of V over the region, for turning the relative error of Pi into an absolute one."""
    region = equation.problem.region
    ends = np.array([[float(equation.problem.numeric(end)) for end in pair] for pair in region])
    corner = np.max(np.abs(np.where(np.isfinite(ends), ends, 2.0)), axis=1)[None]
    zeros = np.zeros(1)
    point = function.evaluate(zeros, corner, zeros.astype(np.int64))
    return float(point.error[0] / max(function.trajectory.error, 1e-300))
