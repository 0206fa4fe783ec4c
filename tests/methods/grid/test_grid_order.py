"""Order of the scheme by manufactured solutions on circles, where nothing but the scheme is at work: the reward is what makes a
chosen V solve the equation."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import sympy as sp

from hjbdsl import pipeline
from hjbdsl.methods.grid.levels import Runner
from hjbdsl.methods.grid.mesh import build_axes

T = sp.Symbol("t")
X, Y, Z = sp.symbols("x y z")


def manufactured(V: sp.Expr, states: list[sp.Symbol], noise: list[str], covariance: sp.Matrix, end: int | None) -> str:
    """min over a of f + (sin(y or x) + a) V_x + 1/2 tr(A D2V) + a^2/2 - V/2 + V_t = 0, whose best a is -V_x."""
    drift = [sp.sin(states[-1]) / 2] + [sp.cos(states[0]) / 3 for _ in states[1:]]
    slopes = [sp.diff(V, s) for s in states]
    second = sum(covariance[i, j] * sp.diff(V, a, b) for i, a in enumerate(states) for j, b in enumerate(states))
    f = V / 2 - sum(b * p for b, p in zip(drift, slopes, strict=True)) + slopes[0] ** 2 / 2 - second / 2 - sp.diff(V, T)

    def written(e: sp.Expr) -> str:
        return str(sp.simplify(e)).replace("**", "^")

    lines = ["problem made", "state " + ", ".join(f"{s} in circle" for s in states), "control a in R", *noise]
    for k, (s, b) in enumerate(zip(states, drift, strict=True)):
        shake = f" + {['0.6', '0.5', '0.7'][k]} d{'WBC'[k]}" if noise else ""
        lines.append(f"d{s} = ({written(b)}{' + a' if k == 0 else ''}) dt{shake}")
    horizon = "inf" if end is None else f"{end}"
    at_end = V.subs({T: sp.Integer(end or 0), **{s: sp.Symbol(f"{s}_end") for s in states}})
    final = "" if end is None else f" + exp(-0.5*{end})*({written(at_end)})".replace("_end", f"({end})")
    return "\n".join([*lines, f"minimize E [ integral(0, {horizon}) exp(-0.5*t)*({written(f)} + a^2/2) dt{final} ]", ""])


def errors(text: str, V: sp.Expr, states: list[sp.Symbol], cells: int, count: int) -> list[float]:
    equation = pipeline.derive(pipeline.loads(text))
    runner = Runner(equation, 0.0, math.inf)
    exact = sp.lambdify([T, *states], V, "numpy")
    start, result = None, []
    for level in range(count):
        start = runner.level(build_axes(equation, 1.0, cells), 2**level, start)
        nodes = np.meshgrid(*start.level.mesh.X, indexing="ij")
        result.append(float(np.max(np.abs(start.level.V[0, 0] - exact(0.0, *nodes)))))
    return result


def orders(found: list[float]) -> list[float]:
    return [math.log2(a / b) for a, b in pairwise(found)]


def covariance(size: int, rho: float) -> sp.Matrix:
    s = [sp.Rational(6, 10), sp.Rational(5, 10), sp.Rational(7, 10)][:size]
    return sp.Matrix(size, size, lambda i, j: s[i] * s[j] * (1 if i == j else sp.nsimplify(rho) if {i, j} == {0, 1} else 0))


CASES = {
    "one state": (sp.cos(X), [X], ["noise W"], covariance(1, 0), None, 32, 3),
    "one state, in time": (sp.cos(X) * (1 + T), [X], ["noise W"], covariance(1, 0), 1, 32, 3),
    "two states": (sp.cos(X) * sp.sin(Y), [X, Y], ["noise W, B"], covariance(2, 0), None, 16, 3),
    "two states, correlated": (
        sp.cos(X) * sp.sin(Y), [X, Y], ["noise W, B", "dW dB = 0.5 dt"], covariance(2, 0.5), None, 16, 3,
    ),
    "three states": (sp.cos(X) * sp.sin(Y) + sp.cos(Z), [X, Y, Z], ["noise W, B, C"], covariance(3, 0), None, 8, 3),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_second_order_where_there_is_noise(name: str) -> None:
    V, states, noise, spread, end, cells, count = CASES[name]
    found = errors(manufactured(V, states, noise, spread, end), V, states, cells, count)
    assert orders(found)[-1] >= 1.8, found


@pytest.mark.slow
def test_first_order_without_noise() -> None:
    V = sp.cos(X) / 4
    found = errors(manufactured(V, [X], [], sp.zeros(1, 1), None), V, [X], 32, 4)
    assert orders(found)[-1] >= 0.9, found
