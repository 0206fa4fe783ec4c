"""Does the state stay in its domain under the proposed control? A formula knows nothing of a bound that the path would cross.

In: problem, proposal, operators. Out: the reason why a bound matters, or "" where none does. Open bounds are the file's own
promise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hjbdsl.methods.closed_form.family import ExactFunction
from hjbdsl.methods.closed_form.verification.operator import ModeOperator
from hjbdsl.methods.closed_form.verification.points import Samples, condition_test
from hjbdsl.model.problem import ControlProblem

_NEAR = 1e-7
"""Distance from the bound, relative to the region, at which drift and noise are looked at."""
_SLOPE = 1e3
"""Drift and squared noise may vanish towards the bound with a slope up to this."""


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
            x = at.x.copy()
            distance = _NEAR * max(float(np.ptp(at.x[:, i])), 1e-12)
            x[:, i] = place
            keep = np.ones(at.count, dtype=bool) if ended is None else ~ended(at.t, x)
            x[:, i] += inward * distance
            edge = Samples(at.t, x, at.mode).take(np.flatnonzero(keep))
            reason = _crosses(function, operators, edge, i, inward, distance)
            if reason:
                return f"the optimal path can reach {symbol} = {end}: {reason}"
    return ""


def _crosses(
    function: ExactFunction, operators: Sequence[ModeOperator], edge: Samples, i: int, inward: float, distance: float
) -> str:
    if not edge.count:
        return ""
    with np.errstate(all="ignore"):
        point = function.evaluate(edge.t, edge.x, edge.mode)
    running = np.ones(edge.count, dtype=bool) if point.stop is None else ~point.stop
    for index, operator in enumerate(operators):
        here = np.flatnonzero((edge.mode == index) & running)
        if not len(here):
            continue
        arguments = (edge.t[here], *edge.x[here].T, *point.control[here].T)
        drift = inward * operator.drift(*arguments)[i]
        entries = operator.diffusion(*arguments)
        variance = sum(
            (e**2 for (row, _), e in zip(operator.diffusion_index, entries, strict=True) if row == i), np.zeros(len(here))
        )
        if np.any(variance > _SLOPE * distance):
            return "there is noise across it"
        if not np.all(drift >= -_SLOPE * distance):
            return "the drift points across it"
    return ""
