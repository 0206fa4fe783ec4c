"""Joint constraints on controls read as linear inequalities or as a ball.

In: a block. Out: `Inequality`s, or the ball's radius.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from hjbdsl.symbolic.optimum_blocks import Block


@dataclass(frozen=True, slots=True)
class Inequality:
    """sum_i normal[i]*a_i <= limit; `name` says which face this is, for the reader; `opened` where equality is not allowed."""

    normal: dict[int, sp.Expr]
    limit: sp.Expr
    name: str
    opened: bool


@dataclass(frozen=True, slots=True)
class Ball:
    """|a| <= radius."""

    radius: sp.Expr


def relations(condition: sp.Basic) -> tuple[sp.Basic, ...]:
    """The single comparisons of a conjunction."""
    return tuple(sp.And.make_args(condition))


def inequalities(block: Block) -> tuple[Inequality, ...] | None:
    """Bounds and joint constraints as linear inequalities; None where one of them is not linear (or is an equation)."""
    result: list[Inequality] = []
    for k, (control, bounds) in enumerate(zip(block.controls, block.bounds, strict=True)):
        if bounds.lower != -sp.oo:
            result.append(Inequality({k: sp.Integer(-1)}, -bounds.lower, f"{control} at its lower bound", bounds.lower_open))
        if bounds.upper != sp.oo:
            result.append(Inequality({k: sp.Integer(1)}, bounds.upper, f"{control} at its upper bound", bounds.upper_open))
    for constraint in block.constraints:
        for relation in relations(constraint.condition):
            row = _linear_row(block.controls, relation)
            if row is None:
                return None
            result.append(row)
    return tuple(result)


def _linear_row(controls: tuple[sp.Symbol, ...], relation: sp.Basic) -> Inequality | None:
    match relation:
        case sp.LessThan() | sp.StrictLessThan():
            difference = relation.lhs - relation.rhs
        case sp.GreaterThan() | sp.StrictGreaterThan():
            difference = relation.rhs - relation.lhs
        case _:
            return None
    opened = isinstance(relation, (sp.StrictLessThan, sp.StrictGreaterThan))
    expanded = sp.expand(difference)
    normal = {k: expanded.coeff(a) for k, a in enumerate(controls) if expanded.coeff(a) != 0}
    rest = sp.expand(expanded - sp.Add(*(c * controls[k] for k, c in normal.items())))
    if not rest.free_symbols.isdisjoint(controls) or any(not c.free_symbols.isdisjoint(controls) for c in normal.values()):
        return None
    return Inequality(normal, -rest, f"{sp.sstr(relation)} with equality", opened)


def ball(block: Block) -> Ball | None:
    """The ball, where it is the only constraint on the block and its centre is the origin; else None."""
    if len(block.constraints) != 1 or any(b.lower != -sp.oo or b.upper != sp.oo for b in block.bounds):
        return None
    condition = block.constraints[0].condition
    match condition:
        case sp.LessThan() | sp.StrictLessThan():
            small, large = condition.lhs, condition.rhs
        case sp.GreaterThan() | sp.StrictGreaterThan():
            small, large = condition.rhs, condition.lhs
        case _:
            return None
    squares = sp.Add(*(a**2 for a in block.controls))
    if sp.expand(small**2 - squares) == 0 and large.free_symbols.isdisjoint(block.controls):
        return Ball(large)
    difference = sp.expand(small - large)
    scale = difference.coeff(block.controls[0], 2)
    if scale == 0 or not scale.is_positive:
        return None
    rest = sp.expand(difference - scale * squares)
    if not rest.free_symbols.isdisjoint(block.controls):
        return None
    return Ball(sp.sqrt(-rest / scale))
