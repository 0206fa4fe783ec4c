"""The time-reversed sampler: weights of mean Z whatever was learned, tempering, kernels exact for Gaussians."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hjbdsl.errors import SolverError
from hjbdsl.methods.neural.annealing import Annealing, AnnealingSettings, value_and_slope
from hjbdsl.methods.neural.denoising_kernel import DenoisingKernel
from hjbdsl.methods.neural.time_reversed import ReversalSettings, TimeReversedSampler

SHORT = ReversalSettings(levels=32, steps=800, width=32, draws=1024, annealing=AnnealingSettings(1024, moves=6))
POOR = ReversalSettings(levels=8, steps=1, rounds=1, width=8, annealing=AnnealingSettings(512, moves=2))


def off_centre(x: torch.Tensor) -> torch.Tensor:
    """A Gaussian of mean 1 and variance 1/4, without its constant: log Z = log(pi/2) in two dimensions."""
    return -2.0 * ((x - 1.0) ** 2).sum(1)


def two_bumps(x: torch.Tensor) -> torch.Tensor:
    """Masses 3 and 1 at -2 and 2 in one dimension, deviation 0.3: log Z = log 4."""
    left, right = -((x[:, 0] + 2) ** 2) / 0.18, -((x[:, 0] - 2) ** 2) / 0.18
    return torch.logaddexp(left + math.log(3.0), right) - 0.5 * math.log(2 * math.pi * 0.09)


def test_a_kernel_that_has_learned_nothing_is_exact_for_gaussian_data() -> None:
    kernel = DenoisingKernel(torch.tensor([0.5, -1.0]), 1.5, 8, 1)
    x, level, lower = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.8]]), torch.tensor([[0.5]])
    mean, variance = kernel(x, level, torch.zeros(1, 2)).step(x, level, lower)
    # (x', x) jointly Gaussian: variances 2.25 + 0.25 and 2.25 + 0.64, covariance 2.25 + 0.25
    slope = 2.5 / 2.89
    assert mean[0].tolist() == pytest.approx([0.5 + slope * 1.5, -1.0 + slope * 1.0], rel=1e-5)
    assert variance[0].tolist() == pytest.approx([2.5 - 2.5 * slope] * 2, rel=1e-5)


def test_tempering_finds_masses_apart() -> None:
    tempering = Annealing(two_bumps, torch.zeros(1), 3.0, AnnealingSettings(2048, moves=6), torch.Generator().manual_seed(0))
    x = tempering.run()[:, 0]
    assert float((x < 0).double().mean()) == pytest.approx(0.75, abs=0.06)
    assert float(x[x > 0].std()) == pytest.approx(0.3, abs=0.04)
    assert tempering.evaluations > 0


def test_slopes_are_numbers_where_the_density_is_none() -> None:
    value, slope = value_and_slope(lambda x: torch.log(x[:, 0]), torch.tensor([[2.0], [-1.0]]))
    assert value.tolist() == [pytest.approx(math.log(2.0)), -math.inf]
    assert slope[:, 0].isfinite().all()


def test_weights_have_mean_z_before_anything_is_learned() -> None:
    """One step of training: poor weights, but of the right mean; both ways agree."""
    sampler = TimeReversedSampler(off_centre, torch.zeros(2), 1.0, POOR)
    with pytest.raises(SolverError, match="not been trained"):
        sampler.draw(10)
    sampler.train()
    exact = math.log(math.pi / 2)
    found = sampler.log_z(20_000)
    assert found.lower <= exact
    assert found.value == pytest.approx(exact, abs=0.1)
    states = torch.as_tensor(1.0 + 0.5 * np.random.default_rng(1).standard_normal((5000, 2)))
    both = sampler.log_z_both_ways(states, 5000)
    assert both.lower <= exact <= both.upper < both.lower + 0.2


@pytest.mark.slow
@pytest.mark.parametrize(("density", "dimension", "log_z"), [(off_centre, 2, math.log(math.pi / 2)), (two_bumps, 1, math.log(4))])
def test_log_z_and_draws(density, dimension: int, log_z: float) -> None:  # type: ignore[no-untyped-def]
    sampler = TimeReversedSampler(density, torch.zeros(dimension), 3.0, SHORT, seed=2)
    sampler.train()
    found = sampler.log_z(8192)
    assert found.effective > 0.5
    assert found.lower <= log_z <= found.upper
    assert found.value == pytest.approx(log_z, abs=0.05)
    assert sampler.evaluations > 0 < sampler.slopes
    x, log_w = sampler.draw(8192)
    shares = torch.softmax(log_w, 0)
    if dimension == 1:
        assert float(shares[x[:, 0] < 0].sum()) == pytest.approx(0.75, abs=0.03)
    else:
        assert float((shares * x[:, 0]).sum()) == pytest.approx(1.0, abs=0.03)


def test_the_seed_fixes_the_answer() -> None:
    first, second = (TimeReversedSampler(off_centre, torch.zeros(2), 1.0, POOR, seed=7) for _ in "ab")
    first.train()
    second.train()
    assert first.log_z(500) == second.log_z(500)
