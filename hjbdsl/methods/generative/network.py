"""The network g(x, nu): residual blocks of a multilayer perceptron, each modulated by Fourier features of the noise level.

In: whitened coordinates x (k, n) and standardised log noise level (k,). Out: (k, n). In low dimensions x enters with a few
Fourier features too: a plain perceptron is slow to learn sharp scores (Tancik et al., 2020, NeurIPS).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

_TIME_FREQUENCIES = 8
_SPACE_FREQUENCIES = 3
_CLOCK = 32
_MOST_DIMENSIONS_WITH_FEATURES = 4


@dataclass(frozen=True, slots=True)
class Architecture:
    """`dimension` n, `width` of the hidden layers, `blocks` of two layers each; `dropout` of hidden units in training."""

    dimension: int
    width: int
    blocks: int
    dropout: float = 0.0


class _Block(nn.Module):
    """h + B silu(scale(nu) * norm(A h) + shift(nu))."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        self.modulation = nn.Linear(_CLOCK, 2 * width)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, hidden: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        scale, shift = self.modulation(level).chunk(2, dim=-1)
        inner = self.norm(self.first(nn.functional.silu(hidden)))
        return hidden + self.second(self.dropout(nn.functional.silu(inner * (1 + scale) + shift)))


class ScoreNetwork(nn.Module):
    """Starts at zero: before training the score is that of Gaussian data (prediction `residual`)."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        n, width = architecture.dimension, architecture.width
        self.features = n <= _MOST_DIMENSIONS_WITH_FEATURES
        inputs = n * (1 + 2 * _SPACE_FREQUENCIES) if self.features else n
        self.space = nn.Linear(inputs, width)
        self.time = nn.Sequential(nn.Linear(1 + 2 * _TIME_FREQUENCIES, _CLOCK), nn.SiLU(), nn.Linear(_CLOCK, _CLOCK), nn.SiLU())
        self.blocks = nn.ModuleList(_Block(width, architecture.dropout) for _ in range(architecture.blocks))
        self.last = nn.Linear(width, n)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        angles = level[:, None] * torch.arange(1, _TIME_FREQUENCIES + 1, dtype=x.dtype, device=x.device) * (torch.pi / 4)
        clock = self.time(torch.cat([level[:, None], angles.sin(), angles.cos()], dim=1))
        if self.features:
            waves = [x * 2.0**k for k in range(_SPACE_FREQUENCIES)]
            x = torch.cat([x, *(wave.sin() for wave in waves), *(wave.cos() for wave in waves)], dim=1)
        hidden = self.space(x)
        for block in self.blocks:
            hidden = block(hidden, clock)
        output: torch.Tensor = self.last(nn.functional.silu(hidden))
        return output
