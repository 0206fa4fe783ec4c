"""Time reversal of Gaussian mixtures against scipy's densities, with scores by differences of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate
from scipy.linalg import expm
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from hjbdsl.frontend.load import loads_problem
from hjbdsl.methods.closed_form import solve
from hjbdsl.methods.closed_form.reversal import control_problem, propose
from hjbdsl.methods.closed_form.reversal_formula import scalar_formula
from hjbdsl.model.problem import TIME
from hjbdsl.model.solution import Accepted
from hjbdsl.numeric.compile import compile_expressions
from hjbdsl.symbolic.derive import derive
from tests.methods.closed_form.expectation_problems import at, proved


def mixture(weights, means, covariances, y):
    return logsumexp(
        [np.log(w) + multivariate_normal(m, c).logpdf(y) for w, m, c in zip(weights, means, covariances, strict=True)], axis=0
    )


def slope(function, y, step=1e-5):
    return np.array([(function(y + step * e) - function(y - step * e)) / (2 * step) for e in np.eye(len(y))])


def test_coupled_drift_and_full_covariances():
    text = """problem spiral
param T = 1.2
param A : R^(2,2) = [[-0.4, 1], [-0.8, -0.3]], S : R^(2,2) = [[0.7, 0.2], [0, 0.5]]
param C : R^(2,2) = [[0.5, 0.2], [0.2, 0.3]]
state y in R^2
noise W in R^2
dy = (A*y + [0.3, -0.1]) dt + S dW
data y(0) ~ mixture(0.6: normal([1, 0], C), 0.4: normal([-1, 0.5], 0.1))
reverse y on [0, T]
region y in [-2, 2]
"""
    solution = proved(propose, text)
    a, b = np.array([[-0.4, 1], [-0.8, -0.3]]), np.array([0.3, -0.1])
    noise = np.array([[0.7, 0.2], [0, 0.5]])
    s = 0.9
    move = expm(a * s)
    shift = np.array([integrate.quad(lambda u, i=i: (expm(a * u) @ b)[i], 0, s)[0] for i in range(2)])
    spread = np.array(
        [[integrate.quad(lambda u, i=i, j=j: (expm(a * u) @ noise @ noise.T @ expm(a * u).T)[i, j], 0, s)[0] for j in range(2)]
         for i in range(2)]
    )  # fmt: skip
    means = [move @ m + shift for m in ([1, 0], [-1, 0.5])]
    covariances = [move @ c @ move.T + spread for c in ([[0.5, 0.2], [0.2, 0.3]], 0.1 * np.eye(2))]
    for y in np.array([[0.3, -0.4], [-1.5, 1.9]]):
        point = at(solution, 0.3, y)
        assert point.value[0] == pytest.approx(-mixture((0.6, 0.4), means, covariances, y), abs=1e-12)
        score = slope(lambda v: mixture((0.6, 0.4), means, covariances, v), y)
        assert np.allclose(point.control[0], noise.T @ score, atol=1e-8)


@pytest.mark.parametrize(
    ("motion", "decay", "variance"),
    [
        # variance preserving, beta(t) = 0.1 + 2 t
        ("-(0.1 + 2*t)/2*y dt + sqrt(0.1 + 2*t) dW", lambda s: np.exp(-(0.1 * s + s**2) / 2),
         lambda s: 1 - np.exp(-(0.1 * s + s**2))),
        # variance exploding, sigma(t)^2 = 0.5 * 9^t
        ("sqrt(0.5)*3^t dW", lambda s: 1.0, lambda s: 0.5 * (9**s - 1) / np.log(9)),
        # sub-VP: g^2 = beta (1 - exp(-2 int beta))
        ("-(0.2 + t)/2*y dt + sqrt((0.2 + t)*(1 - exp(-0.4*t - t^2))) dW", lambda s: np.exp(-(0.2 * s + s**2 / 2) / 2),
         lambda s: (1 - np.exp(-(0.2 * s + s**2 / 2))) ** 2),
    ],
)  # fmt: skip
def test_the_usual_schedules(motion, decay, variance):
    text = f"""problem schedule
