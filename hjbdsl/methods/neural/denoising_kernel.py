"""One step of a time-reversed chain: the Gaussian law of x' at noise level s' < s given x at level s, with learned moments.

If y had the mean D and the variance P given x = y + s z, then, with r = s'²/s²,

    x' ~ N(r x + (1 - r) D, s'² (1 - r) + (1 - r)² P),

exact where the law of y given x is Gaussian, and to first order in 1 - r anywhere. D shrinks x to the middle by a gate of each
coordinate, which is where the network starts: at the gate of Gaussian data, s_data²/(s_data² + s²). A gate that the network moves
follows widths that change from place to place, which sums of a network do not. rho's own gradient is among its inputs.

In: x, levels, s D log rho(x). Out: `Denoised`, and from it mean and variance of a step, (B, n) each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_WAVES = (1.0, 2.0, 4.0, 8.0)
_STEEPEST = 1e4


@dataclass(frozen=True, slots=True)
class Denoised:
    """Of y given x, (B, n) each."""

    mean: Tensor
    variance: Tensor

    def step(self, x: Tensor, level: Tensor, lower: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of x' at the level `lower`; levels (B, 1)."""
        ratio = (lower / level) ** 2
        return ratio * x + (1.0 - ratio) * self.mean, lower**2 * (1.0 - ratio) + (1.0 - ratio) ** 2 * self.variance


class DenoisingKernel(nn.Module):
    """For n coordinates about `centre` (n,) with the data's deviation `scale`."""

    def __init__(self, centre: Tensor, scale: float, width: int, layers: int):
        super().__init__()
        n = len(centre)
        self.centre, self.scale, self.coordinates = centre, scale, n
        self.first = nn.Linear(3 * n + 1 + 2 * len(_WAVES), width)
        self.middle = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.last = nn.Linear(width, 4 * n)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, level: Tensor, slope: Tensor) -> Denoised:
        """x and D log rho (B, n); levels (B, 1)."""
        away, steep = x - self.centre, torch.asinh((level * slope).clamp(-_STEEPEST, _STEEPEST))
        whole = torch.sqrt(level**2 + self.scale**2)
        clock = torch.log(level / self.scale) / 4.0
        waves = [f(k * math.pi / 2 * clock) for k in _WAVES for f in (torch.sin, torch.cos)]
        hidden = self.first(torch.cat([away / whole, torch.asinh(away / level), steep, clock, *waves], 1))
        for layer in self.middle:
            hidden = hidden + layer(nn.functional.silu(hidden))
        gate, shift, pull, doubt = self.last(nn.functional.silu(hidden)).split(self.coordinates, 1)
        odds = 2.0 * torch.log(self.scale / level)
        share = torch.sigmoid(odds + gate)
        mean = self.centre + away * share + level * self.scale / whole * (shift + pull * steep)
        return Denoised(mean, level**2 * torch.sigmoid(odds + doubt))


__all__ = ["Denoised", "DenoisingKernel"]
