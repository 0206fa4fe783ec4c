"""The best control at many points at once: maximise or minimise a smooth Hamiltonian over the control set of each point.

In: an objective with gradient and Hessian in the controls, and at every point the set
{ lower <= a <= upper, G a <= h }, some components in finite sets. Out: the optimiser at every point, to the accuracy of Newton's
method on the active face, with a flag where none was found.

Every combination of the finite components is tried. The continuous ones are scanned for starts, brought near the optimum by
a logarithmic barrier, and finished by Newton steps on the face of the binding constraints (Nocedal, Wright, Numerical
Optimization, 2nd ed., sections 16.5 and 19.6).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hjbdsl.numeric.control_set import ControlSet

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

_SCAN = np.array([0.0, 1e-4, 1e-3, 1e-2, 0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 20.0, 1e2, 1e3, 1e4, 1e6, 1e9])
_ACTIVE = 1e-6
_ROUNDING = 1e-13
_ROUNDS = 3
"""Attempts: from the scan, then through the barrier, in the units that the last attempt ended in."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Value (P,), gradient (P, m) and Hessian (P, m, m) in the controls."""

    value: Array
    gradient: Array
    hessian: Array


Objective = Callable[[Array, Rows], Evaluation]
"""`objective(control (k, m), rows (k,))`: the objective at the points numbered `rows`."""


@dataclass(frozen=True, slots=True)
class Optimum:
    """control (P, m), value (P,), converged (P,)."""

    control: Array
    value: Array
    converged: NDArray[np.bool_]


def optimise(objective: Objective, region: ControlSet, sense: float = 1.0, start: Array | None = None) -> Optimum:
    """The maximiser (`sense` 1) or minimiser (-1) of `objective` over `region` at every point; `start` (P, m) is tried first."""
    count, m = region.lower.shape
    best = Optimum(np.full((count, m), np.nan), np.full(count, -np.inf), np.zeros(count, dtype=bool))
    finite = [k for k, points in enumerate(region.finite) if points is not None]
    possible = (region.lower <= region.upper).all(axis=1)
    for combination in itertools.product(*(region.finite[k] for k in finite)):  # type: ignore[arg-type]
        lower, upper = region.lower.copy(), region.upper.copy()
        lower[:, finite] = upper[:, finite] = combination
        fixed = ControlSet(lower, upper, region.normals, region.offsets, (None,) * m)
        with np.errstate(all="ignore"):  # values that do not exist are NaN here and never chosen
            found = _continuous(objective, fixed, sense, start if not finite else None)
        better = found.converged & possible & (found.value > best.value)
        best = Optimum(
            np.where(better[:, None], found.control, best.control),
            np.where(better, found.value, best.value),
            best.converged | (found.converged & possible),
        )
    return Optimum(best.control, sense * best.value, best.converged)


def _continuous(objective: Objective, region: ControlSet, sense: float, start: Array | None) -> Optimum:
    everything = np.arange(len(region.lower))
    if start is not None:
        start = np.clip(start, region.lower, region.upper)
        size = _size(objective(start, everything), start)
        warm = _finish(_divided(objective, size), region, sense, start)
        if warm.converged.all():
            return Optimum(warm.control, warm.value * size, warm.converged)
    begun = near = _scan(objective, region, sense)
    best = Optimum(begun, np.full(len(begun), -np.inf), np.zeros(len(begun), dtype=bool))
    for attempt in range(_ROUNDS):
        size = _size(objective(near, everything), near)
        unit = _divided(objective, size)
        if attempt:
            near = _barrier(unit, region, sense, near)
        found = _finish(unit, region, sense, near)
        reached = sense * unit(begun, everything).value
        sound = found.converged & ~(np.isfinite(reached) & (found.value < reached - 1e-9 * (1 + np.abs(reached))))
        best = Optimum(
            np.where((sound & ~best.converged)[:, None], found.control, best.control),
            np.where(sound & ~best.converged, found.value * size, best.value),
            best.converged | sound,
        )
        if best.converged.all():
            break
    return best


def _size(at: Evaluation, control: Array) -> Array:
    """The natural unit of the objective: its value may vanish at an optimum, its terms do not."""
    slopes = np.abs(_number(at.gradient * control)).sum(axis=1)
    curvatures = np.abs(_number(np.einsum("pmm->pm", at.hessian) * control**2)).sum(axis=1)
    size = np.abs(_number(at.value)) + slopes + curvatures
    return np.where(size > 0, size, 1.0)


def _divided(objective: Objective, size: Array) -> Objective:
    """The objective in units of `size` at every point, so that tolerances mean the same whatever the utility's scale."""

    def divided(control: Array, rows: Rows) -> Evaluation:
        at, unit = objective(control, rows), 1 / size[rows]
        return Evaluation(at.value * unit, at.gradient * unit[:, None], at.hessian * unit[:, None, None])

    return divided