param T = 1
state y in R^3
noise W in R^3
dy = {motion}
data y(0) ~ mixture(0.2: normal([1, 0, 2], 0.04), 0.8: normal([-1, 1, 0], 0.09))
reverse y on [0, T]
region y in [-2, 2]
"""
    solution = proved(propose, text)
    y = np.array([0.4, 0.8, -0.3])
    for t in (0.0, 0.5, 0.97):
        s = 1 - t
        means = [decay(s) * np.array(m) for m in ([1, 0, 2], [-1, 1, 0])]
        covariances = [(decay(s) ** 2 * v + variance(s)) * np.eye(3) for v in (0.04, 0.09)]
        assert at(solution, t, y).value[0] == pytest.approx(-mixture((0.2, 0.8), means, covariances, y), rel=1e-10)


def test_far_from_the_data_nothing_underflows():
    text = """problem far
param T = 1
state y in R
noise W
dy = 0.1 dW
data y(0) ~ mixture(0.5: normal(-1, 0.0001), 0.5: normal(1, 0.0001))
reverse y on [0, T]
region y in [-2, 2]
"""
    solution = proved(propose, text)
    point = at(solution, 1.0, [[40.0]])
    assert point.value[0] == pytest.approx(39**2 / 2e-4 + np.log(2 * np.pi * 1e-4) / 2 + np.log(2), rel=1e-12)
    assert point.control[0, 0] == pytest.approx(-0.1 * 39 / 1e-4, rel=1e-12)


@pytest.mark.slow
def test_hundred_dimensions():
    text = """problem wide
param n = 100, T = 2
state y in R^n
noise W in R^n
dy = -0.5*y dt + dW
data y(0) ~ normal(0.3*ones(n), 0.5*eye(n) + 0.2*ones(n, n))
reverse y on [0, T]
region y in [-1, 1]
"""
    solution = proved(propose, text)
    y = np.linspace(-1, 1, 100)
    decay = np.exp(-0.5)
    covariance = decay**2 * (0.5 * np.eye(100) + 0.2) + (1 - decay**2) * np.eye(100)
    exact = -multivariate_normal(np.full(100, 0.3 * decay), covariance).logpdf(y)
    assert at(solution, 1.0, y).value[0] == pytest.approx(exact, rel=1e-12)


def test_the_scalar_formula_is_the_answer():
    text = """problem scalar
param a = 0.6, b = 0.2, s = 0.8, T = 1.3
state y in R
noise W
dy = (b - a*y) dt + s dW
data y(0) ~ mixture(0.3: normal(-1, 0.1), 0.7: normal(1.5, 0.4))
reverse y on [0, T]
region y in [-2, 2]
"""
    problem = loads_problem(text)
    value, controls = scalar_formula(problem)
    solution = proved(propose, text)
    t, y = np.linspace(0, 1.3, 9), np.linspace(-2, 2, 9)
    function = compile_expressions((TIME, *problem.state_symbols), [problem.numeric(e) for e in (value, *controls.values())])
    point = solution.function.evaluate(t, y[:, None], np.zeros(9, dtype=np.int64))
    assert np.allclose(function(t, y)[0], point.value, atol=1e-13)
    assert np.allclose(function(t, y)[1], point.control[:, 0], atol=1e-12)
    assert "log" in solution.formula.value["V"].text


def test_many_components_are_solved_and_do_not_underflow():
    places = [(a, b) for a in range(5) for b in range(5)]
    law = ", ".join(f"0.04: normal([{a}, {b}], {0.01 + 0.001 * a})" for a, b in places)
    problem = loads_problem(
        f"param T = 1\nstate y in R^2\nnoise W in R^2\ndy = -y dt + dW\ndata y(0) ~ mixture({law})\nreverse y on [0, T]\n"
    )
    reply = solve(derive(problem))
    assert isinstance(reply, Accepted)
    y = np.array([[0.2, 0.1], [1.5, 3.5], [-3.0, 9.0]])  # the last is more than 40 deviations from every component
    found = reply.solution.function.evaluate(np.full(3, 1.0), y, np.zeros(3, dtype=np.int64)).value
    logs = [np.log(0.04) - ((y - m) ** 2).sum(1) / (2 * v) - np.log(2 * np.pi * v)
            for m, v in ((np.array(place), 0.01 + 0.001 * place[0]) for place in places)]  # fmt: skip
    exact = -np.logaddexp.reduce(logs, axis=0)
    assert found == pytest.approx(exact, rel=1e-10)
    terminal = problem.numeric(control_problem(problem).objective.terminal)
    assert compile_expressions(problem.state_symbols, (terminal,))(*y.T)[0] == pytest.approx(exact, rel=1e-10)
