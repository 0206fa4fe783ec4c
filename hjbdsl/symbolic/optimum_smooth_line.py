"""The maximiser over one control where H is smooth but not quadratic: utilities, exponentials, powers.

In: a `Line`. Out: `BlockOptimum`: roots of the derivative; faces by its sign if the root is a single maximum, else by comparison.
"""

from __future__ import annotations

import sympy as sp

from hjbdsl.model.problem import ControlProblem
from hjbdsl.symbolic.expansion import split_powers
from hjbdsl.symbolic.optimum_blocks import BlockOptimum, Branch
from hjbdsl.symbolic.optimum_errors import no_maximum
from hjbdsl.symbolic.optimum_growth import grows_without_bound, inside_domain, starts_infinitely_steep, undefined_at
from hjbdsl.symbolic.optimum_interval import Line, as_condition, conditions_inside, convex, difference
from hjbdsl.symbolic.optimum_stationary import Root, stationary_points
from hjbdsl.symbolic.signs import decide, is_weakly, sign_of, without_certain_factors


def maximise_smooth_line(line: Line, stationarity: dict[sp.Symbol, sp.Expr]) -> BlockOptimum:
    """Not a quadratic: roots of the derivative, tested by its sign at the faces when the root is a single maximum."""
    positive = is_weakly(line.problem, line.bounds.lower, 1) if line.bounded_below else False
    dummy = sp.Dummy(line.control.name, positive=True) if positive else sp.Dummy(line.control.name, real=True)
    objective = split_powers(line.objective.xreplace({line.control: dummy}))
    slope = sp.diff(objective, dummy)
    unbounded = grows_without_bound(line.problem, objective, dummy, line.bounds)
    if unbounded:
        raise no_maximum(
            line.problem, line.control, f"it grows without bound as `{line.control}` goes to {unbounded}", line.maximised
        )
    slope = sp.powsimp(slope)
    roots = stationary_points(slope, dummy)
    if roots is None:
        return BlockOptimum((), stationarity, (), f"dH/d{line.control} = 0 is transcendental in {line.control}")
    curvature = sp.diff(slope, dummy)
    if len(roots) == 0:
        return _monotone(line, stationarity)
    if len(roots) == 1:
        return _single_root(line, roots[0], slope, curvature, dummy, stationarity)
    return _several_roots(line, roots, curvature, dummy, stationarity)


def _monotone(line: Line, stationarity: dict[sp.Symbol, sp.Expr]) -> BlockOptimum:
    if not (line.bounded_below and line.bounded_above):
        return BlockOptimum((), stationarity, (), f"dH/d{line.control} has no zero")
    gap = difference(line)
    upper = line.face("upper", decide(line.problem, sp.Ge(gap, 0)))
    lower = line.face("lower", decide(line.problem, sp.Lt(gap, 0)))
    return BlockOptimum(tuple(b for b in (upper, lower) if b.where != sp.false), stationarity)


def _single_root(
    line: Line, root: Root, slope: sp.Expr, curvature: sp.Expr, dummy: sp.Symbol, stationarity: dict[sp.Symbol, sp.Expr]
) -> BlockOptimum:
    """One stationary point that is a maximum makes H unimodal, so the slope at a face tells whether the face is optimal."""
    sign = sign_of(line.problem, inside_domain(curvature, dummy))
    at_root = curvature.xreplace({dummy: root.value})
    if sign is None:
        sign = sign_of(line.problem, at_root)
    if sign == 1:
        return BlockOptimum(convex(line), stationarity)
    needed = () if sign == -1 else (as_condition(line, sp.simplify(at_root) if sp.count_ops(at_root) < 60 else at_root),)
    if needed and line.bounded_below and line.bounded_above:
        return _several_roots(line, (root,), curvature, dummy, stationarity)
    conditions: list[sp.Basic] = [_positive_part(line.problem, root.exists), *(sp.Lt(at_root, 0) for _ in needed)]
    faces: list[Branch] = []
    for side, bounded, closed, location in (
        ("lower", line.bounded_below, not line.bounds.lower_open, line.bounds.lower),
        ("upper", line.bounded_above, not line.bounds.upper_open, line.bounds.upper),
    ):
        if not bounded or starts_infinitely_steep(slope, dummy, location) or undefined_at(line.problem, slope, dummy, location):
            continue
        inward = sp.powsimp(slope.xreplace({dummy: location})) * (1 if side == "lower" else -1)
        conditions.append(decide(line.problem, sp.Gt(inward, 0)))
        if closed:
            faces.append(line.face(side, decide(line.problem, sp.Le(inward, 0))))
    interior = Branch("interior", "interior", {line.control: root.value}, sp.And(*conditions))
    kept = tuple(b for b in (interior, *faces) if b.where != sp.false)
    return BlockOptimum(kept, stationarity, needed)


def _positive_part(problem: ControlProblem, condition: sp.Basic) -> sp.Basic:
    """`ratio > 0` with the factors of certain sign taken out."""
    if isinstance(condition, sp.StrictGreaterThan) and condition.rhs == 0:
        return sp.Gt(without_certain_factors(problem, condition.lhs), 0)
    return condition


def _several_roots(
    line: Line, roots: tuple[Root, ...], curvature: sp.Expr, dummy: sp.Symbol, stationarity: dict[sp.Symbol, sp.Expr]
) -> BlockOptimum:
    """Compare H at every stationary point that can be a maximum and at the closed faces."""
    control = line.control
    points: list[tuple[str, sp.Expr, sp.Basic]] = []
    for root in roots:
        if sign_of(line.problem, curvature.xreplace({dummy: root.value})) == 1:
            continue
        inside, _ = conditions_inside(line, root.value)
        points.append(("interior", root.value, sp.And(root.exists, *inside)))
    for side, bounded, opened, location in (
        ("lower", line.bounded_below, line.bounds.lower_open, line.bounds.lower),
        ("upper", line.bounded_above, line.bounds.upper_open, line.bounds.upper),
    ):
        if bounded and not opened and not undefined_at(line.problem, line.at(control), control, location):
            points.append((side, location, sp.true))
    points = [p for p in points if p[2] != sp.false]
    if not points:
        return BlockOptimum((), stationarity, (), f"no stationary point of H in {line.control} is a maximum")
    return BlockOptimum(tuple(compare(line, points)), stationarity)


def compare(line: Line, points: list[tuple[str, sp.Expr, sp.Basic]]) -> list[Branch]:
    """Branches by comparing H at the points; the first of equals wins."""
    branches: list[Branch] = []
    for k, (kind, value, feasible) in enumerate(points):
        conditions: list[sp.Basic] = [feasible]
        for j, (_, other, other_feasible) in enumerate(points):
            if j == k:
                continue
            better = sp.Ge if k < j else sp.Gt
            gap = sp.factor_terms(line.at(value) - line.at(other))
            conditions.append(sp.Or(sp.Not(other_feasible), decide(line.problem, better(gap, 0))))
        name = kind if kind == "interior" else f"{line.control} at its {kind} bound"
        branches.append(Branch(kind, name, {line.control: value}, sp.And(*conditions)))
    return [b for b in branches if b.where != sp.false]
