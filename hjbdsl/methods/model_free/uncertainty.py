"""How far what was learned may be off: the scatter of the martingale increments, carried through to value, policy and average.

The conditions average increments eps = V(x') - V(x) + int (r - q - rho V) with conditional mean zero, so the coefficients of q
at fixed V have the covariance of a method of moments (Hansen, Econometrica 50 (1982)); the normaliser constraint carries it on
to V. At the optimum the policy's own error does not move V to first order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hjbdsl.methods.model_free.conditions import Moments, Operator, batches
from hjbdsl.methods.model_free.iteration import Learned, Task
from hjbdsl.methods.model_free.precision import Precision, fitted, weights
from hjbdsl.methods.model_free.transitions import Transitions
from hjbdsl.model.solution import Array


@dataclass(frozen=True, slots=True)
class Scatter:
    """root (p, p): its square is the covariance of the coefficients of q at fixed V; value (I, p) and advantage (p, p): how V's
    and q's coefficients move with them; average: standard error of the long-run average."""

    value: Array
    advantage: Array
    average: float


def scatter(moments: Moments, operator: Operator, learned: Learned, task: Task, data: Transitions) -> Scatter:
    """Another pass over the data."""
    features, values = moments.features, moments.features.values
    spread = np.zeros(moments.gram.shape)
    for part, psi, increment in increments(moments, operator, learned, task, data):
        weighted = psi * (increment * weights(features, moments.precision, part))[:, None]
        if data.mirrored:
            weighted = weighted[::2] + weighted[1::2]
        spread += weighted.T @ weighted
    half = moments.gram + moments.change / 2
    inverse = np.linalg.pinv(half, rcond=1e-13)
    values_, vectors = np.linalg.eigh(inverse @ (spread / moments.count**2) @ inverse.T)
    root = vectors * np.sqrt(np.maximum(values_, 0.0))
    value = learned.influence @ root
    advantage = root + operator.generator @ value
    advantage[:values] -= task.rho * value
    average = float(np.linalg.norm(learned.average_influence @ root))
    return Scatter(value, advantage, average)


def increments(
    moments: Moments, operator: Operator, learned: Learned, task: Task, data: Transitions
) -> Iterator[tuple[Transitions, Array, Array]]:
    """In chunks: the data, the class at the start (k, p), and the martingale increments per unit of time (k,)."""
    features, dt, values = moments.features, moments.dt, moments.features.values
    rate = learned.advantage.copy()
    rate[:values] += task.rho * learned.theta
    rate[features.constants] += learned.average
    for part, psi, later in batches(features, data):
        gain = (later - psi)[:, :values] @ learned.theta
        yield part, psi, gain / dt - 0.5 * (psi + later) @ (rate - operator.reward) + part.r - psi @ operator.reward


def precision(moments: Moments, operator: Operator, learned: Learned, task: Task, sample: Transitions) -> Precision | None:
    """Weights for a second reading of the data: where increments scatter more they count less. None where they scatter alike."""
    increment = np.concatenate([part for _, _, part in increments(moments, operator, learned, task, sample)])
    if sample.mirrored:
        increment = (increment[::2] + increment[1::2]) / 2
        sample = sample.rows(slice(0, None, 2))
    return fitted(moments.features, sample, increment)


def control_scatter(operator: Operator, learned: Learned, shake: Scatter, X: Array, v: Array, point: NDArray[np.int64]) -> Array:
    """Standard errors of the maximiser (k, axes), in v: -q_vv^-1 d(q_v). At a kink of q or the end of an interval the maximiser
    stands still, and where q is not concave nothing is known (NaN)."""
    control = operator.features.control
    k, m = v.shape
    if m == 0:
        return np.zeros((k, 0))
    tables = control.by_point(operator.features.by_action(X, learned.advantage))[np.arange(k), point]
    derivatives = [control.derivative(v, i) for i in range(m)]
    hessian = np.empty((k, m, m))
    for i in range(m):
        for j in range(m):
            hessian[:, i, j] = (control.derivative(v, i, j) * tables).sum(axis=1)
    concave = np.linalg.eigvalsh(hessian)[:, -1] < 0
    hessian[~concave] = -np.eye(m)
    moved = np.empty((k, m, shake.advantage.shape[1]))
    which = np.zeros((k, control.finite))
    which[:, 0], which[np.arange(k), point] = 1.0, 1.0
    for i, derivative in enumerate(derivatives):
        spread = (which[:, :, None] * derivative[:, None, :]).reshape(k, control.count)
        moved[:, i] = operator.features.products(X, spread) @ shake.advantage
    errors = np.linalg.norm(np.linalg.solve(hessian, moved), axis=2)
    boxed = np.array([axis.kind == "box" for axis in control.space.axes])
    at_end = boxed & (np.abs(v) > 1 - 1e-9)
    return np.where(at_end, 0.0, np.where(concave[:, None], errors, np.nan))
