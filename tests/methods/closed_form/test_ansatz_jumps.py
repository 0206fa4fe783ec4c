"""Wealth with jumps: stakes after which some mark would leave wealth negative are not admissible, whatever the law's tails.

Oracle: with V = -A/w (relative risk aversion 2) and consumption at the rate c, A = (2/(rho + G))^2 with
G = max_f r + f m - f^2 s^2 + lam (1 - E[1/(1 + f Y)]), found by scipy over the stakes for which 1 + f Y > 0 almost surely.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.stats import norm
from solving import equation, point, solved

from hjbdsl.methods import closed_form

RATE, DISCOUNT, SIGMA, INTENSITY = 0.02, 0.06, 0.3, 0.5


def problem(stake: str, law: str, displacement: str, premium: float) -> str:
    return f"""problem m
state w > 0
control f in {stake}, c >= 0
noise B
jump N rate {INTENSITY} mark J ~ {law}
dw = ({RATE} + f*{premium} - c)*w dt + f*{SIGMA}*w dB + {displacement} dN
maximize E integral(0, inf) exp(-{DISCOUNT}*t)*(-1/(c*w)) dt
"""


def oracle(expectation, low: float, high: float, premium: float) -> tuple[float, float]:
    def growth(f: float) -> float:
        return RATE + f * premium - f**2 * SIGMA**2 + INTENSITY * (1 - expectation(f))

    best = minimize_scalar(lambda f: -growth(f), bounds=(low, high), method="bounded", options={"xatol": 1e-12})
    return best.x, -((2 / (DISCOUNT - best.fun)) ** 2)


def atoms(marks: dict[float, float]):
    return lambda f: sum(p / (1 + f * m) for m, p in marks.items())


def density(weight, low: float, high: float, gain=lambda y: y):
    return lambda f: quad(lambda y: weight(y) / (1 + f * gain(y)), low, high, epsabs=1e-13, epsrel=1e-12, limit=400)[0]


CASES = {
    "atoms, any stake": ("R", "{-0.6: 0.3, 0.4: 0.7}", "f*J*w", 0.1, atoms({-0.6: 0.3, 0.4: 0.7}), -2.5, 1 / 0.6),
    "atoms, short": ("R", "{-0.5: 0.3, 2: 0.7}", "f*J*w", -0.9, atoms({-0.5: 0.3, 2: 0.7}), -0.5, 2.0),
    "exponential": ("R", "exponential(3)", "f*J*w", 0.02, density(lambda y: 3 * np.exp(-3 * y), 0, 20), 0, 5),
    "uniform": ("R", "uniform(-0.4, 0.8)", "f*J*w", 0.02, density(lambda y: 1 / 1.2, -0.4, 0.8), -1.25, 2.5),
    "lognormal": (
        "R",
        "normal(0.1, 0.04)",
        "f*(exp(J) - 1)*w",
        0.02,
        density(lambda y: norm.pdf(y, 0.1, 0.2), -1.7, 1.9, np.expm1),
        0,
        1,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_stakes_under_every_law(name):
    stake, law, displacement, premium, expectation, low, high = CASES[name]
    best, value = oracle(expectation, low, high, premium)
    found, controls = point(solved(problem(stake, law, displacement, premium), "power"), 2.0)
    assert found == pytest.approx(value / 2, rel=1e-8)
    assert controls[0] == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize("stake", ["[0, 1]", "R", "[-2, 0.5]"])
def test_normal_marks_forbid_every_stake(stake):
    """1 + f*J is negative with positive probability for every f but 0, although no node of a quadrature sees it."""
    found, controls = point(solved(problem(stake, "normal(0.1, 0.04)", "f*J*w", 0.02), "power"), 2.0)
    assert found == pytest.approx(-((2 / (DISCOUNT + RATE)) ** 2) / 2, rel=1e-10)
    assert controls[0] == 0


@pytest.mark.slow
def test_no_admissible_stake_is_no_answer():
    with pytest.raises(AssertionError, match="optimum is not attained"):
        solved(problem("[0.25, 1]", "normal(0.1, 0.04)", "f*J*w", 0.02), "power")


@pytest.mark.slow
def test_a_short_position_is_bounded_by_the_largest_gain():
    """Risk aversion 1/2, so that V is finite at ruin; marks up to 2 and a bad premium: -1/2 <= f, and the bound binds."""
    text = """problem m
state w > 0
control f in R, c >= 0
jump N rate 0.1 mark J ~ uniform(0, 2)
dw = (0.02 - 0.7*f - c)*w dt + f*J*w dN
maximize E integral(0, inf) exp(-0.6*t)*2*sqrt(c*w) dt
"""

    def growth(f: float) -> float:
        mean = quad(lambda y: np.sqrt(1 + f * y) / 2, 0, 2, epsabs=1e-13)[0]
        return 0.5 * (0.02 - 0.7 * f) + 0.1 * (mean - 1)

    best = growth(-0.5)
    assert best > max(growth(f) for f in np.linspace(-0.499, 3, 200))
    answer = closed_form.solve(equation(text))
    if hasattr(answer, "solution"):  # the integrand is singular at the bound: an answer, if any, must be this one
        found, controls = point(answer.solution, 2.0)
        assert controls[0] == pytest.approx(-0.5)
        assert found == pytest.approx(np.sqrt(2) * 2 / np.sqrt(2 * (0.6 - best)), rel=1e-5)
