"""The maximiser over one control in an interval: linear, quadratic, on a circle, or smooth; interior point and faces.

In: a block with one control. Out: `BlockOptimum`. Raises HJB114 where the supremum is infinite for every gradient.
"""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from hjbdsl.model.problem import ControlProblem
from hjbdsl.symbolic.optimum_blocks import Block, BlockOptimum, Branch, Quadratic, quadratic
from hjbdsl.symbolic.optimum_circle import maximise_on_circle
from hjbdsl.symbolic.optimum_errors import no_maximum
from hjbdsl.symbolic.optimum_interval import Line, as_condition, conditions_inside, convex, difference
from hjbdsl.symbolic.optimum_smooth_line import maximise_smooth_line
from hjbdsl.symbolic.signs import decide, is_weakly, sign_of, without_certain_factors


def maximise_on_line(problem: ControlProblem, block: Block, maximised: bool) -> BlockOptimum:
    """`maximised` is the sense the reader sees; the block itself is always maximised."""
    (control,), (bounds,) = block.controls, block.bounds
    line = Line(problem, control, bounds, block.objective, maximised)
    coefficients = quadratic(block)
    stationarity = {control: (1 if maximised else -1) * sp.powsimp(sp.diff(block.objective, control))}
    if coefficients is not None:
        return _quadratic(line, coefficients, stationarity)
    turned = maximise_on_circle(line, stationarity)
    return turned if turned is not None else maximise_smooth_line(line, stationarity)


def _quadratic(line: Line, coefficients: Quadratic, stationarity: dict[sp.Symbol, sp.Expr]) -> BlockOptimum:
    curvature = coefficients.hessian.get((0, 0), sp.Integer(0))
    slope = coefficients.linear.get(0, sp.Integer(0))
    sign = sign_of(line.problem, curvature)
    if sign == 0:
        return BlockOptimum(_linear(line, slope), stationarity)
    if sign == 1:
        return BlockOptimum(convex(line), stationarity)
    interior = -slope / curvature
    concave = sp.true if sign == -1 else as_condition(line, curvature)
    inside, branches = conditions_inside(line, interior)
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
    needed = (as_condition(line, curvature),) if inside_counts else ()
    return BlockOptimum(kept, stationarity, needed)


def _either_curvature(line: Line, interior: sp.Expr, value: sp.Expr, slope: sp.Expr, curvature: sp.Expr) -> list[Branch]:
    """Both bounds finite, the curvature's sign up to V: concave, the slope at the faces decides; convex, the better face."""
    concave, gap = as_condition(line, curvature), difference(line)

    def sided(relation: type, location: sp.Expr) -> sp.Basic:
        inward = without_certain_factors(line.problem, sp.expand(slope + curvature * location))
        return decide(line.problem, relation(inward, 0))

    low, high = line.bounds.lower, line.bounds.upper
    if sp.false in (decide(line.problem, sp.Gt(interior, low)), decide(line.problem, sp.Lt(interior, high))):
        return list(convex(line))  # the stationary point is outside, whatever V: H is monotone between the bounds
    beyond_low, beyond_high = sided(sp.Le, low), sided(sp.Ge, high)
    inside = sp.And(concave, sided(sp.Gt, low), sided(sp.Lt, high))
    worse, better = decide(line.problem, sp.Lt(gap, 0)), decide(line.problem, sp.Ge(gap, 0))
    return [
        Branch("interior", "interior", {line.control: interior}, inside, value),
        line.face("lower", sp.Or(sp.And(concave, beyond_low), sp.And(sp.Not(concave), worse))),
        line.face("upper", sp.Or(sp.And(concave, beyond_high), sp.And(sp.Not(concave), better))),
    ]


def _linear(line: Line, slope: sp.Expr) -> tuple[Branch, ...]:
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
