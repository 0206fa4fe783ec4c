"""Deterministic discounted problems in one state (any number of modes): saving, growth, capacity, with or without a state
constraint.

In: the equation. Out: V on spectral elements to about 1e-11. Each mode's optimal flow rests at one point, inside or at the
constraint. The interval is cut where every flow enters, so no condition is needed there; the resting points fix V. Where the
constraint binds, V has a branch point, 1/sqrt in V_xx (Achdou et al., Rev. Econ. Stud. 89, 2022, prop. 1): there x = low +
y^2 makes V smooth in y.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.family import Proposal
from hjbdsl.methods.closed_form.one_dimensional.boundary_value import WORST
from hjbdsl.methods.closed_form.one_dimensional.branches import kinks
from hjbdsl.methods.closed_form.one_dimensional.chebyshev import rule
from hjbdsl.methods.closed_form.one_dimensional.component import Component, Edge
from hjbdsl.methods.closed_form.one_dimensional.coordinate import Coordinate
from hjbdsl.methods.closed_form.one_dimensional.elements import Mesh
from hjbdsl.methods.closed_form.one_dimensional.first_order_elements import FirstOrderSpectral, Sink, solve_first_order
from hjbdsl.methods.closed_form.one_dimensional.line import LineProblem, recognise
from hjbdsl.methods.closed_form.one_dimensional.line_function import LineFunction, SolvedComponent
from hjbdsl.methods.closed_form.one_dimensional.policy import Law, laws
from hjbdsl.methods.closed_form.one_dimensional.policy_iteration import Guess, Layout, NoConvergence, switching_places
from hjbdsl.methods.closed_form.one_dimensional.resting import resting_controls
from hjbdsl.methods.closed_form.one_dimensional.upwind import UpwindSolution, upwind
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Array, Rejected

FAMILY = "one-dimensional: deterministic flow to a resting point"
_DEGREE = 16
_EXTENSIONS = 8
_ITERATIONS = 60


@dataclass(frozen=True, slots=True)
class Flow:
    """A first guess and where each mode rests: `sinks` (m,) in y; `bound` (m,): whether that is the state constraint."""

    component: Component
    upwind: UpwindSolution
    sinks: tuple[float, ...]
    bound: tuple[bool, ...]


def propose_first_order(equation: HJBEquation) -> Proposal | Rejected:
    """No noise, one control, a positive discount rate, no exit, no stopping."""
    line = recognise(equation)
    if isinstance(line, Rejected):
        return line
    if line.payoff is not None or line.exit_when is not None or equation.problem.boundaries:
        return Rejected("stopping, exit or a written boundary without noise")
    if any(variance != 0 for variance in line.variance):
        return Rejected("there is noise")
    if equation.problem.objective.form == "average" or any(not _is_positive(rate) for rate in line.discount):
        return Rejected("the discount rate is not a positive number")
    found = laws(line)
    if isinstance(found, str):
        return Rejected(found)
    try:
        flow = _flow(line, found)
        part, notes = _solved(flow)
    except NoConvergence as why:
        return Rejected(str(why))
    return Proposal(FAMILY, LineFunction((part,)), statements=notes, accuracy=part.accuracy)


def _is_positive(rate: object) -> bool:
    """Whether an expression is a positive number."""
    return bool(getattr(rate, "is_number", False)) and float(rate) > 0  # type: ignore[arg-type]


def _flow(line: LineProblem, found: tuple[Law, ...]) -> Flow:
    """Extend the interval until every mode's flow enters at its cuts, and read off where it rests."""
    bottom, top = float(line.bounds.lower), float(line.bounds.upper)
    width = line.high - line.low
    constrained = np.isfinite(bottom) and not line.bounds.lower_open
    left, right = line.low, line.high
    nothing = (0.0,) * len(found)
    for extension in range(_EXTENSIONS):
        reach = 0.5 * 2.0**extension * width
        if constrained:
            left = bottom if line.low - reach < bottom else line.low - reach
        else:
            left = bottom + (line.low - bottom) / 2.0 ** (extension + 1) if np.isfinite(bottom) else line.low - reach
        right = min(line.high + reach, top)
        at_bound = constrained and left == bottom
        coordinate = Coordinate("root", low=bottom) if at_bound else Coordinate("identity")
        lower, upper = Edge("natural", left, nothing, "flow enters"), Edge("natural", right, nothing, "flow enters")
        component = Component(line, found, coordinate, lower, upper)
        y = coordinate.from_state(np.array([left, right]))
        guess = upwind(component, float(y[0]), float(y[1]))
        flow = _resting_points(component, guess, at_bound)
        if flow is not None:
            return flow if any(flow.bound) or not at_bound else _without_root(flow)
        if right == top:
            break
    raise NoConvergence("no interval round the region was found that the optimal flow enters at both ends")


