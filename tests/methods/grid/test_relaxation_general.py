"""The kernels for any number of axes against those that are unrolled for three, and against elimination."""

from __future__ import annotations

import numpy as np
import pytest

from hjbdsl.methods.grid import relaxation, relaxation_general
from hjbdsl.model.solution import Array

STATES, SHAPE = 2, (9, 6, 7)
HALVED, CIRCULAR = np.array([True, True, False]), np.array([False, True, False])
COARSE = (5, 3, 7)
SIZE = STATES * 9 * 6 * 7


def rows() -> tuple[Array, ...]:
    """axial, totals, cols, weights, counts of a diagonally dominant matrix whose rows touch only neighbours that there are."""
    random = np.random.default_rng(1)
    axial = random.random((6, SIZE))
    number = np.arange(SIZE).reshape(STATES, *SHAPE)
    for axis, closed in enumerate(CIRCULAR):
        if not closed:
            axial[2 * axis, np.take(number, -1, axis + 1)] = 0.0
            axial[2 * axis + 1, np.take(number, 0, axis + 1)] = 0.0
    cols, weights = random.integers(0, SIZE, (SIZE, 2)), random.random((SIZE, 2))
    counts = random.integers(0, 3, SIZE)
    totals = axial.sum(axis=0) + np.where(np.arange(2) < counts[:, None], weights, 0.0).sum(axis=1) + 0.5
    return axial, totals, cols, weights, counts


def test_defect_restriction_and_correction_are_those_of_three_axes() -> None:
    random = np.random.default_rng(2)
    V, b, matrix = random.random(SIZE), random.random(SIZE), rows()
    ours, theirs = np.empty(SIZE), np.empty(SIZE)
    norm = relaxation_general.defect(V, b, *matrix, np.array(SHAPE), CIRCULAR, ours)
    assert norm == pytest.approx(relaxation.defect(V, b, *matrix, *SHAPE, CIRCULAR, theirs))
    assert np.allclose(ours, theirs, rtol=0, atol=1e-13)
    fixed, coarse = np.zeros(STATES * 105, np.bool_), np.empty(STATES * 105)
    relaxation.restrict(theirs, coarse, fixed, *SHAPE, HALVED, CIRCULAR, *COARSE)
    assert np.allclose(relaxation_general.restricted(ours, SHAPE, HALVED, CIRCULAR).ravel(), coarse)
    fine = np.zeros(SIZE)
    relaxation.correct(fine, coarse, np.zeros(SIZE, np.bool_), *SHAPE, HALVED, *COARSE)
    assert np.allclose(relaxation_general.interpolated(coarse, COARSE, SHAPE, CIRCULAR).ravel(), fine)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_line_is_solved_exactly(axis: int) -> None:
    """Where nothing couples the lines one sweep, either way, leaves no defect."""
    matrix = rows()
    axial, totals, counts = matrix[0], matrix[1], matrix[4]
    others = [i for i in range(3) if i != axis]
    axial[[2 * others[0], 2 * others[0] + 1, 2 * others[1], 2 * others[1] + 1]] = 0.0
    number = np.arange(SIZE).reshape(STATES, *SHAPE)
    axial[2 * axis, np.take(number, -1, axis + 1)] = axial[2 * axis + 1, np.take(number, 0, axis + 1)] = 0.0
    counts[:] = 0
    inverse, b = np.empty((3, SIZE)), np.random.default_rng(3).random(SIZE)
    relaxation_general.factorise(axial, totals, np.array(SHAPE), inverse)
    for backwards in (False, True):
        V, left = np.zeros(SIZE), np.empty(SIZE)
        given = (V, b, axial, inverse, *matrix[2:4], counts, np.array(SHAPE), CIRCULAR, backwards, np.empty(9))
        relaxation_general.relax(axis, *given)
        assert relaxation_general.defect(V, b, *matrix, np.array(SHAPE), CIRCULAR, left) < 1e-11


def test_sweeps_along_every_axis_converge() -> None:
    matrix = rows()
    b, left, inverse, V = np.ones(SIZE), np.empty(SIZE), np.empty((3, SIZE)), np.zeros(SIZE)
    relaxation_general.factorise(matrix[0], matrix[1], np.array(SHAPE), inverse)
    for number in range(60):
        for axis in range(3):
            given = (V, b, matrix[0], inverse, *matrix[2:], np.array(SHAPE), CIRCULAR, bool(number % 2), np.empty(9))
            relaxation_general.relax(axis, *given)
    assert relaxation_general.defect(V, b, *matrix, np.array(SHAPE), CIRCULAR, left) < 1e-6
