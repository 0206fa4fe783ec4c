"""A control problem whose state is linear and whose controls enter quadratically: its coefficients in a chart.

In: the problem. Out: arrays of time in

    dz = (A z + a + G u) dt + S dW,  Q = S C S',
    running  k + w'z + z'M z/2 + u'R u/2 + (r0 + r1 z)'u  (+ a rest without controls)

with all controls and adversaries in u. The optimum over u is stationary, so the Hamiltonian keeps the form

    b.p + l - p'G R^-1 G'p/2,   b = A z + a - G R^-1 (r0 + r1 z),   l = running(u = 0) - (r0 + r1 z)'R^-1 (r0 + r1 z)/2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sympy as sp

from hjbdsl.methods.closed_form.expectation.chart import Chart, choose_chart
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Array, Rejected
from hjbdsl.numeric.polynomial import QuadraticParts, expanded, quadratic_parts
from hjbdsl.numeric.time_array import TimeArray, time_array

Entries = dict[tuple[int, ...], sp.Expr]


@dataclass(frozen=True, slots=True)
class QuadraticRate:
    """constant + linear'z + z'quadratic z/2, arrays of time."""

    constant: TimeArray
    linear: TimeArray
    quadratic: TimeArray


@dataclass(frozen=True, slots=True)
class LinearControl:
    """The letters of the module's docstring; `rest` is what of the running reward is neither quadratic nor controlled, in the
    chart's coordinates; `terminal` likewise; `controllers` counts the controls in u, the adversaries follow; `sense` 1 for
    minimize, -1 else."""

    chart: Chart
    matrix: TimeArray
    offset: TimeArray
    noise: TimeArray
    gain: TimeArray
    cost: TimeArray
    cross_offset: TimeArray
    cross: TimeArray
    running: QuadraticRate
    rest: sp.Expr
    discount: QuadraticRate
    terminal: sp.Expr
    controllers: int
    sense: int
    risk: float
    end: float

    def feedback_terms(self, t: float) -> tuple[Array, Array, Array]:
        """(R^-1 G', R^-1 r0, R^-1 r1): the stationary control is -(first V_z + second + third z)."""
        cost = self.cost(t)
        if cost.shape[0] == 0:
            n = len(self.chart.states)
            return np.zeros((0, n)), np.zeros(0), np.zeros((0, n))
        inverse = np.diag(1 / np.diag(cost)) if _is_diagonal(cost) else np.linalg.inv(cost)
        return inverse @ self.gain(t).T, inverse @ self.cross_offset(t), inverse @ self.cross(t)

    def drift(self, t: float) -> tuple[Array, Array]:
        """Matrix and offset of b."""
        if self.cost.constant.shape[0] == 0:
            return self.matrix(t), self.offset(t)
        _, still, slope = self.feedback_terms(t)
        gain = self.gain(t)
        return self.matrix(t) - gain @ slope, self.offset(t) - gain @ still

    def reward(self, t: float) -> tuple[Array, Array, Array]:
        """Constant, linear and quadratic part of l (without `rest`)."""
        _, still, slope = self.feedback_terms(t)
        start, cross = self.cross_offset(t), self.cross(t)
        rate = self.running
        return (
            np.asarray(rate.constant(t) - start @ still / 2),
            rate.linear(t) - cross.T @ still,
            rate.quadratic(t) - cross.T @ slope,
        )

    def quadratic_hamiltonian(self, t: float) -> Array:
        """N of -p'N p/2 in the Hamiltonian: G R^-1 G' - theta Q."""
        return self.gain(t) @ self.feedback_terms(t)[0] - self.risk * self.noise(t)


def _is_diagonal(matrix: Array) -> bool:
    return np.count_nonzero(matrix) == np.count_nonzero(np.diag(matrix))


def linear_control(problem: ControlProblem) -> LinearControl | Rejected:
    """The coefficients of `problem`, its parameters' numbers put in, or why it is not of this form. Modes, jumps, stopping and
    exit belong to other families."""
    objective = problem.objective
    refused = _refuse(problem)
    if refused:
        return Rejected(refused)
    chart = choose_chart(problem)
    if isinstance(chart, Rejected):
        return chart
    n, z = len(chart.states), chart.coordinates
    controls = (*problem.control_symbols, *problem.adversary_symbols)
    noise = _noise(problem, chart)
    if isinstance(noise, Rejected):
        return noise
    matrix: Entries = {}
    offset: Entries = {}
    gain: Entries = {}
    for i, entry in enumerate(problem.drift):
        drift = chart.carry(problem.numeric(entry))
        if chart.logarithmic[i]:
            drift = sp.expand(drift * sp.exp(-z[i])) - noise.get((i, i), sp.S.Zero) / 2
        parts = quadratic_parts(drift, (*z, *controls))
        if not parts.is_affine:
            return Rejected(f"the drift of {chart.states[i]} is not linear in the states and controls")
        offset[(i,)] = parts.constant
        matrix.update({(i, j): c for j, c in parts.linear.items() if j < n})
        gain.update({(i, j - n): c for j, c in parts.linear.items() if j >= n})
    running = quadratic_parts(chart.carry(problem.numeric(objective.running)), (*z, *controls))
    if any(term.free_symbols & set(controls) for term in running.rest):
        return Rejected("the running reward is not quadratic in the controls")
    discount = quadratic_parts(chart.carry(problem.numeric(objective.discount)), z)
    if discount.rest or any(c.free_symbols & set(controls) for c in _coefficients(discount)):
        return Rejected("the discount rate is not a quadratic function of the states")
    m = len(controls)
    try:
        return LinearControl(
            chart, time_array((n, n), matrix), time_array((n,), offset), time_array((n, n), _symmetric(noise)),
            time_array((n, m), gain), *_control_cost(running, n, m), _rate(running, n), sp.Add(*running.rest), _rate(discount, n),
            chart.carry(problem.numeric(objective.terminal if objective.terminal is not None else sp.S.Zero)),
            len(problem.control_symbols), 1 if objective.sense == "minimize" else -1,
            float(problem.numeric(objective.risk)) if objective.risk is not None else 0.0, float(problem.numeric(objective.end)),
        )  # fmt: skip
    except ValueError as error:
        return Rejected(str(error))


def _refuse(problem: ControlProblem) -> str:
    objective = problem.objective
    if objective.form not in {"expectation", "risk"}:
        return f"the objective is a {objective.form.replace('_', ' ')}"
    if problem.modes or problem.jumps:
        return "the state jumps or switches modes"
    if problem.exit is not None or problem.stopping is not None or problem.boundaries:
        return "the process is stopped or has boundaries"
    if problem.exploration is not None or problem.reversal is not None:
        return "the problem is exploratory or a time reversal"
    if problem.constraints:
        return "there are joint constraints"
    for group in (*problem.controls, *problem.adversaries):
        if any(b.is_finite_set or b.lower != -sp.oo or b.upper != sp.oo for b in group.bounds):
            return f"the control {group.name} is bounded"
    return ""


def _noise(problem: ControlProblem, chart: Chart) -> Entries | Rejected:
    """{(i, j), i <= j: entry of Q} in the chart's coordinates."""
    rows: dict[int, dict[int, sp.Expr]] = {}
    for (i, k), entry in problem.diffusion.items():
        value = chart.carry(problem.numeric(entry))
        if chart.logarithmic[i]:
            value = sp.expand(value * sp.exp(-chart.coordinates[i]))
        if value.free_symbols & {*chart.coordinates, *problem.control_symbols, *problem.adversary_symbols}:
            return Rejected(f"the noise of {chart.states[i]} is neither constant nor proportional to it")
        rows.setdefault(i, {})[k] = value
    result: Entries = {}
    for i, first in rows.items():
        for j, second in rows.items():
            if i <= j:
                terms = [
                    a * b * _correlated(problem, k, m) for k, a in first.items() for m, b in second.items()
                    if k == m or (min(k, m), max(k, m)) in problem.correlation
                ]  # fmt: skip
                entry = sp.Add(*terms)
                if entry != 0:
                    result[i, j] = expanded(entry)
    return result


def _correlated(problem: ControlProblem, k: int, m: int) -> sp.Expr:
    return sp.S.One if k == m else problem.numeric(problem.correlation[min(k, m), max(k, m)])


def _symmetric(entries: Entries) -> Entries:
    return entries | {(j, i): value for (i, j), value in entries.items()}


def _coefficients(parts: QuadraticParts) -> list[sp.Expr]:
    return [parts.constant, *parts.linear.values(), *parts.quadratic.values()]


def _rate(parts: QuadraticParts, n: int) -> QuadraticRate:
    quadratic: Entries = {}
    for (i, j), c in parts.quadratic.items():
        if j < n:
            quadratic[i, j] = quadratic[j, i] = 2 * c if i == j else c
    return QuadraticRate(
        time_array((), {(): parts.constant}),
        time_array((n,), {(i,): c for i, c in parts.linear.items() if i < n}),
        time_array((n, n), quadratic),
    )


def _control_cost(parts: QuadraticParts, n: int, m: int) -> tuple[TimeArray, TimeArray, TimeArray]:
    """R, r0, r1."""
    cost: Entries = {}
    cross: Entries = {}
    for (i, j), c in parts.quadratic.items():
        if i >= n:
            cost[i - n, j - n] = cost[j - n, i - n] = 2 * c if i == j else c
        elif j >= n:
            cross[j - n, i] = c
    start = {(i - n,): c for i, c in parts.linear.items() if i >= n}
    return time_array((m, m), cost), time_array((m,), start), time_array((m, n), cross)
