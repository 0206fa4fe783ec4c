"""Hopf-Cole log-expectations against Riccati solutions by hand, brute-force quadrature and the differences of V."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate
from scipy.linalg import expm, solve_banded
from scipy.stats import chi2, norm

from hjbdsl.methods.closed_form.expectation.hopf_cole import propose
from hjbdsl.model.solution import Rejected
from tests.methods.closed_form.expectation_problems import at, proposed, proved
from tests.methods.closed_form.solving import point, solved


def log_expectation(cost, kappa, mean, sd, ends=12.0):
    """-(1/kappa) log E exp(-kappa cost(Y)), Y ~ N(mean, sd^2), on a dense trapezoid."""
    z = np.linspace(-ends, ends, 400001)
    exponent = -kappa * cost(mean + sd * z) - z**2 / 2
    top = exponent.max()
    return -(top + np.log(integrate.trapezoid(np.exp(exponent - top), z) / np.sqrt(2 * np.pi))) / kappa


def test_quadratic_end_cost_in_closed_form():
    text = """problem quadratic
param s = 0.7, k = 1.3, q = 2, T = 1.1
param m : R^4 = [1, -1, 0.5, 0]
state x in R^4
control u in R^4
noise W in R^4
dx = u dt + s dW
minimize E [ integral(0, T) q*|u|^2 dt + k*|x(T) - m|^2 ]
region x in [-1, 1]
"""
    solution = proved(propose, text)
    x, t = np.array([[0.3, 0.2, -0.7, 0.9]]), 0.4
    away, tau = x - np.array([1, -1, 0.5, 0]), 0.7
    d = 1 + 1.3 / 2 * tau  # V = p |x - m|^2 + c with -p' = -p^2/q, p(T) = k
    point = at(solution, t, x)
    assert point.value[0] == pytest.approx(1.3 / d * np.sum(away**2) + 4 * 0.49 * 2 * np.log(d), rel=1e-12)
    assert np.allclose(point.control, -1.3 / d * away / 2, rtol=1e-11)


def test_radial_end_cost_in_many_dimensions():
    text = """problem radial
param n = 30, T = 1
state x in R^n
control u in R^n
noise W in R^n
dx = 2*u dt + sqrt(2) dW
minimize E [ integral(0, T) |u|^2 dt + log((1 + |x(T)|^2)/2) ]
region x in [-1, 1]
"""
    solution = proved(propose, text)
    for radius, t in ((0.0, 0.0), (2.5, 0.3), (6.0, 0.9)):
        x = np.full((1, 30), radius / np.sqrt(30))
        variance = 2 * (1 - t)
        # |Y|^2 is a square of N(radius, variance) plus variance times a chi-square with 29 degrees
        first = radius + np.sqrt(variance) * np.linspace(-12, 12, 1201)
        rest = np.linspace(0, 15, 4001) ** 2
        shape = norm.pdf(first, radius, np.sqrt(variance))[:, None] * chi2(29).pdf(rest)
        payoff = 2 / (1 + first[:, None] ** 2 + variance * rest)
        inner = integrate.simpson(payoff * shape * 2 * np.sqrt(rest), x=np.sqrt(rest), axis=1)
        phi = integrate.trapezoid(inner, first)
        assert at(solution, t, x).value[0] == pytest.approx(-np.log(phi), abs=1e-11)


def test_separable_double_wells_with_a_spring():
    text = """problem wells
param n = 5, theta = 0.3, s = 0.9, nu = 0.8, T = 1.5
state x in R^n
control u in R^n
noise W in R^n
dx = (-theta*x + u) dt + s dW
minimize E [ integral(0, T) |u|^2/2 dt + nu*sum((x(T)[i]^2 - i)^2 for i in 1..n) ]
region x in [-2, 2]
"""
    solution = proved(propose, text)
    x, tau = np.array([0.1, -1.0, 1.5, 0.7, -0.2]), 1.2
    mean, sd = x * np.exp(-0.3 * tau), 0.9 * np.sqrt((1 - np.exp(-0.6 * tau)) / 0.6)
    exact = sum(log_expectation(lambda y, i=i: 0.8 * (y**2 - i) ** 2, 1 / 0.81, mean[i - 1], sd) for i in range(1, 6))
    assert at(solution, 0.3, x).value[0] == pytest.approx(exact, abs=1e-10)


def test_maximize_with_a_kinked_reward_turns_the_sign():
    text = """problem kinked
