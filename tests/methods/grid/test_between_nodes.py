"""What is said between the nodes: beside an end V keeps its slope, and a policy is that of those who are still there."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hjbdsl.methods.grid.function import Worth
from hjbdsl.methods.grid.interpolation import beside_exits, interpolate, monotone, slopes
from hjbdsl.methods.grid.mesh import CIRCLE, OPEN, UNIFORM, WRAP, Axis, Mesh
from tests.methods.grid.test_grid_known_answers import LEAVE, solved


@pytest.mark.parametrize("cells", [4, 9, 40, 300])
def test_a_spline_keeps_its_slope_at_the_ends(cells: int) -> None:
    # a spline mirrored at the ends has no slope there: it errs by a seventh of the slope times the cell
    axis = Axis(UNIFORM, 0.0, 1.0, (0, cells, 0), (0.0, 0.0), (OPEN, OPEN), (False, False))
    mesh = Mesh.of((axis, axis), (cells + 1, cells + 1))
    X, Y = np.meshgrid(*mesh.X, indexing="ij")
    points = np.random.default_rng(3).random((200, 2))
    points[:100] /= 2.0 * cells
    got = interpolate(
        mesh, np.zeros(1), np.sin(1.0 + X - 0.5 * Y)[None, None], np.zeros(200), points, np.zeros(200, int), order=3
    )
    assert np.max(np.abs(got - np.sin(1.0 + points[:, 0] - 0.5 * points[:, 1]))) < 0.1 / cells**3


def test_slopes_at_the_ends_and_round_a_circle() -> None:
    errors = []
    for cells in (32, 64):
        line = Axis(UNIFORM, 0.0, 1.0, (0, cells, 0), (0.0, 0.0), (OPEN, OPEN), (False, False))
        circle = Axis(CIRCLE, -math.pi, math.pi, (0, cells, 0), (0.0, 0.0), (WRAP, WRAP), (False, False))
        mesh = Mesh.of((line, circle), (cells + 1, cells))
        X, Y = np.meshgrid(*mesh.X, indexing="ij")
        V = np.exp(X) * np.sin(Y - 1.0)
        found = [slopes(mesh, V, i) - exact for i, exact in enumerate((V, np.exp(X) * np.cos(Y - 1.0)))]
        errors.append([float(np.max(np.abs(error))) for error in found])
    assert np.all(np.log2(np.divide(*errors)) > 1.8)


@pytest.mark.slow
def test_the_policy_in_the_last_cell_before_an_exit() -> None:
    x = np.array([1e-4, 1e-3, 4e-3, 0.996, 0.9999])
    got = solved(LEAVE, nx=201).function.evaluate(np.zeros(5), x[:, None], np.zeros(5, np.int64))
    m = math.sqrt(0.8) / 0.64
    exact = -0.64 * np.log(np.cosh(m * (x - 0.5)) / math.cosh(m * 0.5))
    assert np.all(np.abs(got.value - exact) <= got.error)
    assert np.max(got.error) < 1e-4
    assert np.max(np.abs(got.control[:, 0] - 0.64 * m * np.tanh(m * (x - 0.5)))) < 0.01


def test_nodes_that_are_gone_take_the_policy_of_their_neighbours() -> None:
    gone = np.array([[[True, True, False], [True, True, False], [False, False, False]]])
    policy = np.where(gone, 99.0, np.arange(9.0).reshape(1, 3, 3))[None, :, None]
    beside_exits(policy, gone)
    assert policy[0, 0, 0, 0, 1] == 2.0  # beside one that is there
    assert policy[0, 0, 0, 1, 1] == 6.0  # between 5 and 7
    assert policy[0, 0, 0, 0, 0] == 0.5 * (2.0 + 6.0)  # beside two that were filled
    assert np.array_equal(policy[0, 0, 0, 2], [6.0, 7.0, 8.0])


def test_bands_of_levels_that_do_not_settle() -> None:
    x = np.linspace(0.0, 1.0, 50)
    slow = [np.sin(x) + (1.0 + x) * 2.0 ** (-0.35 * k) for k in range(3)]
    worth = Worth.of(slow, 0.0)
    value, error = worth.extrapolate(slow)
    assert not worth.settled
    assert np.all(np.abs(value - np.sin(x)) <= error)
    crossing = [np.sin(x) + (x - 0.5), np.sin(x) + 0.4]  # two levels alone may agree by luck
    assert np.min(Worth.of(crossing, 0.0).extrapolate(crossing)[1]) >= 0.4


def test_levels_that_hardly_differ_settle_at_any_order_with_a_wider_band() -> None:
    x = np.linspace(0.0, 1.0, 50)
    for shares in ((1.0, 0.5, 0.45), (1.0, 0.9, 0.8), (0.6, 0.1, 0.5)):  # of an error beside a switch, now here, now there
        levels = [np.sin(x) + 2e-5 * share * (1.0 + x) for share in shares]
        worth = Worth.of(levels, 0.0)
        value, error = worth.extrapolate(levels)
        assert worth.settled
        assert np.all(np.abs(value - np.sin(x)) <= error)
        assert np.max(error) < 1e-3


def test_errors_that_cancel_between_levels_at_a_point_are_in_the_band() -> None:
    # errors of correlated noise, its far field hardly resolved: at every tenth point two kinds cancel, on three levels in a row
    few, most = (0.0041, 0.0049, 0.0052), (0.0285, 0.0150, 0.0085)
    levels = [np.where(np.arange(200) % 10 == 0, 1.0 + a, 1.0 + b) for a, b in zip(few, most, strict=True)]
    worth = Worth.of(levels, 0.0)
    value, error = worth.extrapolate(levels)
    assert worth.trusted
    assert np.all(np.abs(value - 1.0) <= error)


def test_cubics_in_time_do_not_swing_past_a_sharp_turn() -> None:
    """Slices ever further apart beside a turn, where a spline swings a hundred times as far as the values go."""
    times = np.concatenate([np.linspace(0.0, 0.4, 30), 0.4 + 1e-4 * 3.0 ** np.arange(8)])
    values = np.where(times < 0.4, 1.0 / (1.0 + 9000.0 * (0.4 - times)), 1.0)
    t = np.linspace(0.0, times[-1], 2001)
    found = monotone(times, np.repeat(values[:, None], t.size, axis=1), t)
    assert found.min() >= values.min()
    assert found.max() <= 1.0
    np.testing.assert_allclose(found[t >= times[30]], 1.0)
    errors = []
    for count in (40, 80):
        times = np.linspace(0.0, 1.0, count + 1)
        smooth = np.exp(times)
        found = monotone(times, np.repeat(smooth[:, None], t.size, axis=1), t / t[-1])
        errors.append(float(np.max(np.abs(found - np.exp(t / t[-1]))[50:-50])))
    assert errors[0] / errors[1] > 7.0
