"""What a row says of the process in a short time: its mean exactly, and its variance where no other state is correlated with it,
on meshes whose steps grow. The oracle is the file's own drift and noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from hjbdsl import pipeline
from hjbdsl.methods import grid
from hjbdsl.methods.grid.levels import Runner
from hjbdsl.methods.grid.mesh import Mesh, build_axes
from hjbdsl.methods.grid.program import GridProgram
from hjbdsl.model.solution import Array

ALONE = """problem alone
state x > 0
noise W
dx = 0.02*x dt + 0.8*x dW
evaluate E integral(0, inf) exp(-0.3*t)*x dt
region x in [0.5, 2]
"""
PAIR = """problem pair
state x > 0, y > 0
noise W, B
dW dB = 0.6 dt
dx = 0.3*x dW
dy = 0.04*y dt + 0.4*y dB
evaluate E integral(0, inf) exp(-0.3*t)*(x + y) dt
region x in [0.5, 2], y in [1, 3]
"""
PRICES = """problem exchange
param s1 = {s1}, s2 = {s2}, corr = {corr}
state x > 0, y > 0
noise W, B
dW dB = corr dt
dx = s1*x dW
dy = s2*y dB
evaluate E max(x(1) - y(1), 0)
region x in [80, 120], y in [80, 120]
solve grid(nx = 81)
"""


def applied(text: str, cells: int) -> tuple[GridProgram, list[Array]]:
    """A program on a padded mesh, and L of each coordinate and of its square (with no discount) at the inner nodes."""
    equation = pipeline.derive(pipeline.loads(text))
    runner = Runner(equation, 0.0, 1e9)
    axes = build_axes(runner.equation, 1.0, cells)
    program = runner.program(Mesh.of(axes, tuple(axis.nodes(1) for axis in axes)))
    rows, failures = program.rows(program.new_policy(), 0.0)
    assert not failures
    states = np.meshgrid(*program.mesh.X, indexing="ij")
    moments = []
    for power in (1, 2):
        for x in states:
            V = (x**power).ravel()
            change = rows.apply(V) - rows.constants + 0.3 * V  # the discount is no part of it
            moments.append(change.reshape(x.shape)[(slice(1, -1),) * x.ndim])
    return program, moments


def test_mean_and_variance_on_steps_that_grow() -> None:
    program, (mean, square) = applied(ALONE, 16)
    x = program.mesh.X[0][1:-1]
    np.testing.assert_allclose(mean, 0.02 * x, rtol=1e-9)
    np.testing.assert_allclose(square, (2 * 0.02 + 0.8**2) * x**2, rtol=1e-9)


@pytest.mark.slow
def test_means_of_correlated_states() -> None:
    program, (mean_x, mean_y, *_) = applied(PAIR, 12)
    x, y = np.meshgrid(*(X[1:-1] for X in program.mesh.X), indexing="ij")
    np.testing.assert_allclose(mean_x, 0.0 * x, atol=1e-9 * float(np.max(x)))
    np.testing.assert_allclose(mean_y, 0.04 * y, rtol=1e-8, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("s1", "s2", "corr"), [(0.25, 0.35, 0.4), (0.4, 0.2, -0.5)])
def test_the_right_to_exchange_one_price_for_another(s1: float, s2: float, corr: float) -> None:
    """Margrabe's formula (1978) within a band that is narrow."""
    answer = grid.solve(pipeline.derive(pipeline.loads(PRICES.format(s1=s1, s2=s2, corr=corr)))).solution
    assert answer.status == "converged"
    x = np.array([[80.0, 100.0], [100.0, 100.0], [120.0, 90.0], [118.0, 82.0]])
    s = math.sqrt(s1**2 - 2 * corr * s1 * s2 + s2**2)
    far = np.log(x[:, 0] / x[:, 1]) / s
    exact = x[:, 0] * norm.cdf(far + s / 2) - x[:, 1] * norm.cdf(far - s / 2)
    got = answer.function.evaluate(np.zeros(4), x, np.zeros(4, int))
    assert np.all(np.abs(got.value - exact) <= got.error)
    assert np.max(got.error) < 0.2
