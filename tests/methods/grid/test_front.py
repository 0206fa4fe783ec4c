"""Kernels of first-order equations against plain formulas: one-sided derivatives, the flux, the steps in time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hjbdsl import pipeline
from hjbdsl.methods import grid
from hjbdsl.methods.grid.front import Front
from hjbdsl.methods.grid.levels import Runner
from hjbdsl.methods.grid.mesh import Mesh, build_axes
from hjbdsl.methods.grid.program import GridProgram
from hjbdsl.model.solution import Array

ANGLE = """problem angle
param flow = 1 "a name of the program's own", extend = 0.5
state x in circle
control a in [-1, 1]
dx = (a*flow + extend*cos(x)) dt
maximize running_min(0, 1) sin(x)
region x in [-1, 1]
"""
PURSUIT = """problem pursuit
param speed = 0.8, pursuer = 0.6
state x in R, y in R, psi in circle
control a in [-1, 1]
adversary b in [-1.1, 1.1]
dx = (-speed + pursuer*cos(psi) + a*y) dt
dy = (pursuer*sin(psi) - a*x) dt
dpsi = (b - a) dt
maximize running_min(0, 0.5) sqrt(x^2 + y^2) - 0.4
region x in [-1, 2], y in [-1, 1]
"""


def program_of(text: str, cells: int) -> GridProgram:
    equation = pipeline.derive(pipeline.loads(text))
    axes = build_axes(equation, 0.25, cells)
    return Runner(equation, 0.0, math.inf).program(Mesh.of(axes, tuple(axis.nodes(1) for axis in axes)))


def weno(d: list[Array]) -> Array:
    """Jiang and Peng's weighted mean of five successive differences, from the three quadratics' own formulas."""
    a, b, c, e, f = d
    rough = [
        13 / 12 * (a - 2 * b + c) ** 2 + (a - 4 * b + 3 * c) ** 2 / 4,
        13 / 12 * (b - 2 * c + e) ** 2 + (b - e) ** 2 / 4,
        13 / 12 * (c - 2 * e + f) ** 2 + (3 * c - 4 * e + f) ** 2 / 4,
    ]
    slopes = [(2 * a - 7 * b + 11 * c) / 6, (-b + 5 * c + 2 * e) / 6, (2 * c + 5 * e - f) / 6]
    floor = 1e-6 * (a**2 + b**2 + c**2 + e**2 + f**2) + 1e-40
    weights = [share / (r + floor) ** 2 for share, r in zip((0.1, 0.6, 0.3), rough, strict=True)]
    return sum(w * s for w, s in zip(weights, slopes, strict=True)) / sum(weights)


def one_sided(V: Array, axis: int, closed: bool) -> tuple[Array, Array]:
    """Left- and right-biased derivatives in index units; beyond open ends V is a straight line."""
    V = np.moveaxis(V, axis, 0)
    if closed:
        V = np.concatenate([V[-3:], V, V[:3]])
    else:
        before = [V[:1] + k * (V[:1] - V[1:2]) for k in (3, 2, 1)]
        V = np.concatenate([*before, V, *[V[-1:] + k * (V[-1:] - V[-2:-1]) for k in (1, 2, 3)]])
    d, n = np.diff(V, axis=0), len(V) - 6
    left = weno([d[k : k + n] for k in range(5)])
    right = weno([d[k : k + n] for k in (5, 4, 3, 2, 1)])
    return np.moveaxis(left, 0, axis), np.moveaxis(right, 0, axis)


@pytest.mark.slow
def test_pursuit_flux_is_the_plain_formula() -> None:
    program = program_of(PURSUIT, 12)
    shape = program.mesh.shape
    V = np.random.default_rng(1).normal(size=shape)
    x, y, psi = np.meshgrid(*program.mesh.X, indexing="ij")
    sides = []
    for i, axis in enumerate(program.mesh.axes):
        g = program.mesh.G[i].reshape([-1 if j == i else 1 for j in range(3)])
        sides.append([p / g for p in one_sided(V, i, axis.kind == 2)])

    def drift(p: list[Array]) -> list[Array]:
        a, b = np.where(p[0] * y - p[1] * x - p[2] > 0, 1.0, -1.0), np.where(p[2] < 0, 1.1, -1.1)
        return [-0.8 + 0.6 * np.cos(psi) + a * y, 0.6 * np.sin(psi) - a * x, b - a]

    left, right = ([side[k] for side in sides] for k in (0, 1))
    centre = [0.5 * (p + q) for p, q in zip(left, right, strict=True)]
    drifts = [drift(p) for p in (left, right, centre)]
    expected, rate = np.zeros(shape), np.zeros(shape)
    for i in range(3):
        speed = np.max(np.abs([b[i] for b in drifts]), axis=0)
        expected += drifts[2][i] * centre[i] + 0.5 * speed * (right[i] - left[i])
        rate += speed / program.mesh.G[i].reshape([-1 if j == i else 1 for j in range(3)])
    front = Front(program)
    found = front.slope(V.ravel(), 0.2, program.new_policy(), False)
    assert np.max(np.abs(front.H.reshape(shape) - expected)) < 1e-10
    assert found == pytest.approx(np.max(rate), rel=1e-12)


def test_slabs_shared_among_threads_change_nothing() -> None:
    program = program_of(PURSUIT, 12)
    V = np.random.default_rng(2).normal(size=program.size)
    alone, shared = Front(program), Front(program)
    n = program.mesh.shape[0]
    shared.parts = [(0, 3), (3, n - 1), (n - 1, n)]
    assert shared.pool is None
    rate = alone.slope(V, 0.1, program.new_policy(), False)
    for part in shared.parts:
        program.module.padded(V, shared.P, *program.arguments[1:])
        program.module.front(shared.P, shared.H, program.new_policy(), False, *part, 0.1, *program.arguments)
    assert np.array_equal(alone.H, shared.H)
    assert rate > 0.0


def test_one_sided_derivatives_are_of_fifth_order() -> None:
    errors = []
    for cells in (32, 64):
        program = program_of(ANGLE, cells)
        x, g = program.mesh.X[0], program.mesh.G[0]
        V = np.sin(x + 0.3)
        P, n = np.zeros(x.size + 22), x.size
        program.module.padded(V, P, *program.arguments[1:])
        left, right = np.empty(n + 8), np.empty(n + 8)
        program.module.biased(P, 2, np.int64(1), n + 1, left, right)
        exact = np.cos(x + 0.3)
        errors.append(max(np.max(np.abs(left[:n] / g - exact)), np.max(np.abs(right[1 : n + 1] / g - exact))))
    assert math.log2(errors[0] / errors[1]) > 4.5


def test_steps_are_of_third_order_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    program = program_of(ANGLE, 64)
    start = np.exp(np.sin(program.mesh.X[0]))
    answers = []
    for steps in (8, 16, 64):
        front, V, t = Front(program), start, 1.0
        monkeypatch.setattr("hjbdsl.methods.grid.front.COURANT", math.inf)
        for _ in range(steps):
            V, dt = front.step(V, t, 0.05 / steps, program.new_policy())
            t -= dt
        answers.append(V)
    errors = [np.max(np.abs(V - answers[-1])) for V in answers[:-1]]
    assert math.log2(errors[0] / errors[1]) > 2.7


@pytest.mark.slow
def test_a_running_minimum_is_not_charged_for_stopping_at_nodes() -> None:
    text = """problem tube
state x in R
control a in [-1, 1]
adversary b in [-0.3, 0.3]
dx = (0.7*x + a + b) dt
maximize running_min(0, 0.9) 1.3 - |x|
region x in [-1.3, 1.3]
"""
    solution = grid.solve(pipeline.derive(pipeline.loads(text))).solution
    x = np.linspace(-1.3, 1.3, 101)
    got = solution.function.evaluate(np.zeros(101), x[:, None], np.zeros(101, np.int64))
    exact = 1.3 - np.maximum(np.abs(x), 1.0 + (np.abs(x) - 1.0) * np.exp(0.7 * 0.9))
    assert np.all(np.abs(got.value - exact) <= got.error)
    assert np.median(got.error) < 5e-4