# ---------------------------------------------------------------------------------------------------- starts


def _scan(objective: Objective, region: ControlSet, sense: float) -> Array:
    """Coordinate scans over many magnitudes, from a point inside the set; the best point seen at every place."""
    count, m = region.lower.shape
    rows = np.arange(count)
    best = _inside(region)
    value = _finite_value(sense, objective, best, rows)
    for _ in range(2 if m > 1 else 1):
        for k in range(m):
            for trial_k in _magnitudes(best[:, k], region.lower[:, k], region.upper[:, k]):
                trial = best.copy()
                trial[:, k] = trial_k
                allowed = _slack(region, trial).min(axis=1, initial=np.inf) > 0
                trial_value = np.where(allowed, _finite_value(sense, objective, trial, rows), -np.inf)
                take = trial_value > value
                best, value = np.where(take[:, None], trial, best), np.where(take, trial_value, value)
    return best


def _magnitudes(centre: Array, lower: Array, upper: Array) -> list[Array]:
    """Trial values of one component: fractions of a bounded interval, steps of every size from a finite end or both ways."""
    bounded = np.isfinite(lower) & np.isfinite(upper)
    result = []
    for fraction, step in zip(np.linspace(1e-3, 1 - 1e-3, len(_SCAN)), _SCAN, strict=True):
        inside = np.where(bounded, lower, 0.0) + fraction * np.where(bounded, upper - lower, 0.0)
        up = np.where(np.isfinite(lower), lower, np.where(np.isfinite(upper), upper, 0.0) - 2 * step * np.isfinite(upper)) + step
        down = np.where(np.isfinite(lower), centre, np.where(np.isfinite(upper), upper, 0.0) - step)
        result += [np.where(bounded, inside, up), np.where(bounded, inside, down)]
    return result


def _inside(region: ControlSet) -> Array:
    """A strictly interior point: box middle, then moved off violated joint constraints by relaxation."""
    lower, upper = region.lower, region.upper
    both = np.isfinite(lower) & np.isfinite(upper)
    middle = np.where(both, lower, 0.0) / 2 + np.where(both, upper, 0.0) / 2
    point = np.where(both, middle, np.where(np.isfinite(lower), lower + 1, np.where(np.isfinite(upper), upper - 1, 0)))
    width = np.where(both, np.where(both, upper, 0.0) - np.where(both, lower, 0.0), 1.0)
    for _ in range(200):
        residual = region.offsets - np.einsum("pcm,pm->pc", region.normals, point)
        norms = np.maximum(np.einsum("pcm,pcm->pc", region.normals, region.normals), 1e-300)
        lack = np.maximum(1e-3 * np.sqrt(norms) - residual, 0) / norms
        if not lack.any():
            break
        point = point - 1.2 * np.einsum("pc,pcm->pm", lack, region.normals)
        point = np.clip(
            point,
            np.where(np.isfinite(lower), lower + 1e-3 * width, lower),
            np.where(np.isfinite(upper), upper - 1e-3 * width, upper),
        )
    return point


def _finite_value(sense: float, objective: Objective, control: Array, rows: Rows) -> Array:
    value = sense * objective(control, rows).value
    return np.where(np.isnan(value) | np.isposinf(value), -np.inf, value)


# --------------------------------------------------------------------------------------------------- barrier


def _faces(region: ControlSet) -> tuple[Array, Array]:
    """Box and joint constraints as one system G a <= h, (P, C, m) and (P, C)."""
    count, m = region.lower.shape
    eye = np.broadcast_to(np.eye(m), (count, m, m))
    return np.concatenate([-eye, eye, region.normals], axis=1), np.concatenate(
        [-region.lower, region.upper, region.offsets], axis=1
    )


def _slack(region: ControlSet, control: Array) -> Array:
    """Distances (P, C) to the joint constraints."""
    return region.offsets - np.einsum("pcm,pm->pc", region.normals, control)


