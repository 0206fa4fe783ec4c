"""Policy improvement: the control that is best in the Hamiltonian while V is frozen.

In: program, model, points. Out: controls (B, m). In closed form wherever the symbolic maximiser holds (the signs of its
second-order condition with it); where it is implicit, ascent on the Hamiltonian: a scan of every component and successive
parabolas about the best value. Beyond the box of the network, where a continued V may have no maximiser, that of the nearest
point of the box; where there is none either the `fallback` stands in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hjbdsl.methods.neural.extension import nearest
from hjbdsl.methods.neural.model import ValueModel
from hjbdsl.methods.neural.networks import Parameters
from hjbdsl.methods.neural.program import NeuralProgram, Point

_SWEEPS, _PARABOLAS = 3, 10
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
        inner = nearest(self.model.architecture, x)
        beyond = (inner != x).any(-1)
        if self.program.equation.optimum.status == "implicit":
            if bool(beyond.any()):
                at = self.model.point(parameters, t, inner, z)
            return self.program.projected(t, x, z, self._ascent(parameters, t, inner, z, at))
        a, found = self.program.symbolic_control(t, x, z, at)
        rows = torch.nonzero(beyond & ~found)[:, 0]
        if len(rows):
            at_edge = self.model.point(parameters, t[rows], inner[rows], z[rows])
            there, held = self.program.symbolic_control(t[rows], inner[rows], z[rows], at_edge)
            a, found = a.index_copy(0, rows, there), found.index_copy(0, rows, held)
        if self.limits is not None:
            a = torch.minimum(torch.maximum(a, self.limits[0]), self.limits[1])
        a = torch.where(found[:, None], a, affine(self.fallback, x))
        return self.program.projected(t, x, z, a)

    def exists(self, t: Tensor, x: Tensor, z: Tensor, at: Point) -> Tensor:
        """Where V has a maximiser, (B,): elsewhere it has the wrong curvature for any."""
        if not self.program.controls or self.program.equation.optimum.status == "implicit":
            return torch.ones(len(x), dtype=torch.bool, device=x.device)
        return self.program.symbolic_control(t, x, z, at)[1]

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
        """Coordinate by coordinate: the best of a scan, then parabolas; in later sweeps parabolas about the last best."""
        low, high = self.program.module.lowest(t, x, z), self.program.module.highest(t, x, z)
        a = self.program.projected(t, x, z, affine(self.fallback, x))
        widths: list[Tensor] = []
        wide: tuple[Tensor, Tensor, Tensor, Point] | None = None
        for sweep in range(1 if self.program.controls == 1 else _SWEEPS):
            for c in range(self.program.controls):

                def worth(trial: Tensor, a: Tensor = a, c: int = c) -> Tensor:
                    candidate = a.clone()
                    candidate[:, c] = trial
                    return self._objective(parameters, t, x, z, candidate, at)

                if sweep:
                    places = [a[:, c] - widths[c], a[:, c], a[:, c] + widths[c]]
                    trials = torch.stack([torch.clamp(place, low[:, c], high[:, c]) for place in places], 1)
                    values = torch.stack([worth(trials[:, k]) for k in range(trials.shape[1])], 1)
                else:  # the scan in one batch: many small ones cost more than they compute
                    trials = torch.sort(_trials(a[:, c], low[:, c], high[:, c]), 1).values
                    K = trials.shape[1]
                    wide = _repeated(t, x, z, at, K) if wide is None else wide
                    candidates = a.repeat_interleave(K, 0)
                    candidates[:, c] = trials.flatten()
                    values = self._objective(parameters, *wide[:3], candidates, wide[3]).reshape(trials.shape)
                best, width = _peak(worth, trials, values)
                if not sweep:
                    widths.append(width)
                a = a.clone()
                a[:, c] = best
        return a


def _repeated(t: Tensor, x: Tensor, z: Tensor, at: Point, count: int) -> tuple[Tensor, Tensor, Tensor, Point]:
    """Every row `count` times."""
    t, x, z = (rows.repeat_interleave(count, 0) for rows in (t, x, z))
    return t, x, z, Point(*(getattr(at, name).repeat_interleave(count, 0) for name in Point.__slots__))


def _peak(worth: Callable[[Tensor], Tensor], trials: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Where `worth` is largest, (B,), from its `values` at ordered trials (B, K) on, and the distance to the farther neighbour of
    the best trial: the vertex of the parabola through the best three, now and then the middle of the wider gap. (Brent,
    Algorithms for Minimization without Derivatives, 1973, chapter 5.)"""
    best = values.argmax(1, keepdim=True)
    sides = ((best - 1).clamp(min=0), best, (best + 1).clamp(max=trials.shape[1] - 1))
    left, middle, right = (trials.gather(1, side)[:, 0] for side in sides)
    below, top, above = (values.gather(1, side)[:, 0] for side in sides)
    width = torch.maximum(middle - left, right - middle)
    for k in range(_PARABOLAS):
        toward, back = (middle - left) * (top - above), (middle - right) * (top - below)
        vertex = middle - 0.5 * ((middle - left) * toward - (middle - right) * back) / (toward - back)
        wider = torch.where(middle - left > right - middle, 0.5 * (left + middle), 0.5 * (middle + right))
        usable = (vertex > left) & (vertex < right) & (vertex != middle)
        place = wider if k % 3 == 2 else torch.where(usable, vertex, wider)
        value = worth(place)
        better, before = value > top, place < middle
        inner, lower = torch.where(better, middle, place), torch.where(better, top, value)
        moves_left, moves_right = better ^ before, ~(better ^ before)
        left, below = torch.where(moves_left, inner, left), torch.where(moves_left, lower, below)
        right, above = torch.where(moves_right, inner, right), torch.where(moves_right, lower, above)
        middle, top = torch.where(better, place, middle), torch.where(better, value, top)
    return middle, width


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
