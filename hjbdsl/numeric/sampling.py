"""Samples of region x time x modes, for holding a formula against an answer.

In: a `ControlProblem` and what is held fixed. Out: `Points`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import sympy as sp

from hjbdsl.model.problem import TIME, ControlProblem
from hjbdsl.model.solution import Array
from hjbdsl.numeric.points import Points, crossed
from hjbdsl.numeric.state_space import exited, horizon, inside, lattice_points, region_of

_SPARSE_POINTS = {0: 1, 1: 33, 2: 13, 3: 7}
"""Points along an axis of the tensor grid, by the number of free dimensions."""
_RANDOM_POINTS = 400
_TIMES = 7


def sample_region(
    problem: ControlProblem,
    stationary: bool,
    fixed: Mapping[sp.Symbol, float],
    modes: Sequence[int],
    seed: int,
) -> Points:
    """Points of region x [0, T] x modes for a comparison, the symbols in `fixed` held (TIME among them).

    A tensor grid that includes the corners in up to three free dimensions, else the corners' two extremes, the centre and
    seeded random points. Points outside the state space (open ends, state constraints) are left out, and so are those where
    the process has left already: a formula for V means the states from which it still runs.
    """
    axes = [np.array([fixed[symbol]]) if symbol in fixed else np.array([math.nan]) for symbol in problem.state_symbols]
    region = region_of(problem)
    free = [i for i, axis in enumerate(axes) if math.isnan(axis[0])]
    sets = {i: lattice_points(problem, problem.state_bounds[i]) for i in problem.lattice_states}
    if len(free) in _SPARSE_POINTS:
        for i in free:
            axes[i] = sets[i] if i in sets else np.linspace(region[i, 0], region[i, 1], _SPARSE_POINTS[len(free)])
        rows = list(itertools.product(*axes))
        states = np.array(rows, dtype=float).reshape(len(rows), problem.dimension)
    else:
        states = _random_states(axes, free, sets, region, np.random.default_rng(seed))
    states = states[inside(problem, states)]
    if problem.exit is not None and free:
        states = states[~exited(problem, states)]
    return crossed(_times(problem, stationary, fixed), states, modes)


def _random_states(
    axes: list[Array], free: list[int], sets: Mapping[int, Array], region: Array, random: np.random.Generator
) -> Array:
    held = np.array([axis[0] for axis in axes])
    states = np.tile(held, (_RANDOM_POINTS + 3, 1))
    for i in free:
        low, high = region[i]
        states[:, i] = random.choice(sets[i], len(states)) if i in sets else random.uniform(low, high, len(states))
        if i not in sets:
            states[:3, i] = low, (low + high) / 2, high
    return states


def _times(problem: ControlProblem, stationary: bool, fixed: Mapping[sp.Symbol, float]) -> Array:
    if TIME in fixed:
        return np.array([fixed[TIME]])
    end = horizon(problem)
    if stationary or not math.isfinite(end):
        return np.zeros(1)
    return np.linspace(0.0, end, _TIMES)
