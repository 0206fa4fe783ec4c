"""One control in an interval: its data, its faces, and the conditions under which each face is optimal.

In: a problem, a control with its bounds, the block's share of H (always maximised). Out: `Line` and what the solvers on it share.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from hjbdsl.model.problem import Bounds, ControlProblem
from hjbdsl.symbolic.optimum_blocks import Branch
from hjbdsl.symbolic.optimum_errors import no_maximum
from hjbdsl.symbolic.signs import decide, without_certain_factors


@dataclass(frozen=True, slots=True)
class Line:
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


def as_condition(line: Line, curvature: sp.Expr) -> sp.Basic:
    """The second-order condition of the problem as the reader knows it: d2H < 0 under maximize, > 0 under minimize."""
    reduced = without_certain_factors(line.problem, curvature)
    return sp.Lt(reduced, 0) if line.maximised else sp.Gt(negated(reduced), 0)


def negated(expression: sp.Expr) -> sp.Expr:
    return sp.factor_terms(-expression)


def conditions_inside(line: Line, interior: sp.Expr) -> tuple[list[sp.Basic], list[tuple[str, sp.Basic]]]:
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


def difference(line: Line) -> sp.Expr:
    """H(upper) - H(lower), factors of certain sign taken out."""
    gap = sp.factor_terms(sp.expand(line.at(line.bounds.upper) - line.at(line.bounds.lower)))
    return without_certain_factors(line.problem, sp.factor(gap) if sp.count_ops(gap) < 60 else gap)


def convex(line: Line) -> tuple[Branch, ...]:
    if not (line.bounded_below and line.bounded_above):
        bends = "convex" if line.maximised else "concave"
        raise no_maximum(line.problem, line.control, f"it is {bends} in `{line.control}`", line.maximised)
    gap = difference(line)
    upper = line.face("upper", decide(line.problem, sp.Ge(gap, 0)))
    lower = line.face("lower", decide(line.problem, sp.Lt(gap, 0)))
    return tuple(b for b in (upper, lower) if b.where != sp.false)
