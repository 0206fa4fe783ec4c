"""Which class of functions the data calls for: the lowest degree whose advantage rate a larger class would not change.

In: a problem's kinds of states and controls, and a sample of both. Out: `Features`; and, from the averages of the largest
class, the degree."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hjbdsl.errors import SolverError
from hjbdsl.methods.model_free.conditions import Moments, Operator, batches, operator
from hjbdsl.methods.model_free.coordinates import ControlSpace, state_axis, time_axis
from hjbdsl.methods.model_free.features import ControlFeatures, Features, StateFeatures, axis_degrees, exponents, paired
from hjbdsl.methods.model_free.iteration import Learned, Places, Task, q_learning
from hjbdsl.methods.model_free.precision import weights
from hjbdsl.methods.model_free.transitions import Transitions
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Array
from hjbdsl.numeric.state_space import lattice_points

DEGREES = (0, 2, 4, 6, 8)
"""Degree 0 only times a common factor."""
MOST_FUNCTIONS = 260
POWERS = {"line": 2, "box": 2, "log_up": 6, "log_down": 6}
"""The highest power of a control's coordinate: a quadratic in the control itself, more where the coordinate is a logarithm."""
MOST_ASTRAY = 0.05
"""A class in which q has no maximum at so many more places is too large for the data."""
NEGLIGIBLE = 0.01
"""A change of q that is this small a share of its size does not call for a larger class."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A class, what was learned in it, and the same in the next one (or in the one before the largest): as far as that is off,
    so may this be."""

    moments: Moments
    operator: Operator
    learned: Learned
    degree: int
    neighbour: tuple[Operator, Learned] | None


def build(
    problem: ControlProblem, space: ControlSpace, data: Transitions, end: float, degree: int, tilt: tuple[float, ...] = ()
) -> Features:
    """The class of this degree, scaled by the data."""
    axes = [time_axis(end)] if math.isfinite(end) else []
    continuous = problem.continuous_states
    axes += [
        state_axis(problem.state_bounds[i], i + 1, problem, np.concatenate([data.x[:, i], data.x_next[:, i]])) for i in continuous
    ]
    choice = exponents([axis_degrees(axis, degree) for axis in axes], degree)
    degrees = np.array([[axis_degrees(axis, degree)[c] for axis, c in zip(axes, row, strict=True)] for row in choice])
    state = StateFeatures(
        tuple(axes), problem.lattice_states, _labels(problem), choice, degrees.reshape(len(choice), len(axes)).sum(axis=1),
        tilt,
    )  # fmt: skip
    control = ControlFeatures(space, _powers(space))
    flat = [axis.kind in ("line", "circle") for axis in axes] + [axis.kind in ("line", "box") for axis in space.axes]
    total = not tilt and all(flat)
    return Features(state, control, paired(state, control, degree if total else None), total)


