"""Where the next round of transitions tries its actions: about the policy learned so far, as widely as that policy calls for.

The first policies are judged with a larger discount rate, over a short future, under which any policy has a value. The rate
falls only while the policy stays among the actions that were tried; where it runs to their edge the next actions are spread more
widely, and where they are coarse beside it, less.

In: what was learned in a round. Out: `Exploration`, which the next round is run under."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp

from hjbdsl.errors import UsageError
from hjbdsl.methods.model_free.collect import TRUST
from hjbdsl.methods.model_free.conditions import Operator
from hjbdsl.methods.model_free.coordinates import ControlSpace, state_axis
from hjbdsl.methods.model_free.iteration import Learned, Places, Task, choose
from hjbdsl.methods.model_free.transitions import Transitions
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Array
from hjbdsl.numeric.state_space import region_of

SLOWER, SLOWEST = 2.0, 0.02
"""By what factor the added rate falls from round to round, and from where on it is none."""
AT_EDGE = 0.1
"""The share of places where the policy may lie at that edge."""
_FIRST, _FIRST_RATE = 0.3, 5.0
"""The first rate, at most: times a step, and per unit of time. A policy for a shorter future would do too much within a step."""
MOST_STRIDE, HALVINGS, PROBE = 0.25, 10, 1000
"""How far the first steps may lead, by the width of the region, if smaller actions help; transitions of a look at that."""
WIDER, NARROWER, SHARE = 2.0, 0.4, 1.2
"""By how much a width grows and falls from round to round at most; the share of the policy's own size that it aims at."""
LEAST_WIDTH, WIDEST_LOG = 0.01, 0.7
"""By the first width; of the logarithm of a control with one bound."""
MOST_ROUNDS = 24
MOST_EARLY = 0.6
"""The share of the transitions that the rounds before the last may take together."""


@dataclass(frozen=True, slots=True)
class Exploration:
    """widths (axes,): standard deviation of the actions about the policy, in each axis' own units (of the logarithm, for a
    control with one bound); `extra`: what is added to the discount rate; `inside`: whether the last policy lay among the
    actions that were tried."""

    widths: Array
    extra: float
    inside: bool = False

    @property
    def over(self) -> bool:
        """Whether the next round may be the last."""
        return self.inside and self.extra == 0.0

    def after(self, operator: Operator, learned: Learned, task: Task, places: Places, first: ControlSpace) -> Exploration:
        """The next one, after a round under this one; `task` is the one of that round."""
        space = operator.features.control.space
        choice = choose(operator, task, learned.advantage, places.inner)
        at_edge = np.mean(np.abs(choice.v) > TRUST, axis=0)
        widths, inside = self.widths.copy(), learned.astray <= AT_EDGE
        for i, (axis, start) in enumerate(zip(space.axes, first.axes, strict=True)):
            if axis.kind == "box":
                continue
            if at_edge[i] > AT_EDGE:
                inside = False
                widths[i] *= WIDER
            elif axis.kind == "line":
                aim = SHARE * math.sqrt(float(np.mean((axis.centre + axis.scale * choice.v[:, i]) ** 2)))
                widths[i] = max(min(max(aim, NARROWER * widths[i]), WIDER * widths[i]), LEAST_WIDTH * start.scale)
            else:
                widths[i] = max(start.scale, NARROWER * widths[i])
            if axis.kind != "line":
                widths[i] = min(widths[i], WIDEST_LOG)
        slower = self.extra / SLOWER if self.extra > max(SLOWEST, task.rho - self.extra) else 0.0
        return Exploration(widths, slower if inside else self.extra, inside)


def early_steps(steps: int) -> int:
    """How many of all transitions a round before the last takes: few, but enough to see the noise through."""
    return max(1, int(0.03 * steps), min(6000, int(0.08 * steps)))


def first_exploration(task: Task, dt: float, first: ControlSpace, oriented: bool) -> Exploration:
    """`oriented`: somebody has said where to look."""
    extra = 0.0 if oriented or math.isfinite(task.end) else min(_FIRST / dt, _FIRST_RATE)
    return Exploration(np.array([axis.scale for axis in first.axes]), extra)


def gentler(first: ControlSpace) -> ControlSpace:
    """First actions of half the size."""
    axes = tuple(
        axis if axis.kind == "box"
        else replace(axis, centre=axis.centre / 2, scale=axis.scale / 2) if axis.kind == "line"
        else replace(axis, centre=axis.centre - math.log(2) * (1 if axis.kind == "log_up" else -1))
        for axis in first.axes
    )  # fmt: skip
    return replace(first, axes=axes)


def stride(problem: ControlProblem, data: Transitions) -> float:
    """How far a step leads at most, by the width of the region; all but a tenth of the steps lead less far."""
    longest = 0.0
    for i, ends in zip(problem.continuous_states, region_of(problem)[list(problem.continuous_states)], strict=True):
        axis = state_axis(problem.state_bounds[i], i + 1, problem, ends)
        if axis.kind != "circle":
            width = float(np.ptp(axis.of(ends)))
            moved = np.abs(axis.of(data.x_next[:, i]) - axis.of(data.x[:, i]))
            longest = max(longest, float(np.quantile(moved, 0.9)) / width)
    return longest


def first_controls(problem: ControlProblem, around: Mapping[str, float]) -> Array:
    """A sample that sets centre and scale of the first actions: standard normal, or about 1 from a bound; else near what was
    stated."""
    unit = np.array([-1.0, 1.0])
    unknown = set(around) - {str(s) for s in problem.control_symbols}
    if unknown:
        raise UsageError(f"`{sorted(unknown)[0]}` is no control; there are {', '.join(str(s) for s in problem.control_symbols)}")
    columns = []
    bounds_of = [b for group in problem.controls for b in group.bounds]
    for symbol, bounds in zip(problem.control_symbols, bounds_of, strict=True):
        low, high = problem.numeric(bounds.lower), problem.numeric(bounds.upper)
        stated = around.get(str(symbol))
        side, end = (
            (1.0, low) if low != -sp.oo and high == sp.oo else (-1.0, high) if low == -sp.oo and high != sp.oo else (0.0, 0)
        )
        if side == 0.0 or bounds.is_finite_set:
            columns.append(unit if stated is None else stated + unit * (abs(stated) or 1.0))
            continue
        distance = 1.0 if stated is None else side * (stated - float(end))
        if not distance > 0:
            raise UsageError(f"--around {symbol}={stated:g} lies outside the control's interval")
        columns.append(float(end) + side * distance * np.exp(unit / 2))
    return np.stack(columns, axis=1) if columns else np.zeros((2, 0))
