"""Last stage of `hjb learn`: what was learned, beside what the model says, as one object (schema `hjb.lesson/1`).

In: equation, the learned solution, the model's, their comparison. Out: plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hjbdsl.io.result import finite, value_entries
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Solution
from hjbdsl.numeric.points import Points

SCHEMA = "hjb.lesson/1"


@dataclass(frozen=True, slots=True)
class Judged:
    """The model-based answer (None where no method applies: `reason`) and how far the learned one is from it."""

    solution: Solution | None
    errors: Mapping[str, float]
    reason: str = ""


def lesson_object(
    equation: HJBEquation,
    learned: Solution,
    judged: Judged,
    points: Points,
    asked: Mapping[str, Any],
    returns: Sequence[float],
) -> dict[str, Any]:
    """`asked`: the options as they were; `returns`: of the episodes played in an environment."""
    problem, model = equation.problem, judged.solution
    entries = value_entries(equation, learned, points)
    theirs = value_entries(equation, model, points) if model is not None else [None] * len(entries)
    for entry, other in zip(entries, theirs, strict=True):
        entry["model"] = {name: other[name] for name in ("V", "error", "control")} if other is not None else None
    result: dict[str, Any] = {
        "schema": SCHEMA,
        "problem": problem.name,
        "title": problem.title,
        "kind": equation.kind,
        "sense": problem.objective.sense,
        "method": learned.method,
        "family": learned.family,
        "status": learned.status,
        **asked,
        "value": entries,
        "model": {"method": model.method, "status": model.status} if model is not None else {"reason": judged.reason},
        "errors": {name: finite(value) for name, value in judged.errors.items()},
        "evidence": {
            "kind": learned.evidence.kind,
            "residual": finite(learned.evidence.residual),
            **{name: finite(value) for name, value in learned.evidence.numbers.items()},
            "statements": list(learned.evidence.statements),
        },
        "warnings": list(learned.warnings),
    }
    if learned.average is not None:
        result |= {"average": finite(learned.average), "average_error": finite(learned.average_error)}
        result["model"]["average"] = finite(model.average) if model is not None else None
    if returns:
        mean = sum(returns) / len(returns)
        spread = (sum((value - mean) ** 2 for value in returns) / max(len(returns) - 1, 1)) ** 0.5
        result["played"] = {"episodes": len(returns), "mean_return": mean, "standard_error": spread / len(returns) ** 0.5}
    return result
