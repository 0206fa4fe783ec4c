"""The martingale that a claimed value function makes of the noise: a control variate of mean zero, whatever the claim.

M' = D grad V . sigma dW + sum over jumps and switches of D (V(after) - V(before)) - rate E[...] dt. Where V is the value and
the policy optimal, reward + payoff - M = V(start) on every path.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hjbdsl.model.solution import Array, ValueFunction
from hjbdsl.simulation.compiled import At
from hjbdsl.simulation.events import Event
from hjbdsl.simulation.exits import outside
from hjbdsl.simulation.process import ControlledProcess


def compensated_events(
    process: ControlledProcess, claimed: ValueFunction, at: At, value: Array, events: Sequence[Event], dt: float
) -> Array:
    """The jump part of M' over a step from `at` (k,), `value` being V there; undiscounted."""
    law = process.events
    result = np.zeros(len(at.t))
    for event in events:
        x, mode = law.after(event, at)
        result[event.rows] += _worth(process, claimed, At(at.t[event.rows], x, mode, at.control[event.rows])) - value[event.rows]
    rates, switches = law.rates(at)
    for jump, (nodes, weights) in enumerate(law.quadratures):
        rows = np.flatnonzero(rates[jump] > 0)
        for node, weight in zip(nodes, weights, strict=True) if len(rows) else ():
            x, mode = law.after(Event(rows, jump, np.full(len(rows), node), at.mode[rows]), at)
            gain = _worth(process, claimed, At(at.t[rows], x, mode, at.control[rows])) - value[rows]
            result[rows] -= dt * weight * rates[jump, rows] * gain
    for rate, (chain, _, label) in zip(switches, process.coefficients.switch_index, strict=True):
        rows = np.flatnonzero(rate > 0)
        if len(rows):
            there = At(at.t[rows], at.x[rows], law.joint[at.mode[rows], chain, label], at.control[rows])
            result[rows] -= dt * rate[rows] * (_worth(process, claimed, there) - value[rows])
    return result


def _worth(process: ControlledProcess, claimed: ValueFunction, at: At) -> Array:
    """V, or what is paid outside."""
    way = outside(process.ways, at)
    result = np.empty(len(at.t))
    gone = way >= 0
    if gone.any():
        result[gone] = process.payoff_outside(at.rows(gone), way[gone])
    if not gone.all():
        inside = at.rows(~gone)
        result[~gone] = claimed.evaluate(inside.t, inside.x, inside.mode).value
    return result
