"""The intervals on which the process lives, and what holds at each end.

In: a line problem. Out: its components (one for each interval between exits that meets the region), or the reason why
an end is not understood. An end that is never reached is cut off at a distance; its distance is part of the error.
"""

from __future__ import annotations

import itertools

import numpy as np
import sympy as sp

from hjbdsl.methods.closed_form.one_dimensional.branches import kinks
from hjbdsl.methods.closed_form.one_dimensional.compiled import compiled
from hjbdsl.methods.closed_form.one_dimensional.component import Component, Edge
from hjbdsl.methods.closed_form.one_dimensional.coordinate import Coordinate
from hjbdsl.methods.closed_form.one_dimensional.line import LineProblem
from hjbdsl.methods.closed_form.one_dimensional.policy import Law
from hjbdsl.model.solution import Rejected

_FAR = 1e6


def components(line: LineProblem, laws: tuple[Law, ...]) -> tuple[Component, ...] | Rejected:
    """Every interval between exits that meets the region."""
    low, high = _end(line.bounds.lower), _end(line.bounds.upper)
    cuts = exit_points(line)
    found: list[Component] = []
    for left, right in itertools.pairwise([low, *cuts, high]):
        if right <= line.low or left >= line.high or left >= right:
            continue
        if line.exit_when is not None and _is_exit(line, _inside(left, right)):
            continue
        edges = _edge(line, left, cuts, upper=False), _edge(line, right, cuts, upper=True)
        for edge in edges:
            if isinstance(edge, Rejected):
                return edge
        lower, upper = edges
        assert isinstance(lower, Edge)
        assert isinstance(upper, Edge)
        found.append(Component(line, laws, _coordinate(line, lower, upper), lower, upper))
    return tuple(found) if found else Rejected("the whole region lies in the exit set")


def exit_points(line: LineProblem) -> list[float]:
    """Where the exit condition begins, ends, or holds alone, in increasing order."""
    return _exits(line, max(_end(line.bounds.lower), -_FAR), min(_end(line.bounds.upper), _FAR))


def _end(bound: sp.Expr) -> float:
    return float(bound)


def _inside(left: float, right: float) -> float:
    if np.isfinite(left) and np.isfinite(right):
        return (left + right) / 2
    if np.isfinite(left):
        return left + 1.0
    return right - 1.0 if np.isfinite(right) else 0.0


def _exits(line: LineProblem, low: float, high: float) -> list[float]:
    """Points where the exit condition changes, or holds alone."""
    if line.exit_when is None:
        return []
    points = kinks((line.exit_when,), line.state, low - 1.0, high + 1.0)
    points = tuple(p for p in points if low <= p <= high)
    result = []
    for i, point in enumerate(points):
        before = points[i - 1] if i else low - 1.0
        after = points[i + 1] if i + 1 < len(points) else high + 1.0
        alone = _equality_holds(line, point)
        if alone or _is_exit(line, (before + point) / 2) or _is_exit(line, (point + after) / 2):
            result.append(point)
    return result


def _is_exit(line: LineProblem, x: float) -> bool:
    indicator = sp.Piecewise((sp.S.One, line.exit_when), (sp.S.Zero, True))
    return bool(compiled((line.state,), (indicator,))(x)[0] > 0.5)


def _just_out(line: LineProblem, location: float) -> float:
    """The number next to `location`, a root known to rounding, at which the exit holds: `indicator(x >= 2)` is read there."""
    for steps in (0, 1, 2, 4, 8, 16):
        nearby = steps * np.spacing(max(abs(location), 1e-300))
        for place in (location - nearby, location + nearby):
            if _is_exit(line, place):
                return float(place)
    return location


def _equality_holds(line: LineProblem, x: float) -> bool:
    assert line.exit_when is not None
    relaxed = line.exit_when.replace(
        lambda node: isinstance(node, sp.Equality), lambda node: sp.Abs(node.lhs - node.rhs) <= sp.Float(1e-12 * (1 + abs(x)))
    )
    indicator = sp.Piecewise((sp.S.One, relaxed), (sp.S.Zero, True))
    return bool(compiled((line.state,), (indicator,))(x)[0] > 0.5)


