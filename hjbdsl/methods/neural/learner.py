"""What a learner is asked and what it answers.

In: an `HJBEquation`, a `LearningRequest`. Out: `Accepted(Solution)` or `Rejected(reason)`; `SolverError` where training diverges,
with the last good checkpoint named. A `KeyboardInterrupt` inside training ends it with the best answer so far: status
"not_converged", a warning that says "interrupted".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Accepted, Rejected


@dataclass(frozen=True, slots=True)
class LearningRequest:
    """`tol`: the accuracy of V wanted, or None; `seed` of everything random; `device` cpu or cuda; `budget` in processor seconds
    of training; `checkpoint` a file for snapshots (None: none), `resume` whether to go on from it; `options` of the file's
    `solve` statement."""

    tol: float | None = None
    seed: int = 0
    device: str = "cpu"
    budget: float = 60.0
    checkpoint: str | None = None
    resume: bool = False
    options: Mapping[str, float | str] = field(default_factory=dict)


Learner = Callable[[HJBEquation, LearningRequest], Accepted | Rejected]
