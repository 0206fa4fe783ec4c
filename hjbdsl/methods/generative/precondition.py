"""What a network is left to learn: the score of data with mean m and covariance C, taken apart into a linear part and the rest.

At time s, with S = F C F' + N the covariance of y_s, e = y - F m - c and W = S^(-1/2):

    residual   score = -S^-1 e + N^-1 F P^(1/2) g(W e, nu),   P = C - C F' S^-1 F C, the covariance of
                                                                     y_0 given y_s if the data were Gaussian
    noise      score = -L^-T g,     L L' = N, g is the noise that was added
    score      score = +L^-T g
    steering   (S^-1 F C) g: what a gradient in y_0 becomes at time s, were the data Gaussian; a correction of another score

`residual` with C = v I and F = I is the preconditioning of Karras, Aittala, Aila, Laine (2022), NeurIPS, table 1 (c_skip, c_out,
c_in); here for any linear forward process. Everything is kept in a basis in which it is diagonal where there is one.
In: forward process, m, C. Out: levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hjbdsl.methods.generative.forward import Forward
from hjbdsl.model.solution import Array

Prediction = Literal["residual", "noise", "score", "steering"]
PREDICTIONS: tuple[Prediction, ...] = ("residual", "noise", "score")


@dataclass(frozen=True, slots=True)
class Frame:
    """Mean m (n,), covariance C in the basis (n,) or (n, n), basis U (n, n) by columns: coordinates are U'(y - m)."""

    mean: Array
    covariance: Array
    basis: Array
    diagonal: bool


def frame_of(forward: Forward, mean: Array, covariance: Array) -> Frame:
    """The eigenbasis of C where drift and noise are the same in all directions; else the file's own, with the diagonal of C
    where drift and noise are diagonal."""
    if _isotropic(forward):
        sizes, axes = np.linalg.eigh(covariance)
        return Frame(mean, np.maximum(sizes, 1e-6 * sizes[-1]), axes, True)
    identity = np.eye(len(mean))
    if forward.coefficients.is_diagonal:
        return Frame(mean, np.diagonal(covariance).copy(), identity, True)
    return Frame(mean, covariance, identity, False)


def _isotropic(forward: Forward) -> bool:
    for s in (0.5 * forward.end, forward.end):
        now = forward.moments(s)
        for matrix in (now.transition, now.covariance):
            if not np.allclose(matrix, matrix[0, 0] * np.eye(len(matrix)), rtol=1e-10, atol=0):
                return False
    return True


@dataclass(frozen=True, slots=True)
class Level:
    """One time, matrices in the frame's basis, (n,) where diagonal: `carry` F, `add` L, `whiten` W, `guess` C F'S^-1, `rest`
    P^(1/2); `centre` F m + c in the file's coordinates; score = `linear` e + `out` g. `log_level` is log nu."""

    log_level: float
    centre: Array
    carry: Array
    add: Array
    whiten: Array
    guess: Array
    rest: Array
    linear: Array
    out: Array


def level_at(forward: Forward, frame: Frame, prediction: Prediction, s: float) -> Level:
    now = forward.moments(s)
    centre = now.transition @ frame.mean + now.offset
    if frame.diagonal:
        carry, noise, spread = np.diagonal(now.transition).copy(), np.diagonal(now.covariance).copy(), frame.covariance
        total = carry**2 * spread + noise
        guess, rest = spread * carry / total, np.sqrt(spread * noise / total)
        add, whiten = np.sqrt(noise), 1 / np.sqrt(total)
        straight, out = -1 / total, carry * rest / noise
        turned = 1 / add
    else:
        carry, noise, spread = now.transition, now.covariance, frame.covariance
        total = carry @ spread @ carry.T + noise
        inverse = np.asarray(np.linalg.inv(total), dtype=np.float64)
        guess = spread @ carry.T @ inverse
        rest = _root(spread - guess @ carry @ spread)
        add, whiten = np.asarray(np.linalg.cholesky(noise), dtype=np.float64), _root(inverse)
        straight, out = -inverse, np.asarray(np.linalg.solve(noise, carry @ rest), dtype=np.float64)
        turned = np.asarray(np.linalg.inv(add).T, dtype=np.float64)
    match prediction:
        case "residual":
            pass
        case "steering":
            straight, out = np.zeros_like(straight), guess.T
        case _:
            straight, out = np.zeros_like(straight), turned * (-1 if prediction == "noise" else 1)
    return Level(forward.log_level(s), centre, carry, add, whiten, guess, rest, straight, out)


def _root(matrix: Array) -> Array:
    """The symmetric square root."""
    sizes, axes = np.linalg.eigh((matrix + matrix.T) / 2)
    return (axes * np.sqrt(np.maximum(sizes, 0.0))) @ axes.T


def apply(matrix: Array, rows: Array) -> Array:
    """M v for every row v; a diagonal M is a vector."""
    return rows * matrix if matrix.ndim == 1 else rows @ matrix.T