def largest(
    problem: ControlProblem, space: ControlSpace, data: Transitions, end: float, degree: int | None, tilt: tuple[float, ...] = ()
) -> tuple[Features, int]:
    """The class after that of the degree asked for, or the largest that the number of functions allows; its degree."""
    if degree is not None:
        return build(problem, space, data, end, degree + 2, tilt), degree + 2
    least = next(d for d in DEGREES if d > 0)
    best, best_degree = build(problem, space, data, end, least, tilt), least
    for higher in (d for d in DEGREES if d > least):
        if math.comb(higher + len(problem.continuous_states), higher) > MOST_FUNCTIONS:
            break
        wider = build(problem, space, data, end, higher, tilt)
        if wider.count > min(MOST_FUNCTIONS, len(data) // 50):
            break
        best, best_degree = wider, higher
    return best, best_degree


def choose_degree(
    moments: Moments, top: int, task: Task, places: Places, sample: Transitions, degree: int | None = None
) -> Chosen:
    """Learn in classes of rising degree until the next one agrees, beyond the noise, with the advantage rate; or in that of
    `degree`. `sample`: some of the data."""
    features = moments.features
    gains = np.concatenate([
        (later - psi)[:, : features.values] * np.sqrt(weights(features, moments.precision, part))[:, None]
        for part, psi, later in batches(features, sample)
    ])  # fmt: skip
    if sample.mirrored:
        gains = (gains[::2] + gains[1::2]) / math.sqrt(2)
    if degree is not None:
        return _of_degree(moments, degree, task, places, gains)
    tried: list[tuple[Moments, Operator, Learned]] = []
    for own_degree in [d for d in DEGREES if d <= top and (d > 0 or any(features.state.tilt))]:
        own = moments.within(own_degree) if own_degree < top else moments
        inside = operator(own)
        learned = q_learning(inside, task, places)
        lost = bool(tried) and learned.astray > tried[-1][2].astray + MOST_ASTRAY
        if lost or (tried and _agrees(moments, tried[-1], (inside, own_degree), task, gains)):
            smaller, its, before = tried[-1]
            return Chosen(smaller, its, before, own_degree - 2, (inside, learned))
        tried.append((own, inside, learned))
    own, inside, learned = tried[-1]
    return Chosen(own, inside, learned, top, tried[-2][1:] if len(tried) > 1 else None)


def _of_degree(moments: Moments, degree: int, task: Task, places: Places, gains: Array) -> Chosen:
    """The class asked for; beside it the next one, which says what it misses, or the one before where the data does not
    determine the next."""
    own = moments.within(degree)
    inside = operator(own)
    learned = q_learning(inside, task, places)
    with contextlib.suppress(SolverError):
        wider = operator(moments)
        excess, _ = _missed(moments, (own, inside, learned), (wider, degree + 2), task, gains)
        learned = replace(learned, defect=math.hypot(learned.defect, math.sqrt(excess)))
        return Chosen(own, inside, learned, degree, (wider, q_learning(wider, task, places)))
    if degree <= 2:
        return Chosen(own, inside, learned, degree, None)
    narrower = operator(moments.within(degree - 2))
    return Chosen(own, inside, learned, degree, (narrower, q_learning(narrower, task, places)))


def _agrees(
    moments: Moments, tried: tuple[Moments, Operator, Learned], larger: tuple[Operator, int], task: Task, gains: Array
) -> bool:
    """Whether r + L^a V at the same V is the same in a larger class, but for noise; and the smaller one meets its own
    conditions."""
    excess, size = _missed(moments, tried, larger, task, gains)
    return bool(excess + tried[2].defect ** 2 <= NEGLIGIBLE**2 * size)


def _missed(
    moments: Moments, tried: tuple[Moments, Operator, Learned], larger: tuple[Operator, int], task: Task, gains: Array
) -> tuple[float, float]:
    """Mean square, beyond the noise, of what a larger class adds to r + L^a V at the same V; and a size to hold it against."""
    small, _, learned = tried
    wide, degree = larger
    keep = np.flatnonzero(np.isin(moments.features.within(degree), moments.features.within(degree - 2)))
    own = keep[keep < wide.features.values]
    theta = np.zeros(wide.features.values)
    theta[own] = learned.theta
    rate = learned.advantage.copy()
    rate[: len(own)] += task.rho * learned.theta
    rate[small.features.constants] += learned.average
    defect = wide.reward + wide.generator @ theta
    defect[keep] -= rate
    gram = moments.within(degree).gram
    more = len(defect) - len(keep)
    seen = np.flatnonzero(moments.features.within(degree) < moments.features.values)
    scatter = (
        float(np.mean((gains[:, moments.features.within(degree)[seen]] @ theta) ** 2)) * more / (moments.count * moments.dt**2)
    )
    excess = max(float(defect @ gram @ defect) - scatter * (1 + 3 * math.sqrt(2 / more)), 0.0)
    # without a control q vanishes: the rewards set the scale then, their size where they are constant
    rewards = moments.variance if moments.variance > 1e-6 * moments.square else moments.square
    size = max(float(learned.advantage @ small.gram @ learned.advantage), rewards)
    return excess, size


def _labels(problem: ControlProblem) -> Array:
    """Joint modes and lattice values: (L, 1 + lattice states)."""
    sets = [np.arange(len(problem.mode_tuples()), dtype=float)]
    sets += [lattice_points(problem, problem.state_bounds[i]) for i in problem.lattice_states]
    return np.stack([g.ravel() for g in np.meshgrid(*sets, indexing="ij")], axis=1)


def _powers(space: ControlSpace) -> NDArray[np.int64]:
    """Powers of one coordinate, and products of two."""
    most = max([POWERS[axis.kind] for axis in space.axes], default=0)
    powers = exponents([list(range(POWERS[axis.kind] + 1)) for axis in space.axes], most)
    return powers[((powers > 0).sum(axis=1) <= 1) | (powers.sum(axis=1) <= 2)]
