"""Exits and stopping against formulas."""

from __future__ import annotations

import numpy as np
import pytest

from hjbdsl.simulation import Clockwork, GivenPolicy, policy_value, simulate
from tests.simulation.processes import many, nothing_chosen, process_of


def test_a_drifting_motion_leaves_at_the_right_end_with_its_probability() -> None:
    text = "state x in R\nnoise W\ndx = -0.3 dt + 0.8 dW\nexit tau when x <= -1 or x >= 2\nevaluate E if(x(tau) > 0, 1, 0)\n"
    paths = simulate(process_of(text), nothing_chosen(), many(5000, 0.5), 0.1, 1000, np.random.default_rng(0))
    rise = np.exp(0.6 * np.array([-1, 0.5, 2]) / 0.64)
    expected = (rise[1] - rise[0]) / (rise[2] - rise[0])
    assert (paths.ended == 2).all()
    assert abs(paths.reward[:, -1].mean() - expected) < 4.5 * np.sqrt(expected * (1 - expected) / 5000) + 2e-3
    end = paths.x[:, -1, 0]
    assert np.minimum(np.abs(end - 2), np.abs(end + 1)).max() < 1e-9


def test_the_mean_exit_time_from_a_ball_needs_no_fine_step() -> None:
    text = "state x in R^3\nnoise W in R^3\ndx = 0.7 dW\nexit tau when |x| >= 1.5\nevaluate E integral(0, tau) 1 dt\n"
    start = many(1, 0.3, 0.0, 0.4)
    found = policy_value(process_of(text), nothing_chosen(), start, Clockwork(0.04, 1000), paths=4000, seed=1)
    assert found.mean == pytest.approx((2.25 - 0.25) / (3 * 0.49), abs=found.half_width + found.bias)
    assert found.raw == pytest.approx((2.25 - 0.25) / (3 * 0.49), rel=0.04)
    assert found.ended == (0, 1, 0)


def test_a_path_without_noise_crosses_inside_a_step() -> None:
    text = "state x in R\ndx = x dt\nexit tau when x >= 2\nevaluate integral(0, tau) 1 dt\n"
    paths = simulate(process_of(text), nothing_chosen(), many(1, 1.0), 0.01, 200, np.random.default_rng(2))
    assert paths.end_time[0] == pytest.approx(np.log(2), abs=1e-4)


def test_a_jump_over_the_edge_ends_the_path() -> None:
    text = "state x in R\njump N rate 1\ndx = 3 dN\nexit tau when x >= 2\nevaluate E integral(0, tau) 1 dt + x(tau)\n"
    paths = simulate(process_of(text), nothing_chosen(), many(20_000, 0.0), 0.5, 60, np.random.default_rng(3))
    assert paths.x[:, -1, 0] == pytest.approx(3.0)
    assert paths.reward[:, -1].mean() == pytest.approx(4.0, abs=0.05)


def test_a_path_that_starts_outside_has_ended() -> None:
    text = "state x in R\nnoise W\ndx = dW\nexit tau when x >= 2\nevaluate E integral(0, tau) 1 dt + 7*x(tau)\n"
    paths = simulate(process_of(text), nothing_chosen(), many(3, 2.5), 0.1, 5, np.random.default_rng(4))
    assert (paths.ended == 2).all()
    assert paths.reward[:, -1] == pytest.approx(17.5)


@pytest.mark.slow
def test_a_written_boundary_value_is_paid() -> None:
    text = "state x >= 0\nnoise W\ndx = 0.2 dt + 0.5 dW\nboundary x = 0 : value 3\nevaluate E integral(0, inf) exp(-0.4*t)*x dt\n"
    process = process_of(text)
    found = policy_value(process, nothing_chosen(), many(1, 0.5), Clockwork(0.05, 400), paths=8000, seed=5)
    root = (-0.2 - np.sqrt(0.04 + 2 * 0.25 * 0.4)) / 0.25
    particular = 0.5 / 0.4 + 0.2 / 0.16
    expected = particular + (3 - 0.2 / 0.16) * np.exp(0.5 * root)
    assert found.mean == pytest.approx(expected, abs=found.half_width + found.bias + 2e-3)


@pytest.mark.slow
def test_stopping_pays_at_the_boundary_of_the_policy() -> None:
    text = (
        "param r = 0.05, s = 0.3, K = 1\nstate x > 0\nnoise W\ndx = r*x dt + s*x dW\nstopping tau in [0, inf]\n"
        "maximize E exp(-r*tau)*max(K - x(tau), 0)\n"
    )
    process = process_of(text)
    power = 2 * 0.05 / 0.09
    edge = power / (1 + power)
    rule = GivenPolicy(lambda t, x, _mode: (np.zeros((len(t), 0)), x[:, 0] <= edge))
    paths = simulate(process, rule, many(4000, 1.0), 0.05, 1600, np.random.default_rng(6))
    expected = (1 - edge) * edge**power
    assert set(np.unique(paths.ended)) <= {0, 3}
    assert abs(paths.reward[:, -1].mean() - expected) < 4.5 * paths.reward[:, -1].std() / 63 + 4e-3


def test_the_running_minimum_is_kept() -> None:
    text = "state x in R\ncontrol a in [-1, 1]\ndx = a dt\nmaximize running_min(0, 2) x^2 - 0.5\n"
    process = process_of(text)
    still = GivenPolicy(lambda t, _x, _mode: np.full((len(t), 1), -1.0))
    paths = simulate(process, still, many(1, 1.5), 0.1, 20, np.random.default_rng(7))
    assert paths.reward[0, 10] == pytest.approx(0.25 - 0.5, abs=1e-9)
    assert paths.reward[0, -1] == pytest.approx(-0.5, abs=1e-9)
