"""Does the equation map an ansatz into itself? Matching by projection, and the flow of the coefficients it gives.

In: an equation and an ansatz. Out: with R the optimised Hamiltonian of V(.; theta) at sample points, the coefficients of

    R = sum_k F_k dV/dtheta_k        (least squares, rows divided by the natural size of V)

and the defect that is left. A defect at rounding level for every theta visited means that the manifold is invariant:
then V_t + R = 0 is the ordinary differential equation theta' = -F(t, theta), and the stationary equation is F(theta) = 0.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import numpy as np
import sympy as sp

from hjbdsl.methods.closed_form.ansatz.basis import Ansatz
from hjbdsl.methods.closed_form.ansatz.hamiltonian import ORDER, Hamiltonian, Optimised, Points
from hjbdsl.methods.closed_form.ansatz.samples import far_states, sample_region, sample_states
from hjbdsl.methods.closed_form.ansatz.tolerance import risk_tolerance
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import TIME
from hjbdsl.model.solution import Array
from hjbdsl.numeric.compile import compile_expressions

DEFECT = 1e-8
"""Relative defect above which an ansatz is refused; matches of exact ones leave 1e-12 and less."""
_REPRESENTABLE = 200.0
"""Values between exp(-200) and exp(200) leave room for their products in double precision."""


@dataclass(frozen=True, slots=True)
class Match:
    """`flow` (D, K): F;  `defect`: largest relative residual of the projection;  `control` (P, m) for a warm start."""

    flow: Array
    defect: float
    control: Array
    valid: bool


class Matching:
    """The projection of one equation on one ansatz, compiled once."""

    def __init__(self, equation: HJBEquation, ansatz: Ansatz, order: int = ORDER):
        self.hamiltonian = Hamiltonian(equation, ansatz, order)
        self.ansatz = ansatz
        index = self.hamiltonian.index
        self.places, self.coefficients = index.size, len(ansatz.unknowns)
        count = 1 if not equation.problem.continuous_states else 2 * self.coefficients + 4
        base = sample_states(equation.problem, count) if ansatz.shift is None else sample_region(equation.problem, count)
        self._state = np.tile(base, (self.places, 1))
        self._state[:, list(equation.problem.lattice_states)] = np.repeat(index.lattice, count, axis=0)
        self._place = np.repeat(np.arange(self.places), count)
        self.samples = count

    def mark_error(self, time: float, theta: Array) -> float:
        """How far F moves when the marks of jumps are integrated with twice the nodes; 0 where their laws are sums."""
        if all(t.quadrature.exact for t in self.hamiltonian.transitions):
            return 0.0
        finer = Matching(self.hamiltonian.equation, self.ansatz, 2 * self.hamiltonian.order)
        here, there = self(time, theta), finer(time, theta)
        return float(np.abs(there.flow - here.flow).max()) if there.valid and here.valid else np.inf

    def zoomed(self, factor: float) -> Matching:
        """The same matching at factors (states that do not scale) nearer to zero, where an exponential of theta is representable
        although theta is large."""
        problem, scaling = self.hamiltonian.equation.problem, self.ansatz.scaling
        nearer = copy(self)
        nearer._state = self._state.copy()
        for i in problem.continuous_states:
            bounds = problem.state_bounds[i]
            ends = [problem.numeric(end) for end in (bounds.lower, bounds.upper)]
            if (scaling is None or i != scaling.state) and all(end == 0 or end.is_infinite for end in ends):
                nearer._state[:, i] *= factor
        return nearer

    def points(self, time: float) -> Points:
        return Points(np.full(len(self._place), time), self._state, self._place)

    def __call__(self, time: float, theta: Array, start: Array | None = None) -> Match:
        """F(t, theta) for theta (D, K)."""
        points = self.points(time)
        optimised, environment = self.hamiltonian.optimised(points, theta[None], start)
        weight, sensitivity = self.hamiltonian.sensitivity(environment, len(self._place))
        shape = (self.places, self.samples)
        with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is no match, below
            rows = (weight * optimised.rate).reshape(shape)
            matrix = (weight[:, None] * sensitivity).reshape(*shape, self.coefficients)
        if not (np.isfinite(rows).all() and np.isfinite(matrix).all() and optimised.found.all()):
            return Match(np.full((self.places, self.coefficients), np.nan), np.inf, optimised.control, False)
        flow = np.einsum("dks,ds->dk", np.linalg.pinv(matrix, rcond=1e-13), rows)
        return Match(flow, self._defect(optimised, weight, rows, matrix, flow), optimised.control, True)

    def _defect(self, optimised: Optimised, weight: Array, rows: Array, matrix: Array, flow: Array) -> float:
        shape = rows.shape
        left = np.abs(rows - np.einsum("dsk,dk->ds", matrix, flow))
        terms = np.abs(matrix * flow[:, None, :]).max(axis=2)
        yardstick = np.maximum((np.abs(weight) * optimised.scale).reshape(shape), terms)
        return float((left / (yardstick + 1e-12 * (1 + yardstick.max()))).max())

    def holds_far(self, time: float, theta: Array, flow: Array) -> bool:
        """Whether R = sum_k F_k dV/dtheta_k far outside the region too, wherever V is representable: a control bound that binds
        only there would make the ansatz wrong everywhere."""
        problem = self.hamiltonian.equation.problem
        if not problem.continuous_states:
            return True
        base = far_states(problem)
        state = np.tile(base, (self.places, 1))
        state[:, list(problem.lattice_states)] = np.repeat(self.hamiltonian.index.lattice, len(base), axis=0)
        points = Points(np.full(len(state), time), state, np.repeat(np.arange(self.places), len(base)))
        optimised, environment = self.hamiltonian.optimised(points, theta[None])
        weight, sensitivity = self.hamiltonian.sensitivity(environment, len(state))
        error = np.abs(optimised.rate - np.einsum("pk,pk->p", sensitivity, flow[points.place]))
        terms = np.abs(sensitivity * flow[points.place]).max(axis=1)
        usable = optimised.found & (np.abs(np.log(np.maximum(weight, 1e-300))) < _REPRESENTABLE) & np.isfinite(error)
        return bool(np.all(error[usable] <= 1e-6 * (np.maximum(optimised.scale, terms)[usable] + 1e-300)))

    def terminal(self) -> Array | None:
        """theta (D, K) with V(.; theta) = terminal reward; amplitudes are -inf where it vanishes. None where it does not fit."""
        problem = self.hamiltonian.equation.problem
        terminal = problem.numeric(problem.objective.terminal or sp.S.Zero)
        environment = dict(zip(problem.state_symbols, self._state.T, strict=True))
        end = problem.numeric(problem.objective.end)
        environment[TIME] = np.full(len(self._place), float(end) if end.is_finite else 0.0)
        for i, p in enumerate(problem.mode_parameters):
            environment[p.symbol] = self.hamiltonian.index.mode_parameters[self._place, i]
        theta = self._fit(terminal, environment)
        return theta if theta is not None and self._fits(terminal, environment, theta) else None

    def _fit(self, terminal: sp.Expr, environment: dict[sp.Symbol, Array]) -> Array | None:
        if self.ansatz.shift is not None:
            return self._fit_shifted(terminal, environment)
        scaling = self.ansatz.scaling
        shape = (self.places, self.samples)
        if not self.ansatz.multiplicative:
            (goal,) = _values(environment, [terminal])
            return self._solve(_linear_part(self.ansatz), environment, goal.reshape(shape))
        if scaling is not None:
            wealth = self.hamiltonian.equation.problem.state_symbols[scaling.state]
            degree = self.hamiltonian.equation.problem.numeric(scaling.degree)
            amplitude = sp.diff(terminal, wealth) * wealth / degree
        else:
            wealth, degree, amplitude = sp.S.One, sp.S.Zero, terminal
        (goal,) = _values(environment, [self.ansatz.sign * amplitude * wealth ** (-degree)])
        columns = [sp.expand_log(-sp.log(self.ansatz.weight), force=True).diff(u) for u in self.ansatz.unknowns]
        goal = goal.reshape(shape)
        if np.all(np.abs(goal) < 1e-300):
            theta = np.zeros((self.places, self.coefficients))
            theta[:, 0] = -np.inf
        elif (goal <= 0).any() or not np.isfinite(goal).all():
            return None
        else:
            return self._solve(columns, environment, np.log(goal))
        return theta

    def _fit_shifted(self, terminal: sp.Expr, environment: dict[sp.Symbol, Array]) -> Array | None:
        """The shift from the risk tolerance of the terminal reward, its amplitude and level by least squares."""
        problem = self.hamiltonian.equation.problem
        wealth = problem.state_symbols[problem.continuous_states[0]]
        tolerance = risk_tolerance(terminal, wealth)
        if tolerance is None or self.ansatz.shift is None:
            return None
        value, width, slope = _values(environment, [terminal, tolerance, sp.diff(tolerance, wealth)])
        shift = float(np.median(width / slope - environment[wealth]))
        known = {s: np.full(value.shape, shift if s == self.ansatz.shift else 0.0) for s in self.ansatz.unknowns}
        theta = np.zeros((self.places, self.coefficients))
        theta[:, self.ansatz.unknowns.index(self.ansatz.shift)] = shift
        if self.ansatz.multiplicative:
            (unit,) = _values(environment | known, [problem.numeric(self.ansatz.expression)])
            with np.errstate(invalid="ignore"):  # the other sign of the ansatz
                theta[:, 0] = np.log((value / unit).reshape(self.places, self.samples).mean(axis=1))
            return theta if np.isfinite(theta).all() else None
        solved = self._solve(
            [sp.S.One, sp.log(wealth + sp.Float(shift, 17))], environment, value.reshape(self.places, self.samples)
        )
        if solved is None:
            return None
        theta[:, 0], theta[:, -1] = solved.T
        return theta

    def _solve(self, columns: list[sp.Expr], environment: dict[sp.Symbol, Array], goal: Array) -> Array | None:
        matrix = np.stack(_values(environment, columns), axis=1).reshape(self.places, self.samples, len(columns))
        theta: Array = np.einsum("dks,ds->dk", np.linalg.pinv(matrix, rcond=1e-13), goal)
        return np.where(np.abs(theta) < 1e-13 * (1 + np.abs(goal).max()), 0.0, theta)

    def _fits(self, terminal: sp.Expr, environment: dict[sp.Symbol, Array], theta: Array) -> bool:
        own = {s: theta[self._place, k] for k, s in enumerate(self.ansatz.unknowns)}
        expression = self.hamiltonian.equation.problem.numeric(self.ansatz.expression)
        value, goal = _values(environment | own, [expression, terminal])
        return bool(np.all(np.abs(value - goal) <= 1e-9 * (1e-9 + np.abs(value) + np.abs(goal)) + 1e-12))


def _linear_part(ansatz: Ansatz) -> list[sp.Expr]:
    return [sp.diff(ansatz.expression, u) for u in ansatz.unknowns]


def _values(environment: dict[sp.Symbol, Array], expressions: list[sp.Expr]) -> tuple[Array, ...]:
    return compile_expressions(list(environment), expressions)(*environment.values())
