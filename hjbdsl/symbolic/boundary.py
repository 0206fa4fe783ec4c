"""What holds at the ends of every state, and why: written, absorbing, periodic, never reached, constrained, or at infinity.

In: a problem and its covariance. Out: a `BoundaryCondition` for each end of each continuous state. A written statement wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import sympy as sp

from hjbdsl.model.equation import BoundaryCondition
from hjbdsl.model.problem import BoundaryStatement, Bounds, ControlProblem
from hjbdsl.symbolic.derivatives import control_set, depends
from hjbdsl.symbolic.signs import is_weakly
from hjbdsl.symbolic.text import text_symbol, to_text

Side = Literal["lower", "upper"]
_FAR = sp.Integer(10) ** 9


def boundaries(problem: ControlProblem, covariance: Mapping[tuple[int, int], sp.Expr]) -> tuple[BoundaryCondition, ...]:
    result: list[BoundaryCondition] = []
    exits = exit_faces(problem)
    for index in problem.continuous_states:
        bounds = problem.state_bounds[index]
        for side in ("lower", "upper"):
            result.append(_condition(problem, covariance, index, bounds, side, exits))
    return tuple(result)


def _condition(
    problem: ControlProblem,
    covariance: Mapping[tuple[int, int], sp.Expr],
    index: int,
    bounds: Bounds,
    side: Side,
    exits: Mapping[tuple[int, Side], sp.Expr],
) -> BoundaryCondition:
    state = problem.state_symbols[index]
    name = text_symbol(state.name)
    location = bounds.lower if side == "lower" else bounds.upper
    written = _written(problem, state, index, location, side)
    if written is not None:
        return BoundaryCondition(
            index, side, written.location, written.kind, written.amount, True, f"written on line {written.span.line}"
        )
    if bounds.periodic:
        return BoundaryCondition(index, side, location, "periodic", None, False, f"{name} is an angle: both ends are one point")
    if (index, side) in exits:
        face = exits[index, side]
        value = problem.objective.exit_value
        amount = (value if value is not None else sp.Integer(0)).subs(state, face)
        return BoundaryCondition(
            index, side, face, "absorbing", amount, False, f"the process ends where {name} = {to_text(face)}"
        )
    if location in (sp.oo, -sp.oo):
        why = f"{name} has no end on this side"
        if _exited_far_out(problem, index, side):
            why = f"far out on this side of {name} the process has ended: the condition is that at exit"
        return BoundaryCondition(index, side, location, "growth", None, False, why)
    if bounds.lower_open if side == "lower" else bounds.upper_open:
        sign = ">" if side == "lower" else "<"
        why = f"{name} {sign} {to_text(location)} is declared: the end is never reached"
        return BoundaryCondition(index, side, location, "natural", None, False, why)
    return _closed(problem, covariance, index, side, location)


def _closed(
    problem: ControlProblem, covariance: Mapping[tuple[int, int], sp.Expr], index: int, side: Side, location: sp.Expr
) -> BoundaryCondition:
    """A closed bound with nothing written: harmless if drift and noise vanish or push inward there, else a state constraint."""
    state = problem.state_symbols[index]
    name, sign = text_symbol(state.name), "≥" if side == "lower" else "≤"
    noise = sp.simplify(covariance.get((index, index), sp.Integer(0)).subs(state, location))
    inward = problem.drift[index].subs(state, location) * (1 if side == "lower" else -1)
    jumps = any(index in jump.displacement for jump in problem.jumps)
    if noise == 0 and not jumps and is_weakly(problem, sp.expand(inward), 1):
        why = f"at {name} = {to_text(location)} the noise vanishes and the drift does not point outward"
        return BoundaryCondition(index, side, location, "natural", None, False, why)
    if noise != 0 and not depends(noise, control_set(problem)) and not _unbounded_push(problem, inward):
        why = (
            f"the noise carries {name} to {to_text(location)} whatever is done there, and nothing else is said: "
            "it is pushed back just enough (Skorokhod), so that the slope of V is zero"
        )
        return BoundaryCondition(index, side, location, "reflect", None, False, why)
    controlled = depends(inward, control_set(problem)) or depends(noise, control_set(problem))
    if controlled and noise == 0:
        why = f"{name} {sign} {to_text(location)} must hold: only controls whose drift does not point outward are allowed there"
    elif controlled:
        why = f"{name} {sign} {to_text(location)} must hold: only controls that keep it inside are allowed there"
    else:
        why = f"{name} {sign} {to_text(location)} is declared, but nothing in its equation keeps it inside: it is held there"
    return BoundaryCondition(index, side, location, "constrain", None, False, why)


def _unbounded_push(problem: ControlProblem, drift: sp.Expr) -> bool:
    """Whether a control without a bound moves the state: against noise only such a one can keep a state constraint."""
    groups = (*problem.controls, *problem.adversaries)
    components = [(symbol, bounds) for group in groups for symbol, bounds in zip(group.symbols, group.bounds, strict=True)]
    return any(
        symbol in drift.free_symbols and not bounds.points and (bounds.lower == -sp.oo or bounds.upper == sp.oo)
        for symbol, bounds in components
    )


def _written(problem: ControlProblem, state: sp.Symbol, index: int, location: sp.Expr, side: Side) -> BoundaryStatement | None:
    """The statement for this end: at the bound itself or, for an end further out, on this side of the region's middle."""
    for statement in problem.boundaries:
        if statement.state != state:
            continue
        place, end = problem.numeric(statement.location), problem.numeric(location)
        if place == end:
            return statement
        lower, upper = (problem.numeric(e) for e in (problem.state_bounds[index].lower, problem.state_bounds[index].upper))
        if place in (lower, upper):
            continue
        low, high = problem.region[index]
        nearer: Side = "lower" if bool(sp.Le(place, (low + high) / 2)) else "upper"
        if nearer == side:
            return statement
    return None


