"""Deterministic exit problems in one state: least time or cost to leave an interval or a half-line (eikonal equations).

In: the equation. Out: V, the better of two smooth solutions, one flowing to each exit. Each is integrated from its exit
on spectral elements; where they cross V has a kink that opens the right way (concave under `minimize`), which makes it
the viscosity solution (Bardi and Capuzzo-Dolcetta, Optimal Control and Viscosity Solutions, chapter II). Declined unless
both flows reach their exit from everywhere.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hjbdsl.methods.closed_form.family import Proposal
from hjbdsl.methods.closed_form.one_dimensional.boundary_value import WORST
from hjbdsl.methods.closed_form.one_dimensional.branches import kinks
from hjbdsl.methods.closed_form.one_dimensional.compiled import compiled
from hjbdsl.methods.closed_form.one_dimensional.component import Component, Edge
from hjbdsl.methods.closed_form.one_dimensional.coordinate import Coordinate
from hjbdsl.methods.closed_form.one_dimensional.elements import Mesh
from hjbdsl.methods.closed_form.one_dimensional.ends import exit_points
from hjbdsl.methods.closed_form.one_dimensional.first_order import carried, unresolved
from hjbdsl.methods.closed_form.one_dimensional.first_order_elements import FirstOrderSpectral, Sink, solve_first_order
from hjbdsl.methods.closed_form.one_dimensional.line import LineProblem, recognise
from hjbdsl.methods.closed_form.one_dimensional.line_function import LineFunction, SolvedComponent
from hjbdsl.methods.closed_form.one_dimensional.policy import Law, laws
from hjbdsl.methods.closed_form.one_dimensional.policy_iteration import Guess, Layout, NoConvergence, switching_places
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Array, Rejected

FAMILY = "one-dimensional: deterministic exit, viscosity solution"
_DEGREE = 16
_ROUNDS = 80


def propose_exit_flow(equation: HJBEquation) -> Proposal | Rejected:
    """No noise, one mode, controlled, exit from an interval or half-line; discount rate a number >= 0."""
    line = recognise(equation)
    if isinstance(line, Rejected):
        return line
    if line.exit_when is None or line.payoff is not None or equation.problem.boundaries:
        return Rejected("there is no exit, or besides it stopping or a written boundary")
    if line.variance[0] != 0 or len(line.modes) > 1 or not line.controls or equation.problem.adversary_symbols:
        return Rejected("there is noise, a mode, an adversary or nothing to choose")
    if equation.problem.objective.form != "expectation" or not line.discount[0].is_number or float(line.discount[0]) < 0:
        return Rejected("the discount rate is not a number >= 0")
    found = laws(line)
    if isinstance(found, str):
        return Rejected(found)
    try:
        return _proposal(line, found)
    except NoConvergence as why:
        return Rejected(str(why))


def _proposal(line: LineProblem, found: tuple[Law, ...]) -> Proposal:
    left, right = _interval(line)
    parts: list[SolvedComponent]
    if np.isfinite(left) and np.isfinite(right):
        down, up = (_flow_to(line, found, left, right, upper=upper) for upper in (False, True))
        parts, kink = _better(line, down, up, left, right)
        note = f"the flows to the exits at {left:.6g} and {right:.6g} cost the same at {line.state.name} = {kink:.12g}: a kink"
    else:
        width = line.high - line.low
        upper = bool(np.isfinite(right))
        ends = (line.low - width, right) if upper else (left, line.high + width)
        parts = [_flow_to(line, found, *ends, upper=upper)]
        note = f"from everywhere the optimal flow reaches the exit at {right if upper else left:.6g}"
    return Proposal(
        family=FAMILY,
        function=LineFunction(tuple(parts)),
        statements=(
            note,
            "a smooth solution of the equation on either side, the better one chosen: the viscosity solution",
            f"ODE on Chebyshev elements; a lower degree moves V by {max(p.accuracy for p in parts) / 4:.1e}",
        ),
        accuracy=max(part.accuracy for part in parts),
    )


def _interval(line: LineProblem) -> tuple[float, float]:
    """The exits next to the region on either side (infinite where there is none)."""
    cuts = exit_points(line)
    middle = (line.low + line.high) / 2
    left = max((c for c in cuts if c <= middle), default=-np.inf)
    right = min((c for c in cuts if c > middle), default=np.inf)
    if not (np.isfinite(left) or np.isfinite(right)) or left > line.low + 1e-9 or right < line.high - 1e-9:
        raise NoConvergence("the region reaches over an exit, or there is none beside it")
    bounds = (float(line.bounds.lower), float(line.bounds.upper))
    if (np.isfinite(bounds[0]) and left != bounds[0]) or (np.isfinite(bounds[1]) and right != bounds[1]):
        raise NoConvergence("the state is bounded besides the exit")
    return left, right


def _flow_to(line: LineProblem, found: tuple[Law, ...], left: float, right: float, *, upper: bool) -> SolvedComponent:
    """The smooth solution whose optimal flow leaves through one end, on the whole of [left, right]."""
    location = right if upper else left
    assert line.exit_value is not None
    paid = float(compiled((line.state,), (line.exit_value[0],))(location)[0])
    nothing = (0.0,)
    component = Component(
        line, found, Coordinate("identity"), Edge("natural", left, nothing, "flow"), Edge("natural", right, nothing, "flow")
    )
    data = (*line.drift, *line.running)
    layout = Layout(tuple(float(b) for b in np.linspace(left, right, 9)), kinks(data, line.state, left, right))
    # paying more the farther from the exit makes the first policy flow to it
    away = -1.0 if upper else 1.0
    worse = -1.0 if line.maximise else 1.0
    failure = NoConvergence("no first policy flows to the exit")
    for steepness in (1.0, 10.0, 100.0, 0.1):
        guess = _ramp(paid, worse * away * steepness, location)
        try:
            solution, layout_found = _settled(component, layout, guess, paid, _DEGREE, upper=upper)
            finer, _ = _settled(component, layout_found, carried(component, solution), paid, _DEGREE + 8, upper=upper)
        except NoConvergence as why:
            failure = why
            continue
        _require_waiting_costs(component, finer)
        samples = np.linspace(left, right, 101)
        now = finer.at(samples, 0)[0]
        change = float(np.abs(now - solution.at(samples, 0)[0]).max())
        if change > WORST * (1e-3 + float(np.abs(now).max())):
            raise NoConvergence(f"the answer still moves by {change:.1e} with the degree")
        return SolvedComponent(component, finer, 4 * change + 1e-13 * float(np.abs(now).max()))
    raise failure


def _require_waiting_costs(component: Component, solution: FirstOrderSpectral) -> None:
    """Without discounting the running cost must stay away from 0: else it may be as good never to leave (x^2 at its minimum)."""
    x = np.linspace(solution.mesh.breaks[0], solution.mesh.breaks[-1], 4001)
    law = component.laws[0]
    controls, _ = law.optimise(x, *carried(component, solution)(x, 0))
    _, _, running, discount = law.coefficients_at(x, controls)
    cost = -running if component.line.maximise else running
    if not np.all(discount > 0) and not cost.min() > 1e-3 * np.abs(cost).mean():
        raise NoConvergence("without discounting a running cost is needed that is positive everywhere")


def _ramp(paid: float, slope: float, location: float) -> Guess:
    def evaluate(x: Array, mode: int) -> tuple[Array, Array, Array]:  # noqa: ARG001 (a Guess)
        return paid + slope * (x - location), np.full_like(x, slope), np.zeros_like(x)

    return evaluate


def _settled(
    component: Component, layout: Layout, guess: Guess, paid: float, degree: int, *, upper: bool
) -> tuple[FirstOrderSpectral, Layout]:
    """Policy iteration with the mesh following the maximiser's switching places."""
    before: Array | None = None
    samples = np.linspace(layout.base[0], layout.base[-1], 101)
    best, stalled = np.inf, 0
    for _ in range(_ROUNDS):
        mesh = layout.mesh(1, degree)
        solution = _policy_value(component, mesh, guess, paid, upper=upper)
        guess = carried(component, solution)
        now = solution.at(samples, 0)[0]
        change = np.inf if before is None else float(np.abs(now - before).max() / (1e-12 + np.abs(now).max()))
        stalled = stalled + 1 if change >= best else 0
        before, best = now, min(best, change)
        if change < 1e-14 or (stalled >= 3 and best < 1e-11):
            crowded = unresolved(component, solution)
            switches = switching_places(component, solution)
            same = len(switches) == len(layout.switches) and np.allclose(switches, layout.switches, atol=1e-10)
            if same and not crowded.any():
                return solution, layout
            middle = ((mesh.breaks[:-1] + mesh.breaks[1:]) / 2)[crowded] if same else np.empty(0)
            layout = replace(layout, base=tuple(sorted({*layout.base, *(float(m) for m in middle)})), switches=switches)
            best, stalled = np.inf, 0
            if len(layout.base) > 200:
                raise NoConvergence("the solution is not resolved by 200 spectral elements")
    raise NoConvergence("policy iteration did not settle")


