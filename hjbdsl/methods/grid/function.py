"""The answer of the grid as a function: three levels of nodes, interpolated and extrapolated, with an error at every point.

Richardson: with V_h - V ~ C h^p, the two finest levels give V* = V_h + (V_h - V_2h)/(2^p - 1); p is the measured order,
trusted between 0.7 and 2.3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from hjbdsl.methods.grid.feedback import Feedback, Nodes
from hjbdsl.methods.grid.interpolation import around, interpolate, ranges, slopes
from hjbdsl.methods.grid.mesh import CIRCLE, Mesh
from hjbdsl.model.solution import Array, PointValues, ValueFunction

SAFETY = 2.5
"""The band is this many times the estimated error of the finest level after extrapolation's own correction."""
TRUSTED_ORDER = (0.7, 2.3)
SMOOTHLY = 0.1
"""This near to second order the error falls smoothly, and extrapolation removes nearly all of it."""
ROUNDING = 1e-11
FAST = 2e-2
"""Levels that draw together faster than any trusted order count as settled below this difference, relative to V's variation."""
CLOSE = 1e-4
"""... and so do levels that differ by no more than this, at whatever order: beside a switch it may be none."""
CANCELLED = 0.5
"""Off second order steps count as no smaller than this share of their mean."""
LEAST_ORDER = 0.1
"""The slowest convergence that the band of unsettled levels still sums up."""
LUCK = 0.3
"""The share of the usual error that is claimed where levels agree."""
SMEARED = 6
"""Cells on either side over which a jump of V spreads as it is carried along."""
MOST_BAND = 0.2
"""The widest band of an answer that counts as settled, relative to V's variation over the region."""


@dataclass(frozen=True, slots=True)
class Worth:
    """What levels tell of one another: mean differences of successive levels, the observed order, whether it is trusted for
    extrapolation, and whether the levels settle at all. `floor` is an absolute error that no refinement removes, `typical` the
    mean band over the samples. `irregular`: a free boundary lies now here, now there between the nodes, so that the error does
    not fall smoothly and nothing is extrapolated; `cut`: a curved exit cuts cells now here, now there, which shows less;
    `shocks`: kinks move through the mesh, and the order is a mean over what is smooth and what is not."""

    differences: tuple[float, ...]
    order: float
    trusted: bool
    settled: bool
    floor: float
    typical: float = 0.0
    irregular: bool = False
    cut: bool = False
    shocks: bool = False

    @staticmethod
    def of(values: Sequence[Array], floor: float, irregular: bool = False, cut: bool = False, shocks: bool = False) -> Worth:
        """From the same points on two or three levels, coarse to fine."""
        differences = tuple(float(np.mean(np.abs(b - a))) for a, b in pairwise(values))
        scale = 1e-3 + float(np.max(np.abs(values[-1])))
        if len(values) < 3:
            return Worth(differences, math.nan, False, differences[-1] < 1e-9 * scale, floor)
        first, second = differences
        order = math.log2(max(first, 1e-300) / max(second, 1e-300))
        tiny = second < 1e-9 * scale
        trusted = TRUSTED_ORDER[0] <= order <= TRUSTED_ORDER[1] and not tiny
        size = max(float(np.ptp(values[-1])), 1e-3 * float(np.max(np.abs(values[-1]))), 1e-9)
        fast = order > TRUSTED_ORDER[1] and second < FAST * size
        close = max(first, second) < CLOSE * size
        bare = Worth(
            differences, order, trusted, trusted or tiny or fast or close, floor, irregular=irregular, cut=cut, shocks=shocks
        )
        errors = bare.extrapolate(values)[1]
        # a band as wide as the answer itself says nothing about it
        settled = bare.settled and float(np.quantile(errors, 0.9)) < MOST_BAND * size
        return replace(bare, settled=settled, typical=float(np.mean(errors)))

    def extrapolate(self, values: Sequence[Array]) -> tuple[Array, Array]:
        """Best value and its error: Richardson's where the order is trusted, else the finest level and its last steps."""
        fine = values[-1]
        step = np.abs(fine - values[-2])
        rounding = self.floor + ROUNDING * (1.0 + np.abs(fine)) + LUCK * self.typical
        if len(values) < 3:
            # two levels alone may cross: their mean difference is the least that is said
            return fine, 4.0 * np.maximum(step, self.differences[-1]) + rounding
        earlier = np.abs(values[-2] - values[-3])
        if self.irregular and self.settled:
            # by luck two levels may agree at a point beside the boundary: their mean difference is the least that is claimed
            times = 2.0 if self.order > TRUSTED_ORDER[0] else 4.0
            return fine, times * np.maximum(np.maximum(step, 0.4 * earlier), self.differences[-1]) + rounding
        if self.shocks and self.settled and self.order > TRUSTED_ORDER[0]:
            return fine, 2.0 * np.maximum(np.maximum(step, 0.25 * earlier), 0.25 * self.differences[-1]) + rounding
        if not self.trusted:
            if self.settled and self.order > TRUSTED_ORDER[0]:
                return fine, 3.0 * np.maximum(step, 0.25 * earlier) + rounding
            # what a series of steps that shrink this slowly would still add
            times = max(3.0, 2.0 / (2.0 ** max(self.order, LEAST_ORDER) - 1.0))
            return fine, times * np.maximum(np.maximum(step, 0.5 * earlier), self.differences[-1]) + rounding
        gain = 2.0 ** min(self.order, 2.0) - 1.0
        # where the local ratio differs from the order, the larger of the two corrections is the honest band; off second order the
        # ratio itself still drifts, to the first order of upwinding for all one knows
        smooth = abs(self.order - 2.0) < SMOOTHLY and not self.cut
        cautious, share = (gain, 0.2) if smooth else (min(gain, 1.0), 0.5)
        # two kinds of error that cancel between levels at a point need not do so in the limit
        told = step if smooth else np.maximum(step, CANCELLED * self.differences[-1])
        error = SAFETY * np.maximum(share * told / cautious, np.abs(step - earlier / (gain + 1.0)) / cautious)
        return fine + (fine - values[-2]) / gain, error + rounding


