"""Exit, discounted and average problems in one state: a two-point boundary-value problem, controlled or not, solved to
about 1e-11.

In: the equation. Out: the value function on spectral elements. A domain without an end is cut beyond the region and
the cut moved out until the answer on the region no longer changes; the accuracy claimed is what the cut and the degree
still move.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hjbdsl.methods.closed_form.family import Proposal
from hjbdsl.methods.closed_form.one_dimensional.branches import kinks
from hjbdsl.methods.closed_form.one_dimensional.component import Component
from hjbdsl.methods.closed_form.one_dimensional.elements import Spectral
from hjbdsl.methods.closed_form.one_dimensional.ends import components
from hjbdsl.methods.closed_form.one_dimensional.far_ends import with_far_ends
from hjbdsl.methods.closed_form.one_dimensional.line import LineProblem, recognise
from hjbdsl.methods.closed_form.one_dimensional.line_function import LineFunction, SolvedComponent, trusted_range
from hjbdsl.methods.closed_form.one_dimensional.policy import laws
from hjbdsl.methods.closed_form.one_dimensional.policy_iteration import Guess, Layout, NoConvergence, carried, fitted
from hjbdsl.methods.closed_form.one_dimensional.transversality import transversality
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Array, Rejected

FAMILY = "one-dimensional: boundary-value problem"
DEGREE = 20
WORST = 1e-8
"""A relative accuracy above this is not claimed: the family declines."""


def propose_boundary_value(equation: HJBEquation) -> Proposal | Rejected:
    """One continuous state with noise everywhere, no stopping: exit, reflection, discounted or average."""
    line = recognise(equation)
    if isinstance(line, Rejected):
        return line
    if line.payoff is not None:
        return Rejected("there is a stopping time")
    if all(variance == 0 for variance in line.variance):
        return Rejected("there is no noise: the equation is of first order")
    return solve_line(line)


def solve_line(line: LineProblem) -> Proposal | Rejected:
    """The proposal for a recognised line problem without stopping."""
    found = laws(line)
    if isinstance(found, str):
        return Rejected(found)
    intervals = components(line, found)
    if isinstance(intervals, Rejected):
        return intervals
    if line.equation.problem.objective.form == "average" and len(intervals) > 1:
        return Rejected("a long-run average with exits")
    return solve_components(intervals)


def solve_components(intervals: tuple[Component, ...]) -> Proposal | Rejected:
    """Solve each interval; the proposal for all of them."""
    return each_solved(intervals, solved, FAMILY)


def each_solved(
    intervals: tuple[Component, ...],
    solver: Callable[[Component], tuple[SolvedComponent, tuple[str, ...]]],
    family: str,
) -> Proposal | Rejected:
    """`solver` on each interval; the proposal for all of them, or why one did not converge."""
    parts: list[SolvedComponent] = []
    statements: list[str] = []
    try:
        for component in intervals:
            part, notes = solver(component)
            parts.append(part)
            statements.extend(notes)
    except NoConvergence as why:
        return Rejected(str(why))
    first = parts[0].solution
    return Proposal(
        family=family,
        function=LineFunction(tuple(parts)),
        statements=tuple(dict.fromkeys(statements)),
        average=first.average if intervals[0].average and isinstance(first, Spectral) else None,
        accuracy=max(part.accuracy for part in parts),
    )


def solved(component: Component) -> tuple[SolvedComponent, tuple[str, ...]]:
    """The component's solution with its accuracy and what was established. Raises `NoConvergence`."""
    component = with_far_ends(component)
    unbounded = component.lower.is_cut or component.upper.is_cut
    reference = _reference(component)
    samples = np.linspace(*component.window(), 81)
    solution, layout, cut_change, padding = None, None, 0.0, 0.0
    trusted = (-np.inf, np.inf)
    for padding in paddings(component) if unbounded else (0.0,):
        previous, old = solution, None if solution is None else sampled(component, solution, samples)
        solution, layout = _first_solution(component, padding, reference, previous)
        if old is None:
            cut_change = np.inf if unbounded else 0.0
            continue
        now = sampled(component, solution, samples)
        cut_change = float(np.abs(now - old).max())
        assert previous is not None
        wide = np.linspace(previous.mesh.breaks[0], previous.mesh.breaks[-1], 801)
        trusted = trusted_range(wide, sampled(component, solution, wide), sampled(component, previous, wide), component.window())
        if cut_change <= 1e-12 * float(np.abs(now).max()) + 1e-300:
            break
    assert solution is not None
    assert layout is not None
    finer, _ = fitted(component, layout, carried(component, solution, guesses(component)[0]), DEGREE + 8, reference)
    now = sampled(component, finer, samples)
    scale = float(np.abs(now).max())
    degree_change = float(np.abs(now - sampled(component, solution, samples)).max())
    accuracy = 2 * cut_change + 2 * degree_change + 1e-13 * scale
    if accuracy > WORST * (1e-3 + scale):
        raise NoConvergence(
            f"the answer on the region still moves by {max(cut_change, degree_change):.1e} as the domain or degree grows"
        )
    statements = [
        f"ODE on {len(finer.mesh.breaks) - 1} Chebyshev elements; a lower degree moves V by {degree_change:.1e}",
        *transversality(component, finer),
    ]
    if unbounded:
        left, right = component.coordinate.to_state(finer.mesh.breaks[[0, -1]])
        statements.append(
            f"domain cut to [{left:.4g}, {right:.4g}]; the cut before moved V on the region by {cut_change:.1e} (numerical)"
        )
    return SolvedComponent(component, finer, accuracy, trusted), tuple(statements)


