"""The score grad log p_s(y) of the forward process: exact, from a value function, or learned by a network.

In: times s of the forward process and points (k, n) in the file's coordinates. Out: scores (k, n) and the trace of
Q grad score, which the probability-flow equation needs. Every evaluation of a whole batch is counted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch

from hjbdsl.methods.generative.forward import Forward
from hjbdsl.methods.generative.network import Architecture, ScoreNetwork
from hjbdsl.methods.generative.precondition import Frame, Prediction, apply, level_at
from hjbdsl.methods.generative.training import scaled_level
from hjbdsl.model.solution import Array, ValueFunction
from hjbdsl.numeric.torch_threads import one_thread

_STEP = 1e-5
_ROWS_AT_ONCE = 20_000


@dataclass(slots=True)
class Count:
    """How often a score was evaluated on a batch; a directional derivative counts as one more."""

    evaluations: int = 0


class Score(ABC):
    """Implementations are final. `forward` is the process, `lowest` the smallest noise level at which the score is to be used."""

    forward: Forward
    lowest: float
    count: Count

    @abstractmethod
    def __call__(self, s: float, y: Array) -> Array:
        """grad log p_s(y), (k, n)."""

    @abstractmethod
    def along(self, s: float, y: Array, direction: Array) -> tuple[Array, Array]:
        """The score at y (k, n) and its derivative along `direction` (n,) or (k, n): (k, n) each."""

    def curvature(self, s: float, y: Array, noise: Array | None = None) -> tuple[Array, Array]:
        """The score and tr(S' grad score S), (k,), for S = `noise` or the noise at s, with one derivative a column: all in one
        batch where it is small, since small batches cost a call rather than their rows."""
        columns = (self.forward.noise(s) if noise is None else noise).T
        rows, noises = len(y), len(columns)
        if rows * noises <= _ROWS_AT_ONCE:
            score, slope = self.along(s, np.tile(y, (noises, 1)), np.repeat(columns, rows, axis=0))
            self.count.evaluations += noises - 1
            bends = np.sum(slope * np.repeat(columns, rows, axis=0), axis=1)
            return score[:rows], bends.reshape(noises, rows).sum(axis=0)
        score, trace = np.zeros(y.shape), np.zeros(rows)
        for column in columns:
            score, slope = self.along(s, y, column)
            trace = trace + slope @ column
        return score, trace

    def probed_curvature(self, s: float, y: Array, probe: Array) -> tuple[Array, Array]:
        """The score and e' S' grad score S e for the probes e (k, m): unbiased for the trace where E[e e'] = I (Hutchinson)."""
        direction = probe @ self.forward.noise(s).T
        score, slope = self.along(s, y, direction)
        return score, np.sum(slope * direction, axis=1)


@dataclass(slots=True)
class ExactScore(Score):
    """-grad V of a solved reversal; derivatives by central differences of step `scale` * 1e-5 (relative error 1e-9)."""

    forward: Forward
    function: ValueFunction
    lowest: float
    scale: float
    count: Count = field(default_factory=Count)

    def __call__(self, s: float, y: Array) -> Array:
        self.count.evaluations += 1
        return self._score(s, y)

    def _score(self, s: float, y: Array) -> Array:
        t = np.full(len(y), max(self.forward.end - s, 0.0))
        return -self.function.evaluate(t, y, np.zeros(len(y), dtype=np.int64)).gradient

    def along(self, s: float, y: Array, direction: Array) -> tuple[Array, Array]:
        self.count.evaluations += 2
        size = np.linalg.norm(direction, axis=-1, keepdims=True)
        step = _STEP * self.scale * direction / np.where(size > 0, size, 1.0)
        ahead, behind = self._score(s, y + step), self._score(s, y - step)
        return (ahead + behind) / 2, (ahead - behind) / (2 * _STEP * self.scale) * size


@dataclass(slots=True)
class LearnedScore(Score):
    """A trained network; `precise` evaluates it in double precision."""

    forward: Forward
    frame: Frame
    architecture: Architecture
    prediction: Prediction
    weights: Mapping[str, Array]
    lowest: float
    device: str = "cpu"
    precise: bool = False
    count: Count = field(default_factory=Count)

    def __call__(self, s: float, y: Array) -> Array:
        self.count.evaluations += 1
        level = level_at(self.forward, self.frame, self.prediction, s)
        away = (y - level.centre) @ self.frame.basis
        output, _ = self._network(apply(level.whiten, away), level.log_level, None)
        return (apply(level.linear, away) + apply(level.out, output)) @ self.frame.basis.T

    def along(self, s: float, y: Array, direction: Array) -> tuple[Array, Array]:
        self.count.evaluations += 2
        level = level_at(self.forward, self.frame, self.prediction, s)
        away = (y - level.centre) @ self.frame.basis
        turned = np.broadcast_to(direction, y.shape) @ self.frame.basis
        output, slope = self._network(apply(level.whiten, away), level.log_level, apply(level.whiten, turned))
        score = apply(level.linear, away) + apply(level.out, output)
        return score @ self.frame.basis.T, (apply(level.linear, turned) + apply(level.out, slope)) @ self.frame.basis.T

    def _network(self, x: Array, log_level: float, direction: Array | None) -> tuple[Array, Array]:
        """The network's output and its derivative along `direction` (zero where there is none)."""
        kind = torch.float64 if self.precise else torch.float32
        network = _built(self.architecture, _Weights(self.weights), kind, self.device)
        with one_thread():
            return self._evaluated(network, x, log_level, direction)

    def _evaluated(self, network: ScoreNetwork, x: Array, log_level: float, direction: Array | None) -> tuple[Array, Array]:
        kind, parts = torch.float64 if self.precise else torch.float32, []
        for start in range(0, len(x), _ROWS_AT_ONCE):
            rows = torch.as_tensor(x[start : start + _ROWS_AT_ONCE], dtype=kind, device=self.device)
            level = torch.full((len(rows),), scaled_level(log_level), dtype=kind, device=self.device)
            if direction is None:
                with torch.inference_mode():
                    output = network(rows, level)
                slope = torch.zeros(1)
            else:
                tangent = torch.as_tensor(direction[start : start + _ROWS_AT_ONCE], dtype=kind, device=self.device)
                with torch.no_grad():
                    output, slope = torch.func.jvp(lambda r, lev=level: network(r, lev), (rows,), (tangent,))
            parts.append((output.double().cpu().numpy(), slope.double().cpu().numpy()))
        if not parts:
            return np.zeros_like(x), np.zeros_like(x)
        return np.concatenate([output for output, _ in parts]), np.concatenate([slope for _, slope in parts])


@dataclass(frozen=True, slots=True)
class _Weights:
    """Weights as a key: the same object is the same network."""

    by_name: Mapping[str, Array]

    def __hash__(self) -> int:
        return id(self.by_name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Weights) and other.by_name is self.by_name


@lru_cache(maxsize=8)
def _built(architecture: Architecture, weights: _Weights, kind: torch.dtype, device: str) -> ScoreNetwork:
    network = ScoreNetwork(architecture)
    network.load_state_dict({name: torch.as_tensor(array) for name, array in weights.by_name.items()})
    return network.to(device=device, dtype=kind).eval()
