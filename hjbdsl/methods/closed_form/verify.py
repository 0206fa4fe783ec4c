"""The one verifier of every closed form: no proposal becomes an answer without passing it.

In: the equation and a family's proposal. Out: `Evidence`, or `Rejected` with the number that failed. Checked at seeded points of
region x [0, T] x modes: the residual of the equation with the proposed control in it, that no other control does better, the
terminal, exit and boundary conditions, the obstacle, the proposal's derivatives against differences of its values; and, for
formulas, the residual in symbols.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.family import Derivatives, Proposal
from hjbdsl.methods.closed_form.verification.conditions import check_conditions, evaluator
from hjbdsl.methods.closed_form.verification.consistency import disagreement
from hjbdsl.methods.closed_form.verification.invariance import leaves_domain
from hjbdsl.methods.closed_form.verification.operator import ModeOperator, mode_operator
from hjbdsl.methods.closed_form.verification.optimum import largest_gain
from hjbdsl.methods.closed_form.verification.points import Samples, control_set, horizon, sample
from hjbdsl.methods.closed_form.verification.smooth_fit import gradient_jump
from hjbdsl.methods.closed_form.verification.soft_optimum import NotQuadratic, soft_optimum
from hjbdsl.methods.closed_form.verification.symbolic_proof import matches, prove
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Array, Evidence, PointValues, Rejected

POINTS, OPTIMUM_POINTS = 64, 24
FORMULA_TOLERANCE = 1e-10
"""Largest residual of a formula, relative to the size of the equation's terms."""
COARSEST_TOLERANCE = 1e-6
"""Largest residual of anything else, however modest the accuracy it claims."""
CONSISTENCY_TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True)
class _Case:
    """The proposal at the samples."""

    equation: HJBEquation
    proposal: Proposal
    at: Samples
    exact: Derivatives
    point: PointValues
    operators: tuple[ModeOperator, ...]
    tolerance: float

    def value(self, t: Array, x: Array, mode: NDArray[np.int64]) -> Array:
        return self.proposal.function.evaluate(t, x, mode).value

    def hamiltonian(self, rows: NDArray[np.int64], control: Array, whole: bool = True) -> tuple[Array, Array]:
        """f + L^a V - r V at the sample `rows` (unless `whole`, without jumps and switches that no control moves), and the size
        of its terms."""
        at = self.at.take(rows)
        total, size = np.empty(at.count), np.empty(at.count)
        for index, operator in enumerate(self.operators):
            here = np.flatnonzero(at.mode == index)
            if len(here):
                terms = operator.terms(at.take(here), control[here], _rows(self.exact, rows[here]), self.value, whole)
                total[here], size[here] = np.sum(terms, axis=0), np.sum(np.abs(terms), axis=0)
        return total, size


def verify(equation: HJBEquation, proposal: Proposal) -> Evidence | Rejected:
    """Prove `proposal` or say what failed."""
    case = _case(equation, proposal)
    if isinstance(case, Rejected):
        return case
    statements, numbers = list(proposal.statements), {"points": float(case.at.count)}
    for check in (_feasible, _equation, _optimum, _conditions, _derivatives, _smooth_fit):
        outcome = check(case)
        if isinstance(outcome, Rejected):
            return outcome
        words, found = outcome
        statements += words
        numbers |= found
    if proposal.symbolic is not None:
        claimed = (case.point.value, case.point.control)
        gap = matches(equation, proposal.symbolic, proposal.controls or {}, case.at, claimed)
        if not gap <= max(1e-9, case.tolerance):
            return Rejected(f"the formula and the numbers of the proposal differ by {gap:.1e}")
        proof = prove(equation, proposal.symbolic, proposal.controls or {}, proposal.average_symbolic, case.at)
        statements = [proof, *statements] if proof is not None else statements
    return Evidence("symbolic", numbers["residual"], tuple(statements), numbers)


def _case(equation: HJBEquation, proposal: Proposal) -> _Case | Rejected:
    problem = equation.problem
    at = sample(problem, POINTS)
    if at.count < 4:
        return Rejected("no admissible point was found in the region to test the answer at")
    with np.errstate(all="ignore"):
        exact = proposal.function.derivatives(at.t, at.x, at.mode)
        point = proposal.function.evaluate(at.t, at.x, at.mode)
    for name, array in (("V", exact.value), ("V_t", exact.time), ("gradient", exact.gradient), ("control", point.control)):
        if not np.all(np.isfinite(array)):
            return Rejected(f"the proposed {name} is not finite everywhere in the region")
    operators = tuple(mode_operator(problem, mode) for mode in problem.mode_tuples())
    size = float(np.median(np.abs(exact.value))) + 1e-12
    tolerance = max(FORMULA_TOLERANCE, min(COARSEST_TOLERANCE, 100 * proposal.accuracy / size))
    return _Case(equation, proposal, at, exact, point, operators, tolerance)


