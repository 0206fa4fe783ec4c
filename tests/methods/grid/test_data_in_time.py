"""What happens in a short while is not stepped over: pulses, windows and sudden controls against formulas."""

import numpy as np
import pytest
from scipy.special import ndtr

from hjbdsl.frontend.load import loads_problem
from hjbdsl.methods import grid
from hjbdsl.methods.grid.data_in_time import DataInTime
from hjbdsl.methods.grid.time_mesh import graded_times
from hjbdsl.model.solution import Accepted
from hjbdsl.symbolic.derive import derive

WINDOW = "if(t >= 0.4 and t < 0.42, {}, 0)"
DECAYING = "state x in R\nnoise W\ndx = -x dt + 0.3 dW\nevaluate E integral(0, 1) {} dt\nregion x in [-1, 1]\n"
DRIVEN = """
state x in R
control u in R
noise W
dx = if({open}, {gain}, 0)*u dt + 0.2 dW
minimize E (integral(0, 1) 0.1*u^2 dt + x(1)^2)
region x in [-1, 1]
"""


def solved(text):
    answer = grid.solve(derive(loads_problem(text)))
    assert isinstance(answer, Accepted), answer
    assert answer.solution.status == "converged"
    return answer.solution


def at_start(solution, x):
    points = np.asarray(x, dtype=float).reshape(len(x), -1)
    return solution.function.evaluate(np.zeros(len(x)), points, np.zeros(len(x), dtype=np.int64))


def mean_size(x, t):
    """E |X_t| for dX = -X dt + 0.3 dW."""
    m, s = x * np.exp(-t), np.sqrt(0.045 * -np.expm1(-2 * t))
    return s * np.sqrt(2 / np.pi) * np.exp(-((m / s) ** 2) / 2) + m * (2 * ndtr(m / s) - 1)


@pytest.mark.parametrize("width", [0.02, 0.001])
def test_a_pulse_of_reward(width):
    solution = solved(DECAYING.format(f"50*exp(-((t - 0.371)/{width})^2)*|x|"))
    times = np.linspace(0.371 - 8 * width, 0.371 + 8 * width, 4001)[None, :]
    x = np.array([1.0, 0.5, 0.0])
    wanted = np.trapezoid(50 * np.exp(-(((times - 0.371) / width) ** 2)) * mean_size(x[:, None], times), times)
    found = at_start(solution, x)
    assert np.all(np.abs(found.value - wanted) <= found.error)
    assert np.all(found.error < 1e-3 * np.max(wanted))


@pytest.mark.parametrize("window", ["t >= 0.4 and t < 0.42", "t > 0.4 and t <= 0.42"])
def test_a_reward_in_a_window(window):
    solution = solved(DECAYING.format(f"if({window}, 50, 0)*|x|"))
    times = np.linspace(0.4, 0.42, 2001)[None, :]
    x = np.array([1.0, 0.5, 0.0])
    wanted = np.trapezoid(50 * mean_size(x[:, None], times), times)
    found = at_start(solution, x)
    assert np.all(np.abs(found.value - wanted) <= found.error)
    assert np.all(found.error < 5e-3)


@pytest.mark.slow
@pytest.mark.parametrize("gain", [30, 1])
def test_a_control_that_acts_in_a_window(gain):
    """V = p x^2 + q, p' = 10 gain^2 p^2 where it acts, q' = -0.04 p."""
    solution = solved(DRIVEN.format(open="t >= 0.4 and t < 0.42", gain=gain))
    rate = 10.0 * gain**2
    before = 1.0 / (1.0 + 0.02 * rate)
    spread = 0.04 * (0.58 + np.log1p(0.02 * rate) / rate + 0.4 * before)
    x = np.array([1.0, 0.5, 0.0])
    found = at_start(solution, x)
    assert np.all(np.abs(found.value - before * x**2 - spread) <= found.error)
    assert np.all(found.error < 5e-3)
    t = np.array([0.3, 0.399, 0.405, 0.415, 0.4195, 0.4201, 0.425, 0.5, 0.9])
    acted = rate * np.clip(0.42 - t, 0.0, 0.02)
    wanted = 1.0 / (1.0 + acted) + 0.04 * (
        np.minimum(1.0 - t, 0.58) + np.log1p(acted) / rate + np.maximum(0.4 - t, 0.0) / (1.0 + acted)
    )
    later = solution.function.evaluate(t, np.ones((t.size, 1)), np.zeros(t.size, dtype=np.int64))
    assert np.all(np.abs(later.value - wanted) <= later.error)
    assert np.all(later.error < 0.01)


