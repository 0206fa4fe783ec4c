"""Draws from a solved generative problem, whichever method solved it: the reverse process with the score -grad V.

In: problem, its value function (exact or learned), what is wanted. Out: rows of y_0 in the file's coordinates, the number of
score evaluations, log-densities where they are wanted, and how far the rows lie from the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from hjbdsl.errors import UsageError
from hjbdsl.methods.generative.discrepancy import maximum_mean_discrepancy, median_distance, sliced_wasserstein
from hjbdsl.methods.generative.forward import forward_process
from hjbdsl.methods.generative.function import LearnedReversal
from hjbdsl.methods.generative.likelihood import LogDensity, log_density
from hjbdsl.methods.generative.samplers import SAMPLERS, sample
from hjbdsl.methods.generative.score import Count, ExactScore, Score
from hjbdsl.methods.generative.solve import precise
from hjbdsl.methods.generative.start import DataLaw, mixture_law, noised
from hjbdsl.methods.generative.steering import Reward, Steered, steer
from hjbdsl.model.problem import ControlProblem, GaussianMixture
from hjbdsl.model.samples import SampleRequest
from hjbdsl.model.solution import Array, ValueFunction

_EXACT_LOWEST = 1e-3
_COMPARED, _FEWEST_COMPARED = 5000, 10


@dataclass(frozen=True, slots=True)
class Drawn:
    """`rows` (count, n); `evaluations` of the score on the whole batch, and those for the likelihood; `distances` to the data by
    name."""

    rows: Array
    evaluations: int
    density: LogDensity | None
    density_evaluations: int
    distances: Mapping[str, float] = field(default_factory=dict)
    steered: Steered | None = None


def draw(problem: ControlProblem, function: ValueFunction, wish: SampleRequest, reward: Reward | None = None) -> Drawn:
    """`wish` names sampler and steps; `reward` steers the process towards p_0 exp(reward). Raises `UsageError` for a sampler
    there is not, `ValueError` where the process is not linear."""
    assert wish.sampler is not None
    assert wish.steps is not None
    if wish.sampler not in dict(SAMPLERS):
        raise UsageError(f"there is no sampler `{wish.sampler}`; there are {', '.join(name for name, _ in SAMPLERS)}")
    if reward is not None and wish.likelihood:
        raise UsageError("--likelihood is of the unsteered density; leave out one of --tilt and --likelihood")
    score, law = score_and_law(problem, function)
    steered = steer(score, law, reward, wish.seed) if reward is not None else None
    if steered is not None:
        score, law = steered.score, steered.law
    random = np.random.default_rng([wish.seed, 17])
    start = noised(law.draw(wish.count, random), score.forward, score.forward.end, random)
    before = score.count.evaluations
    rows = sample(score, start, wish.steps, wish.sampler, random)
    evaluations, density, spent = score.count.evaluations - before, None, 0
    if wish.likelihood:
        flow = precise(function.score) if isinstance(function, LearnedReversal) else score
        before = flow.count.evaluations
        density = log_density(flow, law, 0.0, rows, wish.seed)
        spent = flow.count.evaluations - before
    true = law if steered is not None or not isinstance(function, LearnedReversal) else None
    distances = _distances(function, true, rows, wish.seed)
    return Drawn(rows, evaluations, density, spent, distances, steered)


def score_and_law(problem: ControlProblem, function: ValueFunction) -> tuple[Score, DataLaw]:
    """The score of a solved problem and the law of its data."""
    if isinstance(function, LearnedReversal):
        return replace(function.score, precise=False, count=Count()), function.law
    reversal = problem.reversal
    if reversal is None or not isinstance(reversal.law, GaussianMixture):
        raise ValueError("the problem has no data to draw from")
    law = mixture_law(problem, reversal.law)
    _, covariance = law.moments
    forward = forward_process(problem, covariance)
    narrowest = float(min(np.linalg.eigvalsh(c)[0] for c in law.covariances))
    lowest = _EXACT_LOWEST * np.sqrt(narrowest / np.exp(forward.spread))
    top = np.exp(forward.log_level(forward.end))
    return ExactScore(forward, function, min(lowest, 0.01 * top), float(np.sqrt(narrowest))), law


def _distances(function: ValueFunction, law: DataLaw | None, rows: Array, seed: int) -> dict[str, float]:
    """MMD and sliced Wasserstein distance to as many draws of `law` (None: held-out rows), and between two such sets; nothing for
    samples too few to have a law."""
    if len(rows) < _FEWEST_COMPARED:
        return {}
    random = np.random.default_rng([seed, 19])
    if law is None:
        assert isinstance(function, LearnedReversal)
        true = function.rows.rows[len(function.law.rows) :]
        count = min(len(rows), len(true), len(function.law.rows) // 2, _COMPARED)
        others = function.law.rows[random.choice(len(function.law.rows), count, replace=False)]
        true = true[:count]
    else:
        count = min(len(rows), _COMPARED)
        true, others = law.draw(count, random), law.draw(count, random)
    scale = median_distance(true)
    mine = rows[:count]
    return {
        "compared": float(count),
        "mmd": maximum_mean_discrepancy(mine, true, scale),
        "mmd_of_data": maximum_mean_discrepancy(others, true, scale),
        "sliced_wasserstein": sliced_wasserstein(mine, true),
        "sliced_wasserstein_of_data": sliced_wasserstein(others, true),
    }
