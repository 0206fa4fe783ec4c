"""What must hold besides the equation: the terminal, exit and written boundary conditions.

In: problem and proposed function. Out: for each condition, the largest error at sampled points and the words for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.family import ExactFunction
from hjbdsl.methods.closed_form.verification.operator import ModeOperator
from hjbdsl.methods.closed_form.verification.points import Samples, condition_test, horizon
from hjbdsl.model.problem import TIME, ControlProblem
from hjbdsl.model.solution import Array
from hjbdsl.numeric.compile import compile_expressions


@dataclass(frozen=True, slots=True)
class Condition:
    """`error` is relative to 1 + the size of what is prescribed."""

    name: str
    error: float


def evaluator(problem: ControlProblem, expression: sp.Basic, at: Samples) -> Array:
    """`expression` in t and the states at samples, by mode; (k,)."""
    result = np.empty(at.count)
    for index, mode in enumerate(problem.mode_tuples()):
        here = at.mode == index
        if here.any():
            function = compile_expressions(
                (TIME, *problem.state_symbols), [problem.numeric(problem.at_mode(sp.sympify(expression), mode))]
            )
            result[here] = function(at.t[here], *at.x[here].T)[0]
    return result


def terminal_payoff(problem: ControlProblem) -> sp.Expr | None:
    """What is paid at the last time; None where the process has no last time."""
    if not np.isfinite(horizon(problem)):
        return None
    objective = problem.objective
    if objective.form in {"running_min", "running_max"}:
        return objective.running
    if objective.terminal is not None:
        return objective.terminal
    if problem.stopping is not None and objective.stop_value is not None:
        return objective.stop_value
    if objective.exit_value is not None:
        return objective.exit_value
    return sp.S.Zero


def check_conditions(
    problem: ControlProblem, function: ExactFunction, operators: Sequence[ModeOperator], at: Samples
) -> list[Condition]:
    """Every condition that could be sampled."""
    result = []
    payoff = terminal_payoff(problem)
    if payoff is not None:
        end = Samples(np.full(at.count, horizon(problem)), at.x, at.mode)
        result.append(Condition("terminal condition", _gap(function, end, evaluator(problem, payoff, end))))
    if problem.exit is not None and problem.objective.exit_value is not None:
        edge, beyond = _exit_points(problem, at)
        if not problem.diffusion:
            leaving = _leaving(problem, function, operators, edge)
            edge, beyond = edge.take(leaving), beyond.take(leaving)
        if edge.count:
            prescribed = evaluator(problem, problem.objective.exit_value, beyond)
            result.append(Condition("exit value", _exit_gap(function, edge, prescribed)))
    for statement in problem.boundaries:
        index = problem.state_symbols.index(statement.state)
        place = float(problem.numeric(statement.location))
        if not np.isfinite(place) or statement.kind not in {"value", "slope", "reflect"}:
            continue
        x = at.x.copy()
        x[:, index] = place
        edge = Samples(at.t, x, at.mode)
        amount = statement.amount if statement.amount is not None else sp.S.Zero
        prescribed = evaluator(problem, amount, edge)
        if statement.kind == "value":
            error = _gap(function, edge, prescribed)
        else:
            slope = function.derivatives(edge.t, edge.x, edge.mode).gradient[:, index]
            error = float(np.max(np.abs(slope - prescribed) / (1 + np.abs(prescribed))))
        result.append(Condition(f"boundary {statement.state} = {statement.location}", error))
    return result


def _gap(function: ExactFunction, at: Samples, prescribed: Array) -> float:
    value = function.evaluate(at.t, at.x, at.mode).value
    return float(np.max(np.abs(value - prescribed) / (1 + np.abs(prescribed))))


def _exit_gap(function: ExactFunction, edge: Samples, prescribed: Array) -> float:
    """As `_gap`; the edge is known to rounding only, and a steep V moves by its slope times that."""
    exact = function.derivatives(edge.t, edge.x, edge.mode)
    place = 16 * np.finfo(float).eps * (1 + np.abs(edge.x))
    moved = np.sum(np.abs(np.where(np.isfinite(exact.gradient), exact.gradient, 0.0)) * place, axis=1)
    value = function.evaluate(edge.t, edge.x, edge.mode).value
    return float(np.max(np.maximum(np.abs(value - prescribed) - moved, 0.0) / (1 + np.abs(prescribed))))


def _leaving(
    problem: ControlProblem, function: ExactFunction, operators: Sequence[ModeOperator], edge: Samples
) -> NDArray[np.int64]:
    """Without noise only the points where the proposed path goes out take the exit value; which ones these are."""
    if problem.exit is None or not edge.count:
        return np.arange(edge.count)
    ended = condition_test(problem, [problem.exit.condition])
    control = function.evaluate(edge.t, edge.x, edge.mode).control
    leaves = np.zeros(edge.count, dtype=bool)
    for index, operator in enumerate(operators):
        here = np.flatnonzero(edge.mode == index)
        if len(here):
            velocity = np.stack(operator.drift(edge.t[here], *edge.x[here].T, *control[here].T), axis=1)
            speed = np.linalg.norm(velocity, axis=1, keepdims=True) + 1e-300
            leaves[here] = ended(edge.t[here], edge.x[here] + 1e-6 * velocity / speed)
    return np.flatnonzero(leaves)


def _exit_points(problem: ControlProblem, at: Samples) -> tuple[Samples, Samples]:
    """Points just inside the domain and just in the exit set, equal to rounding: bisection from samples towards random far points
    that have exited. A payoff that jumps at the exit, as `indicator(x(tau) >= 1)` does at 1, means its value in the exit set."""
    if problem.exit is None:
        raise ValueError("the problem has no exit")
    ended = condition_test(problem, [problem.exit.condition])
    random = np.random.default_rng(3)
    scale = 3 * (1 + np.abs(at.x).max(axis=0))
    far = at.x + random.normal(size=at.x.shape) * scale
    lattice = list(problem.lattice_states)
    far[:, lattice] = at.x[:, lattice]
    hit = ended(at.t, far)
    start = at.take(np.flatnonzero(hit))
    low, high = np.zeros(start.count), np.ones(start.count)
    for _ in range(52):
        middle = (low + high) / 2
        out = ended(start.t, start.x + middle[:, None] * (far[hit] - start.x))
        low, high = np.where(out, low, middle), np.where(out, middle, high)
    inside, outside = (start.x + share[:, None] * (far[hit] - start.x) for share in (low, high))
    return Samples(start.t, inside, start.mode), Samples(start.t, outside, start.mode)
