"""Log Z of densities whose integral is known."""

from __future__ import annotations

import math

import torch

from hjbdsl.methods.neural.path_integral import Sampler, SamplerSettings


def off_centre(x: torch.Tensor) -> torch.Tensor:
    """A Gaussian of mean 1 and variance 1/4, without its constant."""
    return -2.0 * ((x - 1.0) ** 2).sum(1)


def test_a_gaussian_off_the_start() -> None:
    sampler = Sampler(
        lambda x: -2.0 * ((x - 1.0) ** 2).sum(1), torch.zeros(2), 1.0, settings=SamplerSettings(steps=20, rounds=40)
    )
    untrained = sampler.log_z(1024)
    sampler.train()
    found = sampler.log_z(2048)
    exact = math.log(2.0 * math.pi * 0.25)
    assert found.lower <= exact <= found.upper
    assert found.upper - found.lower < 0.1
    assert found.effective > 0.8 > untrained.effective
    assert found.evaluations > untrained.evaluations


def test_draws_follow_the_density() -> None:
    sampler = Sampler(
        lambda x: -2.0 * ((x - 1.0) ** 2).sum(1), torch.zeros(2), 1.0, settings=SamplerSettings(steps=20, rounds=60)
    )
    sampler.train()
    x, log_w = sampler.draw(4000)
    w = torch.softmax(log_w, 0)[:, None]
    mean = (w * x).sum(0)
    assert torch.allclose(mean, torch.ones(2, dtype=torch.float64), atol=0.05)
    assert torch.allclose((w * (x - mean) ** 2).sum(0), torch.full((2,), 0.25, dtype=torch.float64), atol=0.03)
