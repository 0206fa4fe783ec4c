"""The method `generative`: a score learned from samples, as the solution of the reversed control problem.

In: an equation whose problem is a time reversal of a linear process. Out: `Accepted` with V, score and control, and the evidence:
held-out loss against that of Gaussian data, the HJB residual, distances of drawn samples to held-out rows; or `Rejected`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch

from hjbdsl.methods.generative.consistency import equation_residual, gradient_mismatch
from hjbdsl.methods.generative.discrepancy import maximum_mean_discrepancy, median_distance, sliced_wasserstein
from hjbdsl.methods.generative.fit import Fitted, applicable, equal_weights, fit
from hjbdsl.methods.generative.function import LearnedReversal
from hjbdsl.methods.generative.samplers import sample
from hjbdsl.methods.generative.score import Count, LearnedScore
from hjbdsl.methods.generative.start import noised
from hjbdsl.methods.generative.training import pair_losses, tables
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Accepted, Array, Evidence, Rejected, Solution

_COMPARED = 2000
_SAMPLER, _STEPS = "exponential", 100
_RESIDUAL_POINTS = 48
_MOST_UNEVEN, _CONSTANT = 1000.0, 1e-9
_RESIDUAL_LEVELS = (0.1, 0.5, 2.0)


def solve(
    equation: HJBEquation,
    options: Mapping[str, float | str] = MappingProxyType({}),
    seed: int = 0,
    checkpoints: Path | None = None,
) -> Accepted | Rejected:
    """`options` are those of `settings.OPTIONS`; `checkpoints` a folder from which an interrupted training is resumed.
    Raises `HjbError` where the file does not hold such data, `UsageError` for an option."""
    reason = applicable(equation.problem)
    if reason is not None:
        return Rejected(reason)
    try:
        fitted = fit(equation.problem, options, seed, checkpoints)
    except ValueError as found:
        return Rejected(str(found))
    return Accepted(_solution(fitted, seed))


def precise(score: LearnedScore) -> LearnedScore:
    """The same network in double precision on the processor, with a count of its own."""
    return replace(score, precise=True, device="cpu", count=Count())


def _solution(fitted: Fitted, seed: int) -> Solution:
    score, trained, architecture = fitted.score, fitted.trained, fitted.settings.architecture
    law = equal_weights(fitted.rows)
    function = LearnedReversal(precise(score), law, equal_weights(np.concatenate([fitted.rows, fitted.held_out])))
    numbers = {"held_out_loss": trained.held_out, "held_out_loss_error": trained.held_out_error}
    numbers["gaussian_loss"] = _gaussian_loss(fitted)
    numbers |= _distances(fitted, seed)
    residual, numbers["gradient_mismatch"] = _consistency(function, fitted.held_out, seed)
    better = numbers["held_out_loss"] <= numbers["gaussian_loss"] + 3 * trained.held_out_error
    near = numbers["mmd"] < 5 * numbers["mmd_of_data"]
    warnings = [] if trained.finished else [f"interrupted after {trained.steps} steps; asked again, it goes on from there"]
    warnings += [] if better and near else ["the samples drawn do not match the held-out data: more rows or steps are needed"]
    uneven = uneven_columns(fitted)
    warnings += [*uneven, *_memory(function)]
    layers = f"{2 * architecture.blocks + 2} layers of {architecture.width}"
    statements = (
        f"denoising score matching on {len(fitted.rows)} rows, weights of step {trained.steps}: held-out loss "
        f"{trained.held_out:.4g} "
        f"± {2 * trained.held_out_error:.2g}, a Gaussian of the data's moments has {numbers['gaussian_loss']:.4g}",
        f"{int(numbers['compared'])} samples in {int(numbers['evaluations'])} evaluations against as many held-out rows: MMD "
        f"{numbers['mmd']:.3g} (data against data {numbers['mmd_of_data']:.3g}), sliced Wasserstein "
        f"{numbers['sliced_wasserstein']:.3g} ({numbers['sliced_wasserstein_of_data']:.3g})",
        f"HJB residual of the learned V: median {residual:.2g} of its terms; its gradient and the score differ by "
        f"{numbers['gradient_mismatch']:.1%}",
        "V by the probability flow, its error against the kernel mean over the rows (99%)",
    )
    return Solution(
        "generative", f"score network ({layers}, {fitted.settings.prediction} prediction)",
        "bracketed" if trained.finished and better and near and not uneven else "not_converged", function,
        Evidence("monte_carlo_bracket", residual, statements, numbers), warnings=tuple(warnings),
    )  # fmt: skip


def _gaussian_loss(fitted: Fitted) -> float:
    """The loss of the score of Gaussian data with the same mean and covariance, on held-out pairs."""
    settings = replace(fitted.settings, device="cpu")
    forward, frame = fitted.score.forward, fitted.score.frame
    random = torch.Generator().manual_seed(settings.seed + 2)
    rows = torch.as_tensor((fitted.held_out - frame.mean) @ frame.basis, dtype=torch.float32)
    rows = rows[torch.randint(len(rows), (4096,), generator=random)]
    levels = tables(forward, frame, settings)
    if levels.prediction == "residual":
        return float(pair_losses(lambda x, _level: torch.zeros_like(x), levels, rows, random).mean())
    # noise given y when the data are Gaussian: L' S^-1 e = L' W (W e)
    sign = 1.0 if levels.prediction == "noise" else -1.0
    place = {float(scaled): i for i, scaled in enumerate(levels.scaled)}

    def linear(x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        index = torch.tensor([place[float(entry)] for entry in level])
        add, whiten = levels.add[index], levels.whiten[index]
        if add.ndim == 2:
            return sign * add * whiten * x
        return sign * (add.transpose(1, 2) @ whiten @ x[:, :, None])[:, :, 0]

    return float(pair_losses(linear, levels, rows, random).mean())


def _distances(fitted: Fitted, seed: int) -> dict[str, float]:
    """Samples against held-out rows, and training rows against held-out rows."""
    random = np.random.default_rng([seed, 11])
    compared = min(len(fitted.held_out), len(fitted.rows) // 2, _COMPARED)
    forward = fitted.score.forward
    start = noised(fitted.rows[random.integers(len(fitted.rows), size=compared)], forward, forward.end, random)
    score = replace(fitted.score, count=Count())
    drawn = sample(score, start, _STEPS, _SAMPLER, random)
    aside = fitted.held_out[:compared]
    data = fitted.rows[random.choice(len(fitted.rows), compared, replace=False)]
    scale = median_distance(fitted.rows)
    return {
        "compared": float(compared),
        "evaluations": float(score.count.evaluations),
        "mmd": maximum_mean_discrepancy(drawn, aside, scale),
        "mmd_of_data": maximum_mean_discrepancy(data, aside, scale),
        "sliced_wasserstein": sliced_wasserstein(drawn, aside),
        "sliced_wasserstein_of_data": sliced_wasserstein(data, aside),
    }


def _consistency(function: LearnedReversal, held_out: Array, seed: int) -> tuple[float, float]:
    """The median residual over noised held-out rows at three noise levels, and the largest mismatch of gradient and score."""
    random = np.random.default_rng([seed, 13])
    forward = function.score.forward
    found, mismatches = [], []
    for level in _RESIDUAL_LEVELS:
        if function.score.lowest * 1.1 < level < np.exp(forward.log_level(forward.end)) / 1.1:
            s = forward.time_of(float(np.log(level)))
            y = noised(held_out[random.integers(len(held_out), size=_RESIDUAL_POINTS)], forward, s, random)
            found.append(equation_residual(function.score, function.law, s, y))
            mismatches.append(gradient_mismatch(function.score, function.law, s, y, seed))
    return (float(np.median(np.concatenate(found))), max(mismatches)) if found else (float("nan"), float("nan"))


def uneven_columns(fitted: Fitted) -> list[str]:
    """Columns of very different widths under the same noise: the levels that suit one drown the other, and no distance of rows
    sees the narrow one."""
    noise = np.diagonal(fitted.score.forward.moments(fitted.score.forward.end).covariance)
    spread = fitted.rows.std(axis=0)
    widths = (spread / np.sqrt(noise))[spread > _CONSTANT * np.abs(fitted.rows).max(axis=0)]
    if widths.max() <= _MOST_UNEVEN * widths.min():
        return []
    ratio = widths.max() / widths.min()
    return [f"one column spreads {ratio:.1g} times as widely as another under noise of one size: bring the columns to one scale"]


def _memory(function: LearnedReversal) -> list[str]:
    """A start that still remembers the data is no noise: the sampler then mostly returns what it was given."""
    level = float(np.exp(function.score.forward.log_level(function.score.forward.end)))
    if level > 1.0:
        return []
    return [f"at T the noise is only {level:.2g} of the data's spread: the reverse process starts from data that show through"]
