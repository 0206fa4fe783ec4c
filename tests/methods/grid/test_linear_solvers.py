"""Elimination, relaxation and multigrid against a sparse direct solver, on the rows of real problems."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse import linalg

from hjbdsl import pipeline
from hjbdsl.methods.grid.banded import reach, solve_band, solve_beyond_band
from hjbdsl.methods.grid.levels import Runner
from hjbdsl.methods.grid.mesh import Mesh, build_axes
from hjbdsl.methods.grid.multigrid import Multigrid
from hjbdsl.methods.grid.program import GridProgram, Rows
from hjbdsl.methods.grid.prolongation import CUBIC, LINEAR, NEAREST, doubled
from hjbdsl.model.solution import Array
from tests.methods.grid.test_grid_monotone import PROBLEMS

SPACE = """problem space
state x in R, y in R, angle in circle
control a in [-1, 1]
noise W, B, C
dx = (a - y) dt + 0.4 dW
dy = x dt + 0.3 dB
dangle = a dt + 0.5 dC
minimize E integral(0, inf) exp(-t)*(x^2 + y^2 + cos(angle)) dt
region x in [-1, 1], y in [-1, 1]
"""

FOUR = """problem four
state x in R, y in R, z in R, w in R
control a in [-1, 1]
noise A, B, C, D
dx = (a - y) dt + 0.4 dA
dy = x dt + 0.3 dB
dz = (y - z) dt + 0.3 dC
dw = (z + 0.5*a) dt + 0.4 dD
minimize E integral(0, inf) exp(-t)*(x^2 + y^2 + z^2 + w^2) dt
region x in [-1, 1], y in [-1, 1], z in [-1, 1], w in [-1, 1]
"""


def program_of(text: str, cells: int) -> GridProgram:
    equation = pipeline.derive(pipeline.loads(text))
    runner = Runner(equation, 0.0, math.inf)
    axes = build_axes(equation, 1.0, cells)
    return runner.program(Mesh.of(axes, tuple(axis.nodes(1) for axis in axes)))


def rows_of(program: GridProgram) -> tuple[Rows, Array]:
    """The rows of the best policy for a bent V, and that policy."""
    X = np.meshgrid(*program.mesh.X, indexing="ij")
    V = np.tile(sum(x**2 for x in X).ravel(), program.module.MODES)
    policy = program.new_policy()
    program.sweep(V, policy, 0.0)
    return program.rows(policy, 0.0)[0], policy


def direct(rows: Rows, held: Array, fixed: Array) -> Array:
    line, column, weight = rows.entries()
    free = ~fixed[line]
    matrix = sparse.diags(np.where(fixed, 1.0, rows.totals)) - sparse.csr_matrix(
        (weight[free], (line[free], column[free])), shape=(fixed.size, fixed.size)
    )
    return np.asarray(linalg.spsolve(matrix.tocsc(), np.where(fixed, held, rows.constants)))


@pytest.mark.parametrize("name", ["modes", "reflection", "stopping"])
def test_elimination_in_one_dimension(name: str) -> None:
    program = program_of(PROBLEMS[name], 32)
    rows, _ = rows_of(program)
    held = np.linspace(0.0, 1.0, program.size)
    fixed = np.arange(program.size) % 7 == 0
    states, V = program.module.MODES, np.empty(program.size)
    width = reach(states, states, rows.cols, rows.counts)
    right = np.where(fixed, held, rows.constants)
    totals = np.where(fixed, 1.0, rows.totals)
    solve_band(states, width, np.array([1]), rows.axial, rows.cols, rows.weights, rows.counts, totals, right, fixed, V)
    assert np.max(np.abs(V - direct(rows, held, fixed))) < 1e-9


LEAPS_BETWEEN_MODES = """problem leaps
mode z in {calm, rough}
rate calm -> rough = 0.5, rough -> calm = 0.8
param s(z) = {calm: 0.2, rough: 0.5}
state x in R
control a in [-1, 1]
noise W
jump N rate 0.6 mark J ~ normal(0.1, 0.09)
dx = a dt + s(z) dW + J dN
minimize E integral(0, inf) exp(-0.05*t)*(x^2 + a^2) dt
region x in [-1, 1]
"""


@pytest.mark.slow
@pytest.mark.parametrize("text", [PROBLEMS["jumps"], LEAPS_BETWEEN_MODES])
def test_jumps_are_brought_in_by_iteration_in_a_short_step(text: str) -> None:
    program = program_of(text, 32)
    rows, _ = rows_of(program)
    fixed = np.arange(program.size) % 7 == 0
    held, start = np.linspace(0.0, 1.0, program.size), np.zeros(program.size)
    short = replace(rows, totals=rows.totals + 20.0)
    right, totals = np.where(fixed, held, short.constants), np.where(fixed, 1.0, short.totals)
    system = (np.array([1]), short.axial, short.cols, short.weights, short.counts)
    V = solve_beyond_band(program.module.MODES, *system, totals, right, fixed, start)
    assert pytest.approx(direct(short, held, fixed), rel=1e-11, abs=1e-11) == V
    without_end = np.where(fixed, 1.0, rows.totals)
    assert solve_beyond_band(program.module.MODES, *system, without_end, right, fixed, start) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "cells"),
    [(PROBLEMS["cross terms"], 32), (PROBLEMS["no noise"], 32), (PROBLEMS["an exit that cuts cells"], 32), (SPACE, 8), (FOUR, 4)],
)
def test_multigrid_finds_what_elimination_finds(text: str, cells: int) -> None:
    """V of one policy, with every fifth node held: the defect falls by at least ten a cycle, to the direct solver's answer."""
    program = program_of(text, cells)
    rows, policy = rows_of(program)
    held = np.sin(np.arange(program.size))
    fixed = program.gone | (np.arange(program.size) % 5 == 0)
    exact = direct(rows, held, fixed)
    solver = Multigrid(program)
    assert solver.prepare(policy, fixed, held, 0.0, 0.0) == 0
    V = np.where(fixed, held, 0.0)
    for _ in range(12):
        solver.solve(V, 2, 1e-2)
    assert np.max(np.abs(V - exact)) < 1e-8 * (1.0 + np.max(np.abs(exact)))
    assert not solver.slow


