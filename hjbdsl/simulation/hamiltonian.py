"""The Hamilton-Jacobi-Bellman operator in numbers, for a value function that can only be asked for values and gradients.

In: a process, a claimed V, places with controls. Out: f + L^a V - r V, and how V fails its equation. Second derivatives are
central differences of the gradient, the time derivative of the value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hjbdsl.model.solution import Array, PointValues, ValueFunction
from hjbdsl.numeric.points import Points
from hjbdsl.numeric.state_space import region_of
from hjbdsl.simulation.compiled import At
from hjbdsl.simulation.control_variate import compensated_events
from hjbdsl.simulation.process import ControlledProcess

_SHARE = 0.3
"""Beside an end, where V may have no bounded derivatives, its distance takes the place of this part of the region's width."""


@dataclass(frozen=True, slots=True)
class LocalValue:
    """V near k places: `at` the values there, `hessian` (k, n, n), `slope` (k,) in time (0 for stationary problems)."""

    places: Points
    at: PointValues
    hessian: Array
    slope: Array


def local_value(process: ControlledProcess, claimed: ValueFunction, places: Points, fineness: float) -> LocalValue:
    """Derivatives at k places by differences over the part `fineness` of the region's width, less beside the ends of a
    state."""
    width = np.maximum(np.ptp(region_of(process.problem), axis=1), 1e-6)
    at = claimed.evaluate(places.t, places.x, places.mode)
    n = places.x.shape[1]
    hessian = np.zeros((len(places), n, n))
    for i in sorted({i for i, _ in process.problem.diffusion}):
        length = _room(process, places.x[:, i], i, float(width[i]), fineness)
        forward, backward = places.x.copy(), places.x.copy()
        forward[:, i] += length
        backward[:, i] -= length
        ahead = claimed.evaluate(places.t, forward, places.mode).gradient
        behind = claimed.evaluate(places.t, backward, places.mode).gradient
        hessian[:, :, i] = (ahead - behind) / (2 * length)[:, None]
    return LocalValue(places, at, (hessian + hessian.transpose(0, 2, 1)) / 2, _slope(process, claimed, places))


def _room(process: ControlledProcess, column: Array, i: int, width: float, fineness: float) -> Array:
    """A step that stays inside the state's domain."""
    length = np.full(len(column), width * fineness)
    for end in process.ends:
        if end.state == i and end.lower_kind != "wrap":
            for place, kind in ((end.lower, end.lower_kind), (end.upper, end.upper_kind)):
                if kind is not None and np.isfinite(place):
                    length = np.minimum(length, np.maximum(_SHARE * fineness * np.abs(column - place), 1e-12))
    return length


def _slope(process: ControlledProcess, claimed: ValueFunction, places: Points) -> Array:
    if process.stationary:
        return np.zeros(len(places))
    width = 1e-3 * (process.horizon if np.isfinite(process.horizon) else 1.0)
    late = np.minimum(places.t + width, process.horizon)
    early = np.maximum(places.t - width, 0.0)
    after, before = (claimed.evaluate(t, places.x, places.mode).value for t in (late, early))
    return (after - before) / (late - early)


def size_of_terms(process: ControlledProcess, local: LocalValue, control: Array) -> Array:
    """The sum of the absolute values of what `operator` adds up, jumps and modes left out (k,)."""
    places, v = local.places, local.at
    at = At(places.t, places.x, places.mode, control)
    running, discount = process.coefficients.running(at)
    covariance = process.coefficients.noise(at).covariance(len(places))
    first = np.abs(process.coefficients.drift(at).T * v.gradient).sum(axis=1)
    second = np.abs(covariance * local.hessian).sum(axis=(1, 2)) / 2
    return np.asarray(np.abs(running) + first + second + np.abs(discount * v.value) + np.abs(local.slope))


def operator(process: ControlledProcess, claimed: ValueFunction, local: LocalValue, control: Array) -> Array:
    """f + b.p + 1/2 tr(A M) + jumps + modes - r V (+ theta/2 p'A p under risk) under `control` (k, m), at the k places."""
    places, v = local.places, local.at
    at = At(places.t, places.x, places.mode, control)
    running, discount = process.coefficients.running(at)
    drift = process.coefficients.drift(at).T
    covariance = process.coefficients.noise(at).covariance(len(places))
    result = running + (drift * v.gradient).sum(axis=1) + np.einsum("kij,kij->k", covariance, local.hessian) / 2
    theta = process.problem.objective.risk
    if theta is not None:
        weight = float(process.problem.numeric(theta)) / 2
        result = result + weight * np.einsum("ki,kij,kj->k", v.gradient, covariance, v.gradient)
    if process.events.sources:
        result = result + compensated_events(process, claimed, at, v.value, (), -1.0)
    return result if process.problem.objective.form == "average" else result - discount * v.value
