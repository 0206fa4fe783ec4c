"""The pointwise optimum against closed forms, brute force and scipy's constrained optimiser."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from hjbdsl.numeric.control_set import ControlSet
from hjbdsl.numeric.pointwise import Evaluation, optimise


def region(count, lower, upper, normals=None, offsets=None, finite=None):
    m = len(lower)
    normals = np.zeros((0, m)) if normals is None else np.array(normals, dtype=float)
    offsets = np.zeros(0) if offsets is None else np.array(offsets, dtype=float)
    return ControlSet(
        np.tile(np.array(lower, dtype=float), (count, 1)),
        np.tile(np.array(upper, dtype=float), (count, 1)),
        np.tile(normals, (count, 1, 1)),
        np.tile(offsets, (count, 1)),
        finite or (None,) * m,
    )


def quadratic(slopes, matrix):
    """b'a - a'Qa/2 at every point."""

    def evaluate(control, rows):
        b = slopes[rows]
        value = (b * control).sum(axis=1) - 0.5 * np.einsum("pi,ij,pj->p", control, matrix, control)
        return Evaluation(value, b - control @ matrix, np.broadcast_to(-matrix, (len(rows), *matrix.shape)).copy())

    return evaluate


def test_simplex_and_box_agree_with_a_general_optimiser():
    generator = np.random.default_rng(3)
    root = generator.normal(size=(4, 4))
    matrix = root @ root.T + 0.3 * np.eye(4)
    slopes = 2 * generator.normal(size=(12, 4))
    found = optimise(quadratic(slopes, matrix), region(12, [0] * 4, [0.6] * 4, [np.ones(4)], [1.0]))
    assert found.converged.all()
    for k, b in enumerate(slopes):
        oracle = minimize(
            lambda a, b=b: 0.5 * a @ matrix @ a - b @ a,
            np.full(4, 0.1),
            jac=lambda a, b=b: matrix @ a - b,
            bounds=[(0, 0.6)] * 4,
            constraints=[{"type": "ineq", "fun": lambda a: 1 - a.sum(), "jac": lambda a: -np.ones(4)}],
            method="SLSQP",
            options={"ftol": 1e-15, "maxiter": 500},
        )
        np.testing.assert_allclose(found.control[k], oracle.x, atol=2e-7)
        assert found.value[k] >= -oracle.fun - 1e-12
        assert found.control[k].min() >= -1e-12
        assert found.control[k].sum() <= 1 + 1e-12


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e20])
def test_consumption_and_portfolio_over_many_magnitudes(scale):
    """k^(1-g)/(1-g) + (w m - k) V' + w^2 s^2 V''/2 with V = A x^(1-g)/(1-g): k = A^(-1/g) x, w = m x/(g s^2)."""
    g, m, s = 2.5, 0.05, 0.2
    x = np.array([0.1, 1.0, 30.0])
    first, second = scale * x**-g, -g * scale * x ** (-g - 1)

    def evaluate(control, rows):
        w, k = control.T
        with np.errstate(all="ignore"):
            value = k ** (1 - g) / (1 - g) + (w * m - k) * first[rows] + 0.5 * w**2 * s**2 * second[rows]
            gradient = np.stack([m * first[rows] + w * s**2 * second[rows], k**-g - first[rows]], axis=1)
            hessian = np.zeros((len(rows), 2, 2))
            hessian[:, 0, 0], hessian[:, 1, 1] = s**2 * second[rows], -g * k ** (-g - 1)
        return Evaluation(value, gradient, hessian)

    found = optimise(evaluate, region(3, [-np.inf, 0], [np.inf, np.inf]))
    assert found.converged.all()
    np.testing.assert_allclose(found.control[:, 0], m * x / (g * s**2), rtol=1e-9)
    np.testing.assert_allclose(found.control[:, 1], scale ** (-1 / g) * x, rtol=1e-9)


def test_the_best_of_two_humps_and_of_a_finite_set():
    def humps(control, rows):
        a = control[:, 0]
        value = np.exp(-((a + 1.2) ** 2) / 0.1) + 1.3 * np.exp(-((a - 1.4) ** 2) / 0.1)
        slope = -2 * (a + 1.2) / 0.1 * np.exp(-((a + 1.2) ** 2) / 0.1) - 2.6 * (a - 1.4) / 0.1 * np.exp(-((a - 1.4) ** 2) / 0.1)
        curve = (4 * (a + 1.2) ** 2 / 0.01 - 20) * np.exp(-((a + 1.2) ** 2) / 0.1)
        curve += 1.3 * (4 * (a - 1.4) ** 2 / 0.01 - 20) * np.exp(-((a - 1.4) ** 2) / 0.1)
        return Evaluation(value, slope[:, None], curve[:, None, None])

    best = optimise(humps, region(1, [-2], [2]))
    assert best.converged.all()
    assert best.control[0, 0] == pytest.approx(1.4, abs=1e-6)
    chosen = optimise(humps, region(1, [-2], [2], finite=(np.array([-1.2, 0.0, 1.0]),)))
    assert chosen.control[0, 0] == -1.2
    least = optimise(humps, region(1, [-2], [2], finite=(np.array([-1.2, 0.0, 1.0]),)), sense=-1.0)
    assert least.control[0, 0] == 0.0


def test_a_hamiltonian_without_maximum_is_not_called_converged():
    def linear(control, rows):
        return Evaluation(control[:, 0].copy(), np.ones((len(rows), 1)), np.zeros((len(rows), 1, 1)))

    assert not optimise(linear, region(2, [-np.inf], [np.inf])).converged.any()
