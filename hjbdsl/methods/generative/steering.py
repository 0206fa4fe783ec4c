"""Steering a generative model by a terminal reward r: the control problem of drawing from p_0 exp(r)/Z.

In: a score (exact or learned), the law of its data, r with its gradient. Out: the score with the control v = S'h added; log Z.
Over the reverse process dy = (-f + Q score + S v) dt + S dB maximise E[r(y_T) - int |v|^2 dt / 2]; the value is
phi = log E exp(r(y_T)) of the unsteered process, v* = S' grad phi, and the steered process, started from p_T exp(phi)/Z, ends in
p_0 exp(r)/Z.

Solved by adjoint matching: along steered paths the lean adjoint a, da = -(grad b)'a dt backwards from grad r(y_T) with b the
unsteered drift, and h is regressed on it; its only fixed point is grad phi. Source: Domingo-Enrich, Drozdzal, Karrer, Chen,
ICLR 2025. Girsanov's weights then make the estimate of Z unbiased whatever h is, and their spread shows what h is worth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from scipy.special import logsumexp

from hjbdsl.errors import UsageError
from hjbdsl.methods.generative.forward import Forward
from hjbdsl.methods.generative.network import Architecture, ScoreNetwork
from hjbdsl.methods.generative.precondition import Level, apply, frame_of, level_at
from hjbdsl.methods.generative.samplers import sampling_times
from hjbdsl.methods.generative.score import Count, LearnedScore, Score
from hjbdsl.methods.generative.start import DataLaw, MixtureLaw, RowsLaw, noised, root
from hjbdsl.methods.generative.training import scaled_level
from hjbdsl.model.solution import Array
from hjbdsl.numeric.importance_weights import LogMean, log_mean
from hjbdsl.numeric.torch_threads import one_thread
from hjbdsl.progress import report

_POOL = 100_000
_STEPS = 48
_PATHS = 256
_ROUNDS = 60
_REGRESSIONS = 12
_BATCH = 1024
_RATE = 2e-3
_WEIGHED_PATHS = 4000
_WEIGHED_STEPS = 100

Reward = Callable[[Array], tuple[Array, Array]]
"""Points (k, n) to values (k,) and gradients (k, n)."""


@dataclass(slots=True)
class SteeredScore(Score):
    """The sum of a score and its correction h."""

    forward: Forward
    lowest: float
    base: Score
    correction: LearnedScore
    count: Count = field(default_factory=Count)

    def __call__(self, s: float, y: Array) -> Array:
        self.count.evaluations += 1
        return self.base(s, y) + self.correction(s, y)

    def along(self, s: float, y: Array, direction: Array) -> tuple[Array, Array]:
        self.count.evaluations += 2
        first, second = self.base.along(s, y, direction), self.correction.along(s, y, direction)
        return first[0] + second[0], first[1] + second[1]


@dataclass(frozen=True, slots=True)
class Steered:
    """`law` of the tilted data (rows with weights); log Z from the weights of the steered paths and from the data alone, each
    with its interval."""

    score: SteeredScore
    law: RowsLaw
    log_normaliser: LogMean
    data_log_normaliser: LogMean


def steer(base: Score, law: DataLaw, reward: Reward, seed: int = 0, rounds: int = _ROUNDS) -> Steered:
    """Raises `UsageError` for a reward without a gradient anywhere."""
    random = np.random.default_rng([seed, 29])
    rows, weights = _weighted(law, random)
    values, slopes = reward(rows)
    if np.ptp(values) > 0 and not np.any(slopes):
        raise UsageError("the reward changes by jumps only, and steering follows its gradient: smooth it, as in Phi((y - a)/0.1)")
    logs = np.log(weights) + values
    tilted = RowsLaw(rows, np.exp(logs - logsumexp(logs)))
    with one_thread():
        correction = _matched(base, law, tilted, reward, rounds, seed)
    score = SteeredScore(base.forward, base.lowest, base, correction)
    weighed = _weigh(base, correction, law, reward, random)
    return Steered(score, tilted, log_mean(weighed), log_mean(logs + np.log(len(rows))))


def _weighted(law: DataLaw, random: np.random.Generator) -> tuple[Array, Array]:
    match law:
        case RowsLaw():
            return law.rows, law.weights
        case MixtureLaw():
            return law.draw(_POOL, random), np.full(_POOL, 1 / _POOL)
    raise TypeError(f"{type(law).__name__} is no law that can be reweighted")


def _matched(base: Score, law: DataLaw, tilted: RowsLaw, reward: Reward, rounds: int, seed: int) -> LearnedScore:
    """Adjoint matching: `rounds` of paths under the control so far, and a regression on their adjoints."""
    forward, n = base.forward, base.forward.dimension
    mean, covariance = law.moments
    frame = frame_of(forward, mean, covariance + 1e-6 * np.trace(covariance) / n * np.eye(n))
    torch.manual_seed(seed + 3)
    random = np.random.default_rng([seed, 31])
    architecture = Architecture(n, 64 if n <= 4 else 128, 2)
    network = ScoreNetwork(architecture)
    optimiser = torch.optim.Adam(network.parameters(), lr=_RATE)
    times = sampling_times(base, _STEPS)
    levels = [level_at(forward, frame, "steering", float(s)) for s in times]
    for number in range(rounds):
        for group in optimiser.param_groups:
            group["lr"] = _RATE * (1 - 0.9 * number / rounds)
        correction = LearnedScore(forward, frame, architecture, "steering", _weights(network), base.lowest)
        start = noised(tilted.draw(_PATHS, random), forward, forward.end, random)
        places, adjoints = _paths_and_adjoints(base, correction, reward, times, start, random)
        pairs = _pairs(levels, places, adjoints, frame.basis)
        loss = _regress(network, optimiser, pairs, random)
        report("steering by adjoint matching", (number + 1) / rounds, loss=loss)
    return LearnedScore(forward, frame, architecture, "steering", _weights(network), base.lowest)


def _weights(network: ScoreNetwork) -> dict[str, Array]:
    return {name: tensor.detach().numpy().copy() for name, tensor in network.state_dict().items()}


def _step(base: Score, h: Array, late: float, early: float, y: Array, random: np.random.Generator) -> tuple[Array, Array, Array]:
    """One Euler step of the steered process: the new place, the noise, and its covariance."""
    forward, length = base.forward, late - early
    squares = [forward.noise(s) @ forward.noise(s).T for s in (early, (early + late) / 2, late)]
    covariance = length * (squares[0] + 4 * squares[1] + squares[2]) / 6
    noise = random.standard_normal(y.shape) @ root(covariance).T
    matrix, offset = forward.drift(late)
    return y - length * (y @ matrix.T + offset) + (base(late, y) + h) @ covariance + noise, noise, covariance


def _paths_and_adjoints(
    base: Score, correction: LearnedScore, reward: Reward, times: Array, y: Array, random: np.random.Generator
) -> tuple[list[Array], list[Array]]:
    """Places at every time (first T) and the lean adjoint there, (paths, n) each."""
    places = [y]
    for late, early in pairwise(times):
        y, _, _ = _step(base, correction(float(late), y), float(late), float(early), y, random)
        places.append(y)
    adjoint = reward(y)[1]
    adjoints = [adjoint]
    for number in range(len(times) - 2, -1, -1):
        s, length = float(times[number]), float(times[number] - times[number + 1])
        matrix, _ = base.forward.drift(s)
        noise = base.forward.noise(s)
        # the Jacobian of a score is symmetric, so that a derivative along Q a is the transposed product
        _, bent = base.along(s, places[number], (adjoint @ noise) @ noise.T)
        adjoint = adjoint + length * (bent - adjoint @ matrix)
        adjoints.append(adjoint)
    return places, adjoints[::-1]


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Inputs and targets of the regression, all times together; `scale` weighs a time by the size of its output."""

    x: torch.Tensor
    level: torch.Tensor
    target: torch.Tensor
    out: torch.Tensor
    index: torch.Tensor


