"""Intervals of log weights whose log mean is 0 by construction: they must hold whatever the tail."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from hjbdsl.errors import SolverError
from hjbdsl.numeric.importance_weights import log_mean, tail_index

Draw = Callable[[np.random.Generator, int], np.ndarray]


def normal(spread: float) -> Draw:
    return lambda random, count: random.normal(-(spread**2) / 2, spread, count)


def pareto(k: float) -> Draw:
    """w = (1 - k) U^(-k)."""
    return lambda random, count: random.exponential(k, count) + math.log(1.0 - k)


def bounded(random: np.random.Generator, count: int) -> np.ndarray:
    """w = 2 U."""
    return math.log(2.0) - random.exponential(1.0, count)


@pytest.mark.parametrize("count", [1024, 4096])
@pytest.mark.parametrize(
    "draw", [normal(0.3), normal(1.0), normal(1.5), normal(3.0), pareto(0.4), pareto(0.5), pareto(0.7), pareto(0.9), bounded]
)
def test_the_interval_contains_the_log_mean(draw: Draw, count: int) -> None:
    random = np.random.default_rng(7)
    found = [log_mean(draw(random, count)) for _ in range(300)]
    assert np.mean([each.lower <= 0.0 <= each.upper for each in found]) >= 0.97
    assert all(math.isinf(each.upper) != each.converged for each in found)


@pytest.mark.parametrize("draw", [normal(3.0), pareto(0.8), pareto(0.9)])
def test_a_heavy_tail_is_called_unreliable(draw: Draw) -> None:
    random = np.random.default_rng(8)
    found = [log_mean(draw(random, 4096)) for _ in range(50)]
    assert np.mean([each.converged for each in found]) < 0.05
    assert "unreliable" in str(next(each for each in found if not each.converged))


@pytest.mark.parametrize("draw", [normal(0.3), normal(0.7), pareto(0.2), bounded])
def test_a_light_tail_keeps_both_ends(draw: Draw) -> None:
    random = np.random.default_rng(9)
    found = [log_mean(draw(random, 4096)) for _ in range(50)]
    assert np.mean([each.converged for each in found]) > 0.9
    assert max(each.upper - each.lower for each in found if each.converged) < 0.3


@pytest.mark.parametrize("k", [0.3, 0.7, 1.2])
def test_the_tail_index_is_that_of_pareto_weights(k: float) -> None:
    random = np.random.default_rng(10)
    weights = np.exp(random.exponential(k, 200_000))
    found, error = tail_index(weights)
    assert abs(found - k) < 3.0 * error


def test_what_is_at_the_edges() -> None:
    equal = log_mean(np.full(1000, 2.0))
    assert equal.converged
    assert equal.lower <= 2.0 <= equal.upper < 2.0 + 1e-9
    half = log_mean(np.where(np.arange(1000) % 2 == 0, 0.0, -np.inf))
    assert half.lower <= math.log(0.5) <= half.upper < math.log(0.6)
    lone = log_mean(np.where(np.arange(1000) == 0, 0.0, -np.inf))
    assert not lone.converged
    assert lone.lower == -math.inf
    for bad in (np.full(10, -np.inf), np.full(10, np.nan), np.array([0.0, np.inf])):
        with pytest.raises(SolverError):
            log_mean(bad)