_Outcome = tuple[list[str], dict[str, float]] | Rejected


def _feasible(case: _Case) -> _Outcome:
    """The proposed control lies in its set; the two ways to V agree; the state stays in its domain."""
    problem, at = case.equation.problem, case.at
    gap = np.max(np.abs(case.point.value - case.exact.value) / (1 + np.abs(case.exact.value)))
    if gap > max(1e-12, case.tolerance):
        return Rejected(f"the proposal contradicts itself: value and derivatives differ by {gap:.1e}")
    running = ~_stopped(case)
    for index, mode in enumerate(problem.mode_tuples()):
        here = np.flatnonzero((at.mode == index) & running)
        inside = control_set(problem, mode).contains(at.t[here], at.x[here], case.point.control[here])
        if not inside.all():
            return Rejected(f"the proposed control leaves its set at {int((~inside).sum())} of {len(here)} points of the region")
    left = leaves_domain(problem, case.proposal.function, case.operators, at)
    return Rejected(left) if left else ([], {})


def _equation(case: _Case) -> _Outcome:
    """The residual, relative to the size of the terms; with an obstacle, the variational inequality."""
    problem, equation = case.equation.problem, case.equation
    total, size = case.hamiltonian(np.arange(case.at.count), case.point.control)
    if problem.exploration is not None:
        soft = _soft_total(case)
        if isinstance(soft, Rejected):
            return soft
        total, size = soft, size + np.abs(soft)
    if not equation.stationary:
        total, size = total + case.exact.time, size + np.abs(case.exact.time)
    if problem.objective.form == "average":
        if case.proposal.average is None:
            return Rejected("the proposal lacks the long-run average")
        total, size = total - case.proposal.average, size + abs(case.proposal.average)
    error = np.abs(total) / (size + 1e-300)
    words: list[str] = []
    if equation.obstacle is not None:
        outcome = _obstacle(case, total, size)
        if isinstance(outcome, Rejected):
            return outcome
        error, words = outcome
    residual = float(np.max(error))
    if not residual <= case.tolerance:
        return Rejected(f"the residual of the equation is {residual:.1e} of its terms, above {case.tolerance:.0e}")
    words.append(f"residual {residual:.0e} of its terms at {case.at.count} points")
    if problem.exploration is not None:
        words.append("soft optimum: mean and spread are those of the Gibbs policy, whose normaliser was integrated numerically")
    return words, {"residual": residual}


def _soft_total(case: _Case) -> Array | Rejected:
    """The soft Hamiltonian; the proposed mean and spread must be those of the Gibbs policy."""
    problem, at = case.equation.problem, case.at
    total = np.empty(at.count)
    if case.point.spread is None or problem.exploration is None:
        return Rejected("the proposal lacks the spread of its random policy")
    columns = [problem.control_symbols.index(s) for s in problem.exploration.controls]
    for index, mode in enumerate(problem.mode_tuples()):
        here = np.flatnonzero(at.mode == index)

        def hamiltonian(rows: NDArray[np.int64], control: Array, here: NDArray[np.int64] = here) -> tuple[Array, Array]:
            return case.hamiltonian(here[rows], control, whole=False)

        control, spread = case.point.control[here], case.point.spread[here]
        admissible, maximise = control_set(problem, mode), case.equation.maximise
        try:
            gibbs = soft_optimum(problem, hamiltonian, admissible, at.take(here), control, spread, maximise)
        except NotQuadratic as error:
            return Rejected(str(error))
        fixed = case.hamiltonian(here, control)[0] - case.hamiltonian(here, control, whole=False)[0]
        total[here] = gibbs.value + fixed
        for name, claimed, found in (("mean", control, gibbs.mean), ("spread", spread, gibbs.spread)):
            gap = float(np.max(np.abs(claimed[:, columns] - found) / (1 + np.abs(found))))
            if gap > 1e-7:
                return Rejected(f"the {name} of the proposed policy is off the Gibbs policy by {gap:.1e}")
    return total


def _stopped(case: _Case) -> NDArray[np.bool_]:
    stop = case.point.stop
    return stop if stop is not None else np.zeros(case.at.count, dtype=bool)


