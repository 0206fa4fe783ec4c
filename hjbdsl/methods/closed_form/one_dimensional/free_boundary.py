"""Optimal stopping of a (possibly controlled) diffusion: free boundaries by smooth fit, any number of them, and the
proof obligations.

In: the equation. Out: V on spectral elements between free boundaries, V = g elsewhere. The grid finds how many
boundaries there are; Newton's iteration on V_y = g_y refines them, y <- y - (V_y - g_y)/(V_yy - g_yy), quadratic
because moving a boundary at which V_y = g_y does not change V to first order. At a concave kink of g a boundary may
rest between the two slopes (no smooth fit there). Then the verification theorem: V >= g, f + L g - r g <= 0 where
stopped, no convex kink of g in the stopping region (all reversed under `minimize`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hjbdsl.methods.closed_form.family import Proposal
from hjbdsl.methods.closed_form.one_dimensional.boundary_value import (
    DEGREE,
    WORST,
    each_solved,
    guesses,
    initial_layout,
    paddings,
    sampled,
)
from hjbdsl.methods.closed_form.one_dimensional.branches import kinks
from hjbdsl.methods.closed_form.one_dimensional.component import Component
from hjbdsl.methods.closed_form.one_dimensional.elements import Spectral
from hjbdsl.methods.closed_form.one_dimensional.ends import components
from hjbdsl.methods.closed_form.one_dimensional.line import recognise
from hjbdsl.methods.closed_form.one_dimensional.line_function import SolvedComponent, trusted_range
from hjbdsl.methods.closed_form.one_dimensional.policy import laws
from hjbdsl.methods.closed_form.one_dimensional.policy_iteration import Guess, Layout, NoConvergence, carried, fitted
from hjbdsl.methods.closed_form.one_dimensional.stopping_regions import StoppingRegions, stopping_regions
from hjbdsl.methods.closed_form.one_dimensional.transversality import transversality
from hjbdsl.methods.closed_form.one_dimensional.variational_inequality import require_inequalities
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Array, Rejected

FAMILY = "one-dimensional: optimal stopping, free boundaries by smooth fit"
_STEPS = 60


@dataclass(frozen=True, slots=True)
class Kink:
    """A concave kink of one mode's payoff (convex under `minimize`), where a boundary may rest."""

    mode: int
    place: float


def propose_free_boundary(equation: HJBEquation) -> Proposal | Rejected:
    """`stopping tau in [0, inf]` in one continuous state with noise."""
    if equation.problem.stopping is None:
        return Rejected("there is no stopping time")
    line = recognise(equation)
    if isinstance(line, Rejected):
        return line
    if equation.problem.objective.form == "average":
        return Rejected("a long-run average that may be stopped")
    if all(variance == 0 for variance in line.variance):
        return Rejected("there is no noise: the equation is of first order")
    found = laws(line)
    if isinstance(found, str):
        return Rejected(found)
    intervals = components(line, found)
    if isinstance(intervals, Rejected):
        return intervals
    return solve_stopping(intervals)


def solve_stopping(intervals: tuple[Component, ...]) -> Proposal | Rejected:
    """Solve each interval; the proposal for all of them."""
    return each_solved(intervals, _solved, FAMILY)


def _solved(component: Component) -> tuple[SolvedComponent, tuple[str, ...]]:
    unbounded = "growth" in (component.lower.kind, component.upper.kind)
    samples = np.linspace(*component.window(), 161)
    before: Array | None = None
    previous: Spectral | None = None
    failure = NoConvergence("the stopping regions were not found")
    for padding in paddings(component) if unbounded else (0.0,):
        try:
            solution, layout = _smooth_fit(component, padding)
        except NoConvergence as why:
            failure, before, previous = why, None, None
            continue
        now = _with_payoff(component, solution, samples)
        cut_change = 0.0 if not unbounded else np.inf if before is None else float(np.abs(now - before).max())
        trusted = (-np.inf, np.inf)
        if unbounded and previous is not None:
            wide = np.linspace(previous.mesh.breaks[0], previous.mesh.breaks[-1], 801)
            after, earlier = _with_payoff(component, solution, wide), _with_payoff(component, previous, wide)
            trusted = trusted_range(wide, after, earlier, component.window())
        before, previous = now, solution
        if cut_change <= 1e-12 * (1e-3 + float(np.abs(now).max())):
            part, notes = _finished(component, solution, layout, cut_change, samples)
            return replace(part, trusted=trusted), notes
    raise failure


