"""The maximiser over one control in an interval: interior point, lower face, upper face, and when each of them is it.

In: a block with one control. Out: `BlockOptimum`. Raises HJB114 where the supremum is infinite for every gradient.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import sympy as sp

from hjbdsl.model.problem import Bounds, ControlProblem
from hjbdsl.symbolic.expansion import split_powers
from hjbdsl.symbolic.optimum_blocks import Block, BlockOptimum, Branch, Quadratic, quadratic
from hjbdsl.symbolic.optimum_errors import no_maximum
from hjbdsl.symbolic.optimum_growth import grows_without_bound, inside_domain, starts_infinitely_steep, undefined_at
from hjbdsl.symbolic.optimum_stationary import Root, stationary_points
from hjbdsl.symbolic.signs import decide, is_weakly, sign_of, without_certain_factors


@dataclass(frozen=True, slots=True)
class _Line:
    problem: ControlProblem
    control: sp.Symbol
    bounds: Bounds
    objective: sp.Expr
    maximised: bool

    @property
    def bounded_below(self) -> bool:
        return self.bounds.lower != -sp.oo

    @property
    def bounded_above(self) -> bool:
        return self.bounds.upper != sp.oo

    def at(self, value: sp.Expr) -> sp.Expr:
        return self.objective.xreplace({self.control: value})

    def face(self, side: str, where: sp.Basic) -> Branch:
        value = self.bounds.lower if side == "lower" else self.bounds.upper
        return Branch(side, f"{self.control} at its {side} bound", {self.control: value}, where)


def maximise_on_line(problem: ControlProblem, block: Block, maximised: bool) -> BlockOptimum:
    """`maximised` is the sense the reader sees; the block itself is always maximised."""
    (control,), (bounds,) = block.controls, block.bounds
    line = _Line(problem, control, bounds, block.objective, maximised)
    coefficients = quadratic(block)
    stationarity = {control: (1 if maximised else -1) * sp.powsimp(sp.diff(block.objective, control))}
    if coefficients is not None:
        return _quadratic(line, coefficients, stationarity)
    return _general(line, stationarity)


def _quadratic(line: _Line, coefficients: Quadratic, stationarity: dict[sp.Symbol, sp.Expr]) -> BlockOptimum:
    curvature = coefficients.hessian.get((0, 0), sp.Integer(0))
    slope = coefficients.linear.get(0, sp.Integer(0))
    sign = sign_of(line.problem, curvature)
    if sign == 0:
        return BlockOptimum(_linear(line, slope), stationarity)
    if sign == 1:
        return BlockOptimum(_convex(line), stationarity)
    interior = -slope / curvature
    concave = sp.true if sign == -1 else _as_condition(line, curvature)
    inside, branches = _conditions(line, interior)
    value = -(slope**2) / (2 * curvature) * (1 if line.maximised else -1)
    result = [Branch("interior", "interior", {line.control: interior}, sp.And(concave, *inside), value)]
    if not (line.bounded_below and line.bounded_above):
        result += [line.face(side, sp.And(concave, where)) for side, where in branches]
    elif sign == -1:
        result += [line.face(side, where) for side, where in branches]
    else:
        result = _either_curvature(line, interior, value, slope, curvature)
    kept = tuple(b for b in result if b.where != sp.false)
    inside_counts = sign is None and any(b.kind == "interior" for b in kept)
    needed = (_as_condition(line, curvature),) if inside_counts else ()
    return BlockOptimum(kept, stationarity, needed)


def _either_curvature(line: _Line, interior: sp.Expr, value: sp.Expr, slope: sp.Expr, curvature: sp.Expr) -> list[Branch]:
    """Both bounds finite, the curvature's sign up to V: concave, the slope at the faces decides; convex, the better face."""
    concave, gap = _as_condition(line, curvature), _difference(line)

    def sided(relation: type, location: sp.Expr) -> sp.Basic:
        inward = without_certain_factors(line.problem, sp.expand(slope + curvature * location))
        return decide(line.problem, relation(inward, 0))

    low, high = line.bounds.lower, line.bounds.upper
    beyond_low, beyond_high = sided(sp.Le, low), sided(sp.Ge, high)
    inside = sp.And(concave, sided(sp.Gt, low), sided(sp.Lt, high))
    worse, better = decide(line.problem, sp.Lt(gap, 0)), decide(line.problem, sp.Ge(gap, 0))
    return [
        Branch("interior", "interior", {line.control: interior}, inside, value),
        line.face("lower", sp.Or(sp.And(concave, beyond_low), sp.And(sp.Not(concave), worse))),
        line.face("upper", sp.Or(sp.And(concave, beyond_high), sp.And(sp.Not(concave), better))),
    ]


def _as_condition(line: _Line, curvature: sp.Expr) -> sp.Basic:
    """The second-order condition of the problem as the reader knows it: d2H < 0 under maximize, > 0 under minimize."""
    reduced = without_certain_factors(line.problem, curvature)
    return sp.Lt(reduced, 0) if line.maximised else sp.Gt(_negated(reduced), 0)


def _negated(expression: sp.Expr) -> sp.Expr:
    return sp.factor_terms(-expression)


