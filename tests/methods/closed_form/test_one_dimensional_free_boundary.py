"""Optimal stopping of general diffusions against parabolic cylinder functions, textbook tests, and brute-force differences."""

import mpmath
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.sparse import bmat, diags, identity
from scipy.sparse.linalg import spsolve

from hjbdsl.methods.closed_form.one_dimensional import propose_free_boundary
from tests.methods.closed_form.solving import along, proved


def solve(text):
    return proved(propose_free_boundary, text)


@pytest.mark.parametrize(("kappa", "sigma", "rho", "strike"), [(0.5, 0.5, 0.1, 0.2), (1.3, 0.8, 0.25, -0.1)])
def test_mean_reverting_price_by_parabolic_cylinder_functions(kappa, sigma, rho, strike):
    proposal = solve(f"""
param kappa = {kappa}, sigma = {sigma}, rho = {rho}, K = {strike}
state x in R
noise W
dx = -kappa*x dt + sigma dW
stopping tau in [0, inf]
maximize E exp(-rho*tau)*max(x(tau) - K, 0)
region x in [-1, 1]
""")

    def increasing(y):
        z = -y * mpmath.sqrt(2 * kappa) / sigma
        return mpmath.exp(z * z / 4) * mpmath.pcfd(-rho / kappa, z)

    def fit(y):
        return float((y - strike) * mpmath.diff(increasing, y) - increasing(y))

    boundary = brentq(fit, strike + 0.01, strike + 4, xtol=1e-14)
    x = np.linspace(-1, 1, 9)
    expected = [v - strike if v >= boundary else float((boundary - strike) * increasing(v) / increasing(boundary)) for v in x]
    found = along(proposal, x)
    np.testing.assert_allclose(found.value, expected, atol=1e-11)
    np.testing.assert_array_equal(found.stop, x >= boundary)


def test_straddle_has_two_boundaries():
    r, d, s, strike = 0.05, 0.03, 0.3, 10.0
    proposal = solve("""
param r = 0.05, d = 0.03, s = 0.3, K = 10
state x > 0
noise W
dx = (r - d)*x dt + s*x dW
stopping tau in [0, inf]
maximize E exp(-r*tau)*|x(tau) - K|
region x in [2, 60]
""")
    half = 0.5 - (r - d) / s**2
    low, high = half - np.sqrt(half**2 + 2 * r / s**2), half + np.sqrt(half**2 + 2 * r / s**2)

    def coefficients(left, right):
        return np.linalg.solve([[left**low, left**high], [right**low, right**high]], [strike - left, right - strike])

    x = np.array([2.0, 5.0, 10.0, 20.0, 60.0])
    found = along(proposal, x)
    inner = found.value[1:4]
    # any two points determine A x^low + B x^high; the third must lie on it, and smooth fit fixes the boundaries
    a, b = np.linalg.solve([[5.0**low, 5.0**high], [20.0**low, 20.0**high]], inner[[0, 2]])
    assert a * 10.0**low + b * 10.0**high == pytest.approx(inner[1], rel=1e-12)
    left = brentq(lambda y: low * a * y ** (low - 1) + high * b * y ** (high - 1) + 1, 0.5, 8)
    right = brentq(lambda y: low * a * y ** (low - 1) + high * b * y ** (high - 1) - 1, 12, 200)
    np.testing.assert_allclose(coefficients(left, right), [a, b], rtol=1e-9)
    np.testing.assert_allclose(found.value[[0, 4]], [8.0, 50.0])


def test_sequential_testing_of_two_hypotheses():
    # Shiryaev: dp = p (1 - p) dW, observe at cost 1, wrong decision 10; V = K(p) solves p^2 (1-p)^2 V''/2 = -1, symmetric
    proposal = solve("""
state p in (0, 1)
noise W
dp = p*(1 - p) dW
stopping tau in [0, inf]
minimize E [ integral(0, tau) 1 dt + min(10*p(tau), 10*(1 - p(tau))) ]
region p in [0.05, 0.95]
""")

    def slope(p):
        return 2 * (2 * np.log((1 - p) / p) + 1 / p - 1 / (1 - p))

    def level(p):
        return 2 * (1 - 2 * p) * np.log(p / (1 - p)) * -1

    boundary = brentq(lambda p: slope(p) - 10, 0.05, 0.499)
    p = np.linspace(0.05, 0.95, 19)
    q = np.minimum(p, 1 - p)
    inside = 10 * boundary + level(boundary) - level(q)
    # V'' = -2/(p^2 (1-p)^2) has the symmetric solution -2 (1 - 2p) log((1-p)/p)
    assert np.allclose(
        np.gradient(np.gradient(-2 * (1 - 2 * p) * np.log((1 - p) / p), p), p)[5:14], (-2 / (p * (1 - p)) ** 2)[5:14], rtol=0.2
    )
    inside = 10 * boundary - 2 * (1 - 2 * q) * np.log((1 - q) / q) + 2 * (1 - 2 * boundary) * np.log((1 - boundary) / boundary)
    expected = np.where(q <= boundary, 10 * q, inside)
    np.testing.assert_allclose(along(proposal, p).value, expected, atol=1e-10)


