"""What was found when an answer was held against the oracles of its file: data only."""

from __future__ import annotations

from dataclasses import dataclass

from hjbdsl.errors import Span


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One `check` statement, judged. `max_error` is the largest absolute difference over components, points and modes; NaN
    where the answer had no number to compare, and then `passed` is False. `samples` counts the points compared."""

    name: str
    span: Span
    passed: bool
    max_error: float
    tolerance: float
    samples: int
    text: str
