"""Is the proposed control the optimum? Compared with perturbed and far controls, at sampled points.

In: operators, derivatives of V, the proposed control. Out: the largest relative gain any other admissible control offered
(<= 0 up to rounding for a true optimum). For games each side is perturbed with the other held: together they show a saddle point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.verification.points import ControlSet, Samples
from hjbdsl.model.solution import Array

_LOCAL, _FAR = 24, 40
_TOGETHER = 16
"""Candidates evaluated in one call."""

Hamiltonian = Callable[[NDArray[np.int64], Array], tuple[Array, Array]]
"""(rows of the samples, one control a row) -> the value of f + L^a V - r V and the size of its terms, each (rows,)."""


def largest_gain(
    hamiltonian: Hamiltonian, admissible: ControlSet, at: Samples, a: Array, maximise: bool, held: Sequence[int] = ()
) -> float:
    """max over samples of sense*(H(other) - H(proposed)) / size; NaN where the other control is outside H's domain counts as
    worse. The columns `held` are not varied."""
    reference, size = hamiltonian(np.arange(at.count), a)
    lower, upper = admissible.limits(at.t, at.x)
    worst = -np.inf
    for player, first, last in (("control", 0, admissible.controllers), ("adversary", admissible.controllers, a.shape[1])):
        sense = 1.0 if maximise == (player == "control") else -1.0
        moved = [column for column in range(first, last) if column not in held]
        candidates = list(_candidates(admissible, a, lower, upper, moved))
        for start in range(0, len(candidates), _TOGETHER):
            others = candidates[start : start + _TOGETHER]
            rows = np.tile(np.arange(at.count), len(others))
            controls = np.concatenate(others)
            valid = admissible.contains(at.t[rows], at.x[rows], controls)
            rows, controls = rows[valid], controls[valid]
            value, other_size = hamiltonian(rows, controls)
            scale = size[rows] + np.where(np.isfinite(other_size), other_size, 0.0) + 1e-300
            gain = sense * (value - reference[rows]) / scale
            worst = max(worst, float(np.max(gain, initial=-np.inf, where=~np.isnan(gain))))
    return worst


def _candidates(admissible: ControlSet, a: Array, lower: Array, upper: Array, moved: Sequence[int]) -> Iterator[Array]:
    """Controls near the proposed one along random directions and single components, then a coarse global sample."""
    if not moved:
        return
    random = np.random.default_rng(11)
    columns = np.array(moved)
    scale = 1 + np.abs(a[:, columns])
    for k in range(_LOCAL):
        direction = random.normal(size=(len(a), len(columns)))
        if k % 2:
            direction = np.sign(direction) * (np.arange(len(columns)) == k // 2 % len(columns))
        yield _placed(admissible, a, columns, a[:, columns] + 10.0 ** random.uniform(-4, 0) * scale * direction, lower, upper)
    for k in range(_FAR):
        far = a[:, columns] + np.sign(random.normal(size=scale.shape)) * 10.0 ** random.uniform(-1, 3, size=scale.shape)
        width = np.where(np.isfinite(upper - lower), upper - lower, 0)[:, columns]
        start = np.where(np.isfinite(lower), lower, 0)[:, columns]
        inside = start + random.uniform(size=scale.shape) * width
        spread = np.where(width > 0, inside, far)
        half_line = np.isfinite(lower[:, columns]) & ~np.isfinite(upper[:, columns])
        spread = np.where(half_line, start + 10.0 ** random.uniform(-3, 3, size=scale.shape), spread)
        chosen = np.arange(len(columns)) == k % len(columns) if k % 2 else np.ones(len(columns), dtype=bool)
        yield _placed(admissible, a, columns, np.where(chosen, spread, a[:, columns]), lower, upper)


def _placed(admissible: ControlSet, a: Array, columns: Array, new: Array, lower: Array, upper: Array) -> Array:
    """`a` with `columns` replaced by `new`, brought into the bounds and onto the finite sets."""
    result = a.copy()
    result[:, columns] = np.clip(new, lower[:, columns], upper[:, columns])
    for column in columns:
        points = admissible.points[column]
        if points is not None:
            nearest = np.argmin(np.abs(result[:, column, None] - points), axis=1)
            result[:, column] = points[nearest]
    return result
