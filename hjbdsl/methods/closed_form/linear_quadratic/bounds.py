"""Do the bounds on states and controls leave the unconstrained solution untouched?

In: problem and solved function. Out: the reason why a bound may bind, or "". An affine margin g(x) = w(t).(1, x) >= 0 is
safe if it holds on the whole state domain, or, without noise and without an adversary, along every optimal path from the
region: those are linear in their starting point, so the worst one is known exactly at each time. Then the unconstrained
optimum is admissible, and so optimal.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import sympy as sp
from scipy.linalg import expm

from hjbdsl.methods.closed_form.linear_quadratic.arrays import TimeArray, time_array
from hjbdsl.methods.closed_form.linear_quadratic.coefficients import LinearQuadratic, affine
from hjbdsl.methods.closed_form.linear_quadratic.function import StationaryQuadratic, TimeQuadratic
from hjbdsl.methods.closed_form.linear_quadratic.polynomial import NotPolynomial
from hjbdsl.methods.closed_form.verification.points import margins
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Array

_STEPS = 400
_LONGEST = 20000


def bounded(problem: ControlProblem) -> bool:
    """Whether anything at all limits states, controls or adversary: then the unconstrained problem decides nothing by itself."""
    sets = (*problem.state_bounds, *(b for g in (*problem.controls, *problem.adversaries) for b in g.bounds))
    return bool(problem.constraints) or any(b.lower != -sp.oo or b.upper != sp.oo for b in sets)


def bound_reason(problem: ControlProblem, quadratic: LinearQuadratic, function: StationaryQuadratic | TimeQuadratic) -> str:
    """Empty where no bound can bind."""
    try:
        control_margins, state_margins = _affine_margins(problem)
    except NotPolynomial as error:
        return f"a bound is not affine: {error}"
    if not control_margins and not state_margins:
        return ""
    low, high = _box(problem)
    times = np.linspace(0.0, function.trajectory.horizon, 65) if isinstance(function, TimeQuadratic) else np.zeros(1)
    open_controls = [m for m in control_margins if not _everywhere(m, quadratic, function, times, low, high)]
    open_states = [m for m in state_margins if not _invariant(m, quadratic, function, times, low, high)]
    if not open_controls and not open_states:
        return ""
    name = str(sp.sympify((open_controls + open_states)[0][0]))
    random = any(len(mode.jumps) or np.any(mode.diffusion.base) or not mode.diffusion.constant for mode in quadratic.modes)
    if random or len(quadratic.modes) > 1:
        return f"the bound {name} >= 0 binds with positive probability, since the state is random"
    if problem.adversaries:
        return f"the bound {name} >= 0 may bind after a deviation of the other side"
    return _along_paths(problem, quadratic, function, open_controls + open_states)


Margin = tuple[sp.Expr, tuple[TimeArray, ...]]
"""The expression that must be >= 0, and its coefficients (N + m,) by mode."""


def _affine_margins(problem: ControlProblem) -> tuple[list[Margin], list[Margin]]:
    states, controls = problem.state_symbols, (*problem.control_symbols, *problem.adversary_symbols)
    index = {s: i + 1 for i, s in enumerate((*states, *controls))}
    groups = [*problem.controls, *problem.adversaries]
    on_controls = [e for g in groups for s, b in zip(g.symbols, g.bounds, strict=True) for e in _sides(s, b.lower, b.upper)]
    on_controls += [e for c in problem.constraints if c.role != "state" for e in margins(c.condition)]
    on_states = [e for s, b in zip(states, problem.state_bounds, strict=True) for e in _sides(s, b.lower, b.upper)]
    on_states += [e for c in problem.constraints if c.role == "state" for e in margins(c.condition)]

    def read(expression: sp.Expr) -> Margin:
        arrays = []
        for mode in problem.mode_tuples():
            row = affine(sp.sympify(problem.at_mode(expression, mode)), index)
            arrays.append(time_array((len(index) + 1,), {(j,): c for j, c in row.items()}, problem.numeric))
        return expression, tuple(arrays)

    return [read(e) for e in on_controls], [read(e) for e in on_states]


def _sides(symbol: sp.Symbol, lower: sp.Expr, upper: sp.Expr) -> list[sp.Expr]:
    return [*([symbol - lower] if lower != -sp.oo else []), *([upper - symbol] if upper != sp.oo else [])]


def _box(problem: ControlProblem) -> tuple[Array, Array]:
    """The state domain as a box, the constant coordinate included."""
    bounds = problem.state_bounds
    low = [1.0, *(float(problem.numeric(b.lower)) for b in bounds)]
    high = [1.0, *(float(problem.numeric(b.upper)) for b in bounds)]
    return np.array(low), np.array(high)


def _gain(function: StationaryQuadratic | TimeQuadratic, t: float, mode: int) -> Array:
    """K (m, N) of a = -K z."""
    return np.asarray(function.gain[mode]) if isinstance(function, StationaryQuadratic) else function.gain(t, mode)


def _least(row: Array, low: Array, high: Array) -> float:
    """min of row.z over the box."""
    ends = np.where(row > 0, low, high)
    used = row != 0
    return float(np.sum(row[used] * ends[used]))


def _everywhere(
    margin: Margin,
    quadratic: LinearQuadratic,
    function: StationaryQuadratic | TimeQuadratic,
    times: Array,
    low: Array,
    high: Array,
) -> bool:
    """The margin holds for every state of the domain, at all times and in all modes."""
    return all(
        _least(_clean(_on_feedback(margin, function, float(t), z)), low, high) >= -1e-12
        for t in times
        for z in range(len(quadratic.modes))
    )


def _clean(row: Array) -> Array:
    """Rounding left in coefficients that are zero would count against an infinite domain."""
    return np.where(np.abs(row) <= 1e-13 * max(1.0, np.abs(row).max()), 0.0, row)


def _on_feedback(margin: Margin, function: StationaryQuadratic | TimeQuadratic, t: float, mode: int) -> Array:
    row = margin[1][mode].at(t)
    gain = _gain(function, t, mode)
    size = gain.shape[1]
    return row[:size] - row[size:] @ gain if gain.shape[0] else row[:size]


def _invariant(
    margin: Margin,
    quadratic: LinearQuadratic,
    function: StationaryQuadratic | TimeQuadratic,
    times: Array,
    low: Array,
    high: Array,
) -> bool:
    """On the face where the margin is 0 there is no noise and no jump across it, and the drift does not point out of the
    domain."""
    for t in times:
        for z, mode in enumerate(quadratic.modes):
            m = mode.at(float(t))
            row, gain = margin[1][z].at(float(t)), _gain(function, float(t), z)
            size = gain.shape[1]
            row = row[:size]
            moving = np.flatnonzero(row[1:]) + 1
            if len(moving) != 1 or not margin[1][z].constant or mode.jumps:
                return False
            i = int(moving[0])
            place = -row[0] / row[i]
            on_face_low, on_face_high = low.copy(), high.copy()
            on_face_low[i] = on_face_high[i] = place
            drift = row[i] * (m.drift - m.gain @ gain)[i]
            if _least(_clean(drift), on_face_low, on_face_high) < -1e-12 or m.additive[i, i] != 0:
                return False
            for noise, control_noise in zip(m.noise, m.control_noise, strict=True):
                across = _clean((noise - control_noise @ gain)[i])
                if _least(across, on_face_low, on_face_high) < -1e-12 or _least(-across, on_face_low, on_face_high) < -1e-12:
                    return False
    return True


def _along_paths(
    problem: ControlProblem, quadratic: LinearQuadratic, function: StationaryQuadratic | TimeQuadratic, tested: list[Margin]
) -> str:
    """Every margin along every optimal path that starts in the region (at any time of the horizon)."""
    region = np.array([[float(problem.numeric(end)) for end in pair] for pair in problem.region])
    if not np.all(np.isfinite(region)):
        return "the region is unbounded, so the bounds on it cannot be ruled out"
    low, high = np.concatenate([[1.0], region[:, 0]]), np.concatenate([[1.0], region[:, 1]])
    paths = _stationary_paths if isinstance(function, StationaryQuadratic) else _finite_paths
    centre, width = (low + high) / 2, (high - low) / 2
    for t, transitions in paths(quadratic, function):
        for margin in tested:
            row = _on_feedback(margin, function, t, 0)
            reached = row @ transitions
            if np.min(reached @ centre - np.abs(reached) @ width) < -1e-12 * (1 + np.abs(row).max()):
                return f"the optimal path from the region reaches the bound {margin[0]} >= 0"
    return ""


def _closed_loop(quadratic: LinearQuadratic, function: StationaryQuadratic | TimeQuadratic, t: float) -> Array:
    m = quadratic.modes[0].at(t)
    return m.drift - m.gain @ _gain(function, t, 0)


def _stationary_paths(quadratic: LinearQuadratic, function: StationaryQuadratic | TimeQuadratic) -> Iterator[tuple[float, Array]]:
    """(time, transition matrices (1, N, N) from time 0) until the state part has decayed or clearly grown."""
    drift = _closed_loop(quadratic, function, 0.0)
    step = expm(drift * 0.02 / max(float(np.linalg.norm(drift, 2)), 1e-12))
    transition = np.eye(len(drift))
    for _ in range(_LONGEST):
        yield 0.0, transition[None]
        previous, transition = transition, step @ transition
        change = np.abs(transition - previous).max()
        if change < 1e-10 or change > 1e6:
            break
    yield 0.0, transition[None]


def _finite_paths(quadratic: LinearQuadratic, function: StationaryQuadratic | TimeQuadratic) -> Iterator[tuple[float, Array]]:
    """(time, transitions (starts, N, N) from every earlier start) on a grid of the horizon."""
    if not isinstance(function, TimeQuadratic):
        raise TypeError("a finite horizon needs a trajectory")
    steps = _STEPS if quadratic.states <= 4 else 100
    grid = np.linspace(0.0, function.trajectory.horizon, steps + 1)
    size = quadratic.states + 1
    transitions = np.empty((0, size, size))
    for left, right in pairwise(grid):
        transitions = np.concatenate([transitions, np.eye(size)[None]])
        yield float(left), transitions
        step = expm(_closed_loop(quadratic, function, float(left + right) / 2) * (right - left))
        transitions = step @ transitions
    yield float(grid[-1]), transitions
