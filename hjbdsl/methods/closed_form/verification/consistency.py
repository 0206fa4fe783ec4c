"""A guard on the proposal itself: its exact derivatives against differences of its values, its two ways to V, its feasibility.

In: the proposed function and samples. Out: the largest relative disagreement. Cheap, and it catches a derivative that
satisfies the equation without being a derivative of V.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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


_FINER = 1 / 16
"""The second step, relative to the first: a steep layer needs it, elsewhere its rounding is larger."""
_SMALLEST, _HALVINGS = 1e-5, 30


@dataclass(frozen=True, slots=True)
class Room:
    """Where the samples may be moved: `inside(t, x)` (domain, constraints, not exited), the `continuous` states, by steps of at
    most `step`, in time up to `limit` = T."""

    inside: Callable[[Array, Array], NDArray[np.bool_]]
    continuous: tuple[int, ...]
    step: float
    limit: float


def disagreement(function: ExactFunction, at: Samples, exact: Derivatives, room: Room) -> tuple[float, float]:
    """(first derivatives, second derivatives) against five-point differences, the better of two steps: the 0.8 quantile over the
    points of the error relative to the size of V over its scale, since V may have kinks of measure zero."""
    time_error = _time_error(function, at, exact, room.limit)
    if not room.continuous:
        return time_error, 0.0
    direction = _direction(at, room)
    coarse = _step(at, direction, room)
    first, second = _errors(function, at, exact, direction, coarse)
    finer_first, finer_second = _errors(function, at, exact, direction, _FINER * coarse)
    # a second difference of so small a step that rounding would excuse anything is no witness
    finer_second = np.where(_FINER * coarse > _SMALLEST, finer_second, np.inf)
    return max(_robust(np.minimum(first, finer_first)), time_error), _robust(np.minimum(second, finer_second))


def _direction(at: Samples, room: Room) -> Array:
    random = np.random.default_rng(5)
    direction = np.zeros_like(at.x)
    direction[:, list(room.continuous)] = random.normal(size=(at.count, len(room.continuous)))
    return np.asarray(direction / np.linalg.norm(direction, axis=1, keepdims=True))


def _step(at: Samples, direction: Array, room: Room) -> Array:
    """Halved until all points of the difference lie inside; (k,)."""
    step = np.minimum(1e-2 * (1 + np.linalg.norm(at.x, axis=1) / np.sqrt(at.x.shape[1])), room.step)
    for _ in range(_HALVINGS):
        within = np.all([room.inside(at.t, at.x + k * step[:, None] * direction) for k in _FORWARD], axis=0)
        if within.all():
            break
        step = np.where(within, step, step / 2)
    return step


def _errors(function: ExactFunction, at: Samples, exact: Derivatives, direction: Array, step: Array) -> tuple[Array, Array]:
    values = np.stack([_value(function, at.t, at.x + k * step[:, None] * direction, at.mode) for k in _FORWARD])
    slope = _FIRST @ values / step
    curvature = (_SECOND @ values - 2.5 * exact.value) / step**2
    first = np.einsum("ki,ki->k", exact.gradient, direction)
    second = np.einsum("ki,kij,kj->k", direction, exact.hessian, direction)
    rounding = 1e-15 * np.abs(exact.value)
    size = 1 + np.abs(exact.value) + np.abs(first)
    first_error = np.maximum(np.abs(slope - first) - rounding / step, 0) / size
    second_error = np.maximum(np.abs(curvature - second) - 10 * rounding / step**2, 0) / (size + np.abs(second))
    return first_error, second_error


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
