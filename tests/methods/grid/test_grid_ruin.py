"""Surplus processes of insurance: ruin by a jump, where V is cut, and paths that run off for ever."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from hjbdsl import pipeline
from hjbdsl.methods import grid
from hjbdsl.methods.grid.escape import killed
from hjbdsl.methods.grid.mark_rules import panel_rule
from hjbdsl.model.solution import Solution

SURPLUS = """problem surplus
param often = {rate}, claim = {claim}, premium = {premium}, delta = {delta}
state u in R
jump N rate often mark Y ~ exponential(claim)
du = premium dt - Y dN
exit tau when u < 0
evaluate E exp(-delta*tau)*if(u(tau) < 0, 1, 0)
region u in [0, 6]
solve grid(nx = 401)
"""


def solved(text: str) -> Solution:
    answer = grid.solve(pipeline.derive(pipeline.loads(text)))
    assert not hasattr(answer, "reason"), answer
    return answer.solution


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "claim", "premium", "delta"), [(1.0, 1.0, 1.4, 0.0), (1.2, 0.8, 2.0, 0.07)])
def test_lundberg_ruin(rate: float, claim: float, premium: float, delta: float) -> None:
    """V = (1 - R/claim) exp(-R u), with -premium R - rate - delta + rate claim/(claim - R) = 0 (Gerber, Shiu 1998)."""
    lundberg = brentq(lambda r: -premium * r - rate - delta + rate * claim / (claim - r), 1e-6, claim - 1e-9)
    x = np.linspace(0.1, 6, 25)
    solution = solved(SURPLUS.format(rate=rate, claim=claim, premium=premium, delta=delta))
    got = solution.function.evaluate(np.zeros(25), x[:, None], np.zeros(25, np.int64))
    off = np.abs(got.value - (1 - lundberg / claim) * np.exp(-lundberg * x))
    assert np.mean(off <= got.error) >= 0.95
    assert np.max(off) < 2e-3
    assert np.max(got.error) < 5e-2


@pytest.mark.parametrize(("kind", "first", "second"), [("exponential", 0.7, 0.0), ("normal", -0.3, 0.25), ("uniform", -1.0, 2.5)])
def test_panels_know_the_law_on_either_side_of_a_cut(kind: str, first: float, second: float) -> None:
    cut = 0.4
    beyond = {
        "exponential": math.exp(-first * cut), "normal": 0.5 * math.erfc((cut - first) / math.sqrt(2.0 * 0.25)),
        "uniform": (2.5 - cut) / 3.5,
    }[kind]  # fmt: skip
    mean = {"exponential": 1.0 / first, "normal": first, "uniform": 0.75}[kind]
    for panels in (8, 32, 128):
        marks, weights = panel_rule(kind, first, second, panels, 4)
        assert weights @ marks == pytest.approx(mean, abs=1e-6)
        assert abs(weights[marks > cut].sum() - beyond) < 1.0 / panels


def test_only_what_may_never_end_is_killed() -> None:
    text = SURPLUS.format(rate=1, claim=1, premium=1.4, delta=0)
    assert killed(pipeline.derive(pipeline.loads(text)))[1] > 0.0
    for other in (
        text.replace("delta = 0", "delta = 0.1"),
        text.replace("u < 0", "u < 0 or u > 6"),
    ):
        assert killed(pipeline.derive(pipeline.loads(other)))[1] == 0.0
