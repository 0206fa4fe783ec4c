"""Where jumps may lead: the controls for which no mark of a jump carries a state out of its domain.

In: a problem. Out: `Landing` conditions excess(t, x, a) <= 0, one an extreme point of the support of a mark's law: of the law
itself, not the nodes of a quadrature, which never reach the tails. Where a normal mark multiplies wealth, any stake at all leaves
wealth negative with positive probability, so that the stake must vanish.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import sympy as sp

from hjbdsl.model.problem import ControlProblem, Jump
from hjbdsl.numeric.compile import compile_expressions
from hjbdsl.numeric.marks import mark_support

_FARTHEST, _POINTS = 1e3, 400


@dataclass(frozen=True, slots=True)
class Landing:
    """`excess` <= 0 is needed wherever the jump's `rate` is not zero; both with the parameters' numbers in them."""

    excess: sp.Expr
    rate: sp.Expr

    def guarded(self, expression: sp.Expr, otherwise: sp.Expr) -> sp.Expr:
        """`expression` where the jump may come, `otherwise` elsewhere."""
        if self.rate.is_number:
            return expression
        return sp.Piecewise((expression, sp.Ne(self.rate, 0)), (otherwise, True))


def landings(problem: ControlProblem, uncontrolled: bool = True) -> tuple[Landing, ...]:
    """Those of displacements without a control only if `uncontrolled`. An exit rule or a condition written at the end of a domain
    says what happens beyond it, and nothing is asked there. Raises `ValueError` where the extremes over the marks are unknown."""
    if problem.exit is not None:
        return ()
    return tuple(landing for jump in problem.jumps for landing in _of_jump(problem, jump, uncontrolled))


def _of_jump(problem: ControlProblem, jump: Jump, uncontrolled: bool) -> Iterator[Landing]:
    rate = problem.numeric(jump.rate)
    written = {(s.state, s.location) for s in problem.boundaries}
    controls = {*problem.control_symbols, *problem.adversary_symbols}
    for i, displacement in jump.displacement.items():
        bounds, symbol = problem.state_bounds[i], problem.state_symbols[i]
        if rate == 0 or bounds.is_finite_set or bounds.periodic:
            continue
        if not (uncontrolled or controls & displacement.free_symbols):
            continue
        for end, outward in ((bounds.lower, -1), (bounds.upper, 1)):
            place = problem.numeric(end)
            if not place.is_number or not place.is_finite or (symbol, end) in written:
                continue
            if controls & rate.free_symbols:
                raise ValueError(f"a control sets the rate of the jump {jump.name}, which moves the bounded state {symbol}")
            for excess in _extremes(problem, jump, outward * (symbol + problem.numeric(displacement) - place)):
                yield Landing(excess, rate)


def _extremes(problem: ControlProblem, jump: Jump, excess: sp.Expr) -> list[sp.Expr]:
    """Expressions that are all <= 0 exactly where `excess` is for every mark of the support."""
    mark = jump.mark
    if mark is None or mark not in excess.free_symbols:
        return [excess]
    support = mark_support(jump.law, problem.values)
    if support.points:
        return [excess.xreplace({mark: sp.nsimplify(point, rational=True)}) for point in support.points]
    fixed, moving = sp.expand(excess).as_independent(mark, as_Add=True)
    slopes: dict[sp.Expr, sp.Expr] = {}
    for term in sp.Add.make_args(moving):
        slope, factor = term.as_independent(mark, as_Add=False)
        slopes[factor] = slopes.get(factor, sp.S.Zero) + slope
    if len(slopes) != 1:
        raise ValueError(f"the mark of the jump {jump.name} enters in more than one way")
    ((factor, slope),) = slopes.items()
    lowest, highest = _range(factor, mark, support.low, support.high)
    result = [fixed + slope * end for end in (lowest, highest) if end.is_finite]
    if not highest.is_finite:
        result.append(slope)
    if not lowest.is_finite:
        result.append(-slope)
    return result if any(end.is_finite for end in (lowest, highest)) else [fixed, *result]


def _range(factor: sp.Expr, mark: sp.Symbol, low: float, high: float) -> tuple[sp.Expr, sp.Expr]:
    """Infimum and supremum of a monotone factor over [low, high], infinite ends by limits. Raises `ValueError` for others."""
    with np.errstate(all="ignore"):
        sides = [np.clip(np.sinh(np.linspace(-1, 1, _POINTS) * np.arcsinh(_FARTHEST)), low, high)]
        if np.isfinite([low, high]).all():
            sides = [np.linspace(low, high, _POINTS)]
        (values,) = compile_expressions([mark], [factor])(sides[0])
        steps = np.diff(values[np.isfinite(values)])
    rising, falling = bool(np.all(steps >= 0)), bool(np.all(steps <= 0))
    if not (rising or falling) or np.isnan(values).any():
        raise ValueError(f"the displacement of a jump is not monotone in its mark {mark}")
    ends = [_at_end(factor, mark, end) for end in (low, high)]
    return (ends[0], ends[1]) if rising else (ends[1], ends[0])


def _at_end(factor: sp.Expr, mark: sp.Symbol, end: float) -> sp.Expr:
    if np.isfinite(end):
        return sp.sympify(factor.xreplace({mark: sp.nsimplify(end, rational=True)}))
    return sp.limit(factor, mark, sp.oo if end > 0 else -sp.oo)
