"""Neural policy iteration in low dimension (under construction)."""

from __future__ import annotations

from hjbdsl.methods.neural.learner import LearningRequest
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Accepted, Rejected


def propose(equation: HJBEquation, request: LearningRequest) -> Accepted | Rejected:  # noqa: ARG001
    """Not built yet."""
    return Rejected("not built yet")
