"""Generative problems for the tests, with their laws by scipy."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from hjbdsl.frontend.load import loads_problem
from hjbdsl.methods.closed_form import solve
from hjbdsl.methods.generative.draw import score_and_law
from hjbdsl.model.solution import Accepted
from hjbdsl.symbolic.derive import derive

MEANS, SPREADS, WEIGHTS = np.array([[-1.0, 0.5], [1.0, -0.5]]), (0.3, 0.2), (0.4, 0.6)

VARIANCE_PRESERVING = """problem vp
param T = 1.5, b = 2
state y in R^2
noise W in R^2
dy = -b/2*y dt + sqrt(b) dW
data y(0) ~ mixture(0.4: normal([-1, 0.5], 0.3), 0.6: normal([1, -0.5], 0.2))
reverse y on [0, T]
region y in [-2, 2]
"""

COUPLED = """problem coupled
param T = 1.2
param A : R^(2,2) = [[-0.4, 1], [-0.8, -0.3]], S : R^(2,2) = [[0.7, 0.2], [0, 0.9]]
state y in R^2
noise W in R^2
dy = (A*y + [0.3, -0.1]) dt + (1 + t)*S dW
data y(0) ~ mixture(0.4: normal([-1, 0.5], 0.3), 0.6: normal([1, -0.5], 0.2))
reverse y on [0, T]
region y in [-2, 2]
"""


def solved(text: str) -> SimpleNamespace:
    """The problem, its exact score and the law of its data."""
    problem = loads_problem(text)
    reply = solve(derive(problem))
    assert isinstance(reply, Accepted)
    score, law = score_and_law(problem, reply.solution.function)
    return SimpleNamespace(problem=problem, solution=reply.solution, score=score, law=law, forward=score.forward)


def log_density_at_start(y):
    """log p_0 of both problems."""
    parts = [np.log(w) + multivariate_normal(m, v).logpdf(y) for w, m, v in zip(WEIGHTS, MEANS, SPREADS, strict=True)]
    return logsumexp(np.stack(parts), axis=0)


def moments_at_start():
    mean = np.array(WEIGHTS) @ MEANS
    away = MEANS - mean
    spread = sum(w * (v * np.eye(2) + np.outer(a, a)) for w, v, a in zip(WEIGHTS, SPREADS, away, strict=True))
    return mean, spread
