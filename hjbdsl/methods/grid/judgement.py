"""What nested levels are worth: those of the monotone scheme, or those that `correction` brought to second order.

In: the levels solved, coarse to fine. Out: the last three of the better kind, with their `Worth`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from hjbdsl.methods.grid.domain import Points
from hjbdsl.methods.grid.function import Level, Worth
from hjbdsl.methods.grid.levels import Solved
from hjbdsl.model.solution import Array

STEADILY = 0.5
"""How far from second order the order may be one level earlier, for it to count as observed."""
HIGHER, NARROWER, CONTRACTED, FEW = 1.2, 0.8, 0.2, 0.02
"""Levels with central differences are taken where their order is above the first of these and their band below the second, as a
share of the scheme's; where the last correction is everywhere on the region below the third, as a share of the first; where at
fewer points than the fourth they contradict the scheme."""
SECOND = 1.8
"""Levels that settle at this order are not corrected."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The last three levels, their values at the points, what they are worth, and what the scheme's own levels are (`plain`);
    `left` is what the corrections may have left over, where these levels are corrected ones."""

    levels: tuple[Level, ...]
    values: list[Array]
    worth: Worth
    plain: Worth
    left: Level | None = None


@dataclass(frozen=True, slots=True)
class Judge:
    """Compares levels at `points`; `irregular`, `cut` and `shocks` as in `Worth`."""

    points: Points
    irregular: bool
    cut: bool
    shocks: bool

    def of(self, levels: list[Solved], floor: float) -> Judged:
        """What the levels are worth: those of the scheme, or those corrected to second order where they are worth more. Levels
        that are of second order by themselves are not corrected."""
        plain = self._view([level.level for level in levels], floor)
        if len(levels) < 3 or (plain.worth.trusted and plain.worth.order > SECOND):
            return plain
        corrected = [found for level in levels if (found := level.corrected()) is not None]
        if len(corrected) < len(levels) or corrected[-1].share > CONTRACTED:
            return plain
        central = self._view([part.level for part in corrected], floor)
        left = float(np.mean(corrected[-1].left.at(*self.points)))
        higher = central.worth.settled and central.worth.order > HIGHER
        if not higher or central.worth.typical + left > NARROWER * plain.worth.typical or not _agree(plain, central):
            return plain
        return replace(central, plain=plain.worth, left=corrected[-1].left)

    def _view(self, levels: list[Level], floor: float) -> Judged:
        values = [level.at(*self.points) for level in levels[-4:]]
        cut = self.cut or not _steady(values)
        worth = Worth.of(values[-3:], floor, self.irregular, cut, self.shocks)
        return Judged(tuple(levels[-3:]), values[-3:], worth, worth)


def _agree(one: Judged, other: Judged) -> bool:
    """Whether two answers lie within their bands of one another, at nearly every point."""
    (a, error), (b, further) = one.worth.extrapolate(one.values), other.worth.extrapolate(other.values)
    return bool(np.mean(np.abs(a - b) > error + further) < FEW)


def _steady(values: list[Array]) -> bool:
    """Whether four levels draw together at second order twice in a row: once may be luck, on the way from one kind of row to
    another."""
    steps = [float(np.mean(np.abs(b - a))) for a, b in pairwise(values)]
    return len(steps) == 3 and abs(math.log2(max(steps[0], 1e-300) / max(steps[1], 1e-300)) - 2.0) < STEADILY


__all__ = ["Judge", "Judged"]