def _finished(
    component: Component, solution: Spectral, layout: Layout, cut_change: float, samples: Array
) -> tuple[SolvedComponent, tuple[str, ...]]:
    """Accuracy from a higher degree, then the verification theorem."""
    finer, finer_layout = _newton(component, layout, solution, DEGREE + 8)
    now = _with_payoff(component, finer, samples)
    scale = float(np.abs(now).max())
    degree_change = float(np.abs(now - _with_payoff(component, solution, samples)).max())
    accuracy = 2 * cut_change + 2 * degree_change + 1e-13 * scale
    if accuracy > WORST * (1e-3 + scale):
        raise NoConvergence(f"the answer still moves by {max(cut_change, degree_change):.1e}")
    inequalities = require_inequalities(component, finer)
    state = component.line.state.name
    places = sorted({float(component.coordinate.to_state(np.array(b))) for row in finer_layout.boundaries for b in row})
    pins = sorted({float(component.coordinate.to_state(np.array(b))) for row in finer_layout.pinned for b in row})
    shown = ", ".join(f"{state} = {p:.12g}" for p in (*places, *pins))
    rests = [b for row in (*finer_layout.boundaries, *finer_layout.pinned) for b in row if _at_rest(component, finer_layout, b)]
    statements = (
        (f"free boundaries by smooth fit: {shown}" if shown else "no free boundary")
        + (f" ({len(rests)} of them at a kink of the payoff, where V' lies between its slopes)" if rests else ""),
        f"ODE on {len(finer.mesh.breaks) - 1} Chebyshev elements; a lower degree moves V by {degree_change:.1e}, "
        f"the domain's cut by {cut_change:.1e}",
        *inequalities,
        *transversality(component, finer),
    )
    return SolvedComponent(component, finer, accuracy), statements


def _with_payoff(component: Component, solution: Spectral, y: Array) -> Array:
    values = sampled(component, solution, y)
    for k in range(component.modes):
        stopped = solution.mesh.stopped[k][solution.locate(y)]
        values[k][stopped] = component.payoff(y[stopped])[k]
    return values


def _smooth_fit(component: Component, padding: float) -> tuple[Spectral, Layout]:
    """Regions from the grid, boundaries by Newton."""
    left, right = component.span(padding)
    regions = stopping_regions(component, left, right)
    layout = _seeded(component, initial_layout(component, padding), regions)
    guess = guesses(component)[0]
    if component.line.controls:
        guess = _grid_guess(component, regions)
    solution, layout = fitted(component, layout, guess, DEGREE)
    solution, layout = _newton(component, layout, solution, DEGREE)
    return solution, layout


def _grid_guess(component: Component, regions: StoppingRegions) -> Guess:
    step = regions.cell
    slope = np.gradient(regions.value, step, axis=1)
    curvature = np.gradient(slope, step, axis=1)

    def evaluate(x: Array, mode: int) -> tuple[Array, Array, Array]:
        y = component.coordinate.from_state(x)
        value, first, second = (np.interp(y, regions.grid, row[mode]) for row in (regions.value, slope, curvature))
        return value, *component.coordinate.state_derivatives(y, first, second)

    return evaluate


def _resting_places(component: Component, left: float, right: float) -> tuple[Kink, ...]:
    """Concave kinks of the payoffs (convex under `minimize`)."""
    line = component.line
    assert line.payoff is not None
    sign = 1.0 if line.maximise else -1.0
    low, high = component.coordinate.to_state(np.array([left, right]))
    found = []
    for mode, payoff in enumerate(line.payoff):
        for place in kinks((payoff,), line.state, float(low), float(high)):
            y = float(component.coordinate.from_state(np.array(place)))
            before, after = one_sided_slopes(component, mode, y)
            if sign * (after - before) < -1e-12:
                found.append(Kink(mode, y))
    return tuple(found)


def one_sided_slopes(component: Component, mode: int, y: float) -> tuple[float, float]:
    """g_y just left and just right of `y`."""
    nudge = 1e-9 * (1 + abs(y))
    points = np.array([y - nudge, y + nudge])
    before, after = component.payoff_derivatives(points)[1][mode] * component.coordinate.rates(points)[0]
    return float(before), float(after)


