"""Policy iteration on what was learned: value and advantage rate of the optimal policy, from the operator of the conditions
alone.

For a policy pi with entropy H, V = X theta and q = r + L^a V - rho V are those of pi exactly when the normaliser constraint
holds,

    E_pi[ q(x, .) ] + temperature * H(x) = 0    at every state,

which is linear in theta and imposed by least squares at many states; then pi becomes the maximiser (or the Gibbs law) of q. The
first policies are judged with a larger discount rate, which falls to rho: then any first policy will do, stabilising or not.

To compare, the plain target of Q-learning: Q = r dt + exp(-rho dt) E[V(x')], V = max Q, in the same class, from the same
averages."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hjbdsl.errors import SolverError
from hjbdsl.methods.model_free.conditions import Operator
from hjbdsl.methods.model_free.greedy import GUARD, Choice, gibbs, greedy, strays
from hjbdsl.model.solution import Array
from hjbdsl.numeric.points import Points

MOST_ITERATIONS, UNDAMPED = 25, 8
"""Policies at the task's own rate; after the first so many, where the policy flutters between equals, only half a step each."""
FIRST_RATE = 20.0
"""The largest discount rate at which the first policies are judged, per unit of time, never above one a step."""
TERMINAL_WEIGHT = 30.0
SETTLED = 1e-6
FALL, FALLS, STAY = 0.75, 30, 2
"""By how much the rate falls from policy to policy, and how often at most. A policy that is good at one rate must have a value
at the next."""


@dataclass(frozen=True, slots=True)
class Task:
    """What the learner is asked: `rho` the discount rate, `average` whether the long-run average counts, `end` the horizon (inf
    without), `temperature` of the policy; more reward is better."""

    rho: float
    average: bool
    end: float
    temperature: float


@dataclass(frozen=True, slots=True)
class Places:
    """States at which the constraint is imposed, with what `weight`, and observed ends: where, and what was paid."""

    inner: Points
    last: Points
    payoff: Array
    weight: Array | None = None


@dataclass(frozen=True, slots=True)
class Learned:
    """theta (I,): V = X theta; advantage (p,): q, or for the plain target Q/dt; average: the long-run average; residual (k,):
    the defect of the constraint at the places; settled: whether the policy has stopped changing; influence (I, p): d theta / d
    q, how an error of the coefficients of r + L^a V moves theta; average_influence (p,); astray: the share of places where q
    has no maximum among the actions of the data; defect: the root mean square of the residual as the places are weighted."""

    theta: Array
    advantage: Array
    average: float
    residual: Array
    iterations: int
    settled: bool
    influence: Array
    average_influence: Array
    astray: float
    defect: float


def choose(
    operator: Operator, task: Task, advantage: Array, places: Points, X: Array | None = None, guard: float = GUARD
) -> Choice:
    """The policy of an advantage rate at some places."""
    features = operator.features
    X = features.state(places.t, places.x, places.mode) if X is None else X
    coefficients = features.by_action(X, advantage)
    if task.temperature > 0:
        return gibbs(features.control, coefficients, task.temperature, places.t, places.x)
    return greedy(features.control, coefficients, guard)


def q_learning(operator: Operator, task: Task, places: Places, coarse: bool = False) -> Learned:
    """Continuous-time q-learning. Raises `SolverError` where the iteration runs away."""

    def evaluated(rows: Array, X: Array, rate: float) -> Array:
        return rows @ (operator.coarse if coarse else operator.generator) - rate * X

    def rated(theta: Array, rate: float, average: float) -> Array:
        return operator.advantage(theta, rate, average, coarse)

    return _iterate(operator, task, places, evaluated, rated)


def plain_q_learning(operator: Operator, task: Task, places: Places) -> Learned:
    """The fixed point of the plain target y = r dt + exp(-rho dt) V(x'); its `advantage` holds Q/dt, whose maximiser is Q's."""
    dt = operator.dt

    def evaluated(rows: Array, X: Array, rate: float) -> Array:
        return (math.exp(-rate * dt) * (rows @ operator.transition) - X) / dt

    def rated(theta: Array, rate: float, average: float) -> Array:
        q = operator.reward + math.exp(-rate * dt) / dt * (operator.transition @ theta)
        q[operator.features.constants] -= average
        return q

    return _iterate(operator, task, places, evaluated, rated)


