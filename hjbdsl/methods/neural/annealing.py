"""Tempering from a Gaussian to an unnormalised density: draws that are nearly its own, to learn a sampler from.

In: log rho, a Gaussian N(start, spread² I). Out: states. The laws in between are N^(1-b) rho^b; b rises as far as the effective
share of the particles allows, then they are resampled and moved by Hamiltonian steps with an accept-reject test. Step sizes are
drawn over a factor of a hundred: a density may be narrow in one place and wide in another. Nothing that is learned from the draws
relies on their being exact. (Del Moral, Doucet, Jasra, Journal of the Royal Statistical Society B 68, 2006.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from hjbdsl.progress import report

LogDensity = Callable[[Tensor], Tensor]
"""x (B, n) -> log rho (B,), up to a constant."""
_STEEPEST = 1e6
_RANGE = 100.0
"""Largest over smallest step size."""
_LAST_MOVES = 10
"""Times as many moves under the density itself as under those before it."""


@dataclass(frozen=True, slots=True)
class AnnealingSettings:
    """`effective` share of the particles left by a rise of b; `moves` of `leaps` steps at each b."""

    particles: int = 4096
    effective: float = 0.8
    moves: int = 30
    leaps: int = 8


def value_and_slope(log_density: LogDensity, x: Tensor) -> tuple[Tensor, Tensor]:
    """log rho (B,) and its gradient (B, n), by automatic differentiation; -inf and zero where they are no numbers."""
    with torch.enable_grad():
        y = x.detach().requires_grad_(True)
        value = log_density(y)
        (slope,) = torch.autograd.grad(value.sum(), y)
    return torch.nan_to_num(value.detach(), -math.inf), torch.nan_to_num(slope, 0.0, _STEEPEST, -_STEEPEST)


@dataclass(frozen=True, slots=True)
class _Particles:
    """States (N, n) with log rho and its slope there."""

    x: Tensor
    value: Tensor
    slope: Tensor

    def chosen(self, index: Tensor) -> _Particles:
        return _Particles(self.x[index], self.value[index], self.slope[index])

    def where(self, mask: Tensor, others: _Particles) -> _Particles:
        rows = mask[:, None]
        return _Particles(
            torch.where(rows, self.x, others.x), torch.where(mask, self.value, others.value),
            torch.where(rows, self.slope, others.slope),
        )  # fmt: skip


class Annealing:
    """`run` once; `evaluations` counts those of rho with its gradient."""

    def __init__(
        self, log_density: LogDensity, start: Tensor, spread: float, settings: AnnealingSettings, generator: torch.Generator
    ):
        self.log_density, self.start, self.spread = log_density, start, spread
        self.settings, self.generator = settings, generator
        self.evaluations = 0

    def run(self) -> Tensor:
        """States (particles, n)."""
        count, share, size = self.settings.particles, 0.0, torch.tensor(self.spread)
        now = self._at(self.start + self.spread * self._normal(count))
        while share < 1.0:
            gain = now.value - self._prior(now.x)
            after = self._risen(share, gain)
            now = now.chosen(self._resampled((after - share) * gain))
            share = after
            for _ in range(self.settings.moves * (_LAST_MOVES if share == 1.0 else 1)):
                now, accepted = self._moved(now, share, 1.0 - share, size)
                size = size * math.exp(0.3 * (accepted - 0.5))
            report("tempering", share)
        return now.x

    def moved(self, states: Tensor, power: float, moves: int) -> Tensor:
        """`states` (k, n) after moves under rho^power."""
        now, size = self._at(states), torch.tensor(self.spread)
        for _ in range(moves):
            now, accepted = self._moved(now, power, 0.0, size)
            size = size * math.exp(0.3 * (accepted - 0.5))
        return now.x

    def _at(self, x: Tensor) -> _Particles:
        self.evaluations += len(x)
        return _Particles(x, *value_and_slope(self.log_density, x))

    def _normal(self, count: int) -> Tensor:
        return torch.randn(count, len(self.start), generator=self.generator)

    def _prior(self, x: Tensor) -> Tensor:
        return -0.5 * ((x - self.start) ** 2).sum(1) / self.spread**2

    def _risen(self, share: float, gain: Tensor) -> float:
        """The next b, by bisection."""

        def effective(b: float) -> float:
            weights = torch.softmax((b - share) * gain, 0)
            return float(1.0 / (weights**2).sum()) / len(gain)

        if effective(1.0) >= self.settings.effective:
            return 1.0
        low, high = share, 1.0
        for _ in range(30):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if effective(middle) > self.settings.effective else (low, middle)
        return high

    def _resampled(self, log_weights: Tensor) -> Tensor:
        """Indices, systematically: every particle as often as its weight says, up to one."""
        count = len(log_weights)
        places = (torch.arange(count) + torch.rand(1, generator=self.generator)) / count
        return torch.searchsorted(torch.softmax(log_weights.double(), 0).cumsum(0), places.double()).clamp(max=count - 1)

    def _moved(self, now: _Particles, power: float, tether: float, size: Tensor) -> tuple[_Particles, float]:
        """One Hamiltonian move under rho^power N^tether, and the share of accepted ones."""
        count = len(now.x)
        step = size * _RANGE ** (torch.rand(count, 1, generator=self.generator) - 1.0)
        first = momentum = self._normal(count)
        then = now
        for _ in range(self.settings.leaps):
            momentum = momentum + step / 2 * self._force(then, power, tether)
            then = self._at(then.x + step * momentum)
            momentum = momentum + step / 2 * self._force(then, power, tether)
        gain = self._energy(then, power, tether) - self._energy(now, power, tether) + 0.5 * (first**2 - momentum**2).sum(1)
        accepted = torch.rand(count, generator=self.generator).log() < torch.nan_to_num(gain, -math.inf)
        return then.where(accepted, now), float(accepted.double().mean())

    def _energy(self, at: _Particles, power: float, tether: float) -> Tensor:
        return power * at.value + tether * self._prior(at.x)

    def _force(self, at: _Particles, power: float, tether: float) -> Tensor:
        return power * at.slope - tether * (at.x - self.start) / self.spread**2


__all__ = ["Annealing", "AnnealingSettings", "LogDensity", "value_and_slope"]
