"""What is asked of a generative problem, and what is drawn from it: data only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hjbdsl.model.solution import Array


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """`count` rows by `sampler` in `steps` steps (None: what suits the problem); `likelihood`: log-densities too; `method` finds
    the score; `tilt` is a reward of the state at the end, an expression of the language; `start` is where a controlled process
    is at t = 0 (None: the middle of the region)."""

    count: int
    sampler: str | None = None
    steps: int | None = None
    seed: int = 0
    likelihood: bool = False
    method: str = "auto"
    tilt: str | None = None
    start: Mapping[str, float | Sequence[float] | str] | None = None


@dataclass(frozen=True, slots=True)
class Samples:
    """`rows` (count, n) with a name for each column; `log_density` (count,) where it was wanted; `described` is what `hjb sample
    --json` prints; `trusted`: whether the score converged and the rows lie as near to the data as data do."""

    state: str
    columns: tuple[str, ...]
    rows: Array
    log_density: Array | None
    described: Mapping[str, Any]
    trusted: bool