def _without_root(flow: Flow) -> Flow:
    """The constraint does not bind: V is smooth in x itself."""
    component = replace(flow.component, coordinate=Coordinate("identity"))
    guess = upwind(component, component.lower.location, component.upper.location)
    again = _resting_points(component, guess, False)
    if again is None:
        raise NoConvergence("the optimal flow at the state constraint is not settled")
    return again


def _resting_points(component: Component, guess: UpwindSolution, at_bound: bool) -> Flow | None:
    """Where each mode's drift turns from + to -; None where it leaves through a cut, or rests at several points."""
    sinks, bound = [], []
    for drift in guess.drift:
        inner = np.sign(drift[2:-2])
        positive, negative = np.flatnonzero(inner > 0), np.flatnonzero(inner < 0)
        if not len(negative):
            return None
        if not len(positive):
            if not at_bound:
                return None
            sinks.append(float(guess.y[0]))
            bound.append(True)
            continue
        if positive[-1] > negative[0]:
            return None
        sinks.append(float((guess.y[2 + positive[-1]] + guess.y[2 + negative[0]]) / 2))
        bound.append(False)
    return Flow(component, guess, tuple(sinks), tuple(bound))


def _solved(flow: Flow) -> tuple[SolvedComponent, tuple[str, ...]]:
    component = flow.component
    solution, layout, sinks = _fitted(flow, _guess(flow), None, _DEGREE)
    finer, _, sinks = _fitted(flow, carried(component, solution), layout, _DEGREE + 8)
    samples = np.linspace(*component.window(), 101)
    now, before = (np.array([s.at(samples, k)[0] for k in range(component.modes)]) for s in (finer, solution))
    scale, change = float(np.abs(now).max()), float(np.abs(now - before).max())
    accuracy = 4 * change + 1e-13 * scale
    if accuracy > WORST * (1e-3 + scale):
        raise NoConvergence(f"the answer still moves by {change:.1e} with the degree")
    _require_guess_agrees(flow, finer, scale)
    _require_no_better_rest_far_away(flow, scale)
    state = component.line.state.name
    left, right = component.coordinate.to_state(finer.mesh.breaks[[0, -1]])
    places = ", ".join(
        f"{float(component.coordinate.to_state(np.array(s))):.10g}{' (the state constraint binds)' if b else ''}"
        for s, b in zip(sinks, flow.bound, strict=True)
    )
    statements = (
        f"the optimal flow rests at {state} = {places}",
        f"it stays in [{left:.6g}, {right:.6g}], so that V is bounded along it and e^(-r t) V decays; "
        "no condition at the cuts is needed",
        f"ODE on {len(finer.mesh.breaks) - 1} Chebyshev elements; a lower degree moves V by {change:.1e}",
        "a monotone upwind scheme, also on a wider interval, has the same value to its first order (numerical evidence)",
    )
    return SolvedComponent(component, finer, accuracy), statements


def _require_guess_agrees(flow: Flow, solution: FirstOrderSpectral, scale: float) -> None:
    for k in range(flow.component.modes):
        gap = np.abs(solution.at(flow.upwind.y, k)[0] - flow.upwind.value[k])[5:-5].max()
        if gap > 2e-2 * scale:
            raise NoConvergence(f"the spectral solution is {gap:.1e} away from the monotone scheme")