def paddings(component: Component) -> tuple[float, ...]:
    if component.coordinate.kind == "identity":
        return (2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
    return (1.5, 3.0, 6.0, 10.0, 15.0, 20.0, 28.0, 40.0, 60.0, 90.0)


def _reference(component: Component) -> float | None:
    """Where the relative value of an average problem is zero: x = 0 if the region holds it, else the region's centre."""
    if not component.average:
        return None
    line = component.line
    anchor = 0.0 if line.low <= 0.0 <= line.high else (line.low + line.high) / 2
    return float(component.coordinate.from_state(np.array(anchor)))


def initial_layout(component: Component, padding: float, reference: float | None = None) -> Layout:
    """Six elements over the region, growing outward; breaks at the kinks of the data."""
    low, high = component.window()
    left, right = component.span(padding)
    width = (high - low) / 6
    points = list(np.linspace(low, high, 7))
    for end, direction in ((left, -1.0), (right, 1.0)):
        position, step = (low if direction < 0 else high), width
        while direction * (end - position) > 1.2 * step:
            position += direction * step
            points.append(position)
            step = min(step * 1.4, 4.0) if component.coordinate.kind != "identity" else step * 1.4
        points.append(end)
    base = tuple(sorted({float(p) for p in points if left <= p <= right}))
    return Layout(base, _data_kinks(component, left, right, reference))


def _data_kinks(component: Component, left: float, right: float, reference: float | None) -> tuple[float, ...]:
    line = component.line
    low, high = component.coordinate.to_state(np.array([left, right]))
    data = (*line.drift, *line.variance, *line.running, *line.discount, *line.rates.values(), *(line.payoff or ()))
    found = kinks(data, line.state, float(low), float(high))
    places = [float(p) for p in component.coordinate.from_state(np.array(found))] if found else []
    return tuple(sorted([*places, *([reference] if reference is not None else [])]))


def _first_solution(
    component: Component, padding: float, reference: float | None, previous: Spectral | None
) -> tuple[Spectral, Layout]:
    """From the previous cut's solution, or from the first guess from which policy iteration settles."""
    layout = initial_layout(component, padding, reference)
    starts = guesses(component)
    if previous is not None:
        starts = (carried(component, previous, starts[0]), *starts)
    failure: NoConvergence | None = None
    for guess in starts:
        try:
            return fitted(component, layout, guess, DEGREE, reference)
        except NoConvergence as why:
            failure = failure or why
    assert failure is not None
    raise failure


def guesses(component: Component) -> tuple[Guess, ...]:
    """Zero, then bowls of several widths opening the way the objective asks, then a logarithm where the state is
    positive, then exponentials where a control scales the noise: its optimum needs a slope that nowhere vanishes.
    """
    line = component.line
    sign = -1.0 if line.maximise else 1.0
    centre = (line.low + line.high) / 2
    if not line.controls:
        return (_bowl(0.0, centre),)
    bowls = tuple(_bowl(sign * size, centre) for size in (0.0, 1.0, 0.1, 10.0, 0.01, 100.0))
    if component.coordinate.kind == "lower":
        bowls = (*bowls, *(_logarithm(-sign * size, component.coordinate.low) for size in (1.0, 10.0, 0.1)))
    if any(a in variance.free_symbols for variance in line.variance for a in line.controls):
        rates = [side * steepness / (line.high - line.low) for steepness in (0.1, 1.0, 10.0) for side in (1.0, -1.0)]
        bowls = (*bowls, *(_exponential(sign, rate, centre) for rate in rates))
    return bowls


def _bowl(size: float, centre: float) -> Guess:
    def evaluate(x: Array, mode: int) -> tuple[Array, Array, Array]:  # noqa: ARG001 (a Guess)
        return size * (x - centre) ** 2, 2 * size * (x - centre), np.full_like(x, 2 * size)

    return evaluate


def _logarithm(size: float, low: float) -> Guess:
    def evaluate(x: Array, mode: int) -> tuple[Array, Array, Array]:  # noqa: ARG001 (a Guess)
        return size * np.log(x - low), size / (x - low), -size / (x - low) ** 2

    return evaluate


def _exponential(sign: float, rate: float, centre: float) -> Guess:
    def evaluate(x: Array, mode: int) -> tuple[Array, Array, Array]:  # noqa: ARG001 (a Guess)
        value = sign * np.exp(-rate * (x - centre))
        return value, -rate * value, rate**2 * value

    return evaluate


def sampled(component: Component, solution: Spectral, samples: Array) -> Array:
    return np.array([solution.at(samples, k)[0] for k in range(component.modes)])