def _exited_far_out(problem: ControlProblem, index: int, side: Side) -> bool:
    """Whether the exit condition holds at the far end of one state, the others in the middle of the region."""
    if problem.exit is None:
        return False
    middle = {s: (low + high) / 2 for s, (low, high) in zip(problem.state_symbols, problem.region, strict=True)}
    far = {**middle, problem.state_symbols[index]: _FAR if side == "upper" else -_FAR}
    return problem.numeric(problem.exit.condition).subs(far) == sp.true


def exit_faces(problem: ControlProblem) -> dict[tuple[int, Side], sp.Expr]:
    """Ends that the exit condition puts on single states: `x <= -1 or x >= 2`, `|x| >= 1` for a scalar x."""
    if problem.exit is None:
        return {}
    faces: dict[tuple[int, Side], sp.Expr] = {}
    states = {s: i for i, s in enumerate(problem.state_symbols)}
    for relation in sp.Or.make_args(problem.exit.condition):
        if not isinstance(relation, (sp.Ge, sp.Gt, sp.Le, sp.Lt, sp.Eq)):
            continue
        found = relation.free_symbols & states.keys()
        if len(found) != 1:
            continue
        (state,) = found
        faces.update(_face(problem, relation, state, states[state]))
    return faces


def _face(problem: ControlProblem, relation: sp.Basic, state: sp.Symbol, index: int) -> dict[tuple[int, Side], sp.Expr]:
    left, right = relation.lhs, relation.rhs
    if state in right.free_symbols:
        left, right, relation = right, left, relation.reversed
    if state in right.free_symbols:
        return {}
    above = isinstance(relation, (sp.Ge, sp.Gt))
    ends: dict[tuple[int, Side], sp.Expr] = {(index, "lower"): -right, (index, "upper"): right}
    if left != state and left in (sp.Abs(state), sp.sqrt(state**2)):
        return {face: end for face, end in ends.items() if _reached(problem, index, end)} if above else {}
    if left != state:
        return {}
    if not _reached(problem, index, right):
        return {}
    if isinstance(relation, sp.Eq):
        low, high = problem.region[index]
        side: Side = "lower" if bool(sp.Le(problem.numeric(right), (low + high) / 2)) else "upper"
        return {(index, side): right}
    return {(index, "upper" if above else "lower"): right}


def _reached(problem: ControlProblem, index: int, end: sp.Expr) -> bool:
    """Whether an end lies in the state's own domain, by its numbers; one that cannot be compared is kept."""
    bounds = problem.state_bounds[index]
    place, lower, upper = (problem.numeric(e) for e in (end, bounds.lower, bounds.upper))
    beyond = (place <= lower if bounds.lower_open else place < lower) == sp.true
    return not (beyond or ((place >= upper if bounds.upper_open else place > upper) == sp.true))
