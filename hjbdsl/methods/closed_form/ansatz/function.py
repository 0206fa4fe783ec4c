"""The value function of an ansatz with its coefficients found: plain data, compiled again wherever it is unpickled.

In: equation, ansatz, coefficients (constant or along time). Out: an `ExactFunction`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.ansatz.basis import Ansatz
from hjbdsl.methods.closed_form.ansatz.constants import Level
from hjbdsl.methods.closed_form.ansatz.evolution import CoefficientPath
from hjbdsl.methods.closed_form.ansatz.hamiltonian import Hamiltonian, Points
from hjbdsl.methods.closed_form.family import Derivatives, ExactFunction
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Array, PointValues


class AnsatzFunction(ExactFunction):
    """V(t, x) = ansatz with `coefficients` (D, K), or a path of them; `relative_error` of the coefficients found,
    `level` the value of additive constants."""

    def __init__(
        self, equation: HJBEquation, ansatz: Ansatz, coefficients: Array | CoefficientPath, relative_error: float, level: Level
    ):
        self.level = level
        self.equation, self.ansatz = equation, ansatz
        self.coefficients, self.relative_error = coefficients, relative_error
        self._hamiltonian: Hamiltonian | None = None
        self._unit_control: Array | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return AnsatzFunction, (self.equation, self.ansatz, self.coefficients, self.relative_error, self.level)

    @property
    def hamiltonian(self) -> Hamiltonian:
        if self._hamiltonian is None:
            self._hamiltonian = Hamiltonian(self.equation, self.ansatz)
        return self._hamiltonian

    def _theta(self, t: Array) -> tuple[Array, Array]:
        if isinstance(self.coefficients, CoefficientPath):
            return self.coefficients.at(t)
        return self.coefficients[None], np.zeros_like(self.coefficients)[None]

    def _points(self, t: Array, x: Array, mode: NDArray[np.int64]) -> Points:
        lattice = x[:, list(self.equation.problem.lattice_states)]
        place = self.hamiltonian.index.locate(lattice, np.asarray(mode, dtype=np.int64))
        return Points(np.asarray(t, dtype=float), np.asarray(x, dtype=float), place)

    def derivatives(self, t: Array, x: Array, mode: Array) -> Derivatives:
        points = self._points(t, x, mode.astype(np.int64))
        theta, slope = self._theta(points.time)
        environment = self.hamiltonian.environment(points, theta)
        result = self.hamiltonian.derivatives(environment, len(x))
        _, sensitivity = self.hamiltonian.sensitivity(environment, len(x))
        rows = np.zeros(len(x), dtype=np.int64) if len(slope) == 1 else np.arange(len(x))
        time = np.einsum("pk,pk->p", sensitivity, slope[rows, points.place])
        level, slope_of_level = self.level.at(points.time)
        time = np.where(points.place < 0, np.nan, time + slope_of_level)
        return replace(result, value=result.value + level, time=time)

    def _scaled(self, points: Points, theta: Array) -> Array | None:
        """Where a wealth-like state scales, one optimisation serves all points that differ in it alone."""
        scaling = self.ansatz.scaling
        if scaling is None or not self.hamiltonian.implicit:
            return None
        wealth = points.state[:, scaling.state]
        weights = np.array([scaling.weights.get(a, 0) for a in self.hamiltonian.controls])
        if len(theta) == 1 and len(self.equation.problem.continuous_states) == 1:
            return self._control_at_one(theta)[points.place] * wealth[:, None] ** weights
        others = np.delete(points.state, scaling.state, axis=1)
        key = np.column_stack([points.time if len(theta) > 1 else np.zeros(len(wealth)), points.place, others])
        _, first, group = np.unique(key, axis=0, return_index=True, return_inverse=True)
        few = Points(points.time[first], points.state[first], points.place[first])
        solved, _ = self.hamiltonian.optimised(few, theta if len(theta) == 1 else theta[first])
        group = group.ravel()
        return solved.control[group] * (wealth / wealth[first][group])[:, None] ** weights

    def _control_at_one(self, theta: Array) -> Array:
        """The controls (D, m) at wealth one in every discrete state, found once: a stationary policy scales."""
        if self._unit_control is None:
            index, problem = self.hamiltonian.index, self.equation.problem
            state = np.ones((index.size, problem.dimension))
            state[:, list(problem.lattice_states)] = index.lattice
            points = Points(np.zeros(index.size), state, np.arange(index.size))
            self._unit_control = self.hamiltonian.optimised(points, theta)[0].control
        return self._unit_control

    def evaluate(self, t: Array, x: Array, mode: NDArray[np.int64]) -> PointValues:
        with np.errstate(all="ignore"):  # V may be too large for a number; it is then infinite, with an infinite error
            return self._evaluate(t, x, mode)

    def _evaluate(self, t: Array, x: Array, mode: NDArray[np.int64]) -> PointValues:
        points = self._points(t, x, mode)
        theta, _ = self._theta(points.time)
        control = self._scaled(points, theta)
        if control is None:
            optimised, environment = self.hamiltonian.optimised(points, theta)
            control = optimised.control
        else:
            environment = self.hamiltonian.environment(points, theta)
        derivatives = self.hamiltonian.derivatives(environment, len(x))
        outside = points.place < 0
        value = np.where(outside, np.nan, derivatives.value + self.level.at(points.time)[0])
        error = self.relative_error * (np.abs(value) + 1e-3) + 4e-16 * np.abs(value)
        return PointValues(value, error, derivatives.gradient, control, self.hamiltonian.spread(environment, len(x)))
