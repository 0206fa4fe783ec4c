"""Whole problems against closed forms worked by hand: the value is right within the error it claims."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hjbdsl import pipeline
from hjbdsl.methods import grid
from hjbdsl.model.solution import Array, Solution


def solved(text: str, **options: float) -> Solution:
    answer = grid.solve(pipeline.derive(pipeline.loads(text)), options)
    assert not hasattr(answer, "reason"), answer
    return answer.solution


def assert_within(solution: Solution, x: Array, exact: Array, t: float = 0.0, most: float = 1e-2, share: float = 0.95) -> None:
    points = np.atleast_2d(x.T).T
    got = solution.function.evaluate(np.full(len(points), t), points, np.zeros(len(points), np.int64))
    off = np.abs(got.value - exact)
    assert np.mean(off <= got.error) >= share, float(np.max(off / got.error))
    assert np.max(off) < most


LQ = """problem lq
param b = 0.3, q = 1.4, r = 0.6, s = 0.5, rho = 0.2
state x in R
control a in R
noise W
dx = (-0.4*x + b*a) dt + s dW
minimize E integral(0, inf) exp(-rho*t)*(q*x^2 + r*a^2) dt
region x in [-1, 2]
"""


def test_discounted_regulator_solves_its_riccati_equation() -> None:
    solution = solved(LQ, nx=401)
    c, drift, rho = 0.3**2 / 0.6, -0.4, 0.2
    P = (2 * drift - rho + math.sqrt((2 * drift - rho) ** 2 + 4 * c * 1.4)) / (2 * c)
    x = np.linspace(-1, 2, 31)
    assert_within(solution, x, P * x**2 + 0.25 * P / rho, most=1e-3)
    assert solution.status == "converged"


def test_perpetual_put_meets_its_free_boundary() -> None:
    text = """problem put
param r = 0.05, sigma = 0.4, K = 10
state x > 0
noise W
dx = r*x dt + sigma*x dW
stopping tau in [0, inf]
maximize E exp(-r*tau)*max(K - x(tau), 0)
region x in [2, 20]
"""
    b = 2 * 0.05 / 0.16
    edge = 10 * b / (1 + b)
    x = np.geomspace(2, 20, 40)
    solution = solved(text)
    assert_within(solution, x, np.where(x <= edge, 10 - x, (10 - edge) * (x / edge) ** -b), most=2e-3)
    stops = solution.function.evaluate(np.zeros(2), np.array([[0.8 * edge], [1.2 * edge]]), np.zeros(2, np.int64)).stop
    assert stops is not None
    assert list(stops) == [True, False]


LEAVE = """problem leave
param s = 0.8, k = 0.4
state x in R
control a in R
noise W
dx = a dt + s dW
exit tau when x <= 0 or x >= 1
minimize E [ integral(0, tau) (k + a^2/2) dt ]
region x in [0, 1]
"""


def test_exit_by_hopf_cole() -> None:
    x = np.linspace(0.05, 0.95, 19)
    m = math.sqrt(2 * 0.4) / 0.64
    exact = -0.64 * np.log(np.cosh(m * (x - 0.5)) / math.cosh(m * 0.5))
    assert_within(solved(LEAVE, nx=201), x, exact, most=1e-3)


def test_call_by_black_and_scholes() -> None:
    text = """problem call
param r = 0.03, sigma = 0.25, K = 90, T = 0.75
state x > 0
noise W
dx = r*x dt + sigma*x dW
evaluate E exp(-r*T)*max(x(T) - K, 0)
region x in [60, 130]
"""
    x = np.linspace(60, 130, 36)
    d1 = (np.log(x / 90) + (0.03 + 0.5 * 0.0625) * 0.75) / (0.25 * math.sqrt(0.75))
    phi = np.vectorize(lambda z: 0.5 * math.erfc(-z / math.sqrt(2)))
    exact = x * phi(d1) - 90 * math.exp(-0.03 * 0.75) * phi(d1 - 0.25 * math.sqrt(0.75))
    assert_within(solved(text), x, exact, most=2e-2)


@pytest.mark.slow
def test_logarithmic_consumption_starts_from_a_flat_value() -> None:
    """At V = 0 no formula of the maximiser holds; a policy that never moves must not be mistaken for the optimum."""
    text = """problem eat
param rho = 0.1, r = 0.03
state x > 0
control c > 0
noise W
dx = (r*x - c) dt + 0.2*x dW
maximize E integral(0, inf) exp(-rho*t)*log(c) dt
region x in [0.5, 3]
"""
    x = np.linspace(0.5, 3, 26)
    assert_within(solved(text), x, np.log(0.1 * x) / 0.1 + (0.03 - 0.1 - 0.02) / 0.01, most=1e-3)


@pytest.mark.slow
def test_reachable_tube_with_an_adversary() -> None:
    text = """problem tube
param k = 0.6, d = 0.2, L = 1.2, T = 0.8
state x in R
control a in [-1, 1]
adversary b in [-d, d]
dx = (k*x + a + b) dt
maximize running_min(0, T) L - |x|
region x in [-1.2, 1.2]
"""
    x = np.linspace(-1.2, 1.2, 41)
    held = 0.8 / 0.6
    exact = 1.2 - np.maximum(np.abs(x), held + (np.abs(x) - held) * math.exp(0.6 * 0.8))
    assert_within(solved(text), x, exact, most=1e-2)


@pytest.mark.slow
def test_average_cost() -> None:
    text = """problem hum
state x in R
control a in R
noise W
dx = (0.2*x + 0.7*a) dt + 0.5 dW
minimize average x^2 + 0.9*a^2
region x in [-1, 1]
"""
    P = 0.9 * (0.2 + math.sqrt(0.04 + 0.49 / 0.9)) / 0.49
    solution = solved(text, nx=401)
    assert solution.average is not None
    assert solution.average_error is not None
    assert abs(solution.average - 0.25 * P) < min(1e-5, solution.average_error)


def test_five_states_are_refused_in_one_line() -> None:
    lines = "\n".join(f"d{n} = a dt + dW" for n in "xyzwq")
    text = f"""problem many
state x in R, y in R, z in R, w in R, q in R
control a in [-1, 1]
noise W
{lines}
minimize E [ integral(0, 1) (x^2 + a^2) dt ]
"""
    answer = grid.solve(pipeline.derive(pipeline.loads(text)))
    assert "5 continuous states" in answer.reason