def _at_rest(component: Component, layout: Layout, place: float) -> bool:
    rest = _resting_places(component, layout.base[0], layout.base[-1])
    return any(abs(kink.place - place) < 1e-9 * (1 + abs(place)) for kink in rest)


def _seeded(component: Component, layout: Layout, regions: StoppingRegions) -> Layout:
    """The grid's regions as a layout; a stopping interval of a cell or two at a resting kink becomes a pinned point."""
    left, right = layout.base[0], layout.base[-1]
    rest = _resting_places(component, left, right)
    boundaries, stop, pinned = [], [], []
    for mode in range(component.modes):
        row, flags, points = list(regions.boundaries[mode]), list(regions.stop[mode]), []
        i = 1
        while i < len(flags) - 1:
            near = [k.place for k in rest if k.mode == mode and row[i - 1] - regions.cell < k.place < row[i] + regions.cell]
            if flags[i] and near and row[i] - row[i - 1] < 2.5 * regions.cell:
                points.append(near[0])
                del row[i - 1 : i + 1], flags[i : i + 2]
            else:
                i += 1
        boundaries.append(tuple(row))
        stop.append(tuple(flags))
        pinned.append(tuple(points))
    return replace(layout, boundaries=tuple(boundaries), stop=tuple(stop), pinned=tuple(pinned))


def _newton(component: Component, layout: Layout, solution: Spectral, degree: int) -> tuple[Spectral, Layout]:
    """Move every boundary to its smooth fit."""
    span = layout.base[-1] - layout.base[0]
    rest = _resting_places(component, layout.base[0], layout.base[-1])
    guess = guesses(component)[0]
    smallest = np.inf
    for count in range(_STEPS):
        solution, layout = fitted(component, layout, carried(component, solution, guess), degree)
        steps = [
            [_step(component, solution, k, b, i, layout, rest) for i, b in enumerate(row)]
            for k, row in enumerate(layout.boundaries)
        ]
        largest = max((abs(s) for row in steps for s in row), default=0.0)
        # the steps end at rounding: stop when they no longer shrink
        if largest <= 1e-14 * span or (largest < 1e-9 * span and largest >= smallest and count > 3):
            return solution, layout
        smallest = min(smallest, largest)
        moved = tuple(
            tuple(b + s for b, s in zip(row, line, strict=True)) for row, line in zip(layout.boundaries, steps, strict=True)
        )
        layout = replace(layout, boundaries=moved)
    raise NoConvergence("the free boundaries did not settle")


def _step(
    component: Component, solution: Spectral, mode: int, place: float, index: int, layout: Layout, rest: tuple[Kink, ...]
) -> float:
    """Newton's step of one boundary, at most a quarter of the way to its neighbours, and no further than a resting kink."""
    row, flags = layout.boundaries[mode], layout.stop[mode]
    sign = 1.0 if component.line.maximise else -1.0
    continues_right = flags[index]
    at = np.array([place])
    element = solution.locate(at + (1 if continues_right else -1) * 1e-9 * (layout.base[-1] - layout.base[0]))
    _, slope, curvature = (float(v[0]) for v in solution.at(at, mode, element))
    first, ratio = component.coordinate.rates(at)
    payoff = [float(p[mode, 0]) for p in component.payoff_derivatives(at)]
    payoff_slope = payoff[1] * float(first[0])
    payoff_curvature = payoff[2] * float(first[0]) ** 2 + float(ratio[0]) * payoff_slope
    here = [k for k in rest if k.mode == mode and abs(k.place - place) < 1e-9 * (1 + abs(place))]
    if here:
        before, after = one_sided_slopes(component, mode, place)
        if min(before, after) <= slope <= max(before, after):
            return 0.0
        # leave the kink into the stopping region, or out of it
        stay, go = (before, after) if continues_right else (after, before)
        payoff_slope = stay if abs(slope - stay) < abs(slope - go) else go
    bend = sign * (curvature - payoff_curvature)
    bend = max(bend, 1e-3 * (abs(curvature) + abs(payoff_curvature)), 1e-12)
    step = -sign * (slope - payoff_slope) / bend
    neighbours = [layout.base[0], *row[:index], *row[index + 1 :], layout.base[-1]]
    room = 0.25 * min(abs(place - n) for n in neighbours)
    step = float(np.clip(step, -room, room))
    crossed = [
        k.place for k in rest if k.mode == mode and not here and min(place, place + step) < k.place < max(place, place + step)
    ]
    return crossed[0] - place if crossed else step
