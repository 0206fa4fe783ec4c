"""What is said of a set of samples: moments, distances to the data, evaluations; and whether they can be trusted.

In: problem, solution, what is wanted. Out: `Samples` with the object that `hjb sample --json` prints (schema `hjb.samples/1`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hjbdsl.methods.generative.draw import Drawn, draw
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.samples import SampleRequest, Samples
from hjbdsl.model.solution import Solution

SCHEMA = "hjb.samples/1"
_FAR = 3.0
"""Samples whose MMD to the data exceeds this many times that of data to data are called far."""


def samples(problem: ControlProblem, solution: Solution, request: SampleRequest) -> Samples:
    """Draw from a solved problem. Raises `UsageError` for a sampler there is not."""
    drawn = draw(problem, solution.function, request)
    notes: dict[str, Any] = {}
    score, converged, warned = f"{solution.method}: {solution.family}", solution.status != "not_converged", solution.warnings
    assert problem.reversal is not None
    columns = tuple(s.name for group in problem.states if group.name == problem.reversal.state for s in group.symbols)
    far = drawn.distances["mmd"] > _FAR * drawn.distances["mmd_of_data"]
    finite = bool(np.all(np.isfinite(drawn.rows)))
    warnings = list(warned)
    if far or not finite:
        warnings.append("the samples lie far from the data: take more steps, or a score learned for longer")
    summary: dict[str, Any] = {
        "schema": SCHEMA, "problem": problem.name, "title": problem.title, "count": len(drawn.rows), "columns": list(columns),
        "sampler": request.sampler, "steps": request.steps, "seed": request.seed, "score": score,
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
    near = drawn.distances
    lines = [
        f"against {int(near['compared'])} true rows: MMD {near['mmd']:.3g} (true against true {near['mmd_of_data']:.3g}), sliced "
        f"Wasserstein {near['sliced_wasserstein']:.3g} ({near['sliced_wasserstein_of_data']:.3g})"
    ]
    if drawn.density is not None:
        how = "the exact divergence" if drawn.density.probes == 0 else f"{drawn.density.probes} random probes of the divergence"
        lines.append(
            f"log-density: mean {drawn.density.value.mean():.5g}, integrated to within {drawn.density.error.max():.2g} with "
            f"{how}, {drawn.density_evaluations} evaluations"
        )
    return lines


def _numbers(values: Any) -> list[float | None]:
    return [_number(float(value)) for value in values]


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None