Evaluated = Callable[[Array, Array, float], Array]
Rated = Callable[[Array, float, float], Array]


def _rates(task: Task, dt: float) -> list[float]:
    """Discount rates of the first policies, falling to the task's own."""
    if math.isfinite(task.end):
        return [task.rho]
    first = min(1.0 / dt, FIRST_RATE)
    falling = [task.rho + first * FALL**j for j in range(FALLS) if first * FALL**j > task.rho / 20]
    return [*np.repeat(falling, STAY).tolist(), task.rho]


def _iterate(operator: Operator, task: Task, places: Places, evaluated: Evaluated, rated: Rated) -> Learned:
    features, inner = operator.features, places.inner
    X = features.state(inner.t, inner.x, inner.mode)
    last = features.state(places.last.t, places.last.x, places.last.mode)
    own = 1.0 / features.state.size(inner.t, inner.x) if places.weight is None else places.weight
    weights = _balanced(own, 1.0 / features.state.size(places.last.t, places.last.x))
    theta, advantage, average = np.zeros(features.values), operator.reward.copy(), 0.0
    rates = _rates(task, operator.dt)
    for iteration in range(len(rates) + MOST_ITERATIONS):
        rate = rates[min(iteration, len(rates) - 1)]
        choice = choose(operator, task, advantage, inner, X)
        rows = features.products(X, choice.features)
        known = rows @ operator.reward + task.temperature * choice.entropy
        system = _System(evaluated(rows, X, rate), last, task.average and rate == task.rho, weights)
        before, before_average = theta, average
        theta, shift = system.solve(-known, places.payoff)
        average = float(shift)
        if not np.all(np.isfinite(theta)):
            raise SolverError("the conditions have no solution under the policy that they lead to: the learner has diverged")
        if iteration >= len(rates) + UNDAMPED:
            theta, average = (theta + before) / 2, (average + before_average) / 2
        advantage = rated(theta, rate, average)
        moved = np.max(np.abs(X @ (theta - before)), initial=0.0) + abs(average - before_average)
        settled = rate == task.rho and bool(moved < SETTLED * (1.0 + np.max(np.abs(X @ theta))))
        if settled:
            break
    influence, shifts = system.solve(-rows, np.zeros((len(last), rows.shape[1])))
    residual = system.inner @ theta + known - average
    astray = float(np.mean(strays(features.control, choice.v)))
    defect = float(np.sqrt(np.mean((own * residual) ** 2)))
    return Learned(theta, advantage, average, residual, iteration + 1, settled, influence, shifts, astray, defect)


def _balanced(inner: Array, last: Array) -> Array:
    """Weights of the constraint at the places and at the ends; what is paid at an end is certain, and counts for much."""
    ends = TERMINAL_WEIGHT * math.sqrt(len(inner) / max(len(last), 1)) * last / (np.sqrt(np.mean(last**2)) if last.size else 1.0)
    return np.concatenate([inner / np.sqrt(np.mean(inner**2)), ends])


class _System:
    """inner theta + known = average in the least squares, and last theta = payoff. A relative value has no constant."""

    def __init__(self, inner: Array, last: Array, relative: bool, weight: Array):
        self.inner, self.relative, self.own = inner, relative, weight
        rows = np.vstack([inner, last])
        if relative:
            rows[:, 0] = -1.0
        rows *= self.own[:, None]
        self.scale = np.sqrt((rows**2).sum(axis=0)) + 1e-300
        self.inverse = np.linalg.pinv(rows / self.scale, rcond=1e-12) / self.scale[:, None]

    def solve(self, right: Array, payoff: Array) -> tuple[Array, Array]:
        """theta and the average for one right-hand side, or for several side by side."""
        whole = np.concatenate([right, payoff])
        solution = self.inverse @ (whole * (self.own if whole.ndim == 1 else self.own[:, None]))
        if not self.relative:
            return solution, np.zeros(solution.shape[1:])
        average = np.array(solution[0])
        solution[0] = 0.0
        return solution, average
