"""Diffusion models as control problems: what scores, samplers, the verification identity, steering and log Z come out at.

    python -m benchmarks.diffusion [NAME...] [--steps N] [--seed N]

NAME is one of the rows printed by `--list`; without names all run. `score` is the relative L2 error of the learned score at noise
levels 0.1, 0.3, 1 and 3; `MMD` that of samples to as many true ones, with (true to true) beside it, for the learned and the exact
score; `gap` is J(u) - V of the learned control u and what theory says it is, E int |u - u*|^2 dt/2, and the difference of both,
each with its 99% interval. log Z comes from a sampler's paths alone, and from its paths and noised exact draws (`both ways`).
Seconds are of the processor, one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from benchmarks.densities import TARGETS
from hjbdsl import pipeline
from hjbdsl.frontend.load import load_problem, loads_problem
from hjbdsl.methods import closed_form
from hjbdsl.methods.generative.discrepancy import maximum_mean_discrepancy, median_distance
from hjbdsl.methods.generative.draw import score_and_law
from hjbdsl.methods.generative.fit import fit
from hjbdsl.methods.generative.samplers import sample
from hjbdsl.methods.generative.score import Count, Score
from hjbdsl.methods.generative.start import DataLaw, MixtureLaw, noised
from hjbdsl.methods.generative.steering import steer
from hjbdsl.methods.generative.tilted_law import tilted_mixture
from hjbdsl.methods.generative.verification_gap import gap_of_learned
from hjbdsl.methods.neural.path_integral import Sampler, SamplerSettings
from hjbdsl.methods.neural.time_reversed import TimeReversedSampler
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Accepted, Array, ValueFunction

_FORWARD = """param b0 = 0.1, b1 = 20, T = 1
let beta = b0 + (b1 - b0)*t
state y in R^{n}
noise W in R^{n}
dy = -beta/2*y dt + sqrt(beta) dW
data y(0) ~ {law}
reverse y on [0, T]
"""
_DRAWN, _PATHS, _PATHS_IN_MANY_DIMENSIONS, _WEIGHED = 5000, 3000, 1000, 32_768
_SAMPLER, _STEPS = "exponential", 100


def mixture(means: Array, variance: float) -> ControlProblem:
    """Equal components."""
    parts = ", ".join(
        f"{1 / len(means):.17g}: normal([{', '.join(f'{m:.6g}' for m in mean)}], {variance})" for mean in means[:-1]
    )
    weight = 1 - (len(means) - 1) * float(f"{1 / len(means):.17g}")
    last = f"{weight:.17g}: normal([{', '.join(f'{m:.6g}' for m in means[-1])}], {variance})"
    law = f"mixture({parts}, {last})"
    return loads_problem(_FORWARD.format(n=means.shape[1], law=law))


def grid_means() -> Array:
    places = np.linspace(-2.0, 2.0, 5)
    return np.array([[a, b] for a in places for b in places])


def ring_means() -> Array:
    angles = np.arange(8) * np.pi / 4
    return 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def random_means(count: int, dimension: int) -> Array:
    return np.random.default_rng(dimension).standard_normal((count, dimension))


def solved_exactly(problem: ControlProblem) -> ValueFunction:
    reply = closed_form.solve(pipeline.derive(problem))
    if not isinstance(reply, Accepted):
        raise ValueError(reply.reason)
    return reply.solution.function


def exact_parts(problem: ControlProblem) -> tuple[Score, DataLaw]:
    return score_and_law(problem, solved_exactly(problem))


def drawn(score: Score, law: DataLaw, count: int, random: np.random.Generator) -> Array:
    start = noised(law.draw(count, random), score.forward, score.forward.end, random)
    return sample(score, start, _STEPS, _SAMPLER, random)


@dataclass(frozen=True, slots=True)
class Run:
    """`steps` of every training of a mixture; None: the default."""

    steps: float | None
    seed: int


def learned_mixture(name: str, problem: ControlProblem, run: Run) -> None:
    """One line: a score learned from rows drawn of the law (50,000) against the exact one."""
    exact, law = exact_parts(problem)
    assert isinstance(law, MixtureLaw)
    began = time.process_time()
    fitted = fit(problem, {} if run.steps is None else {"steps": run.steps}, run.seed, None)
    trained = time.process_time() - began
    score, random = replace(fitted.score, count=Count()), np.random.default_rng(run.seed + 1)
    errors = []
    for level in (0.1, 0.3, 1.0, 3.0):
        s = exact.forward.time_of(float(np.log(level)))
        y = noised(law.draw(2000, random), exact.forward, s, random)
        true = exact(s, y)
        errors.append(float(np.linalg.norm(score(s, y) - true) / np.linalg.norm(true)))
    true, other = law.draw(_DRAWN, random), law.draw(_DRAWN, random)
    scale = median_distance(true)
    score.count.evaluations = 0
    began = time.process_time()
    rows = drawn(score, law, _DRAWN, random)
    spent, evaluations = time.process_time() - began, score.count.evaluations
    distances = [maximum_mean_discrepancy(part, true, scale) for part in (rows, drawn(exact, law, _DRAWN, random), other)]
    paths = _PATHS if problem.dimension <= 4 else _PATHS_IN_MANY_DIMENSIONS
    gap = gap_of_learned(problem, solved_exactly(problem), score, paths, 200, run.seed)
    assert gap is not None
    print(
        f"{name:<10} score {' '.join(f'{e:.3f}' for e in errors)} | MMD {distances[0]:.4f} learned, {distances[1]:.4f} exact "
        f"({distances[2]:.4f}) | gap {gap.cost:.5f} ± {gap.cost_error:.5f} against {gap.distance:.5f} ± {gap.distance_error:.5f}"
        f", difference {gap.difference:.5f} ± {gap.difference_error:.5f} | training {trained:.0f} s, {evaluations} evaluations "
        f"for samples {spent:.1f} s",
        flush=True,
    )


def two_moons(run: Run) -> None:
    """Trained from the gallery's rows; 10,000 samples against as many true points."""
    from sklearn.datasets import make_moons  # noqa: PLC0415 (an extra: bench)

    began = time.process_time()
    problem = load_problem("problems/two_moons.hjb")
    options = problem.hint.options if problem.hint is not None else {}
    fitted = fit(problem, options, run.seed, None)
    trained = time.process_time() - began
    random = np.random.default_rng(run.seed + 2)
    start = noised(fitted.rows[random.integers(len(fitted.rows), size=10_000)], fitted.score.forward, 1.0, random)
    rows = sample(fitted.score, start, _STEPS, _SAMPLER, random)
    total = time.process_time() - began
    true, other = (make_moons(10_000, noise=0.05, random_state=seed)[0] for seed in (run.seed + 1, run.seed + 101))
    scale = median_distance(true)
    mine, theirs = maximum_mean_discrepancy(rows, true, scale), maximum_mean_discrepancy(other, true, scale)
    print(
        f"two moons  MMD {mine:.4f}, true to true {theirs:.4f}: {mine / theirs:.2f} times (below 3 wanted) | training "
        f"{trained:.0f} s, with {len(rows)} samples {total:.0f} s (90 allowed), {fitted.score.count.evaluations} evaluations",
        flush=True,
    )


