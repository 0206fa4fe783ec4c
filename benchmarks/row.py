"""One line of a benchmark's table: what is solved, on how many points, and what the answer is held against.

`solve()` does the whole computation from nothing and returns (V on the mesh's nodes or None, points x steps or 0, words): its
first call in a fresh process is the cold time, the better of two more the warm one. `reference` names how `benchmarks.grid` finds
the V that is taken for exact (None: no accuracy column). `quick`: part of `--quick`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
Solve = Callable[[], tuple[Array | None, float, str]]
Reference = Callable[[], Array]


@dataclass(frozen=True, slots=True)
class Row:
    """`name` begins with the mesh; rows of one section stand together, ours before its peer on the same mesh."""

    section: str
    name: str
    points: int
    solve: Solve
    reference: str | None = None
    quick: bool = True


__all__ = ["Reference", "Row", "Solve"]
