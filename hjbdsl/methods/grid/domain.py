"""The choice of the domain: artificial ends so far out that they matter little on the region, and what they may still do there.

In: an equation and its runner. Out: the axes of the coarsest level, that level solved, and the movement of the answer that
further doublings of the distance, or a slower killing, may cause.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hjbdsl.errors import SolverError
from hjbdsl.methods.grid.escape import FURTHER
from hjbdsl.methods.grid.levels import Runner, Solved, nodes_of, share_done
from hjbdsl.methods.grid.mesh import WALL, Axis, build_axes
from hjbdsl.methods.grid.missed import BROKEN, missed, refusal
from hjbdsl.methods.grid.refusals import thin_targets
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Array
from hjbdsl.progress import report

LEAST_PADDING = 0.125
CORNERS = 2.0
"""In four dimensions corners of the region lie so much nearer to the ends than samples do."""
MOST_PADDING = {1: 32.0, 2: 4.0, 3: 2.0, 4: 1.0}
PADDING_TOLERANCE = {1: 1e-6, 2: 1e-4, 3: 1e-3, 4: 3e-2}

Points = tuple[Array, Array, NDArray[np.int64]]
"""Times (k,), continuous states (k, d) and discrete states (k,) at which answers are compared."""


class Domain:
    """The search for the ends of one equation. `outside`: what ends still further out may move at `points`, `steered` what
    they may change of each control there, but for a tenth of the points that may lie beside a switch; `escaping`: what a slower
    killing may; `gain`: what policies that no formula knows would gain (see `missed`); `note`: why the search stopped."""

    def __init__(self, equation: HJBEquation, runner: Runner, points: Points, cells: int, killing: float):
        self.equation, self.runner, self.points, self.cells, self.killing = equation, runner, points, cells, killing
        self.dimension = len(equation.problem.continuous_states)
        self.outside, self.escaping, self.gain, self.note = 0.0, 0.0, 0.0, ""
        self.steered: Array = np.zeros(len(runner.form.shown))
        self._share = 1.0
        self._looked = 0
        self._walled = runner.noisy
        self._narrower: tuple[Axis, ...] = ()

    def choose(self) -> tuple[tuple[Axis, ...], Solved]:
        """The coarsest level, on a domain whose ends matter little."""
        axes, solved = self._found()
        if self.killing:
            faster = self.runner.level(axes, 1, None, killing=(FURTHER - 1.0) * self.killing)
            self.escaping = float(np.max(np.abs(self._values(faster) - self._values(solved))))
        return axes, solved

    def look_again(self, levels: list[Solved], values: list[Array], band: float, deadline: float) -> str:
        """Where the artificial ends seem to matter most, their last movement is measured once more on a finer level: far out the
        coarsest one is too coarse to tell. `values` of the last levels at the points, and their usual `band`. Returns what went
        wrong, in words."""
        left = deadline - time.thread_time()
        back = -2 if self.dimension > 2 else -3  # three levels a dimension: the first is the coarsest itself
        if len(values) < 3 or self.outside < 0.2 * band or not self._narrower or levels[back].seconds * 3.0 > left:
            return ""
        multiple = 2 ** (len(levels) + back)
        if multiple == self._looked:
            return ""
        self._looked = multiple
        report(f"domain, {nodes_of(self._narrower, multiple)}", share_done(self._narrower, multiple))
        try:
            fine = tuple(
                replace(a, cells=(multiple * a.cells[0], multiple * a.cells[1], multiple * a.cells[2])) for a in self._narrower
            )
            nearer = self.runner.level(fine, 1, None, multiple)
        except SolverError as failure:
            return f" (the ends were not moved on a finer level: {failure})"
        self.outside = min(self.outside, self._share * float(np.max(np.abs(self._values(nearer) - values[back]))))
        self.steered = np.minimum(self.steered, self._share * self._turned(nearer, levels[back]))
        return ""

    def _found(self) -> tuple[tuple[Axis, ...], Solved]:
        try:
            return self._wide() if self.dimension < 4 else self._narrow()
        except SolverError:
            if not self._walled:
                raise
            self._walled = False
            return self._found()

    def _wide(self) -> tuple[tuple[Axis, ...], Solved]:
        """With ends so far out that twice as far changes nothing that matters."""
        padding = 0.25 if self.runner.noisy and self.dimension > 1 else 1.0 if self.dimension < 3 else 0.5
        axes = self._axes(padding)
        report(f"level 1, {nodes_of(axes, 1)}", 0.0)
        solved, last = self.runner.level(axes, 1, None), 0.0
        self.gain = missed(self.runner, solved)
        marched = self.runner.noisy and not self.equation.stationary
        while any(end for axis in axes for end in axis.padded):
            wider = self._axes(2 * padding)
            while wider == axes:  # cells come in steps: the ends may not have moved yet
                padding *= 2
                wider = self._axes(2 * padding)
            report(f"level 1, {nodes_of(wider, 1)}, ends twice as far out", share_done(wider, 1))
            try:
                other = self.runner.level(wider, 1, None)
                values, before = self._values(other), self._values(solved)
                moved, gain = float(np.max(np.abs(values - before))), missed(self.runner, other)
                # far out V may be so large that what noise without bound gains there spoils the region: ends that matter more the
                # further out they are
                if gain > max(2.0 * self.gain, BROKEN) or (marched and moved > (last or float(np.ptp(before)))):
                    raise refusal(self.runner)
                self.gain = gain
            except SolverError as failure:
                self.outside = 10.0 * last if last > 0.0 else float(np.ptp(self._values(solved)))
                self.steered *= 10.0 if last > 0.0 else np.nan
                self.note = f" (with wider ends: {failure})"
                break
            self._share = _share_left(moved / last) if last > 0.0 else 1.0
            self.outside, self.steered = self._share * moved, self._share * self._turned(solved, other)
            last = moved
            self._narrower = axes
            padding, axes, solved = 2 * padding, wider, other
            near = PADDING_TOLERANCE[self.dimension] * float(np.max(np.abs(values)))
            if moved < near or padding >= MOST_PADDING[self.dimension]:
                break
        return axes, solved

    def _narrow(self) -> tuple[tuple[Axis, ...], Solved]:
        """Where every node beyond the region is one less in it: with ends that are near, unless twice as far out changes a good
        part. What that changes is measured, not taken."""
        padding = LEAST_PADDING
        while True:
            axes = self._axes(padding)
            wider = self._axes(2.0 * max(max(a.cells[0], a.cells[2]) / a.cells[1] for a in axes), padding)
            report(f"level 1, {nodes_of(axes, 1)}", 0.0)
            solved = self.runner.level(axes, 1, None)
            self.gain = missed(self.runner, solved)
            if axes == wider:
                return axes, solved
            values = self._values(solved)
            report(f"level 1, {nodes_of(wider, 1)}, ends twice as far out", share_done(wider, 1))
            try:
                other = self.runner.level(wider, 1, None)
                moved, self.steered = np.abs(self._values(other) - values), CORNERS * self._turned(solved, other)
            except SolverError as failure:
                self.note, moved = f" (with wider ends: {failure})", np.full(values.size, np.ptp(values))
                self.steered = self.steered * np.nan
            self._share, self._narrower = CORNERS, wider
            self.outside = CORNERS * float(np.max(moved))
            if float(np.mean(moved)) < PADDING_TOLERANCE[4] * float(np.max(np.abs(values))) or padding >= MOST_PADDING[4]:
                return axes, solved
            padding *= 2.0

    def _axes(self, padding: float, reserved: float = 0.0) -> tuple[Axis, ...]:
        """Walled: the artificial ends are constraints, so that a control without bound cannot gain from what it does there."""
        axes = build_axes(self.equation, padding, self.cells, reserved)
        targets = thin_targets(self.equation) or {}
        numbers = [targets.get(i) for i in self.equation.problem.continuous_states]
        axes = tuple(a if place is None else a.through(float(place)) for a, place in zip(axes, numbers, strict=True))
        if self._walled:
            axes = tuple(
                replace(axis, ends=(_walled(axis, 0), _walled(axis, 1))) if noisy else axis
                for axis, noisy in zip(axes, self.runner.noisy_axes, strict=True)
            )
        return axes

    def _values(self, solved: Solved) -> Array:
        return solved.level.at(*self.points)

    def _turned(self, one: Solved, other: Solved) -> Array:
        """How far the controls of two solutions differ."""
        pairs = zip(one.controls(*self.points), other.controls(*self.points), strict=True)
        return np.array([float(np.quantile(np.abs(a - b), 0.9)) for a, b in pairs])[: len(self.steered)]


def _share_left(ratio: float) -> float:
    """What further doublings of the distance may still move, in units of the last movement, which was `ratio` of the one before.
    An influence that falls like a power of the distance leaves the same ratio each time, one that falls exponentially less; at no
    decay nobody knows."""
    return ratio / (1.0 - ratio) if ratio < 0.9 else 10.0


def _walled(axis: Axis, side: int) -> int:
    return WALL if axis.padded[side] else axis.ends[side]


__all__ = ["Domain", "Points"]
