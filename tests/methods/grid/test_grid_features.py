"""Each ingredient of the scheme on a small problem whose answer is known from elsewhere: a formula by hand, or linear algebra."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
from scipy.linalg import expm

from hjbdsl import pipeline
from hjbdsl.errors import HjbError, SolverError
from hjbdsl.methods import grid
from hjbdsl.model.solution import Solution
from tests.methods.grid.reflected import WALLS
from tests.methods.grid.test_grid_known_answers import assert_within, solved


@pytest.mark.slow
def test_lattice_state_beside_a_continuous_one() -> None:
    """q is a birth process that stops at 3 and drives x; E x(1)^2 by the moment equations."""
    text = """problem births
state x in R, q in {0..3}
noise W
jump N rate 0.6*indicator(q < 3)
dx = q dt + 0.3 dW
dq = 1 dN
evaluate E x(1)^2
region x in [-1, 1]
"""
    q, births = np.arange(4.0), 0.6 * (np.eye(4, k=1) - np.diag([1.0, 1.0, 1.0, 0.0]))
    # V = x^2 + 2 a_q x + b_q: a' = q + L a, b' = 2 q a + 0.09 + L b, in time to go
    system = np.zeros((9, 9))
    system[:4, :4] = system[4:8, 4:8] = births
    system[:4, 8], system[4:8, :4], system[4:8, 8] = q, np.diag(2 * q), 0.09
    moments = expm(system)[:8, 8]
    points = np.array([[x, k] for x in (-0.9, -0.2, 0.4, 1.0) for k in range(4)])
    k = points[:, 1].astype(int)
    exact = points[:, 0] ** 2 + 2 * points[:, 0] * moments[k] + moments[4 + k]
    assert_within(solved(text), points, exact, most=0.15)


@pytest.mark.slow
def test_jumps_in_two_states_at_once() -> None:
    text = """problem both
state x in R, y in R
noise W, B
jump N rate 0.8 mark J ~ {-0.5: 0.4, 0.7: 0.6}
dx = 0.3 dW + J dN
dy = 0.2 dB + 0.5*J dN
evaluate E cos(x(1) + y(1))
region x in [-1, 1], y in [-1, 1]
"""
    exponent = -0.5 * (0.09 + 0.04) + 0.8 * (0.4 * cmath.exp(-0.75j) + 0.6 * cmath.exp(1.05j) - 1)
    points = np.random.default_rng(1).uniform(-1, 1, (40, 2))
    exact = (np.exp(exponent) * np.exp(1j * points.sum(axis=1))).real
    assert_within(solved(text, nx=81), points, exact, most=5e-3)


@pytest.mark.parametrize("written", ["", "boundary x = 0 : reflect\nboundary x = 1 : reflect\n"])
def test_reflection_written_or_inferred(written: str) -> None:
    text = f"""problem walls
state x in [0, 1]
noise W
dx = 0.4 dW
evaluate E cos(pi*x(1))
{written}region x in [0, 1]
"""
    x = np.linspace(0, 1, 21)
    assert_within(solved(text, nx=201), x, math.exp(-0.08 * math.pi**2) * np.cos(math.pi * x), most=1e-4)


@pytest.mark.parametrize(("sloped", "fixed"), [(0, 1), (1, 0)])
def test_slope_at_one_end_and_value_at_the_other(sloped: int, fixed: int) -> None:
    text = f"""problem ends
state x in [0, 1]
noise W
dx = 0.5 dW
evaluate E integral(0, inf) exp(-0.3*t)*x dt
boundary x = {sloped} : slope -1
boundary x = {fixed} : value 2
region x in [0, 1]
"""
    k = math.sqrt(0.6) / 0.5
    conditions = np.array([[k * math.sinh(k * sloped), k * math.cosh(k * sloped)], [math.cosh(k * fixed), math.sinh(k * fixed)]])
    a, b = np.linalg.solve(conditions, [-1 - 1 / 0.3, 2 - fixed / 0.3])
    x = np.linspace(0, 1, 21)
    assert_within(solved(text, nx=201), x, a * np.cosh(k * x) + b * np.sinh(k * x) + x / 0.3, most=1e-4)


@pytest.mark.slow
def test_value_that_depends_on_the_time_of_exit() -> None:
    text = """problem clock
