"""Risk sensitivity, exploration and controlled jump rates against a boundary-value solver, quadrature and Riccati equations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.integrate import solve_bvp, solve_ivp
from scipy.special import logsumexp

from hjbdsl.model.solution import Array
from tests.methods.grid.test_grid_known_answers import assert_within, solved

X = np.linspace(0.03, 0.97, 13)
SOFT = """problem soft
state x in [0, 1]
control a in {domain}
noise W
dx = (a - x) dt + 0.4 dW
explore a with temperature 0.3{prior}
{sense} E integral(0, inf) exp(-0.5*t)*({reward}) dt
boundary x = 0 : reflect
boundary x = 1 : reflect
region x in [0, 1]
"""


def soft_oracle(
    reward: Callable[[Array, float], Array], nodes: Array, log_weights: Array, sense: int
) -> tuple[Array, Array, Array]:
    """V, mean and standard deviation of the Gibbs policy: 0.5 V = s l log sum w exp(s H/l) + 0.08 V'', V' = 0 at both ends."""

    def exponents(x: Array, slope: Array) -> Array:
        return np.array([sense * (reward(x, a) + (a - x) * slope) / 0.3 for a in nodes]) + log_weights[:, None]

    def right(x: Array, y: Array) -> Array:
        return np.array([y[1], (0.5 * y[0] - sense * 0.3 * logsumexp(exponents(x, y[1]), axis=0)) / 0.08])

    found = solve_bvp(
        right, lambda a, b: np.array([a[1], b[1]]), np.linspace(0, 1, 41), np.zeros((2, 41)), tol=1e-7, max_nodes=20000
    )
    assert found.success
    y = found.sol(X)
    share = exponents(X, y[1])
    share = np.exp(share - logsumexp(share, axis=0))
    mean = share.T @ nodes
    return y[0], mean, np.sqrt(share.T @ nodes**2 - mean**2)


def trapezoid(low: float, high: float, count: int = 3001) -> tuple[Array, Array]:
    weights = np.full(count, (high - low) / (count - 1))
    weights[[0, -1]] *= 0.5
    return np.linspace(low, high, count), np.log(weights)


