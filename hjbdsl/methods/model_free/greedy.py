"""Policies read from a learned function of the control: its maximiser, or the Gibbs law exp(q/temperature).

In: at k states, the coefficients (k, J) of q in the control features. Out: `Choice`: where the policy is, and the expectation
of every control feature under it, which is all that policy evaluation needs."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hjbdsl.methods.model_free.features import ControlFeatures
from hjbdsl.model.solution import Array

GUARD = 2.2
"""How far from the data's mean, in standard deviations, an unbounded control is looked for where q is not concave."""
_SWEEPS = 12
_STARTS = {1: 41, 2: 13, 3: 7, 4: 5}
_NODES = {1: 48, 2: 20, 3: 10}


@dataclass(frozen=True, slots=True)
class Choice:
    """v (k, axes) and the finite point (k,): the maximiser, or the mean of the law; features (k, J): E[A]; entropy (k,) of the
    law of the controls themselves (0 without a temperature); deviation (k, axes): its standard deviation in v; weights (k, D):
    of the finite points, where it is random."""

    v: Array
    point: NDArray[np.int64]
    features: Array
    entropy: Array
    deviation: Array
    weights: Array | None = None


def maximiser(control: ControlFeatures, coefficients: Array, guard: float = GUARD) -> tuple[Array, NDArray[np.int64]]:
    """The best v (k, axes) and finite point (k,)."""
    tables = control.by_point(coefficients)
    found = [_best(control, tables[:, d], guard) for d in range(control.finite)]
    values = np.stack([value for _, value in found], axis=1)
    point = np.argmax(values, axis=1)
    return np.stack([v for v, _ in found], axis=1)[np.arange(len(point)), point], point


def greedy(control: ControlFeatures, coefficients: Array, guard: float = GUARD) -> Choice:
    """The policy that maximises q."""
    v, point = maximiser(control, coefficients, guard)
    return Choice(v, point, control(v, point), np.zeros(len(v)), np.zeros(v.shape))


def gibbs(control: ControlFeatures, coefficients: Array, temperature: float, t: Array, x: Array) -> Choice:
    """The law with density proportional to exp(q/temperature) in the controls' own units."""
    axes = control.space.axes
    if control.finite == 1 and axes and all(axis.kind == "line" for axis in axes):
        normal = _normal(control, coefficients, temperature, t, x)
        if normal is not None:
            return normal
    return _weighted(control, coefficients, temperature, t, x)


def strays(control: ControlFeatures, v: Array) -> NDArray[np.bool_]:
    """Where an unbounded control has run as far as it was let (k,)."""
    free = np.array([axis.kind != "box" for axis in control.space.axes], dtype=bool)
    return np.any((np.abs(v) >= GUARD - 1e-6) & free, axis=1) & (control.powers.sum(axis=1).max() > 2)


def _best(control: ControlFeatures, table: Array, guard: float) -> tuple[Array, Array]:
    """Of monomials with coefficients (k, M): maximiser (k, axes) and value (k,)."""
    axes, k = control.space.axes, len(table)
    if not axes:
        return np.zeros((k, 0)), table[:, 0]
    reach = np.array([1.0 if axis.kind == "box" else guard for axis in axes])
    v = _start(control, table, reach)
    for _ in range(_SWEEPS):
        before = v.copy()
        for i in range(len(axes)):
            v = _climb(control, table, v, i, reach[i])
        if np.max(np.abs(v - before), initial=0.0) < 1e-8:
            break
    if control.powers.sum(axis=1).max() <= 2:
        v = _stationary(control, table, v, np.array([axis.kind == "box" for axis in axes]))
    return v, (control.monomials(v) * table).sum(axis=1)


def _start(control: ControlFeatures, table: Array, reach: Array) -> Array:
    """The best of a lattice of points."""
    number = _STARTS.get(len(reach), 3)
    lines = [np.linspace(-r, r, number) for r in reach]
    nodes = np.array(list(itertools.product(*lines))) if number ** len(reach) <= 2000 else np.zeros((1, len(reach)))
    return nodes[np.argmax(table @ control.monomials(nodes).T, axis=1)]


def _climb(control: ControlFeatures, table: Array, v: Array, i: int, reach: float) -> Array:
    """One safeguarded Newton step along coordinate i."""
    slope = (control.derivative(v, i) * table).sum(axis=1)
    bend = (control.derivative(v, i, i) * table).sum(axis=1)
    with np.errstate(all="ignore"):
        step = np.where(bend < 0, -slope / bend, np.sign(slope) * 0.1 * reach)
    step = np.where(np.isfinite(step), step, 0.0)
    value = (control.monomials(v) * table).sum(axis=1)
    result = v
    for _ in range(3):
        moved = v.copy()
        moved[:, i] = np.clip(v[:, i] + step, -reach, reach)
        better = (control.monomials(moved) * table).sum(axis=1) > value
        result = np.where((better & (result[:, i] == v[:, i]))[:, None], moved, result)
        if np.all(better | (np.abs(step) < 1e-9)):
            break
        step = step / 4
    return result