TARGET = """problem target
state x in R, v in R
control a in [-1, 1]
noise W, B
dx = v dt + 0.3 dW
dv = a dt + 0.3 dB
exit tau when x^2 + v^2 <= 0.04
minimize E integral(0, tau) 1 dt
region x in [-2, 2], v in [-1.5, 1.5]
"""


@pytest.mark.slow
def test_a_target_that_coarse_meshes_miss() -> None:
    """On the coarsest mesh no node has left, its matrix is singular, and its correction must do no harm."""
    program = program_of(TARGET, 40)
    rows, policy = rows_of(program)
    held, fixed = np.zeros(program.size), program.gone
    solver = Multigrid(program)
    assert fixed.any()
    assert not solver.grids[-1].program.gone.any()
    assert solver.prepare(policy, fixed, held, 0.0, 0.0) == 0
    V = np.zeros(program.size)
    with np.errstate(all="raise", under="ignore"):
        for _ in range(20):
            solver.solve(V, 2, 1e-2)
    exact = direct(rows, held, fixed)
    assert np.max(np.abs(V - exact)) < 1e-6 * np.max(np.abs(exact))


@pytest.mark.parametrize(("order", "degree"), [(CUBIC, 3), (LINEAR, 1)])
def test_prolongation_is_exact_for_polynomials(order: int, degree: int) -> None:
    """In the middle; the nodes beside an end have one order less."""
    x, y = np.arange(9.0), np.arange(7.0)
    fine = doubled(((x[:, None] + 0.3) ** degree * (1.0 + y[None, :] ** degree))[None], (False, False), order)[0]
    X, Y = np.arange(17) / 2, np.arange(13) / 2
    exact = (X[:, None] + 0.3) ** degree * (1.0 + Y[None, :] ** degree)
    assert np.allclose(fine[3:-3, 3:-3], exact[3:-3, 3:-3])


def test_prolongation_on_a_circle_and_of_sets() -> None:
    angle = np.arange(16) * 2 * np.pi / 16
    fine = doubled(np.cos(angle)[None], (True,), CUBIC)[0]
    assert np.max(np.abs(fine - np.cos(np.arange(32) * 2 * np.pi / 32))) < 2e-3
    assert list(doubled(np.array([[0.0, 1.0, 1.0]]), (False,), NEAREST)[0]) == [0.0, 0.0, 1.0, 1.0, 1.0]
