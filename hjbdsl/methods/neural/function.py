"""The answer of policy iteration as a value function: plain arrays and the text of the generated program, so that it pickles.

In: times, states, modes. Out: V, its gradient, the greedy control, and the band of the evidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hjbdsl.methods.neural.improvement import Improvement
from hjbdsl.methods.neural.model import ValueModel
from hjbdsl.methods.neural.networks import Architecture
from hjbdsl.methods.neural.program import program_of
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Array, PointValues, ValueFunction
from hjbdsl.numeric.torch_threads import one_thread

_BATCH = 20_000


@dataclass(frozen=True, slots=True)
class Band:
    """|V - exact| <= absolute + relative*|V|, with `confidence`."""

    absolute: float
    relative: float
    confidence: float


@dataclass(frozen=True, slots=True)
class NeuralFunction(ValueFunction):
    """`parameters` by layer; `fallback` (m, 1 + n) the affine policy where the maximiser has none."""

    equation: HJBEquation
    architecture: Architecture
    parameters: dict[str, Array]
    fallback: Array
    band: Band

    @one_thread()
    def evaluate(self, t: Array, x: Array, mode: NDArray[np.int64]) -> PointValues:
        program = program_of(self.equation)
        model = ValueModel(program, self.architecture)
        policy = Improvement(program, model, torch.tensor(self.fallback))
        parameters = {name: torch.tensor(value) for name, value in self.parameters.items()}
        values, gradients, controls = [], [], []
        for first in range(0, max(len(t), 1), _BATCH):
            rows = slice(first, first + _BATCH)
            clock = torch.tensor(np.array(t[rows], dtype=np.float64))
            states, z = torch.tensor(np.array(x[rows], dtype=np.float64)), torch.tensor(np.array(mode[rows], dtype=np.int64))
            with torch.no_grad():
                at = model.point(parameters, clock, states, z)
                values.append(at.V.numpy())
                gradients.append(at.p.numpy())
                controls.append(policy.control(parameters, clock, states, z, at).numpy())
        value = np.concatenate(values)
        error = self.band.absolute + self.band.relative * np.abs(value)
        return PointValues(
            value, error, np.concatenate(gradients), np.concatenate(controls),
            lower=value - error, upper=value + error, confidence=self.band.confidence,
        )  # fmt: skip