def _obstacle(case: _Case, total: Array, size: Array) -> tuple[Array, list[str]] | Rejected:
    """Error of the complementarity system: equality where it runs, V = payoff and the inequality of the operator where it
    stops."""
    obstacle = case.equation.obstacle
    if obstacle is None:
        raise ValueError("the equation has no obstacle")
    payoff = evaluator(case.equation.problem, obstacle.payoff, case.at)
    scale = 1 + np.abs(payoff) + np.abs(case.exact.value)
    # above: V >= payoff and the operator <= 0; below: the reverse
    above = case.equation.maximise if obstacle.kind == "stop" else obstacle.kind == "running_max"
    sign = 1.0 if above else -1.0
    slack = sign * (case.exact.value - payoff) / scale
    if np.min(slack) < -case.tolerance:
        return Rejected(f"the proposal crosses the obstacle by {-np.min(slack):.1e}")
    stop = _stopped(case) if obstacle.kind == "stop" else slack < 10 * case.tolerance
    relative = total / (size + 1e-300)
    error = np.where(stop, np.maximum(np.abs(slack), np.maximum(sign * relative, 0.0)), np.abs(relative))
    return error, [f"obstacle: {int(stop.sum())} points on it, {int((~stop).sum())} off it, inequalities hold"]


def _optimum(case: _Case) -> _Outcome:
    problem, at = case.equation.problem, case.at
    if problem.objective.sense == "evaluate" or case.point.control.shape[1] == 0 or problem.exploration is not None:
        return [], {}
    running = ~_stopped(case)
    worst = -np.inf
    for index, mode in enumerate(problem.mode_tuples()):
        here = np.flatnonzero((at.mode == index) & running)[:OPTIMUM_POINTS]
        if not len(here):
            continue

        def hamiltonian(rows: NDArray[np.int64], control: Array, here: NDArray[np.int64] = here) -> tuple[Array, Array]:
            return case.hamiltonian(here[rows], control, whole=False)

        admissible = control_set(problem, mode)
        worst = max(worst, largest_gain(hamiltonian, admissible, at.take(here), case.point.control[here], case.equation.maximise))
    if worst > max(1e-9, case.tolerance):
        return Rejected(f"another control does better in the Hamiltonian, by {worst:.1e} of its terms")
    kind = "saddle point: neither side" if problem.adversaries else "second order: no other control"
    return [f"{kind} does better in the Hamiltonian (sampled near and far)"], {"largest_gain": worst}


def _conditions(case: _Case) -> _Outcome:
    words = []
    size = float(np.median(np.abs(case.exact.value))) + 1.0
    allowed = max(1e-10, 100 * case.proposal.accuracy / size)
    for condition in check_conditions(case.equation.problem, case.proposal.function, case.operators, case.at):
        if not condition.error <= max(allowed, 1e-7 if condition.name == "exit value" else 0.0):
            return Rejected(f"the {condition.name} fails by {condition.error:.1e}")
        words.append(f"{condition.name} holds")
    return words, {}


def _derivatives(case: _Case) -> _Outcome:
    problem = case.equation.problem
    few = case.at.take(np.arange(min(16, case.at.count)))
    exact = _rows(case.exact, np.arange(few.count))
    first, second = disagreement(
        case.proposal.function, few, exact, problem.continuous_states, _room(case, few), horizon(problem)
    )
    if first > CONSISTENCY_TOLERANCE or second > 100 * CONSISTENCY_TOLERANCE:
        return Rejected(f"the claimed derivatives are not those of the claimed V: off by {first:.1e} and {second:.1e}")
    return [], {"derivative_check": first}


def _smooth_fit(case: _Case) -> _Outcome:
    """Across the edge of the stopping region the gradient must not jump, where there is noise."""
    if case.point.stop is None or not case.equation.problem.diffusion or case.equation.problem.lattice_states:
        return [], {}
    jump, edges = gradient_jump(case.proposal.function, case.at, case.point.stop)
    if jump > 100 * max(case.tolerance, 1e-8):
        return Rejected(f"no smooth fit: the gradient jumps by {jump:.1e} at the edge of the stopping region")
    return ([f"smooth fit at {edges} points of the edge of the stopping region"] if edges else []), {}


def _room(case: _Case, few: Samples) -> Array:
    """How far each sample may be moved: inside the domain of its states, and little against the width of the region."""
    problem = case.equation.problem
    widths = [float(problem.numeric(high - low)) for low, high in (problem.region[i] for i in problem.continuous_states)]
    room = np.full(few.count, 0.02 * min((w for w in widths if 0 < w < np.inf), default=np.inf))
    for i in problem.continuous_states:
        bounds = problem.state_bounds[i]
        if not bounds.periodic:
            low, high = float(problem.numeric(bounds.lower)), float(problem.numeric(bounds.upper))
            room = np.minimum(room, np.minimum(few.x[:, i] - low, high - few.x[:, i]))
    return np.maximum(room, 1e-9)


def _rows(exact: Derivatives, rows: NDArray[np.int64]) -> Derivatives:
    return Derivatives(exact.value[rows], exact.time[rows], exact.gradient[rows], exact.hessian[rows])