def _pairs(levels: list[Level], places: list[Array], adjoints: list[Array], basis: Array) -> _Pairs:
    x, target, out = [], [], []
    for level, y, adjoint in zip(levels, places, adjoints, strict=True):
        size = np.sqrt(np.mean(level.out**2) * (1 if level.out.ndim == 1 else len(level.out)))
        x.append(apply(level.whiten, (y - level.centre) @ basis))
        target.append(adjoint @ basis / size)
        out.append(level.out / size)
    index = np.repeat(np.arange(len(levels)), len(places[0]))
    scaled = np.array([scaled_level(level.log_level) for level in levels])[index]
    arrays = (np.concatenate(x), scaled, np.concatenate(target), np.stack(out))
    inputs, clock, wanted, outs = (torch.as_tensor(array, dtype=torch.float32) for array in arrays)
    return _Pairs(inputs, clock, wanted, outs, torch.as_tensor(index))


def _regress(network: ScoreNetwork, optimiser: torch.optim.Optimizer, pairs: _Pairs, random: np.random.Generator) -> float:
    total = 0.0
    for _ in range(_REGRESSIONS):
        rows = torch.as_tensor(random.integers(len(pairs.x), size=_BATCH))
        output, out = network(pairs.x[rows], pairs.level[rows]), pairs.out[pairs.index[rows]]
        carried = out * output if out.ndim == 2 else (out @ output[:, :, None])[:, :, 0]
        loss = ((carried - pairs.target[rows]) ** 2).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        total += float(loss.detach())
    return total / _REGRESSIONS


def _weigh(base: Score, correction: LearnedScore, law: DataLaw, reward: Reward, random: np.random.Generator) -> Array:
    """log of exp(r) times Girsanov's density along steered paths from p_T: its exponential has mean Z for every correction."""
    times = sampling_times(base, _WEIGHED_STEPS)
    y = noised(law.draw(_WEIGHED_PATHS, random), base.forward, base.forward.end, random)
    logs = np.zeros(len(y))
    for late, early in pairwise(times):
        h = correction(float(late), y)
        y, noise, covariance = _step(base, h, float(late), float(early), y, random)
        logs -= np.sum(h * noise, axis=1) + np.sum(h @ covariance * h, axis=1) / 2
    return logs + reward(y)[0]
