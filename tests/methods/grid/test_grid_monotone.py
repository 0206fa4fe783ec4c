"""Signs of the assembled rows: what makes the scheme monotone (Barles, Souganidis 1991) holds for every ingredient of it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hjbdsl import pipeline
from hjbdsl.methods.grid.levels import Runner
from hjbdsl.methods.grid.mesh import Mesh, build_axes
from tests.methods.grid.reflected import DRIFT_TO_A_WALL

CROSS = """problem cross
param rho = {rho}
state x in R, y in R
control a in [-1, 1]
noise W, B
dW dB = rho dt
dx = (a - x) dt + 0.7*(1 + x^2/4) dW
dy = (x - 3*y) dt + 0.2 dB
minimize E integral(0, inf) exp(-0.3*t)*(x^2 + y^2 + a^2) dt
region x in [-1, 1], y in [-1, 1]
"""
PROBLEMS = {
    "cross terms": CROSS.format(rho="0.95"),
    "negative cross terms": CROSS.format(rho="-0.95"),
    "noise of rank two in three dimensions": """problem rank
state x in R^3
control u in R^2
noise W in R^2
dx = ([[-0.2, 0.5, 0], [0, -0.4, 0.3], [0.2, 0, -0.5]]*x + [[1, 0], [0, 1], [0, 0.5]]*u) dt + [[0.3, 0], [0, 0.3], [0.1, 0.2]] dW
minimize E integral(0, inf) exp(-0.4*t)*(|x|^2 + |u|^2) dt
region x in [-1, 1]
""",
    "no noise": """problem wind
state x in R, v in R
control a in [-2, 2]
dx = v dt
dv = a dt
minimize E integral(0, inf) exp(-0.5*t)*(x^2 + v^2) dt
region x in [-1, 1], v in [-1, 1]
""",
    "an exit that cuts cells": """problem disc
state x in R, y in R
noise W, B
dx = 0.3 dt + 0.8 dW
dy = -x dt + 0.5 dB
exit tau when x^2 + y^2 >= 1
evaluate E integral(0, tau) (1 + x) dt
region x in [-0.7, 0.7], y in [-0.7, 0.7]
""",
    "modes": """problem weather
state x in R
control a in [-1, 1]
noise W
mode z in {calm, wild}
rate calm -> wild = 0.4, wild -> calm = 1.1
param s(z) = {calm: 0.1, wild: 0.9}
dx = (a - 2*x) dt + s(z) dW
minimize E integral(0, inf) exp(-0.2*t)*(x^2 + a^2) dt
region x in [-1, 1]
""",
    "jumps": """problem leaps
state x in R
control a in [-1, 1]
noise W
jump N rate 0.6 mark J ~ normal(0.1, 0.09)
dx = (a - x) dt + 0.3 dW + J dN
minimize E integral(0, inf) exp(-0.2*t)*(x^2 + a^2) dt
region x in [-1, 1]
""",
    "a random policy": """problem bandit
state x in R
control a in R
noise W
dx = (0.8*a - 0.3*x) dt + 0.35 dW
explore a with temperature 0.2
maximize E integral(0, inf) exp(-0.25*t)*(-(1.2*x^2 + 0.5*a^2)/2) dt
region x in [-1, 1]
""",
    "risk": """problem caution
state x in R, y in R
control a in R
noise W, B
dx = (a - y) dt + 0.4 dW
dy = x dt + 0.3 dB
minimize risk(0.8) [ integral(0, 1) (x^2 + y^2 + 0.5*a^2)/2 dt ]
region x in [-1, 1], y in [-1, 1]
""",
    "an exit at a point": """problem point
state x in R
control a in [-1, 1]
noise W
dx = a dt + 0.3*x dW
exit tau when x == 0
minimize E integral(0, tau) (1 + x^2) dt
region x in [-1, 1]
""",
    "controls in correlated noise": """problem portfolio
state x > 0, v > 0
control w in [0, 2]
noise W, B
dW dB = -0.6 dt
dx = (0.02 + w*1.2*v)*x dt + w*sqrt(v)*x dW
dv = 2*(0.05 - v) dt + 0.4*sqrt(v) dB
maximize E x(1)^(-2)/(-2)
region x in [0.5, 2], v in [0.02, 0.1]
""",
    "reflection": DRIFT_TO_A_WALL,
    "stopping": """problem halt
state x > 0
noise W
dx = 0.03*x dt + 0.4*x dW
stopping tau in [0, inf]
maximize E exp(-0.05*tau)*max(1 - x(tau), 0)
region x in [0.3, 3]
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PROBLEMS)
def test_weights_are_not_negative_and_no_more_than_the_diagonal(name: str) -> None:
    """weights >= 0 and total >= sum of the weights under the best policy for a V that is no solution, bent both ways."""
    equation = pipeline.derive(pipeline.loads(PROBLEMS[name]))
    runner = Runner(equation, 0.0, math.inf)
    axes = build_axes(equation, 1.0, 24)
    program = runner.program(Mesh.of(axes, tuple(axis.nodes(1) for axis in axes)))
    X = np.meshgrid(*program.mesh.X, indexing="ij")
    for bend in (1.0, -1.0):
        V = np.tile((bend * sum(x**2 for x in X) + np.sin(3 * X[0])).ravel(), program.module.MODES)
        policy = program.new_policy()
        _, _, failures = program.sweep(V, policy, 0.0)
        assert failures == 0
        rows, failures = program.rows(policy, 0.0)
        assert failures == 0
        line, column, weights = rows.entries()
        assert np.all(rows.axial >= 0.0)
        assert np.all(weights > 0.0)
        assert np.all((column >= 0) & (column < program.size))
        leaving = np.bincount(line, weights, program.size)
        assert np.all(rows.totals - leaving >= -1e-12 * rows.totals)
        assert weights.size > program.size // 2


@pytest.mark.parametrize("aspect", [1.0, 0.05, 0.01, 1e-5])
@pytest.mark.parametrize("rho", [0.95, -0.6])
def test_selling_decomposes_on_meshes_much_wider_on_one_axis(rho: float, aspect: float) -> None:
    """q = sum of weights e e', whatever decomposition the node before was left with."""
    runner = Runner(pipeline.derive(pipeline.loads(CROSS.format(rho="0.95"))), 0.0, math.inf)
    base = np.array([[1, 0], [0, 1], [-1, -1]])
    for sign in (1.0, -1.0, 1.0):
        cross = sign * rho / aspect
        q = np.array([[1.0, cross], [cross, aspect**-2]])
        weights, offsets = np.zeros(6), np.zeros((6, 2), np.int64)
        terms = runner.module.selling(q, base, offsets, weights)
        assert terms > 0
        assert np.all(weights[:terms] >= 0.0)
        assert np.einsum("k,ki,kj->ij", weights[:terms], offsets[:terms], offsets[:terms]) == pytest.approx(q)
