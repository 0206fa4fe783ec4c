"""The method: ask the learners in order, the one that the file or the caller names first and alone.

In: an `HJBEquation`, options. Out: `Accepted(Solution)` or `Rejected(reason)` with every learner's reason.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from types import MappingProxyType

from hjbdsl.errors import UsageError
from hjbdsl.methods.neural.learner import Learner, LearningRequest
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Accepted, Rejected
from hjbdsl.numeric.growing_discount import growing_discount

_INSTALL = "torch is not installed: pip install torch==2.13.0"
BUDGET = 60.0
"""Processor seconds of training where the file states no `budget`."""


def _policy_iteration(equation: HJBEquation, request: LearningRequest) -> Accepted | Rejected:
    from hjbdsl.methods.neural import policy_learning  # noqa: PLC0415 (torch: only where a learner runs)

    return policy_learning.propose(equation, request)


def _martingale(equation: HJBEquation, request: LearningRequest) -> Accepted | Rejected:
    from hjbdsl.methods.neural import martingale  # noqa: PLC0415 (torch: only where a learner runs)

    return martingale.propose(equation, request)


def _log_variance(equation: HJBEquation, request: LearningRequest) -> Accepted | Rejected:
    from hjbdsl.methods.neural import log_variance  # noqa: PLC0415 (torch: only where a learner runs)

    return log_variance.propose(equation, request)


def _residual(equation: HJBEquation, request: LearningRequest) -> Accepted | Rejected:
    from hjbdsl.methods.neural import residual  # noqa: PLC0415 (torch: only where a learner runs)

    return residual.propose(equation, request)


LEARNERS: tuple[tuple[str, Learner], ...] = (
    ("martingale", _martingale),
    ("policy_iteration", _policy_iteration),
    ("log_variance", _log_variance),
    ("residual", _residual),
)
"""In the order in which they are asked."""


def solve(
    equation: HJBEquation, options: Mapping[str, float | str] = MappingProxyType({}), tol: float | None = None, seed: int = 0
) -> Accepted | Rejected:
    """`options`: method (a learner's name), budget (processor seconds), device, checkpoint (a path), resume (1)."""
    if importlib.util.find_spec("torch") is None:
        return Rejected(_INSTALL)
    wanted = str(options.get("method", ""))
    names = [name for name, _ in LEARNERS]
    if wanted and wanted not in names:
        raise UsageError(f"there is no neural learner `{wanted}`; there are {', '.join(names)}")
    reason = growing_discount(equation)
    if reason is not None:
        return Rejected(reason)
    checkpoint = options.get("checkpoint")
    request = LearningRequest(
        tol, seed, str(options.get("device", "cpu")), float(options.get("budget", BUDGET)),
        None if checkpoint is None else str(checkpoint), bool(options.get("resume", False)), options,
    )  # fmt: skip
    reasons = []
    for name, learner in LEARNERS:
        if wanted and name != wanted:
            continue
        answer = learner(equation, request)
        if isinstance(answer, Accepted):
            return answer
        reasons.append(f"{name}: {answer.reason}")
    return Rejected("; ".join(reasons))