def _barrier(objective: Objective, region: ControlSet, sense: float, start: Array) -> Array:
    """Newton's method on sense*objective + weight*sum log(slack), the weight falling to rounding."""
    normals, offsets = _faces(region)
    free = ~(region.lower == region.upper)
    real = np.isfinite(offsets)
    real[:, : 2 * free.shape[1]] &= np.concatenate([free, free], axis=1)
    rows = np.arange(len(start))
    if not real.any():
        return start
    control = start.copy()

    def merit(point: Array, weight: Array) -> Array:
        slack = np.where(real, offsets - np.einsum("pcm,pm->pc", normals, point), 1.0)
        inside = (slack > 0).all(axis=1)
        value = _finite_value(sense, objective, point, rows) + weight * np.log(np.where(slack > 0, slack, 1.0)).sum(axis=1)
        return np.where(inside, value, -np.inf)

    yardstick = np.maximum(np.abs(_finite_value(sense, objective, control, rows)), 1e-12)
    yardstick = np.where(np.isfinite(yardstick), yardstick, 1.0)
    for exponent in range(0, 13, 2):
        weight = yardstick * 10.0**-exponent
        for _ in range(12):
            at = objective(control, rows)
            slack = np.where(real, np.maximum(offsets - np.einsum("pcm,pm->pc", normals, control), 1e-300), 1.0)
            pull = np.where(real, 1 / slack, 0.0)
            gradient = sense * at.gradient - weight[:, None] * np.einsum("pc,pcm->pm", pull, normals)
            hessian = sense * at.hessian - weight[:, None, None] * np.einsum("pc,pcm,pcn->pmn", pull**2, normals, normals)
            step = _ascent(gradient, hessian, free)
            control, moved = _line_search(merit, control, step, gradient, weight)
            if not moved:
                break
    return control


def _ascent(gradient: Array, hessian: Array, free: NDArray[np.bool_]) -> Array:
    """The Newton step of a maximisation, curvatures made negative, zero in the components that are fixed."""
    gradient = np.where(free & np.isfinite(gradient), gradient, 0.0)
    hessian = np.where(np.isfinite(hessian), hessian, 0.0) * (free[:, :, None] & free[:, None, :])
    values, vectors = np.linalg.eigh(hessian)
    largest = np.abs(values).max(axis=1, keepdims=True)
    curvature = np.maximum(np.abs(values), np.maximum(1e-12 * largest, 1e-300))
    return np.einsum("pmk,pk->pm", vectors, np.einsum("pmk,pm->pk", vectors, gradient) / curvature) * free


def _line_search(
    merit: Callable[[Array, Array], Array], control: Array, step: Array, gradient: Array, weight: Array
) -> tuple[Array, bool]:
    """Halve the step until the merit grows; (new control, whether any point moved by more than rounding)."""
    here = merit(control, weight)
    slope = np.einsum("pm,pm->p", gradient, step)
    length = np.ones(len(control))
    waiting = slope > 1e-14 * np.abs(here)
    pending = waiting.copy()
    result = control.copy()
    for _ in range(50):
        trial = control + length[:, None] * step
        good = pending & (merit(trial, weight) >= here + 1e-4 * length * slope)
        result[good] = trial[good]
        pending &= ~good
        if not pending.any():
            break
        length = np.where(pending, length / 2, length)
    change = np.abs(result - control).max(axis=1, initial=0.0)
    return result, bool((change > 1e-12 * (1 + np.abs(control).max(axis=1, initial=0.0))).any())


# ---------------------------------------------------------------------------------------------------- finish


def _finish(objective: Objective, region: ControlSet, sense: float, near: Array) -> Optimum:
    """Newton on the face of the binding constraints, then the conditions of Karush, Kuhn and Tucker."""
    normals, offsets = _faces(region)
    slack = offsets - np.einsum("pcm,pm->pc", normals, near)
    size = 1 + np.abs(near).max(axis=1, initial=0.0)[:, None]
    active = slack < _ACTIVE * np.minimum(size, 1.0 + np.where(np.isfinite(offsets), np.abs(offsets), 0))
    control, value = near.copy(), np.full(len(near), -np.inf)
    converged = np.zeros(len(near), dtype=bool)
    remaining = np.ones(len(near), dtype=bool)
    for _ in range(3 * normals.shape[1]):
        for pattern in np.unique(active[remaining], axis=0):
            rows = np.flatnonzero(remaining & (active == pattern).all(axis=1))
            control[rows], value[rows], converged[rows], active[rows] = _on_face(
                objective, normals[rows], offsets[rows], sense, control[rows], pattern, rows
            )
        remaining &= ~converged & ~np.isnan(value)
        if not remaining.any():
            break
    return Optimum(control, np.where(np.isnan(value), -np.inf, value), converged)