FINITE = (np.array([-1.0, 0.0, 0.5, 2.0]), np.zeros(4))
WIDE = trapezoid(-9, 9)
CASES = {
    "finite set": ("{-1, 0, 0.5, 2}", "", "maximize", "cos(pi*x) - a^2/2", lambda x, a: np.cos(np.pi * x) - a**2 / 2, FINITE),
    "interval": ("[-1, 1]", "", "minimize", "cos(pi*x) + a^2/2", lambda x, a: np.cos(np.pi * x) + a**2 / 2, trapezoid(-1, 1)),
    "not quadratic": ("R", "", "minimize", "x + a^4", lambda x, a: x + a**4, trapezoid(-4, 4)),
    "variance by state": ("R", "", "minimize", "x + (1 + x)*a^2", lambda x, a: x + (1 + x) * a**2, WIDE),
    "prior": (
        "R", " prior normal(0.2, 0.5)", "minimize", "x + a^2", lambda x, a: x + a**2,
        (WIDE[0], WIDE[1] - (WIDE[0] - 0.2) ** 2 - 0.5 * np.log(np.pi)),
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_soft_maximum(name: str) -> None:
    domain, prior, sense, text, reward, (nodes, weights) = CASES[name]
    value, mean, spread = soft_oracle(reward, nodes, weights, 1 if sense == "maximize" else -1)
    solution = solved(SOFT.format(domain=domain, prior=prior, sense=sense, reward=text), nx=201)
    assert_within(solution, X, value, most=1e-5)
    got = solution.function.evaluate(np.zeros(13), X[:, None], np.zeros(13, np.int64))
    assert got.spread is not None
    assert np.max(np.abs(got.control[:, 0] - mean)) < 5e-4
    assert np.max(np.abs(got.spread[:, 0] - spread)) < 5e-4


RISK = """problem wary
state x in R
control a in R
noise W
dx = (0.2*x + a) dt + 0.5 dW
{sense} risk({theta}) [ integral(0, 1) {sign}(x^2 + 0.5*a^2) dt + {sign}x(1)^2 ]
region x in [-1, 1]
"""


@pytest.mark.slow
@pytest.mark.parametrize(("sense", "theta"), [("minimize", 0.4), ("minimize", -0.4), ("maximize", 0.4), ("maximize", -0.4)])
def test_risk_sensitive_regulator(sense: str, theta: float) -> None:
    """s V = P x^2 + c, s the sign of the cost: P' = 1 + 0.4 P - 2 P^2 + s theta P^2/2, c' = P/4 in time to go."""
    sign = 1 if sense == "minimize" else -1
    path = solve_ivp(
        lambda _t, y: [1 + 0.4 * y[0] - 2 * y[0] ** 2 + 2 * sign * theta * 0.25 * y[0] ** 2, 0.25 * y[0]], (0, 1), [1.0, 0.0],
        rtol=1e-10, atol=1e-12,
    )  # fmt: skip
    P, c = path.y[:, -1]
    x = np.linspace(-1, 1, 21)
    solution = solved(RISK.format(sense=sense, theta=theta, sign="-" if sign < 0 else ""), nx=201)
    assert_within(solution, x, sign * (P * x**2 + c), most=1e-3)
    got = solution.function.evaluate(np.zeros(21), x[:, None], np.zeros(21, np.int64))
    assert got.control.shape == (21, 1)
    assert np.max(np.abs(got.control[:, 0] + 2 * P * x)) < 5e-3


def test_expectation_of_an_exponential() -> None:
    """(1/theta) log E exp(theta x(1)) of a normal x(1) is its mean plus theta/2 times its variance; nothing is chosen."""
    text = """problem moment
state x in R
noise W
dx = -x dt + 0.6 dW
evaluate risk(0.7) [ x(1) ]
region x in [-1, 1]
"""
    x = np.linspace(-1, 1, 21)
    variance = 0.18 * (1 - np.exp(-2))
    assert_within(solved(text, nx=101), x, x * np.exp(-1) + 0.35 * variance, most=1e-4)


@pytest.mark.slow
def test_controlled_rate_of_jumps() -> None:
    """A jump back to 0, whose rate u in [0, 3] costs u^2: V(0) is an unknown of the boundary-value problem."""
    text = """problem reset
state x in [0, 1]
control u in [0, 3]
noise W
jump N rate u
dx = 0.5 dt + 0.3 dW - x dN
minimize E integral(0, inf) exp(-0.4*t)*(4*x^2 + u^2) dt
boundary x = 0 : reflect
boundary x = 1 : reflect
region x in [0, 1]
"""

    def rate(y: Array, start: Array) -> Array:
        return np.clip((y - start) / 2, 0, 3)

    def right(x: Array, y: Array, start: Array) -> Array:
        u = rate(y[0], start)
        return np.array([y[1], (0.4 * y[0] - 4 * x**2 - u**2 - u * (start - y[0]) - 0.5 * y[1]) / 0.045])

    def ends(a: Array, b: Array, start: Array) -> Array:
        return np.array([a[1], b[1], a[0] - start[0]])

    found = solve_bvp(right, ends, np.linspace(0, 1, 41), np.ones((2, 41)), p=[1.0], tol=1e-7, max_nodes=20000)
    assert found.success
    solution = solved(text, nx=201)
    assert_within(solution, X, found.sol(X)[0], most=1e-4)
    got = solution.function.evaluate(np.zeros(13), X[:, None], np.zeros(13, np.int64))
    assert np.max(np.abs(got.control[:, 0] - rate(found.sol(X)[0], found.p[0]))) < 1e-3
