"""What was learned, as a value function that evaluates anywhere, with its bracket."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hjbdsl.methods.model_free.conditions import Operator
from hjbdsl.methods.model_free.greedy import Choice
from hjbdsl.methods.model_free.iteration import Learned, Task, choose
from hjbdsl.methods.model_free.uncertainty import Scatter, control_scatter
from hjbdsl.model.solution import Array, PointValues, ValueFunction
from hjbdsl.numeric.points import Points

CONFIDENCE = 0.99
QUANTILE = 2.5758293035489004
"""Of the standard normal law, two-sided."""


@dataclass(frozen=True, slots=True)
class LearnedFunction(ValueFunction):
    """`sign` -1 where the file minimises (the learner always maximises). `coarse`: the same learned by the trapezoid rule: what
    the step size may still matter. `floor`: what the class leaves of V, from the defect of its conditions; `neighbour`: the
    same learned in another class, as far from which the answer may be off; `origin`: where a relative value is 0."""

    operator: Operator
    task: Task
    learned: Learned
    coarse: Learned | None
    shake: Scatter | None
    sign: float
    floor: float
    neighbour: tuple[Operator, Learned] | None = None
    origin: Points | None = None

    def evaluate(self, t: Array, x: Array, mode: NDArray[np.int64]) -> PointValues:
        features, places = self.operator.features, Points(t, x, mode)
        X = features.state(t, x, mode)
        choice = choose(self.operator, self.task, self.learned.advantage, places, X)
        value = X @ self.learned.theta - self._at_origin(self.operator, self.learned)
        error = np.full(len(t), np.nan)
        if self.shake is not None:
            error = QUANTILE * np.linalg.norm(X @ self.shake.value, axis=1) + self._step(X, value) + self.floor
            error += self._class(places, value)
        gradient = np.stack(
            [features.state.gradient(x, t, mode, i) @ self.learned.theta for i in range(x.shape[1])], axis=1
        ).reshape(x.shape)
        control, spread = self._law(choice, t, x)
        signed = self.sign * value
        return PointValues(
            signed, error, self.sign * gradient, control, spread, None, signed - error, signed + error,
            CONFIDENCE if self.shake is not None else None,
        )  # fmt: skip

    def _law(self, choice: Choice, t: Array, x: Array) -> tuple[Array, Array | None]:
        """Mean and standard deviation of the policy (k, m); no deviation where it is not random."""
        space = self.operator.features.control.space
        mean = space.back(t, x, choice.v, choice.point)
        if self.task.temperature <= 0:
            return mean, None
        spread = np.zeros(mean.shape)
        spread[:, [axis.component for axis in space.axes]] = choice.deviation * space.slopes(t, x, choice.v)
        if choice.weights is not None and space.finite:
            columns = list(space.finite)
            mean[:, columns] = choice.weights @ space.points
            spread[:, columns] = np.sqrt(np.maximum(choice.weights @ space.points**2 - mean[:, columns] ** 2, 0.0))
        return mean, spread

    def control_error(self, t: Array, x: Array, mode: NDArray[np.int64]) -> Array:
        """Of the maximiser (k, m), at the same confidence; NaN where q says nothing of it."""
        features = self.operator.features
        X = features.state(t, x, mode)
        choice = choose(self.operator, self.task, self.learned.advantage, Points(t, x, mode), X)
        space = features.control.space
        result = np.zeros((len(t), space.count))
        if self.shake is None:
            return np.full(result.shape, np.nan)
        errors = control_scatter(self.operator, self.learned, self.shake, X, choice.v, choice.point)
        result[:, [axis.component for axis in space.axes]] = QUANTILE * errors * space.slopes(t, x, choice.v)
        if space.finite and self.task.temperature > 0:
            result[:, list(space.finite)] = np.nan
        if self.neighbour is not None:
            operator, learned = self.neighbour
            their = choose(operator, self.task, learned.advantage, Points(t, x, mode))
            result += np.abs(
                space.back(t, x, choice.v, choice.point) - operator.features.control.space.back(t, x, their.v, their.point)
            )
        return result

    def _class(self, places: Points, value: Array) -> Array:
        if self.neighbour is None:
            return np.zeros(len(value))
        operator, learned = self.neighbour
        return np.abs(
            operator.features.state(places.t, places.x, places.mode) @ learned.theta - self._at_origin(operator, learned) - value
        )

    def _at_origin(self, operator: Operator, learned: Learned) -> float:
        if self.origin is None:
            return 0.0
        at = self.origin
        return float((operator.features.state(at.t, at.x, at.mode) @ learned.theta)[0])

    def average_error(self) -> float:
        """Of the long-run average, at the same confidence; NaN where nothing is claimed."""
        if self.shake is None or self.coarse is None:
            return math.nan
        apart = abs(self.learned.average - self.coarse.average)
        step = apart * min(1.0, apart / max(abs(self.learned.average), 1e-300))
        of_class = 0.0 if self.neighbour is None else abs(self.learned.average - self.neighbour[1].average)
        return QUANTILE * self.shake.average + step + self.floor + of_class

    def _step(self, X: Array, value: Array) -> Array:
        """What the finer rule may leave: as far from the truth as its square is from the coarser one."""
        if self.coarse is None:
            return np.zeros(len(value))
        apart = np.abs(value + self._at_origin(self.operator, self.coarse) - X @ self.coarse.theta)
        return apart * np.minimum(1.0, apart / np.maximum(np.max(np.abs(value)), 1e-300))
