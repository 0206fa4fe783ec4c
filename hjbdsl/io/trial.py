"""Last stage: a simulated policy as the object that `hjb simulate --json` prints (schema `hjb.simulation/1`), and as text for a
person.

In: equation, `Trial`. Out: plain data; the text is made from that data alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hjbdsl.io.result import finite, place
from hjbdsl.io.text import cell, significant, tiny
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Array
from hjbdsl.numeric.state_space import control_groups
from hjbdsl.simulation import ENDINGS, Paths
from hjbdsl.simulation.trial import Trial

SCHEMA = "hjb.simulation/1"
_QUANTILES = (0.05, 0.5, 0.95)

_VERDICTS = {
    "agrees": "V is what its policy earns, within the errors",
    "earns less": "the policy earns less than V promises",
    "earns more": "the policy earns more than V, so V is not the optimal value",
    "unknown": "V has no error to be judged by",
}


def trial_object(equation: HJBEquation, trial: Trial, method: str, status: str) -> dict[str, Any]:
    """The object of one trial. Costs stay costs under `minimize`."""
    problem, earned = equation.problem, trial.earned
    result: dict[str, Any] = {
        "schema": SCHEMA,
        "problem": problem.name,
        "title": problem.title,
        "kind": equation.kind,
        "sense": problem.objective.sense,
        "method": method,
        "status": status,
        "from": place(equation, trial.start),
        "quantity": "average" if problem.objective.form == "average" else "V",
        "V": finite(trial.claimed),
        "V_error": finite(trial.claimed_error),
        "paths": earned.paths,
        "dt": earned.clockwork.dt,
        "steps": earned.clockwork.steps,
        "horizon": earned.clockwork.length,
        "confidence": earned.confidence,
        "realised": {"mean": finite(earned.raw), "half_width": finite(earned.raw_width)},
        "value_of_policy": {
            "mean": finite(earned.mean),
            "half_width": finite(earned.half_width),
            "time_step": finite(earned.bias),
            "after_horizon": finite(earned.tail),
            "lower": finite(earned.lower),
            "upper": finite(earned.upper),
        },
        "ended": dict(zip(ENDINGS[1:], earned.ended, strict=True)),
        "verdict": trial.verdict,
        "verdict_text": _VERDICTS[trial.verdict],
    }
    if trial.paths is not None:
        result["states"] = _spread(problem.states, trial.paths.x, trial.paths.t)
        result["controls"] = _spread(control_groups(problem), trial.paths.control, trial.paths.t)
    return result


def _spread(groups: Any, values: Array, t: Array) -> dict[str, Any]:
    """Quantiles of every component at the start, half way and the end of the recorded paths."""
    rows = [0, len(t) // 2, len(t) - 1]
    result: dict[str, Any] = {"t": [float(t[row]) for row in rows]}
    symbols = [symbol for group in groups for symbol in group.symbols]
    for column, symbol in enumerate(symbols):
        table = np.quantile(values[:, rows, column], _QUANTILES, axis=0)
        result[symbol.name] = {f"{q:g}": [finite(v) for v in row] for q, row in zip(_QUANTILES, table, strict=True)}
    return result


def trial_text(result: Mapping[str, Any], seconds: float) -> str:
    """The page that `hjb simulate` prints."""
    worth, real = result["value_of_policy"], result["realised"]
    level = f"{100 * result['confidence']:g}%"
    what = "cost" if result["sense"] == "minimize" else "reward"
    if result["quantity"] == "average":
        what = f"average {what}"
    name = result["quantity"]
    start = ", ".join(f"{key} = {cell(value)}" for key, value in result["from"].items())
    lines = [f"{result['title'] or result['problem']}", ""]
    lines.append(
        f"{_paths(result['paths'])} from {start or 'the start'}, {result['steps']} steps of {result['dt']:.3g}"
        f" up to {result['horizon']:.4g}, under the policy of {result['method']}, {result['status']}"
    )
    endings = [f"{share:.0%} {_ENDED[kind]}" for kind, share in result["ended"].items() if share]
    lines += [f"  {'; '.join(endings)}"] if endings and set(result["ended"].values()) != {1.0, 0.0} else []
    error = sum(worth[part] or 0.0 for part in ("half_width", "time_step", "after_horizon"))
    rows = [
        (
            f"realised {what}",
            significant(real["mean"], (real["half_width"] or 0.0) / 10),
            real["half_width"],
            _sampled(result, level),
        ),
        ("worth of the policy", significant(worth["mean"], error / 10), error, _parts(worth, level)),
        (name, significant(result["V"], result["V_error"]), result["V_error"], "as solved"),
    ]
    width = max(len(row[1]) for row in rows)
    lines += ["", *(f"  {label:<22}{value:>{width}}  ± {tiny(error):<9}{note}" for label, value, error, note in rows)]
    mark = {"agrees": "✓", "unknown": "?"}.get(result["verdict"], "✗")
    return "\n".join([*lines, "", f"{mark} {result['verdict_text']}", f"{seconds:.1f} s"])


_ENDED = {"horizon": "ran to the end", "exit": "left the domain", "stop": "were stopped"}


def _parts(worth: Mapping[str, Any], level: str) -> str:
    parts = {
        f"{level} sampling": worth["half_width"],
        "time step": worth["time_step"],
        "after the horizon": worth["after_horizon"],
    }
    largest = max((value or 0.0 for value in parts.values()), default=0.0)
    shown = [f"{name} {tiny(value)}" for name, value in parts.items() if value is None or value > 1e-3 * largest]
    return ", ".join(shown) or "exact"


def _sampled(result: Mapping[str, Any], level: str) -> str:
    return "with this time step" if result["paths"] == 1 else f"{level} interval of the mean"


def _paths(count: int) -> str:
    return "1 path (nothing is random)" if count == 1 else f"{count} paths"


def arrays(equation: HJBEquation, paths: Paths) -> dict[str, Array]:
    """Recorded paths by the file's names: t (S + 1,), each state and control (P, S + 1) or (P, S + 1, n), modes as indices of
    labels, `reward` the cumulative discounted reward, `ended` an index of horizon and so on, `end_time`."""
    problem = equation.problem
    result: dict[str, Array] = {"t": paths.t}
    for groups, values in ((problem.states, paths.x), (control_groups(problem), paths.control)):
        first = 0
        for group in groups:
            part = values[:, :, first : first + len(group.symbols)]
            first += len(group.symbols)
            result[group.name] = part if group.shape else part[:, :, 0]
    labels = np.array(problem.mode_tuples(), dtype=np.int64).reshape(len(problem.mode_tuples()), len(problem.modes))
    for column, chain in enumerate(problem.modes):
        result[chain.name] = labels[paths.mode, column].astype(float)
    return result | {"cumulative_reward": paths.reward, "ended": paths.ended.astype(float), "end_time": paths.end_time}