def _edge(line: LineProblem, location: float, cuts: list[float], *, upper: bool) -> Edge | Rejected:
    if location in cuts:
        assert line.exit_value is not None
        paid_at = _just_out(line, location)
        amounts = tuple(float(v[0]) for v in (compiled((line.state,), (g,))(paid_at) for g in line.exit_value))
        if not all(np.isfinite(amounts)):
            return Rejected(f"the exit value at {line.state.name} = {location:.6g} is not finite")
        if any(_vanishes(a, line.state, location) for a in line.variance):
            return Rejected(f"the noise vanishes at the exit {line.state.name} = {location:.6g}")
        return Edge("value", location, amounts, "exit")
    if line.centre and location == 0.0:
        return Edge("slope", 0.0, (0.0,) * len(line.modes), "regular at the centre")
    written = _written(line, location)
    if written is not None:
        return written
    bounds = line.bounds
    is_open = bounds.upper_open if upper else bounds.lower_open
    nothing = (0.0,) * len(line.modes)
    if not np.isfinite(location) or is_open:
        return Edge("growth", location, nothing, "never reached")
    return _closed_edge(line, location, nothing, upper=upper)


def _written(line: LineProblem, location: float) -> Edge | Rejected | None:
    """The end's condition where the file states it."""
    problem = line.equation.problem
    for statement in problem.boundaries:
        if statement.state != line.state or abs(float(problem.numeric(statement.location)) - location) > 1e-12 * (
            1 + abs(location)
        ):
            continue
        amounts = tuple(
            float(problem.numeric(problem.at_mode(statement.amount, mode)).subs(line.state, location))
            if statement.amount is not None
            else 0.0
            for mode in line.modes
        )
        noisy = not any(_vanishes(a, line.state, location) for a in line.variance)
        match statement.kind:
            case "value" if noisy:
                return Edge("value", location, amounts, "value given")
            case "slope" | "reflect" if noisy:
                return Edge(
                    "slope",
                    location,
                    amounts if statement.kind == "slope" else (0.0,) * len(amounts),
                    "reflection or slope given",
                )
            case _:
                return Rejected(
                    f"the boundary condition `{statement.kind}` at {line.state.name} = {location:.6g} is left to the grid"
                )
    return None


def _closed_edge(line: LineProblem, location: float, nothing: tuple[float, ...], *, upper: bool) -> Edge | Rejected:
    """A closed bound: reflecting where the derivation infers it; the process may sit there; without noise and with an inward
    drift the equation itself holds."""
    inward = -1.0 if upper else 1.0
    side = "upper" if upper else "lower"
    index = line.equation.problem.state_symbols.index(line.state)
    if any((c.state, c.side, c.kind) == (index, side, "reflect") for c in line.equation.boundaries):
        return Edge("slope", location, nothing, "reflected, as inferred")
    for drift, variance in zip(line.drift, line.variance, strict=True):
        at_end = drift.subs(line.state, sp.Float(location))
        if not _vanishes(variance, line.state, location) or at_end.free_symbols or inward * float(at_end) < 0:
            return Rejected(f"the state constraint at {line.state.name} = {location:.6g} is left to the grid")
    return Edge("natural", location, nothing, "no noise and an inward drift")


def _vanishes(variance: sp.Expr, state: sp.Symbol, location: float) -> bool:
    at_end = variance.subs(state, sp.Float(location))
    return not at_end.free_symbols and abs(float(at_end)) < 1e-14


def _coordinate(line: LineProblem, lower: Edge, upper: Edge) -> Coordinate:
    """Open finite ends of the state are sent to infinity."""
    low, high = _end(line.bounds.lower), _end(line.bounds.upper)
    open_low = np.isfinite(low) and line.bounds.lower_open and lower.kind in ("growth", "value")
    open_high = np.isfinite(high) and line.bounds.upper_open and upper.kind in ("growth", "value")
    open_low = open_low and (lower.kind == "growth" or lower.location > low)
    open_high = open_high and (upper.kind == "growth" or upper.location < high)
    match (bool(open_low), bool(open_high)):
        case (True, True):
            return Coordinate("both", low, high)
        case (True, False):
            return Coordinate("lower", low, high)
        case (False, True):
            return Coordinate("upper", low, high)
        case _:
            return Coordinate("identity")
