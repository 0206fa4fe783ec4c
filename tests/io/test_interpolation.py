"""Interpolation on tensor grids, against polynomials that it must reproduce."""

from __future__ import annotations

import numpy as np
import pytest

from hjbdsl.io.interpolation import interpolate

AXES = (np.array([0.0, 0.3, 1.0, 1.2, 2.0, 3.5]), np.geomspace(0.5, 8.0, 9))


def polynomial(x, y):
    return 1 + x - 2 * x**2 * y + x**3 * y**3 - y**2


def table(function, axes=AXES):
    return function(*np.meshgrid(*axes, indexing="ij"))[..., None]


def test_bicubic_polynomials_are_reproduced_between_uneven_nodes():
    places = np.random.default_rng(0).uniform([0.0, 0.5], [3.5, 8.0], (200, 2))
    found = interpolate(AXES, table(polynomial), places, cubic=True)[:, 0]
    assert found == pytest.approx(polynomial(*places.T), rel=1e-9)


def test_beyond_the_end_the_line_through_the_last_two_points_goes_on():
    axis = (np.array([0.0, 1.0, 2.0, 3.0]),)
    found = interpolate(axis, table(lambda x: 2 * x + 1, axis), np.array([[-2.0], [5.0]]), cubic=True)[:, 0]
    assert found == pytest.approx([-3.0, 11.0])


def test_a_missing_node_costs_smoothness_only_beside_it():
    axis = (np.linspace(0.0, 1.0, 11),)
    values = table(np.square, axis)
    values[0] = np.nan
    places = np.array([[0.02], [0.15], [0.55]])
    found = interpolate(axis, values, places, cubic=True)[:, 0]
    assert found[0] == pytest.approx(0.01)  # the known neighbour
    assert found[1] == pytest.approx(0.025)  # between the two beside it
    assert found[2] == pytest.approx(0.55**2)


def test_an_axis_of_one_point_stands_for_all_places():
    axes = (np.zeros(1), np.linspace(0.0, 1.0, 5))
    found = interpolate(axes, table(lambda t, x: 3 * x + t, axes), np.array([[7.0, 0.4]]), cubic=True)
    assert found[0, 0] == pytest.approx(1.2)
