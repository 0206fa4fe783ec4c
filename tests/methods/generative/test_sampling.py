"""Samplers, likelihood, verification gap and steering with exact scores, against moments and densities of the mixture."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from hjbdsl.methods.generative.consistency import equation_residual, gradient_mismatch
from hjbdsl.methods.generative.discrepancy import maximum_mean_discrepancy, median_distance, sliced_wasserstein
from hjbdsl.methods.generative.likelihood import log_density
from hjbdsl.methods.generative.samplers import SAMPLERS, sample
from hjbdsl.methods.generative.start import noised
from hjbdsl.methods.generative.steering import steer
from hjbdsl.methods.generative.tilted_law import tilted_mixture
from hjbdsl.methods.generative.verification_gap import verification_gap
from tests.methods.generative.problems import COUPLED, VARIANCE_PRESERVING, log_density_at_start, moments_at_start, solved


@pytest.fixture(scope="module", params=[VARIANCE_PRESERVING, COUPLED], ids=["isotropic", "coupled"])
def case(request):
    return solved(request.param)


@pytest.mark.parametrize("sampler", [name for name, _ in SAMPLERS])
def test_samplers_reach_the_moments_of_the_data(case, sampler):
    random = np.random.default_rng(1)
    count, steps = 4000, 60
    start = noised(case.law.draw(count, random), case.forward, case.forward.end, random)
    case.score.count.evaluations = 0
    rows = sample(case.score, start, steps, sampler, random)
    expected = {"em": steps, "heun": 2 * steps, "ode": 2 * steps, "exponential": 2 * steps, "pc": 4 * steps}[sampler] + 1
    assert case.score.count.evaluations == expected
    mean, spread = moments_at_start()
    allowance = 0.03 if sampler != "em" else 0.06  # first order: its bias at 60 steps is several per cent of a variance
    assert rows.mean(axis=0) == pytest.approx(mean, abs=4 * np.sqrt(spread.max() / count))
    assert np.cov(rows.T) == pytest.approx(spread, abs=allowance * spread.max() + 4 * spread.max() * np.sqrt(2 / count))


def test_flow_likelihood_is_the_density(case):
    y = np.array([[-1.0, 0.4], [0.9, -0.6], [0.0, 0.0], [2.0, 1.0]])
    found = log_density(case.score, case.law, 0.0, y)
    assert np.all(np.abs(found.value - log_density_at_start(y)) <= found.error + 1e-4)  # 1e-4: the lowest noise level is above 0
    assert found.error.max() < 1e-3


def test_probed_divergence_brackets_the_exact_one(case):
    y = np.array([[0.3, -0.2], [-1.0, 1.0]])
    random = np.random.default_rng(0)
    _, exact = case.score.curvature(0.4, y)
    probes = [case.score.probed_curvature(0.4, y, random.choice([-1.0, 1.0], size=y.shape))[1] for _ in range(400)]
    spread = np.std(probes, axis=0) / 20
    assert np.all(np.abs(np.mean(probes, axis=0) - exact) <= 4 * spread + 1e-8)


def test_the_exact_score_solves_the_equation(case):
    y = np.array([[-1.0, 0.4], [0.5, -0.6], [0.0, 1.2]])
    assert equation_residual(case.score, case.law, 0.5, y).max() < 1e-4
    wrong = solved(VARIANCE_PRESERVING)
    wrong.score.function = ScaledFunction(wrong.score.function)
    assert equation_residual(wrong.score, wrong.law, 0.5, y).max() > 20 * equation_residual(case.score, case.law, 0.5, y).max()
    assert gradient_mismatch(case.score, case.law, 0.5, y) < 1e-3
    assert gradient_mismatch(wrong.score, wrong.law, 0.5, y) > 0.03


class ScaledFunction:
    """A value function whose gradient is 10% too large."""

    def __init__(self, function):
        self.function = function

    def evaluate(self, t, x, mode):
        found = self.function.evaluate(t, x, mode)
        return type(found)(found.value, found.error, 1.1 * found.gradient, found.control)


@pytest.mark.slow
def test_verification_gap_is_half_the_squared_distance():
    case = solved(VARIANCE_PRESERVING)
    gap = verification_gap(case.score, case.law, lambda s, y: case.score(s, y) + 0.4 * np.sin(y), 3000, 160)
    assert gap.distance > 20 * gap.distance_error
    assert abs(gap.cost - gap.distance) <= gap.cost_error + gap.distance_error
    assert gap.cost_error < 0.3 * gap.distance
    # a distance known beforehand: u - u* = S'(c, 0), so half its square integrated is b c^2 T/2 with S S' = b
    constant = verification_gap(case.score, case.law, lambda s, y: case.score(s, y) + np.array([0.3, 0.0]), 2000, 120)
    assert constant.distance == pytest.approx(2 * 0.3**2 * 1.5 / 2, rel=1e-3)
    assert abs(constant.cost - constant.distance) <= constant.cost_error


def test_tilting_a_mixture_is_bayes_rule():
    law = solved(VARIANCE_PRESERVING).law
    constant, slope, bend = 0.3, np.array([0.5, -1.0]), np.array([[0.4, 0.1], [0.1, -0.2]])
    tilted, normaliser = tilted_mixture(law, (constant, slope, bend))
    y = np.array([[0.2, 0.1], [-1.0, 0.7], [1.5, -2.0]])
    reward = constant + y @ slope - np.einsum("ki,ij,kj->k", y, bend, y) / 2
    case = solved(VARIANCE_PRESERVING)
    assert tilted.log_density(case.forward, 0.0, y) == pytest.approx(log_density_at_start(y) + reward - normaliser, abs=1e-10)
    assert tilted_mixture(law, (0.0, slope, np.diag([-5.0, 0.0]))) is None


@pytest.mark.slow
def test_steering_finds_the_tilted_law():
    case = solved(VARIANCE_PRESERVING)
    slope, bend = np.array([0.8, 0.3]), np.diag([0.5, 0.0])
    tilted, normaliser = tilted_mixture(case.law, (0.0, slope, bend))
    found = steer(
        case.score, case.law, lambda y: (y @ slope - np.einsum("ki,ij,kj->k", y, bend, y) / 2, slope - y @ bend), rounds=12
    )
    for estimate in (found.log_normaliser, found.data_log_normaliser):
        assert estimate.converged
        assert estimate.lower - 0.01 <= normaliser <= estimate.upper + 0.01
    assert found.log_normaliser.effective > 0.7
    random = np.random.default_rng(2)
    start = noised(found.law.draw(2000, random), case.forward, case.forward.end, random)
    rows = sample(found.score, start, 40, "exponential", random)
    mean, _ = tilted.moments
    assert rows.mean(axis=0) == pytest.approx(mean, abs=0.1)
    untilted, _ = moments_at_start()
    assert np.linalg.norm(mean - untilted) > 0.25  # or the test would say nothing


def test_discrepancies_by_hand():
    x, y = np.array([[0.0], [1.0]]), np.array([[0.5], [2.0]])
    kernel = lambda a, b: np.mean([np.exp(-((a - b) ** 2) / (2 * w**2)) for w in (0.2, 0.6, 2.0)])  # noqa: E731
    mean = lambda a, b: np.mean([[kernel(p, q) for q in b[:, 0]] for p in a[:, 0]])  # noqa: E731
    expected = np.sqrt(mean(x, x) + mean(y, y) - 2 * mean(x, y))
    assert maximum_mean_discrepancy(x, y, 2.0) == pytest.approx(expected)
    random = np.random.default_rng(0)
    rows = random.standard_normal((4000, 1))
    assert median_distance(rows) == pytest.approx(np.sqrt(2) * norm.ppf(0.75), rel=0.1)
    assert sliced_wasserstein(rows, rows + 0.7) == pytest.approx(0.7, rel=1e-6)