def _quadratic(control: ControlFeatures, table: Array, v: Array) -> tuple[Array, Array]:
    """Gradient (k, axes) and Hessian (k, axes, axes) at v."""
    m = v.shape[1]
    gradient = np.stack([(control.derivative(v, i) * table).sum(axis=1) for i in range(m)], axis=1)
    hessian = np.stack(
        [np.stack([(control.derivative(v, i, j) * table).sum(axis=1) for j in range(m)], axis=1) for i in range(m)], axis=1
    )
    return gradient, hessian


def _stationary(control: ControlFeatures, table: Array, v: Array, boxed: NDArray[np.bool_]) -> Array:
    """The stationary point of a concave quadratic, where it lies inside; it may lie far outside the data where nothing bounds
    v."""
    gradient, hessian = _quadratic(control, table, np.zeros(v.shape))
    concave = np.linalg.eigvalsh(hessian)[:, -1] < 0
    safe = np.where(concave[:, None, None], hessian, -np.eye(v.shape[1]))
    point = np.linalg.solve(safe, -gradient[:, :, None])[:, :, 0]
    inside = concave & np.all(np.abs(point) <= np.where(boxed, 1.0, np.inf), axis=1)
    return np.where(inside[:, None], point, v)


def _normal(control: ControlFeatures, table: Array, temperature: float, t: Array, x: Array) -> Choice | None:
    """The Gibbs law of a concave quadratic is normal; None where q is no such thing."""
    if control.powers.sum(axis=1).max() > 2:
        return None
    k, m = len(table), len(control.space.axes)
    gradient, hessian = _quadratic(control, table, np.zeros((k, m)))
    if np.linalg.eigvalsh(hessian)[:, -1].max() >= 0:
        return None
    mean = np.asarray(np.linalg.solve(hessian, -gradient[:, :, None])[:, :, 0], dtype=np.float64)
    covariance = np.asarray(-temperature * np.linalg.inv(hessian), dtype=np.float64)
    point = np.zeros(k, dtype=np.int64)
    features = control(mean, point)
    # E of a quadratic: its value at the mean and half its Hessian against the covariance
    for i in range(m):
        for j in range(m):
            features += 0.5 * control.derivative(mean, i, j) * covariance[:, i, j, None]
    slopes = control.space.slopes(t, x, mean)
    entropy = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * covariance)[1] + np.log(slopes).sum(axis=1)
    return Choice(mean, point, features, entropy, np.sqrt(np.einsum("kii->ki", covariance)))


def _weighted(control: ControlFeatures, coefficients: Array, temperature: float, t: Array, x: Array) -> Choice:
    """The Gibbs law on quadrature nodes, finite points among them."""
    axes, k = control.space.axes, len(coefficients)
    line, weight = np.polynomial.legendre.leggauss(_NODES.get(len(axes), 6))
    reach = [1.0 if axis.kind == "box" else GUARD for axis in axes]
    nodes = np.array(list(itertools.product(*[r * line for r in reach]))).reshape(len(line) ** len(axes), len(axes))
    logs = np.log(np.array(list(itertools.product(*[r * weight for r in reach]))).reshape(nodes.shape)).sum(axis=1)
    density = np.empty((k, control.finite, len(nodes)))
    monomials = control.monomials(nodes)
    jacobian = np.zeros((k, len(nodes)))
    for n, node in enumerate(nodes):
        jacobian[:, n] = np.log(control.space.slopes(t, x, np.tile(node, (k, 1)))).sum(axis=1)
    q = control.by_point(coefficients) @ monomials.T
    density = q / temperature + (logs + jacobian)[:, None, :]
    top = density.max(axis=(1, 2), keepdims=True)
    mass = np.exp(density - top)
    total = mass.sum(axis=(1, 2), keepdims=True)
    mass = mass / total
    log_normaliser = (np.log(total) + top)[:, 0, 0]
    entropy = log_normaliser - (mass * q).sum(axis=(1, 2)) / temperature
    first = mass.sum(axis=1)
    v = first @ nodes
    spread = np.sqrt(np.maximum(first @ nodes**2 - v**2, 0.0))
    by_point = mass @ monomials
    features = by_point.copy()
    features[:, 0] = by_point.sum(axis=1)
    return Choice(v, np.argmax(mass.sum(axis=2), axis=1), features.reshape(k, control.count), entropy, spread, mass.sum(axis=2))
