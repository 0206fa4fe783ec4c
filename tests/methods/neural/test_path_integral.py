"""Log Z of densities whose integral is known."""

from __future__ import annotations

import math

import pytest
import torch

from hjbdsl.methods.neural.path_integral import Sampler, SamplerSettings


def off_centre(x: torch.Tensor) -> torch.Tensor:
    """A Gaussian of mean 1 and variance 1/4, without its constant."""
    return -2.0 * ((x - 1.0) ** 2).sum(1)


@pytest.mark.slow
def test_a_gaussian_off_the_start() -> None:
    sampler = Sampler(
        lambda x: -2.0 * ((x - 1.0) ** 2).sum(1), torch.zeros(2), 1.0, settings=SamplerSettings(steps=20, rounds=40)
    )
    untrained = sampler.log_z(1024)
    before = sampler.evaluations
    sampler.train()
    found = sampler.log_z(2048)
    exact = math.log(2.0 * math.pi * 0.25)
    assert found.lower <= exact <= found.upper
    assert found.upper - found.lower < 0.1
    assert found.effective > 0.8 > untrained.effective
    assert found.converged
    assert sampler.evaluations > before > 0


def test_a_control_that_leaves_the_weights_to_few_paths_claims_no_upper_end() -> None:
    # a funnel: log Z = 0
    def log_density(x: torch.Tensor) -> torch.Tensor:
        first, rest = x[:, 0], x[:, 1:]
        lead = -(first**2) / 18 - math.log(3 * math.sqrt(2 * math.pi))
        return lead - (rest**2).sum(1) * torch.exp(-first) / 2 - rest.shape[1] / 2 * (first + math.log(2 * math.pi))

    found = Sampler(log_density, torch.zeros(10), 2.0, settings=SamplerSettings(steps=20)).log_z(2048)
    assert not found.converged
    assert found.upper == math.inf
    assert found.lower <= 0.0
    assert "unreliable" in str(found)


@pytest.mark.slow
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
