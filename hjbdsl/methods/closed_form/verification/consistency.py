"""A guard on the proposal itself: its exact derivatives against differences of its values, its two ways to V, its feasibility.

In: the proposed function and samples. Out: the largest relative disagreement. Cheap, and it catches a derivative that
satisfies the equation without being a derivative of V.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.family import Derivatives, ExactFunction
from hjbdsl.methods.closed_form.verification.points import Samples
from hjbdsl.model.solution import Array

_FORWARD = np.array([-2.0, -1.0, 1.0, 2.0])
_FIRST = np.array([1.0, -8.0, 8.0, -1.0]) / 12
_SECOND = np.array([-1.0, 16.0, 16.0, -1.0]) / 12
_SHORTER = (1.0, 0.125)
"""A wrong derivative is wrong at every step; a steep right one only at the longest."""


def disagreement(
    function: ExactFunction, at: Samples, exact: Derivatives, continuous: tuple[int, ...], room: Array, limit: float
) -> tuple[float, float]:
    """(first derivatives, second derivatives) against five-point differences: the 0.8 quantile over the points of the error
    relative to the size of V over its scale, since V may have kinks of measure zero. `room` (k,) is the distance that may be
    moved in x, `limit` = T."""
    if not continuous:
        return _time_error(function, at, exact, limit), 0.0
    random = np.random.default_rng(5)
    direction = np.zeros_like(at.x)
    direction[:, list(continuous)] = random.normal(size=(at.count, len(continuous)))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    first = np.einsum("ki,ki->k", exact.gradient, direction)
    second = np.einsum("ki,kij,kj->k", direction, exact.hessian, direction)
    rounding = 1e-15 * np.abs(exact.value)
    size = 1 + np.abs(exact.value) + np.abs(first)
    first_error, second_error = np.full(at.count, np.inf), np.full(at.count, np.inf)
    widest = np.minimum(1e-2 * (1 + np.linalg.norm(at.x, axis=1) / np.sqrt(at.x.shape[1])), room / 4)
    for shorter in _SHORTER:
        step = shorter * widest
        values = np.stack([_value(function, at.t, at.x + k * step[:, None] * direction, at.mode) for k in _FORWARD])
        slope = _FIRST @ values / step
        curvature = (_SECOND @ values - 2.5 * exact.value) / step**2
        first_error = np.minimum(first_error, np.maximum(np.abs(slope - first) - rounding / step, 0) / size)
        rest = np.maximum(np.abs(curvature - second) - 10 * rounding / step**2, 0) / (size + np.abs(second))
        second_error = np.minimum(second_error, rest)
    return max(_robust(first_error), _time_error(function, at, exact, limit)), _robust(second_error)


def _time_error(function: ExactFunction, at: Samples, exact: Derivatives, limit: float) -> float:
    if not np.isfinite(limit):
        return 0.0
    step = np.minimum(np.minimum(at.t, limit - at.t) / 4, 2e-3 * limit)
    usable = step > 1e-6 * limit
    values = np.stack([_value(function, at.t + k * step, at.x, at.mode) for k in _FORWARD])
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.abs(_FIRST @ values / step - exact.time) - 1e-15 * np.abs(exact.value) / step
    return _robust(np.maximum(error, 0)[usable] / (1 + np.abs(exact.value) + np.abs(exact.time))[usable])


def _value(function: ExactFunction, t: Array, x: Array, mode: NDArray[np.int64]) -> Array:
    return function.evaluate(t, x, mode).value


def _robust(error: Array) -> float:
    return float(np.quantile(error, 0.8)) if len(error) else 0.0
