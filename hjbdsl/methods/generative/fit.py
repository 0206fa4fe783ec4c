"""From a problem to a score: the rows, the forward process, the training.

In: a problem with `reverse`, options, a seed. Out: `Fitted`, or `ValueError` with the reason why there is no score to learn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.methods.generative.forward import forward_process
from hjbdsl.methods.generative.precondition import frame_of
from hjbdsl.methods.generative.score import LearnedScore
from hjbdsl.methods.generative.settings import MOST_DIMENSIONS, choose, drawn_rows
from hjbdsl.methods.generative.start import RowsLaw, mixture_law
from hjbdsl.methods.generative.training import Settings, Split, Trained, train
from hjbdsl.model.problem import ControlProblem, GaussianMixture
from hjbdsl.model.solution import Array
from hjbdsl.numeric.data_file import read_rows

_HELD_OUT_SHARE, _MOST_HELD_OUT = 0.1, 5000
_FLOOR = 1e-6
"""Directions in which the data do not spread count as this share of the mean variance."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """`score` learned from `rows` (k, n), the last of which, validation, chose the weights; `held_out` rows were not seen."""

    score: LearnedScore
    rows: Array
    held_out: Array
    trained: Trained
    settings: Settings


def applicable(problem: ControlProblem) -> str | None:
    """One line of reason where the process is not of the kind that is learned here."""
    if problem.reversal is None:
        return "the problem is no time reversal"
    if problem.jumps or problem.modes or problem.exit is not None or problem.stopping is not None:
        return "jumps, modes, stopping and exit are not reversed"
    if any(b.is_finite_set or b.lower != -sp.oo or b.upper != sp.oo for b in problem.state_bounds):
        return "the state is bounded, and a linear diffusion is not"
    if problem.dimension > MOST_DIMENSIONS:
        return f"{problem.dimension} dimensions; the levels are matrices up to {MOST_DIMENSIONS}"
    return None


def fit(problem: ControlProblem, options: Mapping[str, float | str], seed: int, checkpoints: Path | None) -> Fitted:
    """Train, or go on with a training of the same content that was interrupted. `checkpoints` is a folder for them."""
    settings = choose(options, problem.dimension, seed)
    data = _rows(problem, options, seed)
    mean, covariance = data.mean(axis=0), spread_of(data)
    forward = forward_process(problem, covariance)
    split = parted(data, min(max(int(_HELD_OUT_SHARE * len(data)), 10), _MOST_HELD_OUT), np.random.default_rng(seed))
    frame = frame_of(forward, mean, covariance)
    checkpoint = checkpoints / f"{_digest(problem, settings, data)}.pt" if checkpoints is not None else None
    trained = train(split, forward, frame, settings, checkpoint)
    if trained.finished and checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    score = LearnedScore(
        forward, frame, settings.architecture, settings.prediction, trained.weights, settings.lowest, settings.device
    )
    return Fitted(score, np.concatenate([split.training, split.validation]), split.held_out, trained, settings)


def parted(data: Array, aside: int, random: np.random.Generator) -> Split:
    """`aside` rows each for validation and held out, one of every cell of neighbouring rows: what is left for training has the
    law of all rows, more nearly than rows taken at random would leave it."""
    cells = _cells(data, np.arange(len(data)), aside)
    shuffled = [random.permutation(cell) for cell in cells]
    held_out, validation = (np.array([cell[k] for cell in shuffled]) for k in (0, 1))
    training = np.concatenate([cell[2:] for cell in shuffled])
    mixed = (data[random.permutation(chosen)] for chosen in (training, validation, held_out))
    return Split(*mixed)


def _cells(data: Array, index: NDArray[np.intp], count: int) -> list[NDArray[np.intp]]:
    """`index` in `count` parts of equal size, to one: halved across the direction in which the rows spread most, and again."""
    if count == 1:
        return [index]
    rows = data[index]
    left = count // 2
    share = round(len(index) * left / count)
    order = np.argpartition(rows[:, int(np.argmax(rows.var(axis=0)))], share)
    return _cells(data, index[order[:share]], left) + _cells(data, index[order[share:]], count - left)


def spread_of(rows: Array) -> Array:
    """Their covariance, positive definite."""
    covariance = np.atleast_2d(np.cov(rows.T))
    return covariance + _FLOOR * np.trace(covariance) / len(covariance) * np.eye(len(covariance))


def equal_weights(rows: Array) -> RowsLaw:
    return RowsLaw(rows, np.full(len(rows), 1 / len(rows)))


def _rows(problem: ControlProblem, options: Mapping[str, float | str], seed: int) -> Array:
    assert problem.reversal is not None
    law = problem.reversal.law
    if isinstance(law, GaussianMixture):
        return mixture_law(problem, law).draw(drawn_rows(options), np.random.default_rng([seed, 7]))
    return read_rows(problem)


def _digest(problem: ControlProblem, settings: Settings, data: Array) -> str:
    content = hashlib.sha256(repr((problem.source.digest, settings, data.shape)).encode())
    content.update(np.ascontiguousarray(data).tobytes())
    return content.hexdigest()[:32]
