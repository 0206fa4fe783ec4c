"""Policy improvement: the control that is best in the Hamiltonian while V is frozen.

In: program, model, points. Out: controls (B, m). In closed form wherever the symbolic maximiser holds (the signs of its
second-order condition with it); where it is implicit, ascent on the Hamiltonian: a scan of every component and successive
refinement about the best value. Where neither gives a control the `fallback` stands in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hjbdsl.methods.neural.model import ValueModel
from hjbdsl.methods.neural.networks import Parameters
from hjbdsl.methods.neural.program import NeuralProgram, Point

_ROUNDS = 16
_FAR = (0.01, 0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 20.0)
"""Distances tried from the end of a half-line and both ways on a line."""


@dataclass(frozen=True, slots=True)
class Improvement:
    """The greedy policy of a value model; `fallback` (m, 1 + n), affine in the states, where no candidate holds; `limits` (2, m)
    hold back the controls of a V that is not yet smooth."""

    program: NeuralProgram
    model: ValueModel
    fallback: Tensor
    limits: Tensor | None = None

    def control(self, parameters: Parameters, t: Tensor, x: Tensor, z: Tensor, at: Point) -> Tensor:
        """The improved controls (B, m)."""
        if not self.program.controls:
            return x.new_zeros(len(x), 0)
        status = self.program.equation.optimum.status
        if status == "implicit":
            return self._ascent(parameters, t, x, z, at)
        a, found = self.program.symbolic_control(t, x, z, at)
        if self.limits is not None:
            a = torch.minimum(torch.maximum(a, self.limits[0]), self.limits[1])
        a = torch.where(found[:, None], a, affine(self.fallback, x))
        return self.program.projected(t, x, z, a)

    def held_back(self, parameters: Parameters, t: Tensor, x: Tensor, z: Tensor) -> Improvement:
        """The same policy within the range that it has on most of these points, as wide again on both sides."""
        at = self.model.point(parameters, t, x, z)
        a, found = self.program.symbolic_control(t, x, z, at)
        if not self.program.controls or int(found.sum()) < 20:
            return replace(self, limits=None)
        low, high = torch.quantile(a[found], 0.05, 0), torch.quantile(a[found], 0.95, 0)
        return replace(self, limits=torch.stack([low - (high - low), high + (high - low)]))

    def _objective(self, parameters: Parameters, t: Tensor, x: Tensor, z: Tensor, a: Tensor, at: Point) -> Tensor:
        program = self.program
        value = program.hamiltonian(t, x, z, a, at)
        for k in range(program.jumps):
            if program.controlled_jumps[k]:
                difference = program.jump_difference(k, self.model.chosen(parameters), t, x, z, a, at.V)
                value = value + program.rate(k)(t, x, z, a) * difference
        value = program.sense * (value - program.module.discount(t, x, z, a) * at.V)
        return torch.where(torch.isfinite(value), value, torch.full_like(value, -torch.inf))

    def _ascent(self, parameters: Parameters, t: Tensor, x: Tensor, z: Tensor, at: Point) -> Tensor:
        """Coordinate by coordinate: the best of a scan, then a bracket about it shrunk by three a round."""
        low, high = self.program.module.lowest(t, x, z), self.program.module.highest(t, x, z)
        a = self.program.projected(t, x, z, affine(self.fallback, x))
        for _ in range(1 if self.program.controls == 1 else 3):
            for c in range(self.program.controls):
                a = self._along(parameters, t, x, z, at, a, c, low[:, c], high[:, c])
        return a

    def _along(
        self, parameters: Parameters, t: Tensor, x: Tensor, z: Tensor, at: Point, a: Tensor, c: int, low: Tensor, high: Tensor
    ) -> Tensor:
        trials = _trials(a[:, c], low, high)
        best, width = self._best(parameters, t, x, z, at, a, c, trials)
        for _ in range(_ROUNDS):
            offsets = torch.linspace(-1.0, 1.0, 7, dtype=x.dtype, device=x.device)
            trials = torch.clamp(best[:, None] + width[:, None] * offsets, low[:, None], high[:, None])
            best, _ = self._best(parameters, t, x, z, at, a, c, trials)
            width = width / 2.5
        result = a.clone()
        result[:, c] = best
        return result

    def _best(
        self, parameters: Parameters, t: Tensor, x: Tensor, z: Tensor, at: Point, a: Tensor, c: int, trials: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The best trial (B,) and the distance to its farther neighbour (B,)."""
        values = []
        for j in range(trials.shape[1]):
            candidate = a.clone()
            candidate[:, c] = trials[:, j]
            values.append(self._objective(parameters, t, x, z, candidate, at))
        ordered, order = torch.sort(trials, 1)
        index = torch.stack(values, 1).gather(1, order).argmax(1, keepdim=True)
        best = ordered.gather(1, index)[:, 0]
        last = trials.shape[1] - 1
        before, after = ordered.gather(1, (index - 1).clamp(min=0))[:, 0], ordered.gather(1, (index + 1).clamp(max=last))[:, 0]
        return best, torch.maximum(best - before, after - best)


def affine(coefficients: Tensor, x: Tensor) -> Tensor:
    """Controls (B, m) that are affine in the states, from (m, 1 + n)."""
    return coefficients[:, 0].to(x) + x @ coefficients[:, 1:].T.to(x)


def _trials(centre: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Values of one component to scan, (B, K): over an interval, out from the end of a half-line, both ways on a line."""
    bounded = torch.isfinite(low) & torch.isfinite(high)
    share = torch.linspace(1e-9, 1.0 - 1e-9, 2 * len(_FAR) + 1, dtype=centre.dtype, device=centre.device)
    within = torch.where(bounded, low, 0.0)[:, None] + torch.where(bounded, high - low, 0.0)[:, None] * share
    far = torch.tensor([-d for d in reversed(_FAR)] + [0.0, *_FAR], dtype=centre.dtype, device=centre.device)
    fine = torch.tensor([1e-4 * 2.2**k for k in range(len(far))], dtype=centre.dtype, device=centre.device)
    up, down = low[:, None] + fine * 1.0, high[:, None] - fine
    line = centre[:, None] + far
    half = torch.where(torch.isfinite(low)[:, None], up, torch.where(torch.isfinite(high)[:, None], down, line))
    return torch.where(bounded[:, None], within, half)
