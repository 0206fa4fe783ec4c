"""Does the state stay in its domain under the proposed control? A formula knows nothing of a bound that the path would cross.

In: problem, proposal, operators. Out: the reason why a bound matters, or "" where none does. Open bounds are the file's own
promise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.family import ExactFunction
from hjbdsl.methods.closed_form.verification.operator import ModeOperator
from hjbdsl.methods.closed_form.verification.points import Samples, condition_test
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Array

_NEAR = 1e-7
"""Distance from the bound, relative to the region, at which drift and noise are looked at."""
_SLOPE = 1e3
"""Drift and squared noise may vanish towards the bound with a slope up to this."""
_NEARER, _FALL = 1e-4, 0.3
"""A drift that points out but vanishes at the bound, however slowly, must fall by `_FALL` when the distance falls by `_NEARER`: a
power of the distance of at least 1/8. A binding constraint is reached like a square root."""


def leaves_domain(problem: ControlProblem, function: ExactFunction, operators: Sequence[ModeOperator], at: Samples) -> str:
    """For every closed finite bound without a written condition: normal noise must vanish there and the drift must not point
    out."""
    written = {(s.state, s.location) for s in problem.boundaries}
    ended = condition_test(problem, [problem.exit.condition]) if problem.exit is not None else None
    for i in problem.continuous_states:
        bounds, symbol = problem.state_bounds[i], problem.state_symbols[i]
        if bounds.periodic:
            continue
        for end, is_open, inward in ((bounds.lower, bounds.lower_open, 1.0), (bounds.upper, bounds.upper_open, -1.0)):
            place = float(problem.numeric(end))
            if is_open or not np.isfinite(place) or (symbol, end) in written:
                continue
            keep = np.ones(at.count, dtype=bool) if ended is None else ~ended(at.t, _placed(at, i, place).x)
            distance = _NEAR * max(float(np.ptp(at.x[:, i])), 1e-12)
            edges = [_placed(at, i, place + inward * d).take(np.flatnonzero(keep)) for d in (distance, _NEARER * distance, 0.0)]
            reason = _crosses(function, operators, edges, i, inward, distance)
            if reason:
                return f"the optimal path can reach {symbol} = {end}: {reason}"
    return ""


def _placed(at: Samples, i: int, place: float) -> Samples:
    x = at.x.copy()
    x[:, i] = place
    return Samples(at.t, x, at.mode)


def _crosses(
    function: ExactFunction, operators: Sequence[ModeOperator], edges: Sequence[Samples], i: int, inward: float, distance: float
) -> str:
    """`edges`: at `distance` from the bound, nearer, and on it."""
    if not edges[0].count:
        return ""
    running, drift, variance = _normal_motion(function, operators, edges[0], i)
    if not np.all(variance[running] <= _SLOPE * distance):
        return "there is noise across it"
    out = running & ~(inward * drift >= -_SLOPE * distance)
    if not out.any() or _vanishes(function, operators, [e.take(np.flatnonzero(out)) for e in edges], i, inward):
        return ""
    return "the drift points across it"


def _vanishes(
    function: ExactFunction, operators: Sequence[ModeOperator], edges: Sequence[Samples], i: int, inward: float
) -> bool:
    """Does the outward drift die out towards the bound, and is there none on it? Then a path that reaches the bound rests there
    (Nagumo: a closed set is viable where the velocity on its edge does not point out)."""
    outward = []
    for edge in edges:
        _, drift, _ = _normal_motion(function, operators, edge, i)
        outward.append(-inward * drift)
    far, near, on = outward
    rounding = 1e-9 * (1 + np.abs(far))
    return bool(np.all(on <= rounding) and np.all(near <= _FALL * far + rounding))


def _normal_motion(
    function: ExactFunction, operators: Sequence[ModeOperator], edge: Samples, i: int
) -> tuple[NDArray[np.bool_], Array, Array]:
    """At the points of `edge`: whether it runs there, drift and variance of component i under the proposed control, each (k,)."""
    with np.errstate(all="ignore"):
        point = function.evaluate(edge.t, edge.x, edge.mode)
    running = np.ones(edge.count, dtype=bool) if point.stop is None else ~point.stop
    drift, variance = np.zeros(edge.count), np.zeros(edge.count)
    for index, operator in enumerate(operators):
        here = np.flatnonzero(edge.mode == index)
        if not len(here):
            continue
        arguments = (edge.t[here], *edge.x[here].T, *point.control[here].T)
        drift[here] = operator.drift(*arguments)[i]
        entries = operator.diffusion(*arguments)
        variance[here] = sum(
            (e**2 for (row, _), e in zip(operator.diffusion_index, entries, strict=True) if row == i), np.zeros(len(here))
        )
    return running, drift, variance
