"""Modes, lattices and jumps: coupled systems of coefficients against linear algebra, root finders and policy enumeration."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.linalg import expm
from scipy.optimize import fsolve, minimize_scalar
from solving import solved

from hjbdsl import pipeline
from hjbdsl.methods.closed_form.linear_quadratic import propose
from hjbdsl.model.solution import Rejected
from tests.methods.closed_form.test_ansatz_utility import at, solve


def test_regime_dependent_market():
    """V_z = A_z x^(1-g)/(1-g): rho = (1-g) M_z + g A_z^(-1/g) + sum_j q_zj (A_j/A_z - 1), two equations."""
    found = solve(
        """param r = 0.03, gamma = 3, rho = 0.07
mode z in {good, bad}
rate good -> bad = 0.3, bad -> good = 0.5
param mu(z) = {good: 0.1, bad: 0.02}
param s(z) = {good: 0.15, bad: 0.3}
state x > 0
control w in [0, 0.8], c >= 0
noise W
dx = (r*x + w*(mu(z) - r)*x - c) dt + w*s(z)*x dW
maximize E integral(0, inf) exp(-rho*t)*c^(1-gamma)/(1-gamma) dt
region x in [0.5, 2]
"""
    )
    weight = np.clip([0.07 / (3 * 0.0225), -0.01 / (3 * 0.09)], 0, 0.8)
    rate = 0.03 + weight * np.array([0.07, -0.01]) - 1.5 * weight**2 * np.array([0.0225, 0.09])

    def balance(log_a):
        a = np.exp(log_a)
        switch = np.array([0.3 * (a[1] / a[0] - 1), 0.5 * (a[0] / a[1] - 1)])
        return -0.07 - 2 * rate + 3 * a ** (-1 / 3) + switch

    a = np.exp(fsolve(balance, np.log([5000.0, 5000.0]), xtol=1e-13))
    for z in (0, 1):
        point = at(found, [[1.4]], mode=z)
        assert point.value[0] == pytest.approx(-a[z] * 1.4**-2 / 2, rel=1e-10)
        np.testing.assert_allclose(point.control[0], [weight[z], a[z] ** (-1 / 3) * 1.4], rtol=1e-8, atol=1e-12)


@pytest.mark.slow
def test_lognormal_jumps_in_the_price():
    """The best fraction by a one-dimensional search over adaptive quadrature."""
    found = solve(
        """param r = 0.02, mu = 0.1, sigma = 0.15, gamma = 3, rho = 0.06, lam = 0.5
state x > 0
control w in [0, 1], c >= 0
noise W
jump N rate lam mark J ~ normal(-0.1, 0.15^2)
dx = (r*x + w*(mu - r)*x - c) dt + w*sigma*x dW + w*x*(exp(J) - 1) dN
maximize E integral(0, inf) exp(-rho*t)*c^(1-gamma)/(1-gamma) dt
region x in [0.5, 2]
"""
    )

    def certainty(w):
        def integrand(j):
            return ((1 + w * np.expm1(j)) ** -2 - 1) * np.exp(-((j + 0.1) ** 2) / 0.045) / np.sqrt(2 * np.pi * 0.0225)

        return 0.02 + 0.08 * w - 1.5 * 0.0225 * w**2 - 0.25 * quad(integrand, -1.6, 1.4, epsabs=1e-14, epsrel=1e-13)[0]

    best = minimize_scalar(lambda w: -certainty(w), bounds=(0, 1), method="bounded", options={"xatol": 1e-10})
    k = (0.06 + 2 * certainty(best.x)) / 3
    point = at(found, [[1.0]])
    assert point.control[0, 0] == pytest.approx(best.x, abs=1e-6)
    assert point.value[0] == pytest.approx(-(k**-3) / 2, rel=1e-9)


def market_maker(objective, bounds="in R"):
    return f"""param A = 1.4, k = 1.5, gam = 0.1, phi = 0.05, sigma = 0.3, T = 1
state x in R, s in R, q in {{-2..2}}
control da {bounds}, db {bounds}
noise W
jump Na rate A*exp(-k*da)*indicator(q > -2)
jump Nb rate A*exp(-k*db)*indicator(q < 2)
ds = sigma dW
dx = (s + da) dNa - (s - db) dNb
dq = -1 dNa + 1 dNb
maximize {objective}
region x in [-1, 1], s in [1, 3]
"""


@pytest.mark.slow
def test_market_maker_with_exponential_utility():
    """Gueant, Lehalle, Fernandez-Tapia, Math. Financ. Econ. 7 (2013): V = -exp(-gam(x + q s)) v_q^(-gam/k), v linear."""
    found = solve(market_maker("E [ -exp(-gam*(x(T) + q(T)*s(T))) ]"))
    k, gam, sigma = 1.5, 0.1, 0.3
    eta = 1.4 * (1 + gam / k) ** (-(1 + k / gam))
    q = np.arange(-2, 3)
    matrix = np.diag(k * gam * sigma**2 / 2 * q**2.0) - eta * (np.eye(5, k=1) + np.eye(5, k=-1))
    v = expm(-matrix) @ np.ones(5)
    x = np.stack([np.full(5, 0.2), np.full(5, 2.0), q], axis=1)
    point = at(found, x)
    np.testing.assert_allclose(point.value, -np.exp(-gam * (0.2 + 2 * q)) * v ** (-gam / k), rtol=1e-9)
    ask = np.log(v[1:] / v[:-1]) / k + np.log(1 + gam / k) / gam
    np.testing.assert_allclose(point.control[1:, 0], ask, rtol=1e-7)


@pytest.mark.slow
def test_market_maker_without_risk_aversion():
    """theta_q = log(v_q)/k with v' = k phi q^2 v - (A/e)(v_(q+1) + v_(q-1)), v(T) = 1 (Cartea, Jaimungal, Penalva 2015, 10.2)."""
    found = solve(market_maker("E [ integral(0, T) -phi*q^2 dt + x(T) + q(T)*s(T) ]"))
    q = np.arange(-2, 3)
    matrix = np.diag(1.5 * 0.05 * q**2.0) - 1.4 / np.e * (np.eye(5, k=1) + np.eye(5, k=-1))
    v = expm(-matrix) @ np.ones(5)
    x = np.stack([np.full(5, 0.2), np.full(5, 2.0), q], axis=1)
    np.testing.assert_allclose(at(found, x).value, 0.2 + 2 * q + np.log(v) / 1.5, rtol=1e-9)


