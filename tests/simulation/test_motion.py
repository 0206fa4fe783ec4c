"""Noise, drift and the ends of a state against exact laws."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hjbdsl.simulation import simulate
from tests.simulation.processes import many, nothing_chosen, process_of

EVALUATE = "evaluate E integral(0, 1) x dt\n"


def _mean_is(values: NDArray[np.float64], expected: float, bias: float = 0.0) -> None:
    """Within 4.5 standard errors and what the step may leave."""
    assert abs(values.mean() - expected) < 4.5 * values.std() / np.sqrt(len(values)) + bias


def test_a_geometric_brownian_motion_is_exact_at_any_step() -> None:
    process = process_of("param mu = 0.3, s = 0.4\nstate x > 0\nnoise W\ndx = mu*x dt + s*x dW\n" + EVALUATE)
    x = simulate(process, nothing_chosen(), many(40_000, 2.0), 0.25, 4, np.random.default_rng(0)).x[:, -1, 0]
    _mean_is(np.log(x), np.log(2) + 0.3 - 0.08)
    _mean_is((np.log(x) - np.log(2) - 0.22) ** 2, 0.16)
    _mean_is(x, 2 * np.exp(0.3))


def test_an_ornstein_uhlenbeck_process_has_its_moments() -> None:
    process = process_of("state x in R\nnoise W\ndx = -2*x dt + 0.5 dW\n" + EVALUATE)
    x = simulate(process, nothing_chosen(), many(40_000, 1.0), 0.05, 20, np.random.default_rng(1)).x[:, -1, 0]
    _mean_is(x, np.exp(-2), bias=2e-4)
    _mean_is((x - np.exp(-2)) ** 2, 0.25 * (1 - np.exp(-4)) / 4, bias=4e-4)


def test_the_predictor_and_corrector_are_of_second_order() -> None:
    process = process_of("state x in R\ndx = -2*x dt\nevaluate integral(0, 1) x dt\n")
    errors = []
    for steps in (10, 20, 40):
        paths = simulate(process, nothing_chosen(), many(1, 1.0), 1 / steps, steps, np.random.default_rng(0))
        errors.append([abs(paths.x[0, -1, 0] - np.exp(-2)), abs(paths.reward[0, -1] - (1 - np.exp(-2)) / 2)])
    orders = np.log2(np.array(errors)[:-1] / np.array(errors)[1:])
    assert (orders > 1.8).all()


def test_a_square_root_process_stays_positive_and_keeps_its_mean() -> None:
    process = process_of("state x > 0\nnoise W\ndx = 0.5*(0.04 - x) dt + 0.2*sqrt(x) dW\n" + EVALUATE)
    paths = simulate(process, nothing_chosen(), many(40_000, 0.01), 0.02, 50, np.random.default_rng(2))
    assert (paths.x > 0).all()
    _mean_is(paths.x[:, -1, 0], 0.04 - 0.03 * np.exp(-0.5), bias=3e-4)


def test_noises_are_correlated_also_perfectly() -> None:
    for correlation in (0.95, 1.0):
        text = f"state x in R, y in R\nnoise W, B\ndW dB = {correlation} dt\ndx = dW\ndy = 2 dB\n"
        process = process_of(text + EVALUATE)
        end = simulate(process, nothing_chosen(), many(20_000, 0.0, 0.0), 0.5, 2, np.random.default_rng(3)).x[:, -1]
        assert np.corrcoef(end.T)[0, 1] == pytest.approx(correlation, abs=5e-3)
        assert end.std(axis=0) == pytest.approx([1, 2], rel=0.03)


def test_correlations_may_vary_from_place_to_place() -> None:
    text = "state x in R, y in R\nnoise W, B\ndW dB = tanh(x) dt\ndx = 0 dt\ndy = dW + dB\n"
    process = process_of(text + EVALUATE)
    paths = simulate(process, nothing_chosen(), many(40_000, 0.5, 0.0), 0.5, 2, np.random.default_rng(4))
    _mean_is(paths.x[:, -1, 1] ** 2, 2 + 2 * np.tanh(0.5))


def test_between_two_walls_the_law_becomes_uniform() -> None:
    process = process_of("state x in [0, 2]\nnoise W\ndx = dW\nevaluate E integral(0, 6) x dt\n")
    x = simulate(process, nothing_chosen(), many(40_000, 0.2), 0.05, 120, np.random.default_rng(5)).x[:, -1, 0]
    assert x.min() >= 0
    assert x.max() <= 2
    _mean_is(x, 1.0)
    _mean_is((x - 1) ** 2, 1 / 3)


def test_reflection_at_one_wall_is_the_absolute_value() -> None:
    process = process_of("state x >= 0\nnoise W\ndx = dW\n" + EVALUATE)
    x = simulate(process, nothing_chosen(), many(40_000, 0.0), 0.1, 10, np.random.default_rng(6)).x[:, -1, 0]
    _mean_is(x, np.sqrt(2 / np.pi))


def test_angles_wrap() -> None:
    process = process_of("state x in circle\nnoise W\ndx = 1 dt + 0.1 dW\nevaluate E integral(0, 10) cos(x) dt\n")
    paths = simulate(process, nothing_chosen(), many(1000, 3.0), 0.1, 100, np.random.default_rng(7))
    assert np.abs(paths.x).max() <= np.pi
    mean = np.exp(1j * paths.x[:, -1, 0]).mean()
    assert np.angle(mean) == pytest.approx(13.0 - 4 * np.pi, abs=0.05)


def test_the_same_seed_gives_the_same_paths() -> None:
    process = process_of("state x in R\nnoise W\njump N rate 2 mark J ~ normal(0, 1)\ndx = -x dt + dW + J dN\n" + EVALUATE)
    first, second = (simulate(process, nothing_chosen(), many(50, 0.0), 0.1, 10, np.random.default_rng(8)) for _ in range(2))
    assert (first.x == second.x).all()
    assert (first.reward == second.reward).all()