param s = 0.5, T = 1
state x in R
control a in R
noise W
dx = (0.2 + a) dt + s dW
maximize E [ integral(0, T) -2*a^2 dt + min(x(T), 0.4) ]
region x in [-1, 1]
"""
    solution = proved(propose, text)
    # -2 a^2: R = -4, kappa = -1/(4 s^2) = -1; V = log E exp(g)
    x = np.array([-0.6, 0.1, 0.9])
    exact = [-log_expectation(lambda y: -np.minimum(y, 0.4), 1.0, v + 0.2, 0.5) for v in x]
    assert np.allclose(at(solution, 0.0, x[:, None]).value, exact, rtol=0, atol=1e-10)
    assert np.all(at(solution, 0.0, x[:, None]).control >= 0)


def test_running_cost_tilts_the_law():
    """A quadratic running cost and a kinked end cost: against the linear equation solved on a fine grid."""
    text = """problem tilted
param T = 0.8
state x in R
control a in R
noise W
dx = (0.3*x + a) dt + 0.8 dW
minimize E [ integral(0, T) (a^2/2 + 1.5*x^2 + 0.2*x) dt + abs(x(T) - 0.3) ]
region x in [-1, 1]
"""
    solution = proved(propose, text)
    kappa, size, steps = 1 / 0.64, 2001, 2000
    grid = np.linspace(-6, 6, size)
    h, dt = grid[1] - grid[0], 0.8 / steps
    phi = np.exp(-kappa * np.abs(grid - 0.3))
    drift, spread = 0.3 * grid / (2 * h), 0.32 / h**2
    potential = kappa * (1.5 * grid**2 + 0.2 * grid)
    lower, middle, upper = spread - drift, -2 * spread - potential, spread + drift

    def step(values, share):
        """(1 - share dt L)^-1 (1 + (1 - share) dt L) by a banded solve."""
        right = values + (1 - share) * dt * (middle * values + upper * np.roll(values, -1) + lower * np.roll(values, 1))
        band = np.zeros((3, size))
        band[0, 1:], band[1], band[2, :-1] = -share * dt * upper[:-1], 1 - share * dt * middle, -share * dt * lower[1:]
        return solve_banded((1, 1), band, right)

    for k in range(steps):
        phi = step(phi, 1.0 if k < 4 else 0.5)
    for x in (-0.6, 0.0, 0.48):
        exact = -np.log(phi[np.argmin(np.abs(grid - x))]) / kappa
        assert at(solution, 0.0, [[x]]).value[0] == pytest.approx(exact, abs=2e-4)


def test_cross_terms_and_a_linear_control_cost_are_completed():
    text = """problem crossed
param T = 1
state x in R
control a in R
noise W
dx = (0.1 + a) dt + 0.6 dW
minimize E [ integral(0, T) (a^2 + 0.4*a) dt + x(T)^4/4 ]
region x in [-1, 1]
"""
    solution = proved(propose, text)
    # a* = -(p + 0.4)/2: drift 0.1 - 0.2, l = -0.04, N = 1/2, kappa = 1/(2*0.36)
    exact = log_expectation(lambda y: y**4 / 4, 1 / 0.72, 0.5 - 0.1, 0.6) - 0.04
    point = at(solution, 0.0, [[0.5]])
    assert point.value[0] == pytest.approx(exact, abs=1e-10)
    assert point.control[0, 0] == pytest.approx(-(point.gradient[0, 0] + 0.4) / 2, abs=1e-12)


def test_coupled_coordinates_and_a_cost_of_one_combination():
    text = """problem coupled
param T = 1
param A : R^(3,3) = [[-0.5, 0.3, 0], [0, -0.2, 0.4], [0.1, 0, -0.3]]
param G : R^(3,3) = [[1, 0.2, 0], [0, 0.8, 0.1], [0, 0, 0.6]]
state x in R^3
control u in R^3
noise W in R^3
dx = (A*x + G*u) dt + G dW
minimize E [ integral(0, T) |u|^2/2 dt + 3*tanh(x(T)[1] - 0.5*x(T)[3])^2 ]
region x in [-1, 1]
"""
    solution = proved(propose, text)
    a = np.array([[-0.5, 0.3, 0], [0, -0.2, 0.4], [0.1, 0, -0.3]])
    g = np.array([[1, 0.2, 0], [0, 0.8, 0.1], [0, 0, 0.6]])
    c = np.array([1, 0, -0.5])
    x = np.array([0.4, -0.3, 0.8])
    variance, _ = integrate.quad(lambda s: float(np.sum((c @ expm(a * s) @ g) ** 2)), 0, 1, epsabs=1e-14)
    exact = log_expectation(lambda y: 3 * np.tanh(y) ** 2, 1.0, float(c @ expm(a) @ x), np.sqrt(variance))
    assert at(solution, 0.0, x).value[0] == pytest.approx(exact, abs=1e-10)


@pytest.mark.slow
def test_two_dimensional_end_cost():
    text = """problem plane
