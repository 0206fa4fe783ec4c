"""Densities whose integral is known, for samplers of unnormalised densities: log rho in torch, exact draws in numpy, log Z."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from hjbdsl.model.solution import Array

_LINE = np.linspace(-5.0, 5.0, 40_001)


@dataclass(frozen=True, slots=True)
class Target:
    """`spread` of the Gaussian from which tempering starts, `noise` of the path-integral sampler."""

    name: str
    log_density: Callable[[torch.Tensor], torch.Tensor]
    draw: Callable[[int, np.random.Generator], Array]
    dimension: int
    spread: float
    noise: float
    log_z: float


def nine_gaussians(x: torch.Tensor) -> torch.Tensor:
    """On a square grid of width 5, of variance 0.3 each."""
    places = torch.tensor([[a, b] for a in (-5.0, 0.0, 5.0) for b in (-5.0, 0.0, 5.0)])
    squares = ((x[:, None, :] - places.to(x)) ** 2).sum(-1)
    return torch.logsumexp(-squares / (2 * 0.3), 1) - np.log(9 * 2 * np.pi * 0.3)


def draw_nine_gaussians(count: int, random: np.random.Generator) -> Array:
    return 5.0 * random.integers(-1, 2, size=(count, 2)) + np.sqrt(0.3) * random.standard_normal((count, 2))


def funnel(x: torch.Tensor) -> torch.Tensor:
    """Neal's: x_1 ~ N(0, 9), the others N(0, exp(x_1))."""
    first, rest = x[:, 0], x[:, 1:]
    lead = -(first**2) / 18 - np.log(3 * np.sqrt(2 * np.pi))
    follow = -(rest**2).sum(1) * torch.exp(-first) / 2 - rest.shape[1] / 2 * (first + np.log(2 * np.pi))
    return lead + follow


def draw_funnel(count: int, random: np.random.Generator) -> Array:
    first = 3.0 * random.standard_normal((count, 1))
    return np.concatenate([first, np.exp(first / 2) * random.standard_normal((count, 9))], axis=1)


def many_well(x: torch.Tensor) -> torch.Tensor:
    """Five double wells -(x^2 - 1.5)^2 in the first coordinates, Gaussians in the other five."""
    wells, rest = x[:, :5], x[:, 5:]
    return -((wells**2 - 1.5) ** 2).sum(1) - (rest**2).sum(1) / 2


def draw_many_well(count: int, random: np.random.Generator) -> Array:
    share = np.cumsum(_well())
    wells = np.interp(random.random((count, 5)), share / share[-1], _LINE)
    return np.concatenate([wells, random.standard_normal((count, 5))], axis=1)


def _well() -> Array:
    density: Array = np.exp(-((_LINE**2 - 1.5) ** 2))
    return density


TARGETS = (
    Target("nine Gaussians, 2-d", nine_gaussians, draw_nine_gaussians, 2, 5.0, 5.0, 0.0),
    Target("funnel, 10-d", funnel, draw_funnel, 10, 10.0, 2.0, 0.0),
    Target(
        "many-well, 10-d", many_well, draw_many_well, 10, 2.0, 1.5,
        5 * float(np.log(np.trapezoid(_well(), _LINE))) + 2.5 * float(np.log(2 * np.pi)),
    ),
)  # fmt: skip
