"""log Z from weights both ways: measures whose density ratio is known, with and without a variance."""

from __future__ import annotations

import numpy as np
import pytest

from hjbdsl.numeric.importance_weights import log_mean
from hjbdsl.numeric.two_sided import two_sided


def normal_pair(random: np.random.Generator, count: int, deviation: float, log_z: float) -> tuple[np.ndarray, np.ndarray]:
    """log w = log Z + log N(x; 0, 1)/N(x; 0, deviation²) under the wider or narrower law, and under N(0, 1)."""

    def log_w(x: np.ndarray) -> np.ndarray:
        return log_z - x**2 / 2 + x**2 / (2 * deviation**2) + np.log(deviation)

    return log_w(deviation * random.standard_normal(count)), log_w(random.standard_normal(count))


@pytest.mark.parametrize("deviation", [0.6, 1.0, 2.5])
def test_the_interval_contains_log_z(deviation: float) -> None:
    random, log_z = np.random.default_rng(3), 4.2
    found = [two_sided(*normal_pair(random, 2000, deviation, log_z)) for _ in range(150)]
    assert all(each.converged for each in found)
    assert np.mean([each.lower <= log_z <= each.upper for each in found]) >= 0.97
    assert max(each.upper - each.lower for each in found) < 0.35


def test_it_has_two_ends_where_the_weights_alone_have_none() -> None:
    # N(0, 0.6²) for N(0, 1): E w² is infinite
    forward, backward = normal_pair(np.random.default_rng(4), 20_000, 0.6, 0.0)
    assert not log_mean(forward).converged
    found = two_sided(forward, backward)
    assert found.converged
    assert found.lower <= 0.0 <= found.upper < found.lower + 0.06
    assert 0.5 < found.overlap < 1.0


def test_equal_measures_and_disjoint_ones() -> None:
    same = two_sided(np.full(400, 1.5), np.full(400, 1.5))
    assert (same.value, same.overlap) == (pytest.approx(1.5), pytest.approx(1.0))
    random = np.random.default_rng(5)
    apart = two_sided(random.normal(-400.0, 20.0, 1000), random.normal(400.0, 20.0, 1000))
    assert not apart.converged
    assert "unreliable" in str(apart)
    lost = np.where(np.arange(4000) % 2 == 0, np.log(2.0), -np.inf)  # half of the paths end where rho is zero
    found = two_sided(lost, np.full(1000, np.log(2.0)))
    assert found.lower <= 0.0 <= found.upper
