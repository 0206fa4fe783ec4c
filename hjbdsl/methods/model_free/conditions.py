"""Martingale orthogonality conditions in batches: what every function of the class gains per unit of time, from transitions
alone.

For a function F(x, a) of the class, with the control held over the step,

    M_s = F(x_s, a) - F(x, a) - int_0^s (L^a F)(x_u, a) du    is a martingale,

so that E[ xi(x, a) (F(x') - F(x) - int_0^dt (L^a F)(x_u, a) du) ] = 0 for every test function xi (Jia and Zhou, J. Machine
Learning Research 23 (2022) and 24 (2023)). With xi the class itself these are linear equations for L^a F; none of the process
enters. They hold whatever the actions were drawn from (off-policy), and they are no squared error: the noise of x' does not
bias them.

The integral over the step is done by quadrature in the transition itself: with K the map F -> E[F(x', a) | x, a] on the class,
the trapezoid rule uses (1 + K)/2, Simpson's rule over two steps (1 + 4 K + K^2)/6. The bias in dt is of order dt^2 and dt^4
instead of dt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hjbdsl.errors import SolverError
from hjbdsl.methods.model_free.features import Features
from hjbdsl.methods.model_free.precision import Precision, weights
from hjbdsl.methods.model_free.transitions import Transitions
from hjbdsl.model.solution import Array

_CHUNK = 20_000


@dataclass(frozen=True, slots=True)
class Moments:
    """Averages over the data in the test functions xi = class: gram (p, p) E[xi xi'], change (p, p) E[xi (F(x') - F(x))'],
    reward (p,) E[xi r]; `misfit` the share of the rewards' variance that the class cannot express."""

    features: Features
    dt: float
    gram: Array
    change: Array
    reward: Array
    square: float
    variance: float
    count: int
    mean_reward: bool
    precision: Precision | None

    def within(self, degree: int) -> Moments:
        """The conditions of a class of lower degree: the same averages."""
        keep = self.features.within(degree)
        return self._kept(keep)

    def _kept(self, keep: NDArray[np.int64]) -> Moments:
        features = self.features.kept(keep)
        block = np.ix_(keep, keep)
        return Moments(
            features, self.dt, self.gram[block], self.change[block], self.reward[keep], self.square, self.variance, self.count,
            self.mean_reward, self.precision,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Operator:
    """What was learned: `generator` (p, I): the coefficients of L^a X_i in q's class; `reward` (p,) those of r(x, a);
    `transition` (p, I) those of E[X_i(x') | x, a]; `misfit` the share of the rewards' variance outside the class."""

    features: Features
    dt: float
    generator: Array
    coarse: Array
    reward: Array
    transition: Array
    misfit: float

    def advantage(self, theta: Array, rho: float, average: float = 0.0, coarse: bool = False) -> Array:
        """Coefficients (p,) of q = r + L^a V - rho V - average, for V = X theta."""
        q = self.reward + (self.coarse if coarse else self.generator) @ theta
        q[: len(theta)] -= rho * theta
        q[self.features.constants] -= average
        return q


def batches(features: Features, data: Transitions) -> Iterator[tuple[Transitions, Array, Array]]:
    """The data in chunks, with the class at the start (k, p) and at the end of the step under the same control."""
    for start in range(0, len(data), _CHUNK):
        part = data.rows(slice(start, start + _CHUNK))
        A = features.control(*features.control.space.coordinates(part.t, part.x, part.a))
        A_next = A
        if features.control.space.moving:
            A_next = features.control(*features.control.space.coordinates(part.t + part.dt, part.x_next, part.a))
        X = features.state(part.t, part.x, part.mode)
        X_next = features.state(part.t + part.dt, part.x_next, part.mode_next)
        yield part, features.products(X, A), features.products(X_next, A_next)


def gather(features: Features, data: Transitions, precision: Precision | None = None) -> Moments:
    """Read the data once. The test functions are the class itself, weighted by `precision`."""
    p = features.count
    gram, change, reward, square, total, mass = np.zeros((p, p)), np.zeros((p, p)), np.zeros(p), 0.0, 0.0, 0.0
    for part, psi, later in batches(features, data):
        weight = weights(features, precision, part)
        tests = psi * weight[:, None]
        gram += tests.T @ psi
        change += tests.T @ (later - psi)
        reward += tests.T @ part.r
        square += float(part.r @ (part.r * weight))
        total += float(part.r @ weight)
        mass += float(weight.sum())
    k = len(data)
    gram = (gram + gram.T) / 2
    variance = max(square / k - (total / k) ** 2 / (mass / k), 0.0)
    return Moments(features, data.dt, gram / k, change / k, reward / k, square / k, variance, k, data.reward == "mean", precision)


def operator(moments: Moments) -> Operator:
    """Solve the conditions. Raises `SolverError` where the data does not determine the class."""
    p, values, dt = len(moments.reward), moments.features.values, moments.dt
    scale = np.sqrt(np.maximum(np.diag(moments.gram), 1e-300))
    gram = moments.gram / scale[:, None] / scale
    if moments.count < 2 * p or np.linalg.eigvalsh(gram)[0] < 1e-11:
        reason = f"the {moments.count} transitions do not determine the {p} functions of the class"
        raise SolverError(f"{reason}: the states or the actions vary too little; lower --degree, or collect more varied data")
    root = np.linalg.cholesky(gram)

    def solved(right: Array) -> Array:
        from scipy.linalg import cho_solve  # noqa: PLC0415 (slow to import)

        right = right / (scale[:, None] if right.ndim == 2 else scale)
        return cho_solve((root, True), right) / (scale[:, None] if right.ndim == 2 else scale)

    delta = solved(moments.change)
    one = np.eye(p)
    twice = delta @ delta
    few = slice(0, values)
    coarse = 2 / dt * _solve(2 * one + delta, delta[:, few])
    simpson = 6 * one + 6 * delta + twice
    fine = 3 / dt * _solve(simpson, (2 * delta + twice)[:, few])
    rate: Array = solved(moments.reward)
    explained = float(moments.reward @ rate)
    misfit = max(moments.square - explained, 0.0) / moments.variance if moments.variance > 0 else 0.0
    if moments.mean_reward:
        # a mean over the step, by the same quadrature: mean = dt^-1 int K_s r ds = (K - 1)(log K)^-1 r
        rate = 3 * _solve(simpson, (2 * one + delta) @ rate)
    return Operator(moments.features, dt, fine, coarse, rate, one[:, few] + delta[:, few], misfit)


def _solve(matrix: Array, right: Array) -> Array:
    try:
        return np.asarray(np.linalg.solve(matrix, right), dtype=np.float64)
    except np.linalg.LinAlgError:
        raise SolverError("the transitions lead too far in one step for the class of functions: take a smaller --dt") from None
