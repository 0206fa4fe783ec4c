"""Wide problems derive in linear work: bounds are generous, the failure they guard against is quadratic or worse."""

from __future__ import annotations

import numpy as np
import pytest

from hjbdsl.frontend.load import loads_problem
from hjbdsl.symbolic.derive import derive
from tests.work import counted

_WIDE = """problem wide
param n = 100
state x in R^n
control u in R^n
noise W in R^n
dx = 2*u dt + sqrt(2) dW
minimize E [ integral(0, 1) |u|^2 dt + log((1 + |x(1)|^2)/2) ]
"""
_DENSE = """problem dense
param n = 30, r = 0.4
param A : R^(n,n) = 0.6*ones(n, n)/n - eye(n)
state x in R^n
control u in R^n
noise W in R^n
dx = (A*x + u) dt + 0.35 dW
minimize E integral(0, inf) exp(-t/4)*(|x|^2 + r*|u|^2) dt
"""


_COUPLED = """problem coupled
param n = 12
param R : R^(n,n) = eye(n) + 0.3*ones(n,n)/n, B : R^(n,n) = eye(n) + 0.1*ones(n,n)
state x in R^n
control u in R^n
noise W in R^n
dx = (B*u - x) dt + B dW
minimize E integral(0, inf) exp(-t/4)*(|x|^2 + u'*R*u) dt
"""


def _derived(source):
    problem = loads_problem(source)
    return counted(lambda: derive(problem))


def test_hundred_dimensions():
    work, equation = _derived(_WIDE)
    assert equation.optimum.status == "symbolic"
    assert [m.text for m in equation.maximiser] == ["u* = -∇V"]
    assert work < 6_000_000


def test_dense_linear_drift():
    work, equation = _derived(_DENSE)
    assert equation.optimum.candidates[0].controls
    assert work < 4_000_000


def test_coupled_controls_solve_their_linear_system():
    """R u* = -B'p/2, compared with numpy."""
    work, equation = _derived(_COUPLED)
    assert work < 4_000_000
    n = 12
    cost = np.eye(n) + 0.3 / n
    slope = np.random.default_rng(3).normal(size=n)
    point = dict(zip(equation.gradient, slope, strict=True))
    (candidate,) = equation.optimum.candidates
    found = [float(equation.problem.numeric(v).subs(point)) for v in candidate.controls.values()]
    assert found == pytest.approx(np.linalg.solve(cost, -(np.eye(n) + 0.1).T @ slope / 2))
