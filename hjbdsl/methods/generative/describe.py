"""What is said of a set of samples: moments, distances to the data, evaluations; and whether they can be trusted.

In: problem, solution, what is wanted. Out: `Samples` with the object that `hjb sample --json` prints (schema `hjb.samples/1`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from hjbdsl.methods.generative.draw import Drawn, draw
from hjbdsl.methods.generative.steering import Steered
from hjbdsl.methods.generative.tilting import reward_function
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.samples import SampleRequest, Samples
from hjbdsl.model.solution import Solution
from hjbdsl.numeric.importance_weights import LogMean

SCHEMA = "hjb.samples/1"
_FAR = 3.0
_FEW = 0.05
"""Samples whose MMD to the data exceeds this many times that of data to data are called far."""


def samples(
    problem: ControlProblem,
    solution: Solution,
    request: SampleRequest,
    reward: sp.Expr | None = None,
    log_normaliser: float | None = None,
) -> Samples:
    """Draw from a solved problem; steered by `reward` where there is one. `log_normaliser` is log Z of a law that has been tilted
    already. Raises `UsageError` for a sampler there is not."""
    drawn = draw(problem, solution.function, request, None if reward is None else reward_function(problem, reward))
    notes = _tilt(drawn.steered, log_normaliser)
    converged, warnings = solution.status != "not_converged", list(solution.warnings)
    if drawn.steered is not None and drawn.steered.log_normaliser.effective < _FEW:
        warnings.append(f"the steering is poor: its weights leave {drawn.steered.log_normaliser.effective:.1%} of the paths")
        converged = False
    assert problem.reversal is not None
    columns = tuple(s.name for group in problem.states if group.name == problem.reversal.state for s in group.symbols)
    far = bool(drawn.distances) and drawn.distances["mmd"] > _FAR * drawn.distances["mmd_of_data"]
    finite = bool(np.all(np.isfinite(drawn.rows)))
    if far or not finite:
        warnings.append("the samples lie far from the data: take more steps, or a score learned for longer")
    summary: dict[str, Any] = {
        "schema": SCHEMA, "problem": problem.name, "title": problem.title, "count": len(drawn.rows), "columns": list(columns),
        "sampler": request.sampler, "steps": request.steps, "seed": request.seed,
        "score": f"{solution.method}: {solution.family}",
        "evaluations": drawn.evaluations,
        "mean": _numbers(drawn.rows.mean(axis=0)), "deviation": _numbers(drawn.rows.std(axis=0)),
        "distances": {name: _number(value) for name, value in drawn.distances.items()},
        **notes,
        "statements": _statements(drawn) + list(notes.get("statements", ())),
        "warnings": warnings,
    }  # fmt: skip
    if drawn.density is not None:
        summary["log_density"] = {
            "mean": _number(float(drawn.density.value.mean())), "error": _number(float(drawn.density.error.max())),
            "evaluations": drawn.density_evaluations, "probes": drawn.density.probes,
        }  # fmt: skip
    density = drawn.density.value if drawn.density is not None else None
    return Samples(problem.reversal.state, columns, drawn.rows, density, summary, converged and finite and not far)


def _statements(drawn: Drawn) -> list[str]:
    near, lines = drawn.distances, []
    if near:
        lines.append(
            f"against {int(near['compared'])} true rows: MMD {near['mmd']:.3g} (true against true {near['mmd_of_data']:.3g}), "
            f"sliced Wasserstein {near['sliced_wasserstein']:.3g} ({near['sliced_wasserstein_of_data']:.3g})"
        )
    if drawn.density is not None:
        how = "the exact divergence" if drawn.density.probes == 0 else f"{drawn.density.probes} random probes of the divergence"
        lines.append(
            f"log-density: mean {drawn.density.value.mean():.5g}, integrated to within {drawn.density.error.max():.2g} with "
            f"{how}, {drawn.density_evaluations} evaluations"
        )
    return lines


def _tilt(steered: Steered | None, log_normaliser: float | None) -> dict[str, Any]:
    """What there is to say of log Z, in numbers and in words."""
    if log_normaliser is not None:
        words = f"tilted exactly: the data times exp(reward) are a Gaussian mixture again, log Z = {log_normaliser:.8g}"
        return {"log_normaliser": {"value": log_normaliser, "error": 1e-12 * (1 + abs(log_normaliser))}, "statements": [words]}
    if steered is None:
        return {}
    found, plain = steered.log_normaliser, steered.data_log_normaliser
    words = f"steered by adjoint matching: log Z = {_in_words(found)} by the weights of the steered paths (they leave "
    words += f"{found.effective:.0%}), {_in_words(plain)} by the data alone"
    return {
        "log_normaliser": _interval(found), "log_normaliser_of_data": _interval(plain), "effective": found.effective,
        "statements": [words],
    }  # fmt: skip


def _in_words(mean: LogMean) -> str:
    if mean.converged:
        return f"{mean.value:.4g} in [{mean.lower:.4g}, {mean.upper:.4g}]"
    return f"at least {mean.lower:.4g} (few weigh nearly all; the mean, {mean.value:.4g}, is unreliable)"


def _interval(mean: LogMean) -> dict[str, float | None]:
    """The ends that there are, `error` the larger distance to them; null where the weights' tail allows no upper end."""
    error = _number(max(mean.value - mean.lower, mean.upper - mean.value))
    ends = {"lower": _number(mean.lower), "upper": _number(mean.upper)}
    return {"value": mean.value, "error": error, **ends, "confidence": mean.confidence}


def _numbers(values: Any) -> list[float | None]:
    return [_number(float(value)) for value in values]


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None
