"""`hjb sample` of a problem whose control enters as its noise does: draws of the state in which the optimum ends, and log Z.

In: an equation, a start, what is wanted. Out: `Samples` with the object that `hjb sample --json` prints, or the reason why not.
Draws are those of a sampler, chosen again by their weights out of several times as many; log Z comes from the weights of them all
and V(0, x) = log Z/exponent from log Z.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hjbdsl.errors import SolverError, UsageError
from hjbdsl.methods.neural.path_integral import Sampler, SamplerSettings
from hjbdsl.methods.neural.terminal_law import TerminalLaw, terminal_law
from hjbdsl.methods.neural.time_reversed import ReversalSettings, TimeReversedSampler
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.samples import SampleRequest, Samples
from hjbdsl.model.solution import Array, Rejected
from hjbdsl.numeric.importance_weights import LogMean, log_mean
from hjbdsl.numeric.torch_threads import one_thread

SCHEMA = "hjb.samples/1"
SAMPLERS = ("time_reversed", "path_integral")
_SPREAD = 2.0
"""Of the Gaussian that tempering starts from, in units of the free process's own spread at the end."""
_FEWEST_PATHS, _PATHS_A_DRAW = 32_768, 4
_MOST_PATHS = 400_000
_POOR = 0.05


def terminal_samples(equation: HJBEquation, start: Array, request: SampleRequest) -> Samples | Rejected:
    """`start` (n,) at t = 0. Raises `UsageError` for a sampler there is not, `SolverError` where a density is no number."""
    sampler = request.sampler or SAMPLERS[0]
    if sampler not in SAMPLERS:
        raise UsageError(f"draws of the optimal end are made by {' or '.join(SAMPLERS)}; `{sampler}` is for files with `reverse`")
    law = terminal_law(equation, start)
    if isinstance(law, Rejected):
        return law
    torch.manual_seed(request.seed)
    with one_thread():
        paths = min(max(_FEWEST_PATHS, _PATHS_A_DRAW * request.count), _MOST_PATHS)
        z, log_w, evaluations, steps = _drawn(law, sampler, paths, request)
    found = log_mean(log_w)
    index = _chosen(log_w, request.count, np.random.default_rng([request.seed, 37]))
    rows = law.places(z[index])
    problem = equation.problem
    columns = tuple(symbol.name for symbol in problem.state_symbols)
    described = _described(law, found, rows, evaluations) | {
        "schema": SCHEMA, "problem": problem.name, "title": problem.title, "count": len(rows), "columns": list(columns),
        "sampler": sampler, "steps": steps, "seed": request.seed, "start": [float(v) for v in start],
    }  # fmt: skip
    return Samples(problem.states[0].name, columns, rows, None, described, found.converged and found.effective >= _POOR)


def _drawn(law: TerminalLaw, sampler: str, paths: int, request: SampleRequest) -> tuple[Array, Array, int, int]:
    """States (k, n) and log weights (k,), evaluations of the control, steps of a path."""
    start = torch.zeros(len(law.mean))

    def log_density(z: Tensor) -> Tensor:
        return law.log_density(z)

    match sampler:
        case "time_reversed":
            levels = ReversalSettings() if request.steps is None else ReversalSettings(levels=request.steps)
            reversal = TimeReversedSampler(log_density, start, _SPREAD, levels, request.seed)
            reversal.train()
            z, log_w = reversal.draw(paths)
            return z.numpy(), log_w.numpy(), reversal.evaluations, reversal.settings.levels
        case "path_integral":
            steps = SamplerSettings() if request.steps is None else SamplerSettings(steps=request.steps)
            integral = Sampler(log_density, start, 1.0, 1.0, steps, request.seed)
            integral.train()
            z, log_w = integral.draw(paths)
            return z.numpy(), log_w.numpy(), integral.evaluations, integral.settings.steps
    raise KeyError(sampler)


def _chosen(log_w: Array, count: int, random: np.random.Generator) -> Array:
    """`count` indices, each as often as its weight says, up to one, in random order."""
    top = float(log_w.max())
    if not math.isfinite(top):
        raise SolverError("no path ended where the density is positive")
    weights = np.cumsum(np.exp(log_w - top))
    places = (np.arange(count) + random.random()) / count * weights[-1]
    return random.permutation(np.minimum(np.searchsorted(weights, places), len(log_w) - 1))


def _described(law: TerminalLaw, found: LogMean, rows: Array, evaluations: int) -> dict[str, Any]:
    ends = sorted(end / law.exponent for end in (found.lower, found.upper))
    value = (
        f"V(0, x) = {found.value / law.exponent:.6g} in [{ends[0]:.6g}, {ends[1]:.6g}]" if found.converged else "no value of V"
    )
    warnings = [] if found.converged else ["few paths carry nearly all of the weight: log Z has a lower end only"]
    if found.effective < _POOR:
        warnings.append(f"the control is poor: the weights leave {found.effective:.1%} of the paths")
    return {
        "score": "learned, a state each", "evaluated": "the control", "evaluations": evaluations,
        "mean": [float(v) for v in rows.mean(axis=0)], "deviation": [float(v) for v in rows.std(axis=0)], "distances": {},
        "log_normaliser": {
            "value": found.value, "lower": _number(found.lower), "upper": _number(found.upper), "confidence": found.confidence,
            "error": _number(max(found.value - found.lower, found.upper - found.value)),
        },
        "effective": found.effective,
        "value": {"V": found.value / law.exponent, "lower": _number(ends[0]), "upper": _number(ends[1])},
        "statements": [f"log Z = {found}", f"under the optimal control from here {value}"],
        "warnings": warnings,
    }  # fmt: skip


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
