"""One step of the continuous motion, and what happens at the ends of a state.

In: states, drift and noise of a step. Out: states inside their domains. A state with one open end stays on its side of it: the
step is exponential (exact for a geometric Brownian motion) where the move is small beside the distance to the end, and a
log-normal draw with the step's mean and variance elsewhere. Reflection is by mirror image, of weak order one (Bossy, Gobet and
Talay 2004).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import sympy as sp

from hjbdsl.model.equation import BoundaryCondition
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Array
from hjbdsl.numeric.state_space import lattice_points, number

_SMALL_MOVE = 0.25
_NEAR_OPEN_END = 1e-12

EndKind = Literal["wrap", "mirror", "hold", "open"]


@dataclass(frozen=True, slots=True)
class Ends:
    """What keeps state component `state` inside [lower, upper]: a circle wraps, a reflecting end mirrors, any other closed end
    holds; an open end is approached and never reached. `lower_kind` and `upper_kind` are None at infinity and where the process
    leaves."""

    state: int
    lower: float
    upper: float
    lower_kind: EndKind | None
    upper_kind: EndKind | None

    @property
    def open_side(self) -> int:
        """1 for (lower, inf), -1 for (-inf, upper), both with one open end; 0 otherwise."""
        kinds = (self.lower_kind, self.upper_kind)
        return 1 if kinds == ("open", None) else -1 if kinds == (None, "open") else 0


def ends_of(problem: ControlProblem, conditions: tuple[BoundaryCondition, ...]) -> tuple[Ends, ...]:
    """One entry a continuous state that has an end."""
    result = []
    for i in problem.continuous_states:
        bounds = problem.state_bounds[i]
        if bounds.periodic:
            result.append(Ends(i, -math.pi, math.pi, "wrap", "wrap"))
            continue
        low, high = number(problem, bounds.lower), number(problem, bounds.upper)
        kinds: dict[str, EndKind | None] = {"lower": None, "upper": None}
        for condition in conditions:
            if condition.state == i:
                kinds[condition.side], place = _kind(problem, condition, bounds.lower_open, bounds.upper_open)
                low, high = (place, high) if condition.side == "lower" else (low, place)
        if any(kinds.values()):
            result.append(Ends(i, low, high, kinds["lower"], kinds["upper"]))
    return tuple(result)


def _kind(problem: ControlProblem, end: BoundaryCondition, lower_open: bool, upper_open: bool) -> tuple[EndKind | None, float]:
    place = number(problem, end.location)
    if not math.isfinite(place) or end.kind in ("growth", "outflow", "absorbing", "value"):
        return None, place
    if end.kind == "reflect" or (end.kind == "slope" and end.amount == sp.S.Zero):
        return "mirror", place
    is_open = lower_open if end.side == "lower" else upper_open
    return ("open" if end.kind == "natural" and is_open else "hold"), place


def moved(ends: tuple[Ends, ...], x: Array, drift: Array, noise: Array, variance: Array) -> Array:
    """x + drift + noise (all (k, n), `variance` that of `noise`), states with one open end kept on their side."""
    return corrected(ends, x, drift, x, drift, noise, variance)


def corrected(ends: tuple[Ends, ...], x: Array, drift: Array, guess: Array, later: Array, noise: Array, variance: Array) -> Array:
    """The same with the mean of two drifts over the step: `drift` at x, `later` at the predicted state `guess`. On an
    exponential step it is the mean of the growth rates."""
    result = x + (drift + later) / 2 + noise
    for end in ends:
        side = end.open_side
        if side:
            i, place = end.state, end.lower if side > 0 else end.upper
            step = _Step(side * (x[:, i] - place), side * drift[:, i], side * (guess[:, i] - place), side * later[:, i])
            result[:, i] = place + side * _positive(step, side * noise[:, i], variance[:, i])
    return result


@dataclass(frozen=True, slots=True)
class _Step:
    """Distance from an open end and drift over the step, before and after."""

    distance: Array
    drift: Array
    guess: Array
    later: Array


def _positive(step: _Step, noise: Array, variance: Array) -> Array:
    distance = step.distance
    with np.errstate(all="ignore"):
        first, second, spread = step.drift / distance, step.later / step.guess, variance / distance**2
        smooth = (np.abs(first) < _SMALL_MOVE) & (np.abs(second) < _SMALL_MOVE) & (spread < _SMALL_MOVE**2)
        exponential = distance * np.exp((first + second - spread) / 2 + noise / distance)
        mean = np.maximum(distance + (step.drift + step.later) / 2, 1e-3 * distance + _NEAR_OPEN_END)
        width = np.log1p(variance / mean**2)
        matched = mean * np.exp(np.sqrt(width) * _standard(noise, variance) - width / 2)
    return np.maximum(np.where(smooth, exponential, matched), _NEAR_OPEN_END * np.maximum(distance, 1e-6))


def _standard(noise: Array, variance: Array) -> Array:
    return np.where(variance > 0, noise / np.sqrt(np.where(variance > 0, variance, 1.0)), 0.0)


def kept_inside(ends: tuple[Ends, ...], x: Array) -> Array:
    """States put back into their domains; changes `x` in place and returns it."""
    for end in ends:
        column = x[:, end.state]
        if end.lower_kind == "wrap":
            np.copyto(column, np.where(np.abs(column) <= math.pi, column, np.remainder(column + math.pi, 2 * math.pi) - math.pi))
            continue
        if end.lower_kind == "mirror" and end.upper_kind == "mirror":
            width = end.upper - end.lower
            phase = np.remainder(column - end.lower, 2 * width)
            np.copyto(column, end.lower + np.minimum(phase, 2 * width - phase))
            continue
        if end.lower_kind == "mirror":
            np.copyto(column, np.maximum(column, 2 * end.lower - column))
        if end.upper_kind == "mirror":
            np.copyto(column, np.minimum(column, 2 * end.upper - column))
        span = end.upper - end.lower if math.isfinite(end.upper - end.lower) else 1.0
        if end.lower_kind in ("hold", "open") and not end.open_side:
            np.maximum(column, end.lower + (_NEAR_OPEN_END * span if end.lower_kind == "open" else 0.0), out=column)
        if end.upper_kind in ("hold", "open") and not end.open_side:
            np.minimum(column, end.upper - (_NEAR_OPEN_END * span if end.upper_kind == "open" else 0.0), out=column)
    return x


def lattice_values(problem: ControlProblem) -> dict[int, Array]:
    """The points of every state that lives in a finite set."""
    return {i: lattice_points(problem, problem.state_bounds[i]) for i in problem.lattice_states}