def _require_no_better_rest_far_away(flow: Flow, scale: float) -> None:
    """The monotone scheme on a wider interval must rest alike with the same value: the interval solved on
    may have cut off a better resting point (Skiba 1978)."""
    component, y = flow.component, flow.upwind.y
    bounds = component.line.bounds
    bottom, top = float(bounds.lower), float(bounds.upper)
    left, right = component.coordinate.to_state(y[[0, -1]])
    width = right - left
    if not (np.isfinite(bottom) and left == bottom):
        left = bottom + (left - bottom) / 4 if np.isfinite(bottom) else left - width
    right = min(right + width, top)
    ends = component.coordinate.from_state(np.array([left, right]))
    wide = upwind(component, float(ends[0]), float(ends[1]), 4001)
    again = _resting_points(component, wide, component.coordinate.kind == "root")
    if again is None or again.bound != flow.bound:
        raise NoConvergence("on a wider interval the optimal flow rests elsewhere")
    inner = (y >= component.window()[0]) & (y <= component.window()[1])
    for k in range(component.modes):
        gap = np.abs(np.interp(y[inner], wide.y, wide.value[k]) - flow.upwind.value[k][inner]).max()
        if gap > 2e-2 * scale:
            raise NoConvergence("on a wider interval the value is another")


def _guess(flow: Flow) -> Guess:
    grid, coordinate = flow.upwind, flow.component.coordinate

    def evaluate(x: Array, mode: int) -> tuple[Array, Array, Array]:
        y = coordinate.from_state(x)
        return np.interp(y, grid.y, grid.value[mode]), np.interp(y, grid.y, grid.slope[mode]), np.zeros_like(x)

    return evaluate


def carried(component: Component, solution: FirstOrderSpectral) -> Guess:
    """`solution` as a guess on another mesh."""

    def evaluate(x: Array, mode: int) -> tuple[Array, Array, Array]:
        y = component.coordinate.from_state(x)
        value, slope, curvature = solution.at(y, mode)
        first, _ = component.coordinate.state_derivatives(y, slope, curvature)
        return value, first, np.zeros_like(x)

    return evaluate


def _fitted(flow: Flow, guess: Guess, layout: Layout | None, degree: int) -> tuple[FirstOrderSpectral, Layout, tuple[float, ...]]:
    """Policy iteration with the mesh following the resting points and the maximiser's switching places."""
    component = flow.component
    if layout is None:
        layout = _initial_layout(flow)
    sinks, best, stalled = flow.sinks, np.inf, 0
    samples = np.linspace(*component.window(), 101)
    before = np.full((component.modes, 101), np.inf)
    for _ in range(_ITERATIONS):
        sinks = tuple(
            place if bound else _drift_zero(component, guess, mode, place)
            for mode, (place, bound) in enumerate(zip(sinks, flow.bound, strict=True))
        )
        layout = replace(layout, pinned=tuple((s,) for s in sinks), stop=(), boundaries=())
        mesh = layout.mesh(component.modes, degree)
        solution = _linear(component, mesh, guess, sinks)
        guess = carried(component, solution)
        now = np.array([solution.at(samples, k)[0] for k in range(component.modes)])
        change = float(np.abs(now - before).max() / np.abs(now).max())
        stalled = stalled + 1 if change >= best else 0
        before, best = now, min(best, change)
        if not np.isfinite(change) and np.isfinite(now).all():
            continue
        if change < 1e-14 or (stalled >= 3 and best < 1e-10):
            crowded = unresolved(component, solution)
            switches = switching_places(component, solution)
            if not crowded.any() and _close(switches, layout.switches):
                return solution, layout, sinks
            middle = (mesh.breaks[:-1] + mesh.breaks[1:])[crowded] / 2
            layout = replace(layout, base=tuple(sorted({*layout.base, *(float(m) for m in middle)})), switches=switches)
            best, stalled = np.inf, 0
            if len(layout.base) > 300:
                raise NoConvergence("the solution is not resolved by 300 spectral elements")
    raise NoConvergence("policy iteration did not settle")


def _close(new: tuple[float, ...], old: tuple[float, ...]) -> bool:
    return len(new) == len(old) and all(abs(a - b) < 1e-9 * (1 + abs(a)) for a, b in zip(new, old, strict=True))


