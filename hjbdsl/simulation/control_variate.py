"""The martingale that a claimed value function makes of the noise: a control variate of mean zero, whatever the claim.

M' = D grad V . sigma dW + sum over jumps and switches of D (V(after) - V(before)) - rate E[...] dt. Where V is the value and
the policy optimal, reward + payoff - M = V(start) on every path.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hjbdsl.model.solution import Array, ValueFunction
from hjbdsl.simulation.compiled import At, Modes
from hjbdsl.simulation.events import Event
from hjbdsl.simulation.exits import outside
from hjbdsl.simulation.process import ControlledProcess


def compensated_events(
    process: ControlledProcess, claimed: ValueFunction, at: At, value: Array, events: Sequence[Event], dt: float
) -> Array:
    """The jump part of M' over a step from `at` (k,), `value` being V there; undiscounted. V is asked once for all landings."""
    landings = [*_happened(process, at, events), *_expected(process, at, dt)]
    result = np.zeros(len(at.t))
    if not landings:
        return result
    rows = np.concatenate([landing.rows for landing in landings])
    x, mode = np.concatenate([landing.x for landing in landings]), np.concatenate([landing.mode for landing in landings])
    gain = _worth(process, claimed, At(at.t[rows], x, mode, at.control[rows])) - value[rows]
    np.add.at(result, rows, np.concatenate([landing.weight for landing in landings]) * gain)
    return result


@dataclass(frozen=True, slots=True)
class _Landing:
    """Where the paths `rows` are after an event, and the weight with which the gain in V counts."""

    rows: NDArray[np.int64]
    x: Array
    mode: Modes
    weight: Array


def _happened(process: ControlledProcess, at: At, events: Sequence[Event]) -> Iterator[_Landing]:
    for event in events:
        x, mode = process.events.after(event, at)
        yield _Landing(event.rows, x, mode, np.ones(len(event.rows)))


def _expected(process: ControlledProcess, at: At, dt: float) -> Iterator[_Landing]:
    """All that might have happened within dt, with minus its probability."""
    law = process.events
    rates, switches = law.rates(at)
    for jump, (nodes, weights) in enumerate(law.quadratures):
        rows = np.flatnonzero(rates[jump] > 0)
        for node, weight in zip(nodes, weights, strict=True) if len(rows) else ():
            x, mode = law.after(Event(rows, jump, np.full(len(rows), node), at.mode[rows], np.zeros(len(rows))), at)
            yield _Landing(rows, x, mode, -dt * weight * rates[jump, rows])
    for rate, (chain, _, label) in zip(switches, process.coefficients.switch_index, strict=True):
        rows = np.flatnonzero(rate > 0)
        if len(rows):
            yield _Landing(rows, at.x[rows], law.joint[at.mode[rows], chain, label], -dt * rate[rows])


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