@dataclass(frozen=True, slots=True)
class Level:
    """Nodes of one level. V: (slices, S, *shape); times: (slices,); `gone` (S, *shape): beyond the exit; `abrupt`: the data
    change fast or at once in time."""

    mesh: Mesh
    times: Array
    V: Array
    gone: NDArray[np.bool_] | None = None
    abrupt: bool = False

    def kink(self, t: Array, x: Array, s: NDArray[np.int64]) -> Array:
        """What interpolation may lose beside an exit, where V has a kink that the spline does not know: its distance from the
        linear interpolant; 0 elsewhere."""
        if self.gone is None or len(self.mesh.axes) == 1:
            return np.zeros(t.size)
        near = np.array([binary_dilation(g, iterations=2) for g in self.gone])[None].astype(float)
        beside = interpolate(self.mesh, np.zeros(1), near, t, x, s, order=1) > 0.0
        lines = interpolate(self.mesh, self.times, self.V, t, x, s, order=1)
        return np.where(beside, 2.0 * np.abs(self.at(t, x, s) - lines), 0.0)

    def bend(self, t: Array, x: Array, s: NDArray[np.int64]) -> Array:
        """How far the spline lies from the linear interpolant in space, at the nearest slice: what it may lose at a kink."""
        near = self.times[np.argmin(np.abs(self.times[:, None] - t), axis=0)]
        return np.abs(self.at(near, x, s) - interpolate(self.mesh, self.times, self.V, near, x, s, order=1))

    def jumps(self, coarser: Level, t: Array, x: Array, s: NDArray[np.int64]) -> Array:
        """What a jump of V amounts to that is smeared over a few cells: over as many cells of a coarser level V ranges as far,
        where twice as far would be smooth. At the nearest slice."""
        seen = []
        for level in (self, coarser):
            circular = [axis.kind == CIRCLE for axis in level.mesh.axes]
            near = level.times[np.argmin(np.abs(level.times[:, None] - t), axis=0)]
            wanted = around(level.times, near, 1)
            spread = ranges(level.V[wanted], SMEARED, circular)
            seen.append(interpolate(level.mesh, level.times[wanted], spread, near, x, s, order=1))
        return np.maximum(2.0 * seen[0] - seen[1], 0.0)

    def between(self, t: Array, x: Array, s: NDArray[np.int64]) -> Array:
        """What interpolation in time may lose between slices, which no level tells since all have the same: a cubic through every
        other slice errs 16 times as much, and in smooth times half of what it moves is ample; where V turns sharply all of it is
        little."""
        if self.times.size < 8:
            return np.zeros(t.size)
        half = Level(self.mesh, self.times[::2], self.V[::2], self.gone, self.abrupt)
        return (1.0 if self.abrupt else 0.2) * np.abs(self.at(t, x, s) - half.at(t, x, s))

    def at(self, t: Array, x: Array, s: NDArray[np.int64]) -> Array:
        """V at k points (x in the continuous states only)."""
        return interpolate(self.mesh, self.times, self.V, t, x, s, order=3, abrupt=self.abrupt)


