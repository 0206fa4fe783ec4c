"""Exits on one side: ruin probabilities, discounted and mean exit times by their formulas; infinite means are a diagnostic."""

import numpy as np
import pytest
from scipy.integrate import quad

from hjbdsl.errors import HjbError
from hjbdsl.methods import closed_form
from tests.methods.closed_form.solving import equation, point, solved

TEXT = """
state x in R
noise W
dx = {drift} dt + {noise} dW
exit tau when {exit}
evaluate E {paid}
region x in [{low}, {high}]
"""


def text(drift, paid, noise="1", exit="x <= 0", low=0, high=3):
    return TEXT.format(drift=drift, paid=paid, noise=noise, exit=exit, low=low, high=high)


def at(source, x):
    return point(solved(source, "one-dimensional"), x)[0]


@pytest.mark.parametrize(("mu", "sigma"), [(0.5, 1.0), (0.2, 0.7), (1.5, 0.8)])
def test_ruin_probability(mu, sigma):
    source = text(mu, "indicator(x(tau) <= 0)", noise=sigma)
    for x in (0.5, 2.0):
        assert at(source, x) == pytest.approx(np.exp(-2 * mu * x / sigma**2), rel=1e-8)


def test_on_the_other_side():
    assert at(text(-0.4, "x(tau) + 3", exit="x >= 0", low=-3, high=0), -1.5) == pytest.approx(3 * np.exp(-1.2), rel=1e-8)


@pytest.mark.parametrize("drift", ["0", "-0.5", "-x", "-0.3*x/(1 + x^2)"])
def test_certain_ruin(drift):
    assert at(text(drift, "indicator(x(tau) <= 0)"), 1.3) == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("mu", [0.5, -0.3, 0.0])
def test_discounted_exit(mu):
    root = mu + np.sqrt(mu**2 + 2 * 0.1)
    assert at(text(mu, "exp(-0.1*tau)"), 1.7) == pytest.approx(np.exp(-1.7 * root), rel=1e-8)


def test_mean_exit_times():
    assert at(text(-0.5, "tau"), 1.5) == pytest.approx(3.0, rel=1e-9)
    # mean reversion: E tau = int_0^x s'(y) int_y^inf 2/s'
    inner = lambda y: quad(lambda z: 2 * np.exp(-(z**2) + y**2), y, y + 12)[0]  # noqa: E731
    assert at(text("-x", "tau"), 1.2) == pytest.approx(quad(inner, 0, 1.2)[0], rel=1e-7)


@pytest.mark.parametrize("drift", ["0", "0.5", "0.1*x", "-1/(4 + 4*x)"])
def test_infinite_mean_exit_times(drift):
    with pytest.raises(HjbError) as raised:
        closed_form.solve(equation(text(drift, "tau")))
    (found,) = raised.value.diagnostics
    assert found.code == "HJB120"
    assert found.source_line.startswith("exit")


def test_two_sides_stay_as_they_were():
    assert at(text("0", "tau", exit="x <= 0 or x >= 3"), 1.0) == pytest.approx(2.0, rel=1e-10)


@pytest.mark.parametrize(
    ("left", "low", "right", "high"),
    [
        ("-1", -1, "2", 2),
        ("-sqrt(2)", -np.sqrt(2), "sqrt(3)", np.sqrt(3)),
        ("0.1", 0.1, "exp(1)/3", np.e / 3),
        ("-1/3", -1 / 3, "0.7", 0.7),
    ],
)
def test_the_end_that_is_hit_written_with_the_level_itself(left, low, right, high):
    source = text(0.5, f"indicator(x(tau) >= {right})", noise=0.8, exit=f"x <= {left} or x >= {right}", low=low, high=high)
    x, k = 0.4 * low + 0.6 * high, 1.0 / 0.64
    assert at(source, x) == pytest.approx(np.expm1(-k * (x - low)) / np.expm1(-k * (high - low)), rel=1e-9)


def test_the_end_that_is_hit_under_control():
    source = text("u", "indicator(x(tau) >= 1)", noise=0.5, exit="x <= 0 or x >= 1", high=1)
    source = source.replace("noise W", "control u in [-1, 1]\nnoise W").replace("evaluate", "maximize")
    assert at(source, 0.5) == pytest.approx(np.expm1(-4.0) / np.expm1(-8.0), rel=1e-9)
