"""Jumps and modes against exact laws."""

from __future__ import annotations

import numpy as np
import pytest

from hjbdsl.simulation import GivenPolicy, simulate
from tests.simulation.processes import many, nothing_chosen, process_of

EVALUATE = "evaluate E integral(0, 2) x dt\n"


@pytest.mark.parametrize(
    ("law", "mean", "square"),
    [
        ("normal(0.3, 0.5)", 0.3, 0.59),
        ("exponential(4)", 0.25, 0.125),
        ("uniform(-1, 3)", 1.0, 1 + 4 / 3),
        ("{-1: 0.25, 2: 0.75}", 1.25, 3.25),
    ],
)
def test_a_compound_poisson_process_has_its_moments(law: str, mean: float, square: float) -> None:
    process = process_of(f"state x in R\njump N rate 1.5 mark J ~ {law}\ndx = J dN\n" + EVALUATE)
    x = simulate(process, nothing_chosen(), many(30_000, 0.0), 0.25, 8, np.random.default_rng(0)).x[:, -1, 0]
    for values, expected in ((x, 3 * mean), ((x - 3 * mean) ** 2, 3 * square)):
        assert abs(values.mean() - expected) < 4.5 * values.std() / np.sqrt(len(values))


def test_many_jumps_fit_into_one_step() -> None:
    process = process_of("state x in R\njump N rate 20\ndx = dN\n" + EVALUATE)
    x = simulate(process, nothing_chosen(), many(5000, 0.0), 1.0, 2, np.random.default_rng(1)).x[:, -1, 0]
    assert x.mean() == pytest.approx(40, abs=0.5)
    assert x.var() == pytest.approx(40, rel=0.1)


def test_a_rate_that_depends_on_the_state_makes_a_birth_process() -> None:
    process = process_of("state x in R\njump N rate 0.8*x\ndx = dN\n" + EVALUATE)
    x = simulate(process, nothing_chosen(), many(20_000, 1.0), 0.05, 40, np.random.default_rng(2)).x[:, -1, 0]
    assert abs(x.mean() - np.exp(1.6)) < 4.5 * x.std() / np.sqrt(len(x))
    assert np.mean(x == 1) == pytest.approx(np.exp(-1.6), abs=0.02)


def test_a_chain_with_controlled_rates_on_a_finite_set() -> None:
    text = (
        "state q in {0..3}\ncontrol u in [0, 2]\njump U rate u*indicator(q < 3)\njump D rate indicator(q > 0)\ndq = dU - dD\n"
        "maximize E integral(0, 8) q dt\n"
    )
    process = process_of(text)
    always = GivenPolicy(lambda t, _x, _mode: np.full((len(t), 1), 2.0))
    q = simulate(process, always, many(8000, 0.0), 0.1, 80, np.random.default_rng(3)).x[:, -1, 0]
    expected = 2.0 ** np.arange(4) / 15
    assert np.bincount(q.astype(int), minlength=4) / len(q) == pytest.approx(expected, abs=0.025)


def test_modes_reach_their_stationary_law_and_set_the_drift() -> None:
    text = (
        "mode z in {slow, fast}\nrate slow -> fast = 0.6, fast -> slow = 1.4\nparam mu(z) = {slow: 1, fast: 3}\n"
        "state x in R\ndx = mu(z) dt\nevaluate E integral(0, 8) x dt\n"
    )
    process = process_of(text)
    paths = simulate(process, nothing_chosen(), many(10_000, 0.0), 0.1, 80, np.random.default_rng(4))
    assert paths.mode[:, -1].mean() == pytest.approx(0.3, abs=0.015)
    drift = 8 * 1.6 - 2 * 0.3 * (1 - np.exp(-16)) / 2  # the chain starts in `slow` and relaxes at rate 2
    assert abs(paths.x[:, -1, 0].mean() - drift) < 4.5 * paths.x[:, -1, 0].std() / 100 + 1e-2


def test_two_chains_do_not_disturb_one_another() -> None:
    text = (
        "mode z in {a, b}\nmode y in {c, d, e}\nrate a -> b = 1, b -> a = 1, c -> d = 2, d -> e = 2, e -> c = 1\n"
        "param m(z) = {a: 0, b: 1}, n(y) = {c: 0, d: 1, e: 2}\n"
        "state x in R\ndx = (m(z) + n(y)) dt\nevaluate E integral(0, 6) x dt\n"
    )
    process = process_of(text)
    mode = simulate(process, nothing_chosen(), many(8000, 0.0), 0.1, 60, np.random.default_rng(5)).mode[:, -1]
    labels = np.array(process.problem.mode_tuples())[mode]
    assert np.bincount(labels[:, 0]) / len(labels) == pytest.approx([0.5, 0.5], abs=0.025)
    assert np.bincount(labels[:, 1]) / len(labels) == pytest.approx([0.25, 0.25, 0.5], abs=0.025)


def test_jumps_multiply_wealth() -> None:
    process = process_of("state x > 0\nnoise W\njump N rate 0.5\ndx = 0.1*x dt + 0.2*x dW - 0.4*x dN\n" + EVALUATE)
    x = simulate(process, nothing_chosen(), many(40_000, 1.0), 0.1, 20, np.random.default_rng(6)).x[:, -1, 0]
    assert (x > 0).all()
    assert abs(np.log(x).mean() - (2 * (0.1 - 0.02) + np.log(0.6))) < 4.5 * np.log(x).std() / 200