def test_boundary_at_a_kink_and_isolated_point():
    # reward min(x, 3): with growth above the discount rate it pays to wait up to the kink, where V' = beta lies in (0, 1)
    proposal = solve("""
state x > 0
noise W
dx = 0.08*x dt + 0.3*x dW
stopping tau in [0, inf]
maximize E exp(-0.05*tau)*min(x(tau), 3)
region x in [1, 8]
""")
    half = 0.5 - 0.08 / 0.09
    beta = half + np.sqrt(half**2 + 0.1 / 0.09)
    x = np.array([1.0, 2.0, 3.0, 5.0])
    np.testing.assert_allclose(along(proposal, x).value, np.where(x < 3, 3 * (x / 3) ** beta, 3), atol=1e-11)
    tent = solve("""
state x in R
noise W
dx = 1 dW
stopping tau in [0, inf]
maximize E [ integral(0, tau) exp(-0.1*t) dt + exp(-0.1*tau)*(11 - 500*|x(tau)|) ]
region x in [-1, 1]
""")
    x = np.array([-1.0, 0.0, 0.5])
    np.testing.assert_allclose(along(tent, x).value, 10 + np.exp(-np.sqrt(0.2) * np.abs(x)), atol=1e-10)


def test_controlled_stopping_against_differences():
    # minimise effort and waiting until stopped at cost 2 - x (stop where x is large)
    proposal = solve("""
state x in R
control a in [0, 1]
noise W
dx = (a - 0.3*x) dt + 0.6 dW
stopping tau in [0, inf]
minimize E [ integral(0, tau) exp(-0.2*t)*(0.3 + a^2/2) dt + exp(-0.2*tau)*max(2 - x(tau), 0.5) ]
region x in [-1, 2]
""")
    coarse, fine = (_controlled_stopping_by_differences(n) for n in (4001, 8001))
    x = np.array([-1.0, 0.0, 0.5, 1.0, 1.4])
    expected = np.interp(x, *fine) + (np.interp(x, *fine) - np.interp(x, *coarse)) / 3
    np.testing.assert_allclose(along(proposal, x).value, expected, atol=1e-5)


def _controlled_stopping_by_differences(count):
    x = np.linspace(-7, 7, count)
    h = x[1] - x[0]
    payoff = np.maximum(2 - x, 0.5)
    value, stopped = payoff.copy(), np.zeros(count, dtype=bool)
    for _ in range(500):
        slope = np.gradient(value, h)
        a = np.clip(-slope, 0, 1)
        drift = a - 0.3 * x
        up, down = 0.18 / h**2 + drift / (2 * h), 0.18 / h**2 - drift / (2 * h)
        main = up + down + 0.2
        main[[0, -1]], up[0], down[-1] = 1.0, 1.0, 1.0
        matrix = diags([-down[1:], main, -up[:-1]], [-1, 0, 1]).tocsr()
        right = 0.3 + a**2 / 2
        right[[0, -1]] = 0.0
        new = (right - matrix @ value) / main + value - payoff > 1e-13
        keep = diags((~new).astype(float))
        solved = spsolve((keep @ matrix + diags(new.astype(float))).tocsc(), np.where(new, payoff, right))
        if np.array_equal(new, stopped) and np.abs(solved - value).max() < 1e-12:
            break
        value, stopped = solved, new
    return x, value


@pytest.mark.slow
def test_two_modes_against_differences():
    proposal = solve("""
mode  z in {a, b}
rate  a -> b = 0.5, b -> a = 0.3
param s(z) = {a: 0.2, b: 0.5}
state x > 0
noise W
dx = 0.03*x dt + s(z)*x dW
stopping tau in [0, inf]
maximize E exp(-0.05*tau)*max(10 - x(tau), 0)
region x in [5, 30]
""")
    coarse, fine = (_regime_put_by_differences(n) for n in (1501, 3001))
    points = [5.0, 8.0, 12.0]
    for mode in (0, 1):
        expected = [
            np.interp(np.log(p), fine[0], fine[1][mode]) * 4 / 3 - np.interp(np.log(p), coarse[0], coarse[1][mode]) / 3
            for p in points
        ]
        np.testing.assert_allclose(along(proposal, points, mode).value, expected, atol=2e-5)


def _regime_put_by_differences(count):
    y = np.linspace(0, np.log(1e5), count)
    h = y[1] - y[0]
    payoff = np.tile(np.maximum(10 - np.exp(y), 0), 2)
    blocks = []
    for s, leaving in ((0.2, 0.5), (0.5, 0.3)):
        up, down = s * s / 2 / h**2 + (0.03 - s * s / 2) / (2 * h), s * s / 2 / h**2 - (0.03 - s * s / 2) / (2 * h)
        blocks.append(
            diags(
                [-down * np.ones(count - 1), (up + down + 0.05 + leaving) * np.ones(count), -up * np.ones(count - 1)], [-1, 0, 1]
            )
        )
    matrix = bmat([[blocks[0], -0.5 * identity(count)], [-0.3 * identity(count), blocks[1]]]).tocsr()
    value, stopped = payoff.copy(), np.zeros(2 * count, dtype=bool)
    for step in range(3000):
        new = payoff - value + (matrix @ value) / matrix.diagonal() > 1e-14
        new[[0, count]] = True
        if step and np.array_equal(new, stopped):
            break
        stopped = new
        keep = diags((~stopped).astype(float))
        value = spsolve((keep @ matrix + diags(stopped.astype(float))).tocsc(), np.where(stopped, payoff, 0))
    return y, value.reshape(2, count)


def test_two_stopping_regions_round_a_continuation_interval():
    # min(|x|, 1) with r = 1/2: u = cosh, continued on (-1, 1), where the payoff has its concave kinks
    proposal = solve("""
state X in R
noise W
dX = 1 dW
stopping nu in [0, inf]
maximize E exp(-0.5*nu)*min(abs(X(nu)), 1)
region X in [-3, 3]
""")
    x = np.linspace(-3, 3, 25)
    found = along(proposal, x)
    np.testing.assert_allclose(found.value, np.where(np.abs(x) < 1, np.cosh(x) / np.cosh(1), 1.0), atol=1e-10)
    assert np.array_equal(found.stop, np.abs(x) >= 1)