state x in R
noise W
dx = 1 dW
exit tau in [0, 1] when |x| >= 1
evaluate E x(tau)^4 - 6*tau*x(tau)^2 + 3*tau^2
region x in [-1, 1]
"""
    x = np.linspace(-1, 1, 21)
    solution = solved(text, nx=201)
    assert_within(solution, x, x**4, most=1e-3)
    assert_within(solution, x, x**4 - 3.6 * x**2 + 1.08, t=0.6, most=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("sense", "worst"), [("maximize", 0.8), ("minimize", 0.2)])
def test_uncertain_correlation(sense: str, worst: float) -> None:
    """E x(1) y(1) moves by the covariance, so that its extremes are at the ends of the correlation's interval."""
    text = f"""problem doubt
state x in R, y in R
control rho in [0.2, 0.8]
noise W, B
dW dB = rho dt
dx = 0.5 dW
dy = 0.4 dB
{sense} E x(1)*y(1)
region x in [-1, 1], y in [-1, 1]
"""
    points = np.random.default_rng(2).uniform(-1, 1, (30, 2))
    assert_within(solved(text, nx=41), points, points.prod(axis=1) + worst * 0.2, most=1e-2)


def test_levels_are_added_until_the_band_is_as_narrow_as_asked() -> None:
    x = np.linspace(0.1, 0.9, 13)
    bands = []
    for tolerance in (1e-1, 2e-6):
        solution: Solution = grid.solve(pipeline.derive(pipeline.loads(WALLS)), {"nx": 101}, tolerance).solution
        assert_within(solution, x, np.cos(math.pi * x) / (0.3 + 0.125 * math.pi**2), most=tolerance)
        bands.append(np.max(solution.function.evaluate(np.zeros(13), x[:, None], np.zeros(13, np.int64)).error))
    assert bands[1] < 2e-6
    assert bands[1] < bands[0]


@pytest.mark.slow
def test_three_states_without_end() -> None:
    """A separable value: a scalar Riccati equation, a discounted second moment, and a quadrature."""
    text = """problem three
state x in R, y in R, z in R
control a in R
noise W, B, C
dx = (-x + a) dt + 0.4 dW
dy = -y dt + 0.5 dB
dz = -2*z dt + 0.3 dC
minimize E integral(0, inf) exp(-0.5*t)*(x^2 + a^2 + y^2 + cos(z)) dt
region x in [-1, 1], y in [-1, 1], z in [-1, 1]
"""
    points = np.random.default_rng(3).uniform(-1, 1, (20, 3))
    x, y, z = points.T
    P = (-2.5 + math.sqrt(10.25)) / 2
    t = np.linspace(0, 50, 20001)[:, None]
    moving = np.exp(-0.5 * t - 0.045 * (1 - np.exp(-4 * t)) / 4) * np.cos(z * np.exp(-2 * t))
    exact = P * (x**2 + 0.32) + 0.4 * (y**2 + 0.5) + np.trapezoid(moving, t[:, 0], axis=0)
    assert_within(solved(text, nx=17), points, exact, most=5e-2)


def test_a_jump_out_of_the_state_space_has_no_value() -> None:
    text = """problem ruin
state x > 0
noise W
jump N rate 0.5 mark J ~ normal(0, 0.04)
dx = 0.1*x dt + 0.2*x dW + x*J dN
evaluate E integral(0, inf) exp(-0.5*t)*sqrt(x) dt
region x in [0.5, 2]
"""
    with pytest.raises(SolverError, match="no admissible control"):
        solved(text, nx=101)


def test_an_exit_that_moves_is_refused() -> None:
    text = """problem tide
state x in R
noise W
dx = 1 dW
exit tau in [0, 1] when x >= 1 + t
evaluate E x(tau)
region x in [-1, 1]
"""
    with pytest.raises(HjbError, match="exit condition"):
        pipeline.loads(text)