def _conditions(line: _Line, interior: sp.Expr) -> tuple[list[sp.Basic], list[tuple[str, sp.Basic]]]:
    """When the stationary point lies inside, and when at or beyond each face (concave case)."""
    inside: list[sp.Basic] = []
    faces: list[tuple[str, sp.Basic]] = []
    if line.bounded_below:
        inside.append(decide(line.problem, sp.Gt(interior, line.bounds.lower)))
        if not line.bounds.lower_open:
            faces.append(("lower", decide(line.problem, sp.Le(interior, line.bounds.lower))))
    if line.bounded_above:
        inside.append(decide(line.problem, sp.Lt(interior, line.bounds.upper)))
        if not line.bounds.upper_open:
            faces.append(("upper", decide(line.problem, sp.Ge(interior, line.bounds.upper))))
    return inside, faces


def _difference(line: _Line) -> sp.Expr:
    """H(upper) - H(lower), factors of certain sign taken out."""
    gap = sp.factor_terms(sp.expand(line.at(line.bounds.upper) - line.at(line.bounds.lower)))
    return without_certain_factors(line.problem, sp.factor(gap) if sp.count_ops(gap) < 60 else gap)


def _linear(line: _Line, slope: sp.Expr) -> tuple[Branch, ...]:
    """Bang-bang: the bound the slope points to."""
    sign = sign_of(line.problem, slope)
    if sign == 0:
        anchor = line.bounds.lower if line.bounded_below else line.bounds.upper if line.bounded_above else sp.Integer(0)
        return (Branch("point", "any value (the Hamiltonian does not depend on it)", {line.control: anchor}, sp.true),)
    if line.bounded_below and line.bounded_above:
        reduced = without_certain_factors(line.problem, slope)
        upper = line.face("upper", decide(line.problem, sp.Gt(reduced, 0)))
        lower = line.face("lower", decide(line.problem, sp.Le(reduced, 0)))
        value = None
        if sp.expand(line.bounds.lower + line.bounds.upper) == 0:
            value = line.bounds.upper * sp.Abs(slope) * (1 if line.maximised else -1)
        return tuple(replace(b, value=value) for b in (upper, lower) if b.where != sp.false)
    if line.bounded_below and (sign == -1 or is_weakly(line.problem, slope, -1)):
        return (line.face("lower", sp.true),)
    if line.bounded_above and (sign == 1 or is_weakly(line.problem, slope, 1)):
        return (line.face("upper", sp.true),)
    raise no_maximum(line.problem, line.control, f"it is linear in `{line.control}`", line.maximised)


def _convex(line: _Line) -> tuple[Branch, ...]:
    if not (line.bounded_below and line.bounded_above):
        bends = "convex" if line.maximised else "concave"
        raise no_maximum(line.problem, line.control, f"it is {bends} in `{line.control}`", line.maximised)
    gap = _difference(line)
    upper = line.face("upper", decide(line.problem, sp.Ge(gap, 0)))
    lower = line.face("lower", decide(line.problem, sp.Lt(gap, 0)))
    return tuple(b for b in (upper, lower) if b.where != sp.false)


def _general(line: _Line, stationarity: dict[sp.Symbol, sp.Expr]) -> BlockOptimum:
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


def _monotone(line: _Line, stationarity: dict[sp.Symbol, sp.Expr]) -> BlockOptimum:
    if not (line.bounded_below and line.bounded_above):
        return BlockOptimum((), stationarity, (), f"dH/d{line.control} has no zero")
    gap = _difference(line)
    upper = line.face("upper", decide(line.problem, sp.Ge(gap, 0)))
    lower = line.face("lower", decide(line.problem, sp.Lt(gap, 0)))
    return BlockOptimum(tuple(b for b in (upper, lower) if b.where != sp.false), stationarity)


def _single_root(
    line: _Line, root: Root, slope: sp.Expr, curvature: sp.Expr, dummy: sp.Symbol, stationarity: dict[sp.Symbol, sp.Expr]
) -> BlockOptimum:
    """One stationary point that is a maximum makes H unimodal, so the slope at a face tells whether the face is optimal."""
    sign = sign_of(line.problem, inside_domain(curvature, dummy))
    at_root = curvature.xreplace({dummy: root.value})
    if sign is None:
        sign = sign_of(line.problem, at_root)
    if sign == 1:
        return BlockOptimum(_convex(line), stationarity)
    needed = () if sign == -1 else (_as_condition(line, sp.simplify(at_root) if sp.count_ops(at_root) < 60 else at_root),)
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
    line: _Line, roots: tuple[Root, ...], curvature: sp.Expr, dummy: sp.Symbol, stationarity: dict[sp.Symbol, sp.Expr]
) -> BlockOptimum:
    """Compare H at every stationary point that can be a maximum and at the closed faces."""
    control = line.control
    points: list[tuple[str, sp.Expr, sp.Basic]] = []
    for root in roots:
        if sign_of(line.problem, curvature.xreplace({dummy: root.value})) == 1:
            continue
        inside, _ = _conditions(line, root.value)
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


def compare(line: _Line, points: list[tuple[str, sp.Expr, sp.Basic]]) -> list[Branch]:
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