param T = 1
state x in R^2
control u in R^2
noise W in R^2
dx = u dt + 0.7 dW
minimize E [ integral(0, T) |u|^2/2 dt + (x(T)[1]*x(T)[2] - 0.5)^2 + x(T)[1]^2/4 ]
region x in [-1, 1]
"""
    solution = proved(propose, text)
    x = np.array([0.5, -0.4])
    y = np.linspace(-9, 9, 3001)
    first, second = np.meshgrid(0.5 + 0.7 * y, -0.4 + 0.7 * y, indexing="ij")
    weight = norm.pdf(y)[:, None] * norm.pdf(y)
    phi = np.sum(weight * np.exp(-((first * second - 0.5) ** 2 + first**2 / 4) / 0.49)) * (y[1] - y[0]) ** 2
    assert at(solution, 0.0, x).value[0] == pytest.approx(-0.49 * np.log(phi), abs=1e-9)


def test_risk_cancels_the_control():
    """theta = kappa: the quadratic terms cancel and V is a plain expectation."""
    text = """problem cancelled
param T = 1
state x in R
control a in R
noise W
dx = a dt + 0.5 dW
minimize risk(4) [ integral(0, T) a^2/2 dt + max(x(T), 0) ]
region x in [-1, 1]
"""
    solution = proved(propose, text)
    x = 0.3
    d = x / 0.5
    assert at(solution, 0.0, [[x]]).value[0] == pytest.approx(x * norm.cdf(d) + 0.5 * norm.pdf(d), abs=1e-12)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("dx = u dt", "dx = (u - [x[1]^3, x[2]]) dt"), "not linear"),
        (("+ 0.7 dW", "+ (0.7 + 0*t)*[[1, 0], [0, 0.5]] dW"), "do not enter the same way"),
        (("integral(0, T) |u|^2/2", "integral(0, T) exp(-0.1*t)*|u|^2/2"), ""),
        (("control u in R^2", "control u in [-1, 1]^2"), "bounded"),
    ],
)
def test_other_problems_are_declined(change, reason):
    text = """problem plane
param T = 1
state x in R^2
control u in R^2
noise W in R^2
dx = u dt + 0.7 dW
minimize E [ integral(0, T) |u|^2/2 dt + cos(x(T)[1]*x(T)[2]) ]
region x in [-1, 1]
""".replace(*change)
    answer = proposed(propose, text)
    assert isinstance(answer, Rejected)
    assert reason in answer.reason


def test_two_orthogonal_combinations_in_twenty_dimensions():
    # cos(sum x) and |x_1 - x_2| are independent under the isotropic law: two line integrals
    text = """
param n = 20
state X in R^n
control M in R^n
noise W in R^n
dX = M dt + 0.6 dW
minimize E [ integral(0, 1) |M|^2/2 dt + cos(sum(X(1)[i] for i in 1..n)) + abs(X(1)[1] - X(1)[2]) ]
region X in [-1, 1]
"""
    solution = solved(text, "Hopf-Cole")
    x = np.linspace(-0.4, 0.55, 20)
    kappa = 1 / 0.36

    def soft(cost, mean, variance, points):
        density = lambda y: np.exp(-kappa * cost(y) - (y - mean) ** 2 / (2 * variance)) / np.sqrt(2 * np.pi * variance)  # noqa: E731
        reach = 10 * np.sqrt(variance)
        return (
            -np.log(integrate.quad(density, mean - reach, mean + reach, points=points, limit=400, epsabs=0, epsrel=1e-11)[0])
            / kappa
        )

    expected = soft(np.cos, x.sum(), 0.36 * 20, None) + soft(np.abs, x[0] - x[1], 0.36 * 2, [0.0])
    assert point(solution, x)[0] == pytest.approx(expected, rel=1e-9)