def _policy_value(component: Component, mesh: Mesh, guess: Guess, paid: float, *, upper: bool) -> FirstOrderSpectral:
    """The value of the policy that is optimal at `guess`; it must flow to the exit from every node."""
    y = mesh.nodes()
    law = component.laws[0]
    controls, taken = law.optimise(y.ravel(), *guess(y.ravel(), 0))
    if (taken < 0).any():
        raise NoConvergence("no branch of the maximiser is valid at some point of the interval")
    c = component.coefficients(y, controls.reshape(1, *y.shape, -1))
    toward = c.beta if upper else -c.beta
    if not np.all(toward > 0):
        raise NoConvergence("the optimal flow does not reach the exit from everywhere")
    # the row of a resting point, -V = -paid, states the value at the exit
    exit_row = Sink(len(mesh.half) if upper else 0, paid, 1.0, np.zeros(1))
    try:
        return solve_first_order(mesh, c, (exit_row,))
    except RuntimeError as singular:
        raise NoConvergence(f"the linear system is singular ({singular})") from singular


def _better(
    line: LineProblem, down: SolvedComponent, up: SolvedComponent, left: float, right: float
) -> tuple[list[SolvedComponent], float]:
    """Each flow on its side of the point where they cost the same."""
    sign = 1.0 if line.maximise else -1.0

    def gain(x: Array) -> Array:
        """Of flowing down rather than up."""
        return sign * (down.solution.at(x, 0)[0] - up.solution.at(x, 0)[0])

    grid = np.linspace(left, right, 2001)
    side = np.sign(gain(grid))
    changes = np.flatnonzero(side[1:] != side[:-1])
    if side[0] <= 0 or side[-1] >= 0 or (np.diff(side) > 0).any():
        raise NoConvergence("one exit is worse than crossing over to the other: V would jump there")
    low, high = grid[changes[0]], grid[changes[0] + 1]
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if gain(np.array([middle]))[0] > 0 else (low, middle)
    kink = float((low + high) / 2)
    parts = []
    for part, lower, upper in ((down, left, kink), (up, kink, right)):
        narrowed = replace(
            part.component,
            lower=replace(part.component.lower, location=lower),
            upper=replace(part.component.upper, location=upper),
        )
        parts.append(replace(part, component=narrowed))
    return parts, kink