def _initial_layout(flow: Flow) -> Layout:
    component = flow.component
    left, right = float(flow.upwind.y[0]), float(flow.upwind.y[-1])
    line = component.line
    low, high = component.coordinate.to_state(np.array([left, right]))
    found = kinks((*line.drift, *line.running, *line.rates.values()), line.state, float(low), float(high))
    places = tuple(float(p) for p in component.coordinate.from_state(np.array(found))) if found else ()
    return Layout(tuple(float(p) for p in np.linspace(left, right, 13)), places)


def _linear(component: Component, mesh: Mesh, guess: Guess, sinks: tuple[float, ...]) -> FirstOrderSpectral:
    y = mesh.nodes()
    x = component.coordinate.to_state(y)
    controls = np.empty((component.modes, *y.shape, 1))
    for k, law in enumerate(component.laws):
        value, slope, curvature = guess(x.ravel(), k)
        chosen, taken = law.optimise(x.ravel(), value, slope, curvature)
        if (taken < 0).any():
            raise NoConvergence("no branch of the maximiser is valid at some point of the interval")
        controls[k] = chosen.reshape(*y.shape, 1)
    inner = component.coefficients(y, controls)
    rests = []
    for k, place in enumerate(sinks):
        there = component.coordinate.to_state(np.array([place]))
        rest = resting_controls(component, there)[k]
        _, _, running, discount = component.laws[k].coefficients_at(there, rest)
        index = int(np.argmin(np.abs(mesh.breaks - place)))
        rests.append(Sink(index, float(running[0]), float(discount[0]), component.rates(there)[k, :, 0]))
    try:
        return solve_first_order(mesh, inner, tuple(rests))
    except RuntimeError as singular:
        raise NoConvergence(f"the linear system is singular ({singular})") from singular


def _drift_zero(component: Component, guess: Guess, mode: int, near: float) -> float:
    """The zero of the current policy's drift next to `near`, by bisection from + to -."""
    law = component.laws[mode]

    def drift(y: Array) -> Array:
        x = component.coordinate.to_state(y)
        controls, _ = law.optimise(x, *guess(x, mode))
        return law.coefficients_at(x, controls)[0]

    radius = 1e-3 * (1 + abs(near))
    for _ in range(8):
        ends = drift(np.array([near - radius, near + radius]))
        if ends[0] > 0 > ends[1]:
            break
        radius *= 2
    else:
        raise NoConvergence("the resting point was lost")
    low, high = near - radius, near + radius
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if drift(np.array([middle]))[0] > 0 else (low, middle)
    return (low + high) / 2


def unresolved(component: Component, solution: FirstOrderSpectral) -> NDArray[np.bool_]:
    """(n,) elements whose series of V_y has not decayed; next to a resting point rounding in V is divided by the small drift."""
    mesh = solution.mesh
    coefficients = np.abs(solution.slope @ rule(mesh.degree).analysis.T)
    tail, size = coefficients[..., -3:].max(axis=-1), coefficients.max(axis=-1)
    y = mesh.nodes()
    x = component.coordinate.to_state(y)
    rounding = np.empty_like(tail)
    guess = carried(component, solution)
    rates = component.rates(x)
    for k, law in enumerate(component.laws):
        value, slope, curvature = guess(x.ravel(), k)
        controls, _ = law.optimise(x.ravel(), value, slope, curvature)
        drift, _, _, discount = law.coefficients_at(x.ravel(), controls)
        speed = np.abs(drift.reshape(y.shape) / component.coordinate.rates(y)[0]).min(axis=1)
        leaving = discount.reshape(y.shape) + rates[k].sum(axis=0)
        rounding[k] = 1e-14 * (leaving * np.abs(value).reshape(y.shape)).max(axis=1) / np.maximum(speed, 1e-12)
    allowed = np.maximum(1e-12 * size.max(axis=1, keepdims=True), rounding)
    return (tail > allowed).any(axis=0) & (mesh.half > 1e-6 * (mesh.breaks[-1] - mesh.breaks[0]))
