"""Controls moved into their admissible set: a policy read from a table, or a learner's action, may lie beside it.

In: a problem. Out: `FeasibleSet.moved`. Intervals clip, finite sets take the nearest point, joint constraints G a <= h are met
by projecting on the violated ones in turn (Kaczmarz, 1937), inside the intervals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import sympy as sp

from hjbdsl.model.problem import TIME, ControlProblem
from hjbdsl.model.solution import Array
from hjbdsl.numeric.control_set import ControlRegion
from hjbdsl.numeric.state_space import number
from hjbdsl.simulation.compiled import At, Compiled

_SWEEPS = 60


@dataclass(frozen=True, slots=True)
class FeasibleSet:
    """`bounds` gives lower and upper end of every component; `finite` the points of those in finite sets; `joint` the
    constraints on several controls, None without any; `parameters` the symbols by mode with their values."""

    bounds: Compiled
    finite: tuple[Array | None, ...]
    joint: ControlRegion | None
    states: tuple[sp.Symbol, ...]
    parameters: Mapping[sp.Symbol, Array]

    def moved(self, at: At) -> Array:
        """The controls of `at`, feasible; (k, m)."""
        if not self.finite:
            return at.control
        ends = self.bounds(at)
        low, high = ends[0::2].T, ends[1::2].T
        result = np.clip(at.control, low, high)
        if self.joint is not None and len(result):
            result = self._projected(self.joint, at, result, low, high)
        for column, points in enumerate(self.finite):
            if points is not None:
                result[:, column] = points[np.argmin(np.abs(result[:, column, None] - points), axis=1)]
        return result

    def _projected(self, joint: ControlRegion, at: At, control: Array, low: Array, high: Array) -> Array:
        environment = {TIME: at.t, **dict(zip(self.states, at.x.T, strict=True))}
        environment |= {symbol: values[at.mode] for symbol, values in self.parameters.items()}
        region = joint.at(environment, len(at.t))
        low, high = np.fmax(low, region.lower), np.fmin(high, region.upper)
        control = np.clip(control, low, high)
        square = np.maximum((region.normals**2).sum(axis=2), 1e-300)
        for _ in range(_SWEEPS):
            worst = 0.0
            for row in range(region.normals.shape[1]):
                normal = region.normals[:, row]
                lack = np.maximum((normal * control).sum(axis=1) - region.offsets[:, row], 0.0)
                worst = max(worst, float(np.max(lack, initial=0.0)))
                control = np.clip(control - (lack / square[:, row])[:, None] * normal, low, high)
            if worst <= 1e-12:
                break
        return control


def feasible_set(problem: ControlProblem, bounds: Compiled) -> FeasibleSet:
    """Joint constraints that are not affine are left to the policy."""
    groups = (*problem.controls, *problem.adversaries)
    intervals = [b for group in groups for b in group.bounds]
    finite = tuple(np.array([number(problem, p) for p in b.points]) if b.is_finite_set else None for b in intervals)
    chained = {p.symbol: p for p in problem.mode_parameters}
    modes = problem.mode_tuples()
    parameters = {s: np.array([number(problem, p.values[m[p.chain]]) for m in modes]) for s, p in chained.items()}
    return FeasibleSet(bounds, finite, _joint(problem), problem.state_symbols, parameters)


def _joint(problem: ControlProblem) -> ControlRegion | None:
    if all(constraint.role == "state" for constraint in problem.constraints):
        return None
    try:
        return ControlRegion(problem)
    except ValueError:
        return None
