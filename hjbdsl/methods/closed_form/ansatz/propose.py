"""The family of invariant ansätze: power, logarithm, exponential and polynomial values with coefficients found by matching.

In: an equation. Out: a proposal, or why none of the ansätze is invariant.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hjbdsl.methods.closed_form.ansatz.average import AverageRoot, average_root, relative_values
from hjbdsl.methods.closed_form.ansatz.basis import Ansatz, ansaetze
from hjbdsl.methods.closed_form.ansatz.constants import NO_LEVEL, Level, without_constants
from hjbdsl.methods.closed_form.ansatz.domain import escaping_state
from hjbdsl.methods.closed_form.ansatz.evolution import FlowError, evolve
from hjbdsl.methods.closed_form.ansatz.exploration import NotApplicable
from hjbdsl.methods.closed_form.ansatz.formula import formula
from hjbdsl.methods.closed_form.ansatz.function import AnsatzFunction
from hjbdsl.methods.closed_form.ansatz.infeasible import escaped, infinite_value, problem_grows
from hjbdsl.methods.closed_form.ansatz.matching import Matching
from hjbdsl.methods.closed_form.ansatz.samples import region_states
from hjbdsl.methods.closed_form.ansatz.stationary import StationaryRoot, stationary_root
from hjbdsl.methods.closed_form.family import Proposal
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Rejected
from hjbdsl.numeric.compile import UnsupportedExpression

_ESCAPES = "its policy drives `{}` through an end of its domain"
_COARSEST = 1e-7
_MARKS = "the jump marks cannot be integrated accurately by Gaussian quadrature"
_BREAKS = "it holds near the region but not far from it, where a control bound begins to bind"


def propose(equation: HJBEquation) -> Proposal | Rejected:
    """Raises `HjbError` (HJB120) where an invariant ansatz shows that the value is infinite."""
    reason = _outside(equation)
    if reason:
        return Rejected(reason)
    reasons: list[str] = []
    for ansatz in ansaetze(equation.problem):
        try:
            result = _try(equation, ansatz)
        except (ValueError, UnsupportedExpression, NotApplicable, FlowError) as error:
            result = Rejected(str(error))
        if isinstance(result, Proposal):
            return result
        reasons.append(f"{ansatz.name}: {result.reason}")
    return Rejected("; ".join(dict.fromkeys(reasons)) or "no ansatz fits the states")


def _outside(equation: HJBEquation) -> str | None:
    """Forms of problem whose value is no function of this kind."""
    problem = equation.problem
    if problem.objective.form not in ("expectation", "average"):
        return f"`{problem.objective.form}` objectives are not treated by this family"
    if problem.stopping is not None or problem.exit is not None or equation.obstacle is not None:
        return "a stopping or exit time bounds the region"
    if problem.reversal is not None:
        return "time reversal has a family of its own"
    if any(b.kind in ("slope", "reflect", "outflow", "periodic", "value") and b.written for b in equation.boundaries):
        return "a boundary condition is imposed at a finite end"
    return None


def _try(equation: HJBEquation, ansatz: Ansatz) -> Proposal | Rejected:
    level = NO_LEVEL
    if ansatz.scaling is not None and ansatz.kind == "power":
        equation, level = without_constants(equation, ansatz.scaling)
    matching = Matching(equation, ansatz)
    if equation.problem.objective.form == "average":
        return _average(equation, matching)
    return _stationary(equation, matching, level) if equation.stationary else _evolving(equation, matching, level)


def _stationary(equation: HJBEquation, matching: Matching, level: Level) -> Proposal | Rejected:
    root = stationary_root(matching)
    if not isinstance(root, StationaryRoot):
        if root.diverges:
            raise infinite_value(equation, matching.ansatz, root.rate)
        return Rejected(root.reason)
    if not matching.holds_far(0.0, root.theta, np.zeros_like(root.theta)):
        return Rejected(_BREAKS)
    if state := escaping_state(matching.hamiltonian, 0.0, root.theta):
        return Rejected(_ESCAPES.format(state))
    marks = matching.mark_error(0.0, root.theta) / root.decay
    if marks > _COARSEST:
        return Rejected(_MARKS)
    accuracy = max(root.residual / root.decay, marks, 1e-13)
    samples = len(matching.points(0.0).place)
    statements = (
        f"the equation maps the ansatz into itself (relative defect {root.defect:.0e} at {samples} samples)",
        f"coefficients solve the matched algebraic system to {root.residual:.0e}, at the limit of finite-horizon values",
        f"transversality: discounted, E[V(X_t)] decays at rate {root.decay:.4g} under the optimal control",
    )
    function = AnsatzFunction(matching.hamiltonian.equation, matching.ansatz, root.theta, accuracy, level)
    return _proposal(equation, function, f"{matching.ansatz.kind} ansatz: {matching.ansatz.name}", statements)


def _average(equation: HJBEquation, matching: Matching) -> Proposal | Rejected:
    root = average_root(matching)
    if not isinstance(root, AverageRoot):
        return Rejected(root.reason)
    if not matching.holds_far(0.0, root.theta, root.flow):
        return Rejected(_BREAKS)
    if state := escaping_state(matching.hamiltonian, 0.0, root.theta):
        return Rejected(_ESCAPES.format(state))
    marks = matching.mark_error(0.0, root.theta)
    if marks > _COARSEST * min(1.0, root.decay):
        return Rejected(_MARKS)
    accuracy = max(10 * max(root.residual, marks) / min(1.0, root.decay), 1e-12)
    theta = relative_values(matching, root.theta)
    function = AnsatzFunction(matching.hamiltonian.equation, matching.ansatz, theta, accuracy, NO_LEVEL)
    statements = (
        f"the equation maps the ansatz into itself (relative defect {root.defect:.0e})",
        f"relative values and average by policy iteration, to {root.residual:.0e}",
        "the process under the optimal control forgets its start"
        + (f", at the rate {root.decay:.4g}" if np.isfinite(root.decay) else ""),
    )
    proposal = _proposal(equation, function, f"{matching.ansatz.kind} ansatz: {matching.ansatz.name}", statements)
    return replace(proposal, average=root.average)


def _evolving(equation: HJBEquation, matching: Matching, level: Level) -> Proposal | Rejected:
    terminal = matching.terminal()
    if terminal is None:
        return Rejected("the terminal reward is not of this form")
    end = equation.problem.numeric(equation.problem.objective.end)
    if not end.is_finite:
        return Rejected("explicit time without a finite horizon")
    try:
        evolution = evolve(matching, terminal, float(end))
    except FlowError as error:
        growing = matching.ansatz.multiplicative and matching.ansatz.sign > 0 and problem_grows(equation)
        if error.escape is not None and growing:
            raise escaped(equation, error.escape) from error
        raise
    for fraction in (0.1, 0.6):
        theta = evolution.path.at(np.array([fraction * float(end)]))[0][0]
        if not matching.holds_far(fraction * float(end), theta, matching(fraction * float(end), theta).flow):
            return Rejected(_BREAKS)
        if state := escaping_state(matching.hamiltonian, fraction * float(end), theta):
            return Rejected(_ESCAPES.format(state))
    marks = matching.mark_error(0.0, evolution.path.at(np.zeros(1))[0][0]) * float(end)
    if marks > _COARSEST:
        return Rejected(_MARKS)
    accuracy = max(10 * evolution.accuracy, marks, 1e-11 if evolution.start else 1e-12)
    statements = [
        f"the equation maps the ansatz into itself (relative defect {evolution.defect:.0e} along the path)",
        f"coefficients integrated backwards; the integral equation holds to {evolution.accuracy:.0e}, by Gauss quadrature",
    ]
    if evolution.start:
        statements.append(f"the coefficients were {evolution.start}")
    function = AnsatzFunction(matching.hamiltonian.equation, matching.ansatz, evolution.path, accuracy, level)
    name = f"{matching.ansatz.kind} ansatz: {matching.ansatz.name}, coefficients by an ordinary differential equation"
    return _proposal(equation, function, name, tuple(statements))


def _proposal(equation: HJBEquation, function: AnsatzFunction, name: str, statements: tuple[str, ...]) -> Proposal:
    """With its formula, and the relative error of the coefficients turned into an absolute one over the region."""
    problem = equation.problem
    known = formula(equation, function)
    states = region_states(problem)
    with np.errstate(all="ignore"):
        value = function.derivatives(np.zeros(len(states)), states, np.zeros(len(states))).value
    size = float(np.nanmax(np.abs(value), initial=0.0)) + 1e-3
    return Proposal(
        name,
        function,
        symbolic=known.symbolic,
        controls=known.controls,
        formula=known.formula,
        statements=(*known.conditions, *statements),
        accuracy=function.relative_error * size,
    )
