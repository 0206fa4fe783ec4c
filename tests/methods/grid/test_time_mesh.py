"""Steps in time: of equal error, nested by halving, and of second order whatever the dimension."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import sympy as sp

from hjbdsl import pipeline
from hjbdsl.methods import grid
from hjbdsl.methods.grid import marching
from hjbdsl.methods.grid.howard import Task, policy_iteration
from hjbdsl.methods.grid.implicit import extrapolated
from hjbdsl.methods.grid.levels import Runner
from hjbdsl.methods.grid.mesh import Mesh, build_axes
from hjbdsl.methods.grid.time_mesh import GRADIENT, equidistributed, graded_times, kept, subdivided
from hjbdsl.model.solution import Accepted
from tests.methods.grid.test_grid_order import T, X, Y, Z, covariance, manufactured, orders


def third_order(times: np.ndarray, speed: np.ndarray) -> np.ndarray:
    """Errors of steps where the third derivative is `speed` at their middles; the first of second order."""
    steps = -np.diff(times)
    errors = speed * steps**3
    errors[0] = steps[0] ** 2
    return errors


def test_steps_err_alike_and_together_as_much_as_wanted() -> None:
    times = graded_times(1.0, 40)[::-1]
    middle = 0.5 * (times[:-1] + times[1:])
    new, erring = equidistributed(times, third_order(times, 1.0 + 50.0 * np.exp(-(((middle - 0.5) / 0.1) ** 2))), 1e-3, 4, 400)
    assert new[0] == 1.0
    assert new[-1] == 0.0
    assert np.all(np.diff(new) < 0.0)
    again = third_order(new, 1.0 + 50.0 * np.exp(-(((0.5 * (new[:-1] + new[1:]) - 0.5) / 0.1) ** 2)))
    assert erring == pytest.approx(1e-3, rel=0.3)
    assert np.sum(again) < 2.0 * erring
    lengths = -np.diff(new)
    assert np.argmin(lengths[3:]) + 3 == pytest.approx(np.argmin(np.abs(0.5 * (new[:-1] + new[1:]) - 0.5)), abs=2)
    assert np.max(lengths[1:] / lengths[:-1]) < 1.0 + 2.0 * GRADIENT


def test_subdivision_keeps_the_steps_it_cuts() -> None:
    times = np.array([1.0, 0.9, 0.5, 0.0])
    fine = subdivided(times, 4)
    assert fine[::4] == pytest.approx(times)
    assert np.diff(fine)[:4] == pytest.approx(-0.025)


@pytest.mark.parametrize(("count", "parts", "most", "number"), [(6, 1, 48, 6), (6, 8, 48, 48), (41, 8, 80, 41), (200, 2, 80, 67)])
def test_the_answer_is_kept_at_the_ends_and_about_as_often_as_asked(count: int, parts: int, most: int, number: int) -> None:
    indices = kept(np.linspace(1.0, 0.0, count + 1), parts, most)
    assert indices[0] == 0
    assert indices[-1] == parts * count
    assert indices.size == number + 1


def test_extrapolation_is_exact_for_a_parabola() -> None:
    past = [(t, np.array([1.0 + 2.0 * t - 3.0 * t * t])) for t in (0.5, 0.7, 1.0)]
    assert extrapolated(past, 0.2)[0] == pytest.approx(1.0 + 0.4 - 0.12)


PUT = """state x > 0
noise W
dx = 0.04*x dt + 0.35*x dW
stopping tau in [0, 0.5]
maximize E exp(-0.04*tau)*max(45 - x(tau), 0)
region x in [25, 70]
solve grid(nx = 101)
"""


def test_nobody_stops_where_nothing_is_gained() -> None:
    equation = pipeline.derive(pipeline.loads(PUT))
    accepted = grid.solve(equation, {"nx": 101.0})
    assert isinstance(accepted, Accepted)
    x = np.array([[26.0], [46.0], [60.0], [69.0]])
    for t in (0.0, 0.45, 0.4999, 0.5):
        found = accepted.solution.function.evaluate(np.full(4, t), x, np.zeros(4, np.int64)).stop
        assert found is not None
        assert found.tolist() == [True, False, False, False]


def test_a_short_step_does_not_keep_the_stopping_set_it_was_guessed_to_have() -> None:
    equation = pipeline.derive(pipeline.loads(PUT))
    runner = Runner(equation, 0.0, math.inf)
    axes = build_axes(equation, 1.0, 400)
    program = runner.program(Mesh.of(axes, (axes[0].nodes(1),)))
    payoff = program.data(0.5, 2)
    step = Task(program, 0.499999, 1, shift=1e6, source=1e6 * payoff)
    none, everywhere = (
        policy_iteration(step, payoff, program.new_policy(), guess, 1e-4, 40) for guess in (None, np.ones(program.size, bool))
    )
    assert pytest.approx(none.V, abs=1e-12) == everywhere.V
    assert np.all(none.V[~none.stopped & (payoff > 0)] > payoff[~none.stopped & (payoff > 0)])
    assert np.max(none.V - payoff) > 1e-3 * np.sqrt(1e-6)


CASES = {
    "one state": (sp.cos(X) * (1 + T**3), [X], ["noise W"], covariance(1, 0), 32, 4),
    "two states": (sp.cos(X) * sp.sin(Y) * (1 + T**3), [X, Y], ["noise W, B"], covariance(2, 0), 16, 3),
    "two states, correlated": (
        sp.cos(X) * sp.sin(Y) * (1 + T**3), [X, Y], ["noise W, B", "dW dB = 0.5 dt"], covariance(2, 0.5), 16, 3,
    ),
    "three states": ((sp.cos(X) * sp.sin(Y) + sp.cos(Z)) * (1 + T**3), [X, Y, Z], ["noise W, B, C"], covariance(3, 0), 8, 3),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_implicit_steps_are_of_second_order(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    V, states, noise, spread, cells, count = CASES[name]
    monkeypatch.setattr(marching, "SWEEPS", {1: 0.0, 2: 0.0, 3: 0.0})
    equation = pipeline.derive(pipeline.loads(manufactured(V, states, noise, spread, 1)))
    runner = Runner(equation, 0.0, math.inf)
    exact = sp.lambdify([T, *states], V, "numpy")
    found = []
    for level in range(count):
        solved = runner.level(build_axes(equation, 1.0, cells), 2**level, None)
        assert "implicit" in solved.way
        nodes = np.meshgrid(*solved.level.mesh.X, indexing="ij")
        every = zip(solved.level.times, solved.level.V, strict=True)
        found.append(max(float(np.max(np.abs(nodal[0] - exact(t, *nodes)))) for t, nodal in every))
    assert orders(found)[-1] >= 1.8, found
    assert all(b < a for a, b in pairwise(found))