def test_a_moment_at_which_to_stop():
    text = """
state x in R
noise W
stopping tau in [0, 1]
dx = 0.3 dW
maximize E exp(-((tau - 0.371)/0.01)^2)
region x in [-1, 1]
"""
    found = at_start(solved(text), [0.0, 0.7])
    assert np.all(np.abs(found.value - 1.0) <= found.error)
    assert np.all(found.error < 1e-3)


def test_without_noise():
    """Explicit steps are kept, and end, where the data change: V(0, x) is the integral of the pulse times x exp(-t)."""
    text = "state x in R\ndx = -x dt\nevaluate E integral(0, 1) 50*exp(-((t - 0.371)/0.004)^2)*x dt\nregion x in [1, 2]\n"
    solution = solved(text)
    times = np.linspace(0.33, 0.41, 4001)
    weight = np.trapezoid(50 * np.exp(-(((times - 0.371) / 0.004) ** 2) - times), times)
    found = at_start(solution, [1.0, 1.7])
    assert np.all(np.abs(found.value - weight * np.array([1.0, 1.7])) <= found.error)
    assert np.all(found.error < 0.02)


def test_steps_follow_the_data():
    data = DataInTime(derive(loads_problem(DECAYING.format(WINDOW.format("x")))), 1.0)
    np.testing.assert_allclose(data.turns, [0.4, 0.42], rtol=1e-12)
    times = data.turning(data.followed(graded_times(1.0, 41), 400), 1.0)
    assert np.all(np.diff(times) > 0)
    assert times.size < 150
    assert all(np.min(np.abs(times - turn)) < 1e-11 and np.all(np.abs(times - turn) > 0) for turn in data.turns)
    short = DataInTime(derive(loads_problem(DECAYING.format("if(t >= 0.4 and t < 0.40001, 50, 0)*x"))), 1.0)
    for falling in (1, -1):
        times = short.turning(short.followed(graded_times(1.0, 41), 400)[::falling], -1.0)
        assert np.all(falling * np.diff(times) > 0)
        assert all(np.min(np.abs(times - turn)) < 1e-11 for turn in (0.4, 0.40001))
    assert data.abrupt
    assert not DataInTime(derive(loads_problem(DECAYING.format("(2 + sin(3*t))*x"))), 1.0).abrupt
    still = DataInTime(derive(loads_problem(DECAYING.format("x"))), 1.0)
    np.testing.assert_array_equal(still.followed(graded_times(1.0, 41), 400), graded_times(1.0, 41))


@pytest.mark.slow
def test_explicit_steps_in_two_states_follow_the_data_too():
    """Two independent copies: the levels tell of the error in time, which no noise and no drift calls for."""
    text = """
state x in R, y in R
noise W, B
dx = -x dt + 0.3 dW
dy = -y dt + 0.3 dB
evaluate E integral(0, 1) 50*exp(-((t - 0.371)/0.02)^2)*(|x| + |y|) dt
region x in [-1, 1], y in [-1, 1]
"""
    solution = solved(text)
    assert "explicit" in " ".join(solution.evidence.statements)
    times = np.linspace(0.211, 0.531, 4001)
    weight = 50 * np.exp(-(((times - 0.371) / 0.02) ** 2))
    wanted = [sum(np.trapezoid(weight * mean_size(x, times), times) for x in pair) for pair in ((1.0, 1.0), (0.0, 0.5))]
    found = at_start(solution, [(1.0, 1.0), (0.0, 0.5)])
    assert np.all(np.abs(found.value - wanted) <= found.error)
    assert np.all(found.error < 1e-3)
