"""Open bounds that cannot hold: `state x > 0` where the noise, or the drift, carries x to 0.

In: the lowered problem. Out: findings HJB104. Certain by comparison with a Brownian motion with drift: next to the bound the
variance of the state is bounded away from zero under every control, and its drift inward is bounded. Certain, too, where under
every control the drift there points outward, at least at some speed d: from x within a strip of width w the state has left the
strip after x/d units of time in the mean, through the bound with the probability 1 - x/w at least, whatever the noise. A drift
inward without a bound (1/x, an unbounded control) may keep the state inside, so it excludes certainty; so do an exit or a
boundary statement there, a constraint, a stopping time.
"""

from __future__ import annotations

import itertools
import math
from typing import Literal

import sympy as sp

from hjbdsl.frontend.arithmetic import as_float
from hjbdsl.frontend.findings import Findings
from hjbdsl.frontend.interval import Interval, enclosure, truth
from hjbdsl.frontend.ranges import choice_ranges, hull, variance
from hjbdsl.frontend.realness import Point, interior_points
from hjbdsl.model.problem import ControlProblem, VariableGroup

Carrier = Literal["noise", "drift"]
CARRIERS: tuple[Carrier, ...] = ("noise", "drift")
NEAR = 1e-3
"""Width of the strip at the bound, relative to the region's."""
MOST_POINTS = 12
MOST_MODES = 8


def report_open_bounds(problem: ControlProblem, findings: Findings) -> None:
    if problem.stopping is not None or problem.reversal is not None:
        return
    index = 0
    for group in problem.states:
        for symbol, bounds in zip(group.symbols, group.bounds, strict=True):
            low, high = hull(bounds, problem)
            ends = ((low, bounds.lower_open, ">"), (high, bounds.upper_open, "<"))
            for end, is_open, sign in ends:
                if is_open and math.isfinite(end) and not bounds.periodic:
                    carrier = _carrier(problem, index, symbol, end, sign)
                    if carrier is not None:
                        _report(group, symbol, end, sign, carrier, findings)
            index += 1


def _report(group: VariableGroup, symbol: sp.Symbol, end: float, sign: str, carrier: Carrier, findings: Findings) -> None:
    written = f"{symbol} {sign} {end:g}"
    what = "the noise does not vanish, it" if carrier == "noise" else "the drift points outward, it"
    message = f"`{written}` cannot hold: at {symbol} = {end:g} {what} carries `{symbol}` to the bound"
    closed = f"{symbol} {sign}= {end:g}"
    otherwise = "the noise vanish" if carrier == "noise" else "the drift point inward"
    remedy = (
        f"let {otherwise} there, or say what happens: `{group.name} in R`, or with `{closed}` an "
        f"`exit tau when {symbol} {'<=' if sign == '>' else '>='} {end:g}` or `boundary {symbol} = {end:g} : reflect`"
    )
    findings.report("HJB104", message, remedy, group.span)


def _carrier(problem: ControlProblem, index: int, symbol: sp.Symbol, end: float, sign: str) -> Carrier | None:
    """What certainly can carry the state to the bound, with the other states at any of several points of the region."""
    if any(statement.state == symbol for statement in problem.boundaries):
        return None
    if any(symbol in constraint.condition.free_symbols for constraint in problem.constraints):
        return None
    low, high = (as_float(edge) for edge in problem.region[index])
    width = NEAR * (high - low)
    strip = (end, end + width) if sign == ">" else (end - width, end)
    points = list(itertools.islice(interior_points(problem), MOST_POINTS))
    modes = problem.mode_tuples()
    if not points or len(modes) > MOST_MODES:
        return None
    carried = [_carried(problem, index, symbol, strip, sign, point, mode) for point in points for mode in modes]
    return next((carrier for carrier in CARRIERS if all(carrier in found for found in carried)), None)


def _carried(problem: ControlProblem, index: int, symbol: sp.Symbol, strip: Interval, sign: str,
             point: Point, mode: tuple[int, ...]) -> set[Carrier]:  # fmt: skip
    """noise: in the strip the variance has a positive lower bound and the drift inward an upper one; drift: it points outward
    with a least speed. Neither where an exit may end it."""
    others = {state: value for state, value in point.items() if state != symbol}
    box = {**choice_ranges(problem), symbol: strip}
    if problem.exit is not None and truth(problem.numeric(problem.exit.condition).xreplace(others), box) is not False:
        return set()
    spread = enclosure(variance(problem, index, mode).xreplace(others), box)
    drift = enclosure(problem.numeric(problem.at_mode(problem.drift[index], mode)).xreplace(others), box)
    inward = drift[1] if sign == ">" else -drift[0]
    found: set[Carrier] = {"noise"} if spread[0] > 0 and inward < math.inf else set()
    return found | {"drift"} if inward < 0 else found
