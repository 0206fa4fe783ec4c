"""The one verifier of every closed form: no proposal becomes an answer without passing it.

In: the equation and a family's proposal. Out: `Evidence`, or `Rejected` with the number that failed. Checked at seeded points of
region x [0, T] x modes: the residual of the equation with the proposed control in it, that no other control does better, the
terminal, exit and boundary conditions, the obstacle, the proposal's derivatives against differences of its values; and, for
formulas, the residual in symbols.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.family import Proposal
from hjbdsl.methods.closed_form.verification.case import Case, case_of
from hjbdsl.methods.closed_form.verification.conditions import check_conditions, evaluator
from hjbdsl.methods.closed_form.verification.consistency import Room, disagreement
from hjbdsl.methods.closed_form.verification.invariance import leaves_domain
from hjbdsl.methods.closed_form.verification.optimum import largest_gain
from hjbdsl.methods.closed_form.verification.points import Samples, admissible_state, horizon
from hjbdsl.methods.closed_form.verification.random_policy import explored_columns, soft_hamiltonian, soft_value
from hjbdsl.methods.closed_form.verification.smooth_fit import gradient_jump
from hjbdsl.methods.closed_form.verification.soft_optimum import NoSoftOptimum, explored_range
from hjbdsl.methods.closed_form.verification.symbolic_proof import matches, prove
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import BoundaryStatement, ControlProblem
from hjbdsl.model.solution import Array, Evidence, Rejected

OPTIMUM_POINTS = 24
CONSISTENCY_TOLERANCE = 1e-5


def verify(equation: HJBEquation, proposal: Proposal) -> Evidence | Rejected:
    """Prove `proposal` or say what failed."""
    equation = _with_reflections(equation)
    case = case_of(equation, proposal)
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


def _with_reflections(equation: HJBEquation) -> HJBEquation:
    """The same, with the reflecting ends that the derivation inferred among the stated ones: V must meet them all."""
    problem = equation.problem
    inferred = tuple(
        BoundaryStatement(problem.state_symbols[end.state], end.location, "reflect", None, problem.objective.span)
        for end in equation.boundaries
        if end.kind == "reflect" and not end.written
    )
    return replace(equation, problem=replace(problem, boundaries=problem.boundaries + inferred)) if inferred else equation


_Outcome = tuple[list[str], dict[str, float]] | Rejected


def _feasible(case: Case) -> _Outcome:
    """The proposed control lies in its set; the two ways to V agree; the state stays in its domain."""
    problem, at = case.equation.problem, case.at
    gap = np.max(np.abs(case.point.value - case.exact.value) / (1 + np.abs(case.exact.value)))
    if not gap <= max(1e-12, case.tolerance):
        return Rejected(f"the proposal contradicts itself: value and derivatives differ by {gap:.1e}")
    running = case.running()
    for index in range(len(case.operators)):
        here = np.flatnonzero((at.mode == index) & running)
        admissible = case.control_sets[index]
        inside = admissible.contains(at.t[here], at.x[here], explored_range(problem, admissible, case.point.control[here]))
        if not inside.all():
            return Rejected(f"the proposed control leaves its set at {int((~inside).sum())} of {len(here)} points of the region")
    left = leaves_domain(problem, case.proposal.function, case.operators, at)
    return Rejected(left) if left else ([], {})


def _equation(case: Case) -> _Outcome:
    """The residual, relative to the size of the terms; with an obstacle, the variational inequality."""
    problem, equation = case.equation.problem, case.equation
    total, size = case.hamiltonian(np.arange(case.at.count), case.point.control)
    if problem.exploration is not None:
        soft = soft_hamiltonian(case)
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


def _obstacle(case: Case, total: Array, size: Array) -> tuple[Array, list[str]] | Rejected:
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
    if not np.min(slack) >= -case.tolerance:
        return Rejected(f"the proposal crosses the obstacle by {-np.min(slack):.1e}")
    stop = ~case.running() if obstacle.kind == "stop" else slack < 10 * case.tolerance
    relative = total / (size + 1e-300)
    error = np.where(stop, np.maximum(np.abs(slack), np.maximum(sign * relative, 0.0)), np.abs(relative))
    return error, [f"obstacle: {int(stop.sum())} points on it, {int((~stop).sum())} off it, inequalities hold"]


def _optimum(case: Case) -> _Outcome:
    """No other control does better. Explored controls have their Gibbs policy instead: of the others, the soft value is asked."""
    problem, at = case.equation.problem, case.at
    held = explored_columns(problem)
    if problem.objective.sense == "evaluate" or case.point.control.shape[1] == len(held):
        return [], {}
    running = case.running()
    worst = -np.inf
    for index in range(len(case.operators)):
        here = np.flatnonzero((at.mode == index) & running)[:OPTIMUM_POINTS]
        if not len(here):
            continue

        def hamiltonian(rows: NDArray[np.int64], control: Array, here: NDArray[np.int64] = here) -> tuple[Array, Array]:
            return soft_value(case, here[rows], control) if held else case.hamiltonian(here[rows], control, whole=False)

        admissible, control = case.control_sets[index], case.point.control[here]
        try:
            gain = largest_gain(hamiltonian, admissible, at.take(here), control, case.equation.maximise, held)
        except NoSoftOptimum as error:
            return Rejected(str(error))
        worst = max(worst, gain)
    if worst > max(1e-9, case.tolerance):
        return Rejected(f"another control does better in the Hamiltonian, by {worst:.1e} of its terms")
    kind = "saddle point: neither side" if problem.adversaries else "second order: no other control"
    return [f"{kind} does better in the Hamiltonian (sampled near and far)"], {"largest_gain": worst}


def _conditions(case: Case) -> _Outcome:
    words = []
    size = float(np.median(np.abs(case.exact.value))) + 1.0
    allowed = max(1e-10, 100 * case.proposal.accuracy / size)
    for condition in check_conditions(case.equation.problem, case.proposal.function, case.operators, case.at):
        if not condition.error <= max(allowed, 1e-7 if condition.name == "exit value" else 0.0):
            return Rejected(f"the {condition.name} fails by {condition.error:.1e}")
        words.append(f"{condition.name} holds")
    return words, {}


def _derivatives(case: Case) -> _Outcome:
    problem = case.equation.problem
    few = case.at.take(np.arange(min(16, case.at.count)))
    exact = case.derivatives(np.arange(few.count))
    room = Room(admissible_state(problem), problem.continuous_states, _farthest(problem), horizon(problem))
    first, second = disagreement(case.proposal.function, few, exact, room)
    if not (first <= CONSISTENCY_TOLERANCE and second <= 100 * CONSISTENCY_TOLERANCE):
        return Rejected(f"the claimed derivatives are not those of the claimed V: off by {first:.1e} and {second:.1e}")
    return [], {"derivative_check": first}


def _smooth_fit(case: Case) -> _Outcome:
    """Across the edge of the stopping region V and its gradient must not jump, where there is noise."""
    problem, obstacle = case.equation.problem, case.equation.obstacle
    if case.point.stop is None or obstacle is None or not problem.diffusion or problem.lattice_states:
        return [], {}

    def payoff(at: Samples) -> Array:
        return evaluator(problem, obstacle.payoff, at)

    jump, edges = gradient_jump(case.proposal.function, case.at, case.point.stop, payoff, case.equation.maximise)
    if not jump <= 100 * max(case.tolerance, 1e-8):
        return Rejected(f"no smooth fit: the gradient jumps by {jump:.1e} at the edge of the stopping region")
    return ([f"smooth fit at {edges} points of the edge of the stopping region"] if edges else []), {}


def _farthest(problem: ControlProblem) -> float:
    """The step of the differences: little against the width of the region."""
    widths = [float(problem.numeric(high - low)) for low, high in (problem.region[i] for i in problem.continuous_states)]
    return 0.005 * min((w for w in widths if 0 < w < np.inf), default=np.inf)