@dataclass(frozen=True, slots=True)
class GridFunction(ValueFunction):
    """Levels from coarse to fine; `policy` (slices, S, columns, *shape) and `stopped` (slices, S, *shape) of the finest,
    `earlier` the policy of the level before: the `controls`, then their standard deviations where they are random; `labels` lists
    (joint mode index, lattice values) a discrete state; `worth` turns the levels into a value and its error, `policy_worth`
    tells of the scheme's own levels, which the policy was found on; `left`: a further error at the nodes of the finest mesh;
    `leeway`: an error of each control that no refinement shows, NaN where nothing is claimed of it; `torn`: V may jump."""

    levels: tuple[Level, ...]
    policy: Array
    earlier: Array
    stopped: NDArray[np.bool_] | None
    labels: tuple[tuple[int, tuple[float, ...]], ...]
    continuous: tuple[int, ...]
    lattice: tuple[int, ...]
    controls: int
    worth: Worth
    policy_worth: Worth
    left: Level | None = None
    leeway: tuple[float, ...] = ()
    torn: bool = False

    def discrete(self, x: Array, mode: NDArray[np.int64]) -> NDArray[np.int64]:
        table = np.array([[number, *values] for number, values in self.labels])
        asked = np.column_stack([mode, x[:, list(self.lattice)]])
        distance = np.abs(table[None, :, :] - asked[:, None, :]).max(axis=2)
        return np.argmin(distance, axis=1)

    def evaluate(self, t: Array, x: Array, mode: NDArray[np.int64]) -> PointValues:
        s = self.discrete(x, mode)
        y = x[:, list(self.continuous)]
        levels, finest = [level.at(t, y, s) for level in self.levels], self.levels[-1]
        value, error = self.worth.extrapolate(levels)
        error = error + finest.kink(t, y, s) + finest.between(t, y, s)
        if self.left is not None:
            error = error + interpolate(finest.mesh, self.left.times, self.left.V, t, y, s, order=1)
        if self.worth.shocks:
            error = error + finest.bend(t, y, s)
        if self.torn:
            error = error + finest.jumps(self.levels[-2], t, y, s)
        gradient, near = np.zeros(x.shape), around(finest.times, t, 1)
        for i, axis in enumerate(self.continuous):
            slope = slopes(finest.mesh, finest.V[near], i)
            gradient[:, axis] = interpolate(finest.mesh, finest.times[near], slope, t, y, s, order=1)
        stop = None
        if self.stopped is not None:
            stop = interpolate(finest.mesh, finest.times, self.stopped.astype(float), t, y, s, order=1) > 0.5
        every = np.column_stack([np.zeros((t.size, 0)), *(feedback.at(t, y, s) for feedback in self._feedbacks())])
        spread = every[:, self.controls :] if every.shape[1] > self.controls else None
        return PointValues(value, error, gradient, every[:, : self.controls], spread=spread, stop=stop)

    def control_error(self, t: Array, x: Array, mode: NDArray[np.int64]) -> Array:
        s, y = self.discrete(x, mode), x[:, list(self.continuous)]
        known = zip(self._feedbacks()[: self.controls], self.leeway, strict=True)
        return np.column_stack([np.zeros((t.size, 0)), *(feedback.error(t, y, s) + leeway for feedback, leeway in known)])

    def with_leeway(self, t: Array, y: Array, s: NDArray[np.int64], beyond: Array) -> GridFunction:
        """With what is `beyond` the mesh (controls,), and a share of the usual error at samples: by luck two levels may agree."""
        usual = [float(np.median(feedback.error(t, y, s))) for feedback in self._feedbacks()[: self.controls]]
        return replace(self, leeway=tuple(LUCK * error + float(other) for error, other in zip(usual, beyond, strict=True)))

    def _feedbacks(self) -> list[Feedback]:
        """The columns of the policy."""
        finest, coarser = self.levels[-1], self.levels[-2]
        order = self.policy_worth.order if self.policy_worth.trusted else math.nan
        return [
            Feedback(
                Nodes(finest.mesh, finest.times, self.policy[:, :, c]),
                Nodes(coarser.mesh, coarser.times, self.earlier[:, :, c]),
                order,
            )
            for c in range(self.policy.shape[2])
        ]
