"""Long-run averages in several states: the regulator's, from the algebraic Riccati equation by scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.linalg import solve_continuous_are

from hjbdsl import pipeline
from hjbdsl.methods.grid.levels import Runner, Solved
from hjbdsl.methods.grid.mesh import build_axes
from hjbdsl.model.solution import Array

PLANE = """state x in R, y in R
control a in R, b in R
noise W, B
dW dB = 0.3 dt
dx = (-0.2*x + 0.5*y + a) dt + 0.5 dW
dy = (0.1*x - 0.4*y + b) dt + 0.4 dB
minimize average x^2 + 0.6*y^2 + 0.8*a^2 + 0.5*b^2
region x in [-1, 1], y in [-1, 1]
"""
SPACE = """state x in R^3
control u in R^3
noise W in R^3
param A : R^(3,3) = [[-0.2, 0.5, 0], [0.1, -0.4, 0.2], [0, 0.3, -0.1]]
dx = (A*x + u) dt + 0.4 dW
minimize average |x|^2 + 0.5*|u|^2
region x in [-1, 1]
"""


def finest(text: str, cells: int, count: int) -> Solved:
    equation = pipeline.derive(pipeline.loads(text))
    runner, solved = Runner(equation, 0.0, math.inf), None
    for level in range(count):
        solved = runner.level(build_axes(equation, 1.0, cells), 2**level, solved)
    assert solved is not None
    return solved


def regulator(drift: Array, state: Array, effort: Array, covariance: Array) -> tuple[float, Array]:
    """The average and the matrix of the relative value."""
    P = solve_continuous_are(drift, np.eye(len(drift)), state, effort)
    return float(np.trace(covariance @ P)), P


def apart(solved: Solved, P: Array) -> float:
    """The largest difference to x'Px on the inner half of the region, both 0 in the middle."""
    nodes = np.stack(np.meshgrid(*solved.level.mesh.X, indexing="ij"), axis=-1)
    V = solved.level.V[0, 0]
    middle = tuple(n // 2 for n in V.shape)
    inside = np.max(np.abs(nodes), axis=-1) <= 0.5
    exact = np.einsum("...i,ij,...j", nodes, P, nodes)
    return float(np.max(np.abs(V - V[middle] - exact + exact[middle])[inside]))


@pytest.mark.slow
def test_two_states() -> None:
    covariance = np.array([[0.25, 0.06], [0.06, 0.16]])
    average, P = regulator(np.array([[-0.2, 0.5], [0.1, -0.4]]), np.diag([1.0, 0.6]), np.diag([0.8, 0.5]), covariance)
    solved = finest(PLANE, 20, 3)
    assert solved.numbers["average"] == pytest.approx(average, abs=1e-4)
    assert solved.residual < 1e-6
    assert apart(solved, P) < 2e-3


@pytest.mark.slow
def test_three_states() -> None:
    drift = np.array([[-0.2, 0.5, 0.0], [0.1, -0.4, 0.2], [0.0, 0.3, -0.1]])
    average, P = regulator(drift, np.eye(3), 0.5 * np.eye(3), 0.16 * np.eye(3))
    solved = finest(SPACE, 12, 2)
    assert solved.numbers["average"] == pytest.approx(average, abs=2e-3)
    assert solved.residual < 1e-6
    assert apart(solved, P) < 1e-2
