"""How much each transition counts: one over the variance of its martingale increment, learned from the increments themselves.

The logarithm of the variance is a sum of broken lines, one in every coordinate of state and control, constant beyond the data, so
that it cannot go astray there. Weights that depend on the start of a step alone leave the conditions true; good ones make them
sharp.

In: squared increments and where they started. Out: `Precision`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hjbdsl.methods.model_free.features import Features
from hjbdsl.methods.model_free.transitions import Transitions
from hjbdsl.model.solution import Array
from hjbdsl.numeric.points import Points

MOST_WEIGHT, LEAST_WEIGHT = 20.0, 1e-3
"""Relative to the typical one. A few transitions that seem to scatter little must not decide."""
UNEVEN = 0.5
"""Variances whose logarithms vary by less count as equal."""
TINY = 1e-4
"""What is added to squared increments, by their mean."""
_KNOTS = (0.002, 0.01, 0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95, 0.99, 0.998)
"""Quantiles of a coordinate."""
_SCORINGS = 40
_RIDGE = 1e-3


@dataclass(frozen=True, slots=True)
class Precision:
    """Weights by the square of the class's own size, and relative to the typical one. `knots`, `levels`: of the logarithm of the
    variance, by coordinate: states, label, controls, finite point."""

    knots: tuple[Array, ...]
    levels: tuple[Array, ...]

    def __call__(self, features: Features, at: Points | Transitions, v: Array, chosen: NDArray[np.int64]) -> Array:
        """(k,) at the start of steps under the controls with coordinates v (k, axes)."""
        logarithm = np.zeros(len(v))
        for column, knots, levels in zip(_coordinates(features, at, v, chosen), self.knots, self.levels, strict=True):
            logarithm += np.interp(column, knots, levels)
        size = features.state.size(at.t, at.x)
        return np.asarray(np.exp(-np.clip(logarithm, -math.log(MOST_WEIGHT), -math.log(LEAST_WEIGHT))) / size**2)


def weights(features: Features, precision: Precision | None, data: Transitions) -> Array:
    """(k,); without a `precision`, increments are taken to scatter as the class's own size does."""
    if precision is None:
        return 1.0 / features.state.size(data.t, data.x) ** 2
    return precision(features, data, *features.control.space.coordinates(data.t, data.x, data.a))


def fitted(features: Features, data: Transitions, increment: Array) -> Precision | None:
    """From increments (k,) of `data`; None where they scatter alike."""
    coordinates = _coordinates(features, data, *features.control.space.coordinates(data.t, data.x, data.a))
    square = (increment / features.state.size(data.t, data.x)) ** 2
    typical = float(np.mean(square))
    if typical <= 0:
        return None
    knots = tuple(np.unique(np.quantile(column, _KNOTS)) for column in coordinates)
    shape = np.hstack([_hats(column, own) for column, own in zip(coordinates, knots, strict=True)])
    levels = _log_variance(shape, square / typical + TINY)
    logarithm = shape @ levels
    if float(np.std(logarithm)) < UNEVEN:
        return None
    levels[: len(knots[0])] -= float(np.median(logarithm))
    return Precision(knots, tuple(np.split(levels, np.cumsum([len(own) for own in knots])[:-1])))


def _coordinates(features: Features, at: Points | Transitions, v: Array, chosen: NDArray[np.int64]) -> list[Array]:
    """Columns (k,): every coordinate that the variance may depend on."""
    state = features.state
    columns = [axis.of(at.t if axis.column == 0 else at.x[:, axis.column - 1]) for axis in state.axes]
    if len(state.labels) > 1:
        columns.append(np.argmax(state.belongs(at.x, at.mode), axis=1).astype(float))
    columns += list(v.T)
    if features.control.finite > 1:
        columns.append(chosen.astype(float))
    return columns or [np.zeros(len(v))]


def _hats(column: Array, knots: Array) -> Array:
    """(k, knots): the functions that are 1 at one knot and 0 at the others, linear between, constant beyond."""
    return np.stack([np.interp(column, knots, row) for row in np.eye(len(knots))], axis=1)


def _log_variance(shape: Array, square: Array) -> Array:
    """Coefficients of the logarithm of E[square], by the scores of a gamma law with a logarithmic link, damped."""
    gram = shape.T @ shape
    inverse = np.linalg.pinv(gram + _RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram)), hermitian=True) @ shape.T
    coefficients = np.zeros(shape.shape[1])
    for _ in range(_SCORINGS):
        excess = square * np.exp(-np.clip(shape @ coefficients, -12, 12)) - 1
        coefficients = coefficients + 0.5 * inverse @ np.clip(excess, -1, 20)
    return coefficients
