"""Exponential-affine and -quadratic factor models against Riccati equations written by hand, and closed formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from hjbdsl.errors import HjbError
from hjbdsl.frontend.load import loads_problem
from hjbdsl.methods.closed_form.ansatz import propose
from hjbdsl.symbolic.derive import derive
from tests.methods.closed_form.test_ansatz_utility import at, solve


def test_vasicek_bond():
    found = solve(
        """param a = 0.4, b = 0.05, s = 0.02, T = 5
state r in R
noise W
dr = a*(b - r) dt + s dW
discount r
evaluate E [ 1 + 0*r(T) ]
region r in [0, 0.1]
"""
    )
    slope = (1 - np.exp(-0.4 * 5)) / 0.4
    level = (0.05 - 0.02**2 / (2 * 0.16)) * (slope - 5) - 0.02**2 * slope**2 / 1.6
    r = np.array([[-0.02], [0.03]])
    np.testing.assert_allclose(at(found, r).value, np.exp(level - slope * r[:, 0]), rtol=1e-11)


def test_cox_ingersoll_ross_bond():
    found = solve(
        """param a = 0.4, b = 0.05, s = 0.1, T = 3
state r > 0
noise W
dr = a*(b - r) dt + s*sqrt(r) dW
discount r
evaluate E [ 1 + 0*r(T) ]
region r in [0.01, 0.1]
"""
    )
    h = np.sqrt(0.16 + 2 * 0.01)
    denominator = (0.4 + h) * (np.exp(3 * h) - 1) + 2 * h
    level = (2 * h * np.exp((0.4 + h) * 1.5) / denominator) ** (2 * 0.4 * 0.05 / 0.01)
    assert at(found, [[0.07]]).value[0] == pytest.approx(level * np.exp(-0.07 * 2 * (np.exp(3 * h) - 1) / denominator), rel=1e-11)


def test_heston_portfolio():
    """H/V = p(r + w lam v) + p(p-1) w^2 v/2 + kap(vb - v) b + s^2 v b^2/2 + p w rho s v b at w = (lam + rho s b)/(1 - p)."""
    found = solve(
        """param r = 0.02, lam = 1.5, gamma = 3, kap = 2, vb = 0.04, s = 0.3, corr = -0.7, T = 2
state x > 0, v > 0
control w in R
noise W, B
dW dB = corr dt
dx = (r*x + w*lam*v*x) dt + w*sqrt(v)*x dW
dv = kap*(vb - v) dt + s*sqrt(v) dB
maximize E x(T)^(1 - gamma)/(1 - gamma)
region x in [0.5, 2], v in [0.01, 0.1]
"""
    )
    p = -2.0

    def riccati(_t, y):
        b = y[1]
        w = (1.5 - 0.7 * 0.3 * b) / (1 - p)
        slope = p * 1.5 * w + p * (p - 1) * w**2 / 2 - 2 * b + 0.045 * b**2 - p * w * 0.21 * b
        return [p * 0.02 + 2 * 0.04 * b, slope]

    a, b = solve_ivp(riccati, (0, 2), [0.0, 0.0], rtol=1e-12, atol=1e-14).y[:, -1]
    point = at(found, [[1.2, 0.05], [0.7, 0.02]])
    np.testing.assert_allclose(point.value, np.array([1.2, 0.7]) ** p / p * np.exp(a + b * np.array([0.05, 0.02])), rtol=1e-9)
    np.testing.assert_allclose(point.control[:, 0], (1.5 - 0.21 * b) / 3, rtol=1e-9)


def test_mean_reverting_premium():
    """Kim and Omberg, Rev. Financ. Stud. 9 (1996): q = a + b y + c y^2/2, loading z = (y + rho s (b + c y))/gamma."""
    found = solve(
        """param r = 0.02, sigma = 0.2, gamma = 4, kap = 0.3, yb = 0.35, sy = 0.15, corr = -0.6, T = 3
state x > 0, y in R
control w in R
noise W, B
dW dB = corr dt
dx = (r*x + w*sigma*y*x) dt + w*sigma*x dW
dy = kap*(yb - y) dt + sy dB
maximize E x(T)^(1 - gamma)/(1 - gamma)
region x in [0.5, 2], y in [0, 0.7]
"""
    )
    p, u = -3.0, -0.6 * 0.15

    def riccati(_t, q):
        _, b, c = q
        return [
            p * 0.02 + p / (1 - p) * u**2 * b**2 / 2 + 0.3 * 0.35 * b + 0.15**2 * (b**2 + c) / 2,
            p / (1 - p) * (1 + u * c) * u * b + 0.3 * 0.35 * c - 0.3 * b + 0.15**2 * b * c,
            p / (1 - p) * (1 + u * c) ** 2 - 2 * 0.3 * c + 0.15**2 * c**2,
        ]

    a, b, c = solve_ivp(riccati, (0, 3), np.zeros(3), rtol=1e-12, atol=1e-14).y[:, -1]
    y = np.array([0.1, 0.6])
    point = at(found, np.stack([[1.0, 1.7], y], axis=1))
    expected = np.array([1.0, 1.7]) ** p / p * np.exp(a + b * y + c * y**2 / 2)
    np.testing.assert_allclose(point.value, expected, rtol=1e-9)
    np.testing.assert_allclose(point.control[:, 0], (y + u * (b + c * y)) / (4 * 0.2), rtol=1e-9)


def test_a_riccati_equation_that_explodes_is_a_diagnostic():
    """E exp(integral of Y^2) with dY = Y/2 dt + dW is exp(a + c y^2), c' = 1 + c + 2 c^2: infinite at the time below."""
    text = """problem p
param T = 4
state y in R
noise W
dy = 0.5*y dt + dW
discount -y^2
evaluate E [ 1 + 0*y(T) ]
region y in [-1, 1]
"""
    with pytest.raises(HjbError) as caught:
        propose(derive(loads_problem(text)))
    (diagnostic,) = caught.value.diagnostics
    escape = 2 / np.sqrt(7) * (np.pi / 2 - np.arctan(1 / np.sqrt(7)))
    assert diagnostic.code == "HJB121"
    assert diagnostic.span.line == 2
    assert float(diagnostic.help.split()[-1]) == pytest.approx(escape, rel=1e-3)