QUEUE = """param rho = 0.1
state n in {{0..3}}
control u in {controls}
jump S rate u*indicator(n > 0)
jump A rate 0.8*indicator(n < 3)
dn = -1 dS + 1 dA
minimize E integral(0, {end}) exp(-rho*t)*(n + 0.7*u^2) dt
"""


def generator(u):
    q = np.zeros((4, 4))
    for n in range(4):
        if n > 0:
            q[n, n - 1] += u[n]
        if n < 3:
            q[n, n + 1] += 0.8
    return q - np.diag(q.sum(axis=1))


def test_queue_with_a_finite_set_of_speeds_against_every_policy():
    found = solve(QUEUE.format(controls="{0, 0.5, 1, 2}", end="inf"))
    best = np.full(4, np.inf)
    for u in itertools.product([0, 0.5, 1, 2], repeat=4):
        cost = np.arange(4) + 0.7 * np.array(u) ** 2
        best = np.minimum(best, np.linalg.solve(0.1 * np.eye(4) - generator(u), cost))
    np.testing.assert_allclose(at(found, np.arange(4)[:, None]).value, best, rtol=1e-11)


def test_queue_over_a_finite_time_against_an_integrator():
    found = solve(QUEUE.format(controls="[0, 1.5]", end="4"))

    def backwards(_t, v):
        saved = np.append(0.0, v[:-1] - v[1:])
        saved = -saved
        u = np.clip(saved / 1.4, 0, 1.5)
        up = np.append(0.8 * (v[1:] - v[:-1]), 0.0)
        return np.arange(4) + 0.7 * u**2 - u * saved + up - 0.1 * v

    expected = solve_ivp(backwards, (0, 4), np.zeros(4), rtol=1e-11, atol=1e-12).y[:, -1]
    np.testing.assert_allclose(at(found, np.arange(4)[:, None]).value, expected, rtol=1e-8)


def test_an_answer_travels_as_plain_data():
    found = solve(QUEUE.format(controls="[0, 1.5]", end="4"))
    copy = pickle.loads(pickle.dumps(found.function))
    x = np.arange(4.0)[:, None]
    times = np.linspace(0, 4, 4)
    before, after = (f.evaluate(times, x, np.zeros(4, dtype=int)) for f in (found.function, copy))
    np.testing.assert_array_equal(before.value, after.value)
    np.testing.assert_array_equal(before.control, after.control)
    assert np.isnan(copy.evaluate(times[:1], np.array([[0.5]]), np.zeros(1, dtype=int)).value).all()


def test_a_policy_that_switches_near_the_root():
    """Care pays in the long run but not for a short horizon: rho V = up: y - c + f1 (Vd - Vu), down: -k + g (Vu - Vd)."""
    text = """problem repair
mode z in {up, down}
control d in [0, 1]
rate up -> down = 0.8 - 0.6*d, down -> up = 1.2
param on(z) = {up: 1, down: 0}
maximize E integral(0, inf) exp(-0.1*t)*(on(z)*(2 - 0.3*d) - 0.5*(1 - on(z))) dt
"""
    expected = np.linalg.solve([[0.1 + 0.2, -0.2], [-1.2, 0.1 + 1.2]], [1.7, -0.5])
    solution = solved(text, "polynomial")
    found = solution.function.evaluate(np.zeros(2), np.zeros((2, 0)), np.array([0, 1]))
    assert found.value == pytest.approx(expected, rel=1e-10)


def test_a_chain_alone_is_told_without_a_failure():
    """(r - Q) V = w; the regulator's family is asked first, and there is no state for it."""
    text = """mode s in {emp, unemp}
rate emp -> unemp = 0.3, unemp -> emp = 0.4
param w(s) = {emp: 1, unemp: -0.5}
evaluate E integral(0, inf) exp(-0.07*t)*w(s) dt
"""
    assert isinstance(propose(pipeline.derive(pipeline.loads(text))), Rejected)
    found = solve(text)
    exact = np.linalg.solve(np.array([[0.37, -0.3], [-0.4, 0.47]]), [1.0, -0.5])
    got = found.function.evaluate(np.zeros(2), np.zeros((2, 0)), np.arange(2))
    np.testing.assert_allclose(got.value, exact, rtol=1e-12)
