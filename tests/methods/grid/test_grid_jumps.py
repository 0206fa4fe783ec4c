"""Jumps where nothing smooths V: kinks under the mark's mean, steps in time that no noise shortens."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
from scipy.optimize import brentq

from hjbdsl import pipeline
from hjbdsl.methods import grid
from hjbdsl.methods.grid.mark_rules import MarkRules
from hjbdsl.model.solution import Solution


def solved(text: str) -> Solution:
    answer = grid.solve(pipeline.derive(pipeline.loads(text)))
    assert not hasattr(answer, "reason"), answer
    return answer.solution


@pytest.mark.parametrize(("r", "often", "meanwhile"), [pytest.param(0.05, 0.5, 0.3, marks=pytest.mark.slow), (0.1, 1.0, 0.2)])
def test_search_with_exponential_offers(r: float, often: float, meanwhile: float) -> None:
    """McCall (1970): below the reservation wage w = b + often/r exp(-w) waiting is worth w/r, whatever the offer."""
    wage = brentq(lambda w: w - meanwhile - often / r * math.exp(-w), 0.0, 20.0)
    solution = solved(f"""\
param r = {r}, often = {often}, b = {meanwhile}
state w >= 0
jump N rate often mark J ~ exponential(1)
dw = (J - w) dN
stopping tau in [0, inf]
maximize E [ integral(0, tau) exp(-r*t)*b dt + exp(-r*tau)*w(tau)/r ]
region w in [0, 5]
solve grid(nx = 257)
""")
    w = np.linspace(0.0, 5.0, 21)
    got = solution.function.evaluate(np.zeros(21), w[:, None], np.zeros(21, np.int64))
    assert np.all(np.abs(got.value - np.maximum(w, wage) / r) <= got.error)
    assert np.max(got.error) < 1e-2 * wage / r


@pytest.mark.slow
def test_steps_in_time_of_jumps_alone() -> None:
    """E sin(x + sum of marks) of a compound Poisson process, by its characteristic function."""
    solution = solved("""\
state x in R
jump N rate 1.8 mark J ~ {-0.5: 0.4, 0.3: 0.6}
dx = J dN
evaluate E sin(x(1))
region x in [-1, 1]
solve grid(nx = 129)
""")
    x = np.linspace(-1.0, 1.0, 9)
    got = solution.function.evaluate(np.zeros(9), x[:, None], np.zeros(9, np.int64))
    factor = cmath.exp(1.8 * (0.4 * cmath.exp(-0.5j) + 0.6 * cmath.exp(0.3j) - 1.0))
    off = np.abs(got.value - (np.exp(1j * x) * factor).imag)
    assert np.all(off <= got.error)
    assert np.max(got.error) < 1e-3


@pytest.mark.parametrize(
    ("noise", "payoff", "same"),
    [("0.2*x dW", "x(1)^2", True), ("0.2*x dW", "max(x(1) - 1, 0)", False), ("0.1*x dt", "x(1)^2", False)],
)
def test_levels_share_a_rule_only_where_v_is_smooth(noise: str, payoff: str, same: bool) -> None:
    text = f"state x > 0\nnoise W\njump N rate 1 mark J ~ normal(0, 0.04)\ndx = {noise} + x*J dN\nevaluate E {payoff}\n"
    assert MarkRules.of(pipeline.derive(pipeline.loads(text))).same is same
