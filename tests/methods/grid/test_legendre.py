"""Explicit steps on rows that never change, against the general sweep and against the heat equation's own answer."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hjbdsl import pipeline
from hjbdsl.methods.grid import legendre
from hjbdsl.methods.grid.evolution import March
from hjbdsl.methods.grid.legendre import FixedRows, unchanging
from hjbdsl.methods.grid.levels import Runner
from hjbdsl.methods.grid.mesh import Mesh, build_axes
from hjbdsl.methods.grid.program import GridProgram
from hjbdsl.model.equation import HJBEquation

PLANE = """problem plane
mode z in {calm, wild}
rate calm -> wild = 0.4, wild -> calm = 0.7
param s(z) = {calm: 0.2, wild: 0.6}
state x in R, angle in circle
noise W, B
dx = -x dt + s(z) dW
dangle = x dt + 0.4 dB
evaluate E [ integral(0, 1) exp(-0.1*t)*x^2 dt + cos(angle(1)) ]
region x in [-1, 1]
"""
HEAT = """problem heat
state x in circle, y in circle
noise W, B
dx = 0.5 dW
dy = 0.3 dB
evaluate E cos(x(1))*sin(y(1))
"""
DISC = """problem disc
state x in R, y in R
noise W, B
dx = 0.5*y dt + 0.5 dW
dy = -x dt + 0.2 dW + 0.5 dB
exit tau in [0, 1] when x^2 + y^2 >= 1
evaluate E [ integral(0, tau) x dt + 2 ]
region x in [-1, 1], y in [-1, 1]
"""
LINE = """problem line
state x in [-1, 1]
noise W
dx = -x dt + 0.5 dW
evaluate E x(1)^2
boundary x = -1 : reflect
"""
SPACE = """problem space
state x in R, y in circle, z in [0, 1]
noise W, B, C
dx = -y dt + 0.3 dW
dy = x dt + 0.3 dB
dz = -z dt + 0.3 dC
evaluate E x(1)*cos(y(1))
boundary z = 0 : reflect
boundary z = 1 : reflect
region x in [-1, 1], z in [0, 1]
"""


def program_of(text: str, cells: int) -> tuple[HJBEquation, GridProgram]:
    equation = pipeline.derive(pipeline.loads(text))
    axes = build_axes(equation, 0.25, cells)
    return equation, Runner(equation, 0.0, math.inf).program(Mesh.of(axes, tuple(axis.nodes(1) for axis in axes)))


def test_rows_give_what_the_sweep_gives() -> None:
    equation, program = program_of(PLANE, 12)
    assert unchanging(equation)
    V = np.random.default_rng(0).normal(size=program.size)
    H, totals, failures = program.sweep(V, program.new_policy(), 0.5)
    fixed = FixedRows(program, program.new_policy(), 1.0)
    assert failures == 0
    assert np.max(np.abs(fixed.slope(V) - H)) < 1e-12 * np.max(np.abs(H))
    assert np.array_equal(fixed.rows.totals, totals)
    older, start, slope = (np.random.default_rng(k).normal(size=V.size) for k in (1, 2, 3))
    wanted = 0.3 * V - 0.2 * older + 0.9 * start + 0.05 * H - 0.01 * slope
    found = fixed.stages(V, older, start, slope, np.array([[0.3, -0.2, 0.9, 0.05, 0.01]]))
    assert np.max(np.abs(found - wanted)) < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("text", [DISC, HEAT, LINE, SPACE])
def test_stages_together_give_what_they_give_one_after_another(text: str, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside an exit that cuts cells and cross terms, across a circle's seam, in one and three dimensions."""
    monkeypatch.setattr(legendre, "MOST_TOGETHER", 2 if text is SPACE else 5)
    equation, program = program_of(text, 12 if text is SPACE else 72)
    assert unchanging(equation)
    fixed = FixedRows(program, program.new_policy(), 1.0, threads)
    assert fixed.together == legendre.MOST_TOGETHER
    assert len(fixed.slabs) == (1 if text is LINE else threads)
    newer, older, start, slope = (np.random.default_rng(k).normal(size=program.size) for k in range(4))
    shares = np.random.default_rng(4).normal(size=(13, 5)) * (0.5, 0.5, 0.5, 0.5 / fixed.rows.totals.max(), 0.5)
    V, before = newer, older
    for now, past, initial, step, back in shares:
        H = np.where(program.gone, 0.0, fixed.rows.apply(V))
        V, before = now * V + past * before + initial * start + step * H - back * slope, V
    found = fixed.stages(newer.copy(), older.copy(), start, slope, shares)
    assert np.max(np.abs(found - V)) < 1e-12 * max(1.0, float(np.max(np.abs(V))))


def test_long_steps_are_of_second_order_in_time() -> None:
    """cos x sin y is an eigenvector of the mesh's own heat equation: its factor is known exactly."""
    equation, program = program_of(HEAT, 32)
    march = March(program, equation, np.linspace(0.0, 1.0, 5), math.inf)
    V, fixed = march.V, march.fixed
    assert fixed is not None
    rate = float(np.vdot(V, fixed.slope(V)) / np.vdot(V, V))
    errors = []
    for count in (2, 4):
        march.V = V
        for k in range(count):
            march.V = march.legendre(1.0 - k / count, 1.0 / count, 15, fixed.slope(march.V))
        errors.append(float(np.max(np.abs(march.V - math.exp(rate) * V))))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.4)


@pytest.mark.parametrize(
    "text",
    [HEAT.replace("0.5 dW", "(0.5 + 0.1*t) dW"), HEAT.replace("state x", "control a in [-1, 1]\nstate x").replace(
        "dx = 0.5", "dx = a dt + 0.5").replace("evaluate", "maximize")],
)  # fmt: skip
def test_rows_that_change_are_told(text: str) -> None:
    assert not unchanging(pipeline.derive(pipeline.loads(text)))
