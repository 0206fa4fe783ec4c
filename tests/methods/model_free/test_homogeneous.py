"""Values that are powers of a positive state: the common factor is learned, and nobody says where to try the actions."""

from __future__ import annotations

import numpy as np
import pytest

from hjbdsl import pipeline
from hjbdsl.methods.model_free import Lesson, Transitions, learn, transitions
from hjbdsl.model.equation import HJBEquation

R, MU, SIGMA, GAMMA, RHO = 0.02, 0.07, 0.25, 3.0, 0.06
SHARE = (MU - R) / (GAMMA * SIGMA**2)
RATE = (RHO - (1 - GAMMA) * (R + (MU - R) ** 2 / (2 * GAMMA * SIGMA**2))) / GAMMA
"""Merton (1969): the fraction in the stock and the rate of consumption."""


def _equation() -> HJBEquation:
    text = f"""
state w > 0
control theta in R
control m >= 0
noise W
dw = ({R} + theta*({MU} - {R}) - m)*w dt + theta*{SIGMA}*w dW
maximize E integral(0, inf) exp(-{RHO}*t)*(m*w)^(1 - {GAMMA})/(1 - {GAMMA}) dt
region w in [1, 6]
"""
    return pipeline.derive(pipeline.loads(text))


def _data(dt: float, count: int, seed: int) -> Transitions:
    """Exact lognormal transitions under actions that know no state, in mirrored pairs of which nothing is told."""
    random = np.random.default_rng(seed)
    half = count // 2
    w, theta = np.repeat(random.uniform(0.8, 7, half), 2), np.repeat(random.normal(0.3, 0.25, half), 2)
    m = np.repeat(RATE * np.exp(random.normal(0, 0.4, half)), 2)
    z = np.repeat(random.normal(size=half), 2)
    z[1::2] *= -1
    growth = (R + theta * (MU - R) - m - theta**2 * SIGMA**2 / 2) * dt + theta * SIGMA * np.sqrt(dt) * z
    after = w * np.exp(growth)
    return transitions(dt, w, np.stack([theta, m], 1), (m * w) ** (1 - GAMMA) / (1 - GAMMA), after)


def _held_against_the_formula(solution: object) -> tuple[float, float, float]:
    """Relative errors: V, fraction, rate."""
    w = np.linspace(1, 6, 21)
    at = solution.function.evaluate(np.zeros(21), w[:, None], np.zeros(21, dtype=np.int64))  # type: ignore[attr-defined]
    exact = RATE**-GAMMA * w ** (1 - GAMMA) / (1 - GAMMA)
    return (
        float(np.max(np.abs(at.value / exact - 1))),
        float(np.max(np.abs(at.control[:, 0] / SHARE - 1))),
        float(np.max(np.abs(at.control[:, 1] / RATE - 1))),
    )


@pytest.mark.parametrize("dt", [0.5, 0.02])
def test_from_recorded_transitions_at_any_step(dt: float) -> None:
    solution = learn(_equation(), Lesson(dt), data=_data(dt, 100_000, seed=4)).solution
    assert solution.status == "bracketed"
    assert solution.evidence.numbers["degree"] == 0
    assert max(_held_against_the_formula(solution)) < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("dt", [0.5, 0.05])
def test_from_the_simulator_with_nothing_said_of_the_actions(dt: float) -> None:
    solution = learn(_equation(), Lesson(dt, seed=3)).solution
    assert solution.status == "bracketed"
    assert max(_held_against_the_formula(solution)) < 0.02


@pytest.mark.slow
def test_the_bracket_holds() -> None:
    w = np.linspace(1, 6, 11)
    exact = RATE**-GAMMA * w ** (1 - GAMMA) / (1 - GAMMA)
    for seed in range(2):
        at = learn(_equation(), Lesson(0.1, steps=80_000, seed=seed)).solution.function.evaluate(
            np.zeros(11), w[:, None], np.zeros(11, dtype=np.int64)
        )
        assert np.all(np.abs(at.value - exact) <= at.error)
