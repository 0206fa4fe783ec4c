"""Transitions that may have left the problem on their way: an exit falls between the ends of a step.

A step that ends at an exit is shorter than the others, and one that does not is known to have stayed: near an exit the
conditions of a whole step are biased. They hold, weighted in any way by the start of a step, so that starts from which an exit
is within reach count nothing; what V is there is known from what was paid at the exits.

In: transitions with marks of the end. Out: those that started out of reach of every exit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hjbdsl.errors import SolverError
from hjbdsl.methods.model_free.transitions import Transitions
from hjbdsl.model.solution import Array

REACH = 0.998
"""The quantile of the lengths of steps that counts as their reach."""
LEAST_KEPT = 0.15
"""The share of the transitions that must have started out of reach of the exits."""


def exits(data: Transitions, end: float) -> NDArray[np.int64]:
    """Rows that ended before the horizon."""
    return np.flatnonzero(data.done & (data.t + data.dt < end - 1e-6 * data.dt))


def out_of_reach(data: Transitions, end: float) -> Transitions:
    """All of `data` where nothing was seen to leave. Raises `SolverError` where a step reaches an exit from nearly everywhere."""
    gone = exits(data, end)
    if not gone.size:
        return data
    from scipy.spatial import cKDTree  # noqa: PLC0415 (slow to import)

    scale = np.maximum(data.x.std(axis=0), 1e-12)
    whole = np.setdiff1d(np.arange(len(data)), gone)
    moved = np.linalg.norm((data.x_next[whole] - data.x[whole]) / scale, axis=1)
    reach = float(np.quantile(moved, REACH)) if whole.size else np.inf
    distance: Array = cKDTree(data.x_next[gone] / scale).query(data.x / scale, workers=1)[0]
    far = distance > reach
    if data.mirrored:
        far = np.repeat(far[::2] & far[1::2], 2)
    if far.mean() < LEAST_KEPT:
        raise SolverError(f"within a step of {data.dt:g} an exit can be reached from nearly everywhere: take a smaller --dt")
    return data.rows(far)