def _on_face(
    objective: Objective, normals: Array, offsets: Array, sense: float, control: Array, pattern: NDArray[np.bool_], rows: Rows
) -> tuple[Array, Array, NDArray[np.bool_], NDArray[np.bool_]]:
    """Newton within {G_i a = h_i, i in pattern}. Returns control, value (NaN: given up), converged, and the pattern to try next:
    with a constraint that was run into added, or one whose multiplier has the wrong sign left out."""
    count, m = control.shape
    face = normals[:, pattern]
    gap = offsets[:, pattern] - np.einsum("pcm,pm->pc", face, control)
    inverse: Array = np.asarray(np.linalg.pinv(face), dtype=np.float64) if face.shape[1] else np.zeros((count, m, 0))
    control = control + np.einsum("pmc,pc->pm", inverse, gap)
    tangent = np.eye(m) - inverse @ face if face.shape[1] else np.broadcast_to(np.eye(m), (count, m, m))
    tangent = np.where(np.abs(tangent) < 1e-12, 0.0, tangent)  # a face that is a point has no tangent, not one of rounding
    at = objective(control, rows)
    residual = np.full(count, np.inf)
    for _ in range(40):
        gradient = np.einsum("pmn,pn->pm", tangent, sense * _number(at.gradient))
        hessian = tangent @ (sense * _number(at.hessian)) @ tangent
        step = np.einsum("pmn,pn->pm", tangent, _ascent(gradient, hessian, np.ones((count, m), dtype=bool)))
        step = np.where(np.isfinite(step), step, 0.0)
        residual = np.abs(np.einsum("pm,pm->p", gradient, step))
        small = (np.abs(step) <= 1e-9 * (1e-6 + np.abs(control))).all()  # this step squares the error once more
        trial, fraction = control + step, np.ones(count)
        following = objective(trial, rows)
        missing = ~np.isfinite(following.value)
        if missing.any():
            fraction = np.where(
                missing, np.minimum(1.0, 0.9 * _room(normals[:, ~pattern], offsets[:, ~pattern], control, step)), 1.0
            )
            trial = control + fraction[:, None] * step
            following = objective(trial, rows)
        for _ in range(60):
            drop = ~(sense * (following.value - at.value) >= -_ROUNDING * (1 + np.abs(at.value))) | ~np.isfinite(following.value)
            if not drop.any():
                break
            fraction = np.where(drop, fraction / 2, fraction)
            trial = control + fraction[:, None] * step
            following = objective(trial, rows)
        control, at = trial, following
        if small:
            break
    return _karush_kuhn_tucker(at, normals, offsets, sense, control, pattern, inverse, residual)


def _number(values: Array) -> Array:
    return np.where(np.isfinite(values), values, 0.0)


def _room(normals: Array, offsets: Array, control: Array, step: Array) -> Array:
    """The multiple of `step` (P, m) at which the first constraint is met."""
    approach = np.einsum("pcm,pm->pc", normals, step)
    slack = offsets - np.einsum("pcm,pm->pc", normals, control)
    ratio = np.where((approach > 0) & np.isfinite(slack), np.maximum(slack, 0.0) / np.where(approach > 0, approach, 1.0), np.inf)
    return ratio.min(axis=1, initial=np.inf)


def _karush_kuhn_tucker(
    at: Evaluation,
    normals: Array,
    offsets: Array,
    sense: float,
    control: Array,
    pattern: NDArray[np.bool_],
    inverse: Array,
    residual: Array,
) -> tuple[Array, Array, NDArray[np.bool_], NDArray[np.bool_]]:
    """Feasible within rounding, multipliers of the right sign, no curvature upwards left: converged."""
    count = len(control)
    active = np.broadcast_to(pattern, (count, len(pattern))).copy()
    slack = offsets - np.einsum("pcm,pm->pc", normals, control)
    tolerance = 1e-9 * (1 + np.abs(np.where(np.isfinite(offsets), offsets, 0.0)))
    violated = slack < -tolerance
    multiplier = np.einsum("pmc,pm->pc", inverse, sense * _number(at.gradient))
    size = 1e-9 * (1e-300 + np.abs(at.gradient).max(axis=1, keepdims=True))
    fixed = np.isfinite(offsets[:, pattern])
    pairs = (normals[:, pattern][:, :, None, :] == -normals[:, pattern][:, None, :, :]).all(axis=3).any(axis=2)
    wrong = (multiplier < -size) & fixed & ~pairs
    stationary = residual <= 1e-10 * (1 + np.abs(at.value))
    converged = ~violated.any(axis=1) & ~wrong.any(axis=1) & np.isfinite(at.value) & stationary
    worst = np.where(wrong, multiplier, np.inf)
    places = np.flatnonzero(pattern)
    for row in np.flatnonzero(~converged):
        beyond = np.where(violated[row] & ~active[row], slack[row], np.inf)
        if len(places) and wrong[row].any():
            active[row, places[int(worst[row].argmin())]] = False
        elif np.isfinite(beyond).any():
            active[row, int(beyond.argmin())] = True
    unchanged = (active == pattern).all(axis=1) & ~converged
    value = np.where(unchanged, np.nan, np.where(np.isfinite(at.value), sense * at.value, np.nan))
    return control, value, converged, active