def tilted(run: Run) -> None:
    """The exact score of eight components steered by a quadratic reward, against the exactly tilted mixture."""
    score, law = exact_parts(mixture(ring_means(), 0.04))
    slope, bend = np.array([0.7, -0.3]), np.diag([0.4, 0.0])
    found = tilted_mixture(law, (0.0, slope, bend))  # type: ignore[arg-type]
    assert found is not None
    target, normaliser = found

    def reward(y: Array) -> tuple[Array, Array]:
        return y @ slope - np.einsum("ki,ij,kj->k", y, bend, y) / 2, slope - y @ bend

    began = time.process_time()
    steered = steer(score, law, reward, run.seed)
    spent = time.process_time() - began
    random = np.random.default_rng(3)
    true, other = target.draw(_DRAWN, random), target.draw(_DRAWN, random)
    scale = median_distance(true)
    rows = drawn(steered.score, steered.law, _DRAWN, random)
    distances = [maximum_mean_discrepancy(part, true, scale) for part in (rows, law.draw(_DRAWN, random), other)]
    print(
        f"tilt       log Z {steered.log_normaliser}, exact {normaliser:.4f} | MMD "
        f"{distances[0]:.4f} steered, {distances[1]:.4f} unsteered ({distances[2]:.4f}) | {spent:.0f} s",
        flush=True,
    )


def normalisers(run: Run) -> None:
    """log Z of unnormalised densities by both samplers: from their paths alone, and from paths both ways with exact draws."""
    for target in TARGETS:
        began = time.process_time()
        reversal = TimeReversedSampler(target.log_density, torch.zeros(target.dimension), target.spread, seed=run.seed)
        reversal.train()
        found = reversal.log_z(_WEIGHED)
        print(
            f"log Z      {target.name}: time-reversed {found} | exact {target.log_z:.4f}, {reversal.evaluations} evaluations, "
            f"{reversal.slopes} gradients, {time.process_time() - began:.0f} s",
            flush=True,
        )
        both = reversal.log_z_both_ways(
            torch.as_tensor(target.draw(_WEIGHED // 4, np.random.default_rng(run.seed + 4))), _WEIGHED // 4
        )
        print(f"           {target.name}: time-reversed, both ways {both}", flush=True)


def log_variance(run: Run) -> None:
    """log Z of the same densities by the path-integral sampler with the log-variance loss."""
    for target in TARGETS:
        began = time.process_time()
        start, settings = torch.zeros(target.dimension), SamplerSettings(rounds=400)
        sampler = Sampler(target.log_density, start, target.noise, 1.0, settings, run.seed)
        sampler.train()
        found = sampler.log_z()
        print(
            f"log Z      {target.name}: path integral {found} | exact {target.log_z:.4f}, {sampler.evaluations} evaluations, "
            f"{time.process_time() - began:.0f} s",
            flush=True,
        )


ROWS: tuple[tuple[str, Callable[[Run], None]], ...] = (
    ("two-moons", two_moons),
    ("mixture-2", lambda run: learned_mixture("mixture-2", mixture(np.array([[-1.5, 0.5], [1.0, -0.8]]), 0.1), run)),
    ("mixture-8", lambda run: learned_mixture("mixture-8", mixture(ring_means(), 0.04), run)),
    ("mixture-25", lambda run: learned_mixture("mixture-25", mixture(grid_means(), 0.01), run)),
    ("10-d", lambda run: learned_mixture("10-d", mixture(random_means(5, 10), 0.2), run)),
    ("50-d", lambda run: learned_mixture("50-d", mixture(random_means(5, 50), 0.2), run)),
    ("tilt", tilted),
    ("log-z", normalisers),
    ("log-variance", log_variance),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.diffusion", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="rows to run")
    parser.add_argument("--steps", type=float, default=None, help="steps of every training of a mixture")
    parser.add_argument("--seed", type=int, default=0, help="of everything random")
    parser.add_argument("--list", action="store_true", help="print the names")
    chosen = parser.parse_args()
    if chosen.list:
        print("\n".join(name for name, _ in ROWS))
        return
    torch.set_num_threads(1)
    for name, row in ROWS:
        if not chosen.names or name in chosen.names:
            row(Run(chosen.steps, chosen.seed))


if __name__ == "__main__":
    main()
