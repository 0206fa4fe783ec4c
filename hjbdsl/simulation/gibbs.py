"""Random policies of exploratory problems: draws from the Gibbs policy of a claimed value function.

In: the equation, V with the mean and spread of its policy. Out: `GibbsDraws`, a policy. A normal policy is drawn from its mean
and covariance; on a finite set, or an interval (as that many points), the density is proportional to exp(+-H/temperature),
times the prior. The bonus is the temperature times the entropy (relative to the prior), added under maximize, subtracted under
minimize.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.special import ndtri

from hjbdsl.errors import SolverError
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Array, PointValues, ValueFunction
from hjbdsl.numeric.points import Points
from hjbdsl.numeric.state_space import number
from hjbdsl.simulation.compiled import At, Modes
from hjbdsl.simulation.hamiltonian import local_value, operator
from hjbdsl.simulation.policy import Decision, Policy, ValuePolicy
from hjbdsl.simulation.process import ControlledProcess
from hjbdsl.simulation.remembered import RememberedValue

_NODES = 129
_DIFFERENCE = 1e-3


@final
@dataclass(frozen=True, slots=True)
class GibbsDraws:
    """`columns` of the explored controls; `sense` 1 under maximize, -1 under minimize; `prior` (mean, variance) or None;
    `points` (q,) where the one explored control lives in a finite set."""

    process: ControlledProcess
    claimed: ValueFunction
    normal: bool
    columns: tuple[int, ...]
    temperature: float
    sense: float
    prior: tuple[float, float] | None
    points: Array | None

    def __call__(self, t: Array, x: Array, mode: Modes, uniform: Array) -> Decision:
        at = self.claimed.evaluate(t, x, mode)
        control, entropy = self._normal(at, uniform) if self.normal else self._density(at, Points(t, x, mode), uniform)
        return Decision(control, at.stop, self.sense * self.temperature * entropy, at.value, at.gradient)

    def _normal(self, at: PointValues, uniform: Array) -> tuple[Array, Array]:
        if at.spread is None:
            raise SolverError("the solution lacks the spread of its random policy")
        columns = list(self.columns)
        control = at.control.copy()
        spread, mean = at.spread[:, columns], at.control[:, columns]
        control[:, columns] = mean + spread * ndtri(uniform[:, columns])
        entropy = (np.log(2 * np.pi * spread**2) + 1).sum(axis=1) / 2
        if self.prior is not None:
            centre, variance = self.prior
            cross = np.log(2 * np.pi * variance) + (spread**2 + (mean - centre) ** 2) / variance
            entropy = entropy - cross.sum(axis=1) / 2
        return control, entropy

    def _density(self, at: PointValues, places: Points, uniform: Array) -> tuple[Array, Array]:
        """One explored control, by the weights of its points."""
        (column,) = self.columns
        nodes, width = self._nodes(at, places)
        local = local_value(self.process, self.claimed, places, _DIFFERENCE)
        exponent = np.empty(nodes.shape)
        for q in range(nodes.shape[1]):
            control = at.control.copy()
            control[:, column] = nodes[:, q]
            exponent[:, q] = self.sense * operator(self.process, self.claimed, local, control) / self.temperature
        if self.prior is not None:
            exponent -= (nodes - self.prior[0]) ** 2 / (2 * self.prior[1])
        weights = np.exp(exponent - exponent.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        chosen = (uniform[:, column, None] >= np.cumsum(weights, axis=1)).sum(axis=1).clip(max=nodes.shape[1] - 1)
        control = at.control.copy()
        control[:, column] = nodes[np.arange(len(nodes)), chosen]
        with np.errstate(divide="ignore", invalid="ignore"):
            surprise = np.where(weights > 0, -weights * np.log(weights / width), 0.0)
        entropy = surprise.sum(axis=1)
        if self.prior is not None:
            cross = np.log(2 * np.pi * self.prior[1]) + (nodes - self.prior[0]) ** 2 / self.prior[1]
            entropy = entropy - (weights * cross).sum(axis=1) / 2
        return control, entropy

    def _nodes(self, at: PointValues, places: Points) -> tuple[Array, Array]:
        """Points (k, q) of the explored control and what length each stands for (1 in a finite set)."""
        count, (column,) = len(places), self.columns
        if self.points is not None:
            return np.broadcast_to(self.points, (count, len(self.points))), np.ones((count, 1))
        ends = self.process.coefficients.control_bounds(At(places.t, places.x, places.mode, at.control))
        spread = at.spread[:, column] if at.spread is not None else np.full(count, np.sqrt(self.temperature))
        low = np.maximum(ends[2 * column], at.control[:, column] - 8 * spread)
        high = np.minimum(ends[2 * column + 1], at.control[:, column] + 8 * spread)
        share = (np.arange(_NODES) + 0.5) / _NODES
        width = ((high - low) / _NODES)[:, None]
        return low[:, None] + (high - low)[:, None] * share, width


def policy_of(equation: HJBEquation, process: ControlledProcess, function: ValueFunction) -> Policy:
    """The policy of a solved problem: its optimal control, or draws from its Gibbs policy. Raises `SolverError` for a joint
    random policy that is neither normal with independent components nor of one control."""
    claimed = RememberedValue(function, equation.stationary)
    exploration, policy = equation.problem.exploration, equation.policy
    if exploration is None or policy is None:
        return ValuePolicy(claimed)
    problem = equation.problem
    symbols = (*problem.control_symbols, *problem.adversary_symbols)
    columns = tuple(symbols.index(symbol) for symbol in exploration.controls)
    bounds = [b for group in problem.controls for b in group.bounds]
    normal = policy.kind == "normal" and all(a == b for a, b in policy.covariance)
    if not normal and len(columns) > 1:
        raise SolverError("a random policy of several controls that are not independent normal ones is not drawn from here")
    finite = bounds[columns[0]] if bounds[columns[0]].is_finite_set else None
    return GibbsDraws(
        process,
        claimed,
        normal,
        columns,
        number(problem, exploration.temperature),
        1.0 if problem.objective.sense == "maximize" else -1.0,
        None if exploration.prior is None else (number(problem, exploration.prior[0]), number(problem, exploration.prior[1])),
        None if finite is None else np.array([number(problem, p) for p in finite.points]),
    )
