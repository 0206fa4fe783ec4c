"""Tensor grids on a padded region: each axis is a smooth map x = X(xi) of a unit-spaced index.

Uniform, logarithmic (a positive state) or periodic. In: the equation, a number of nodes, a padding. Out: coordinates,
X', X'' and what happens beyond each end.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Array
from hjbdsl.numeric.compile import compile_expressions

MIRROR, WRAP, OPEN, CONSTRAIN, WALL = 1, 2, 3, 4, 5
"""What lies beyond an end. A wall is artificial: noise that a control scales must vanish there, as at a constraint, but a drift
that cannot be turned is dropped, as at an open end."""
_END = {"periodic": WRAP, "reflect": MIRROR, "slope": MIRROR, "constrain": CONSTRAIN}
UNIFORM, LOGARITHMIC, CIRCLE = 0, 1, 2


MULTIPLE = 4
"""Cells of the region on the coarsest level are a multiple of this, so that multigrid can go below it."""
PADDED_MULTIPLE = {1: 1, 2: 2, 3: 2}
"""Cells of a padding likewise, by dimension: rounding up moves an artificial end further out, so no more than needed."""
WIDENING = 20.0
"""Padding at a distance of p region widths takes r cells for every cell of the region, where r + WIDENING r^3 = p."""
GENTLE = 5.0
"""The same in two states with correlated noise and a horizon: on cells that widen fast a mixed derivative spreads V along the
diagonals, and what it does there flows into the region."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis in y = x, or y = log x on a logarithmic axis: on the coarsest level `cells` = (before, in, after) the region from
    `near_low` to `near_high`. Unit spacing in xi is even over the region; over the padding y leaves it like W (r + g r^3), r the
    number of region widths W in cells, so that distant ends cost few nodes and moving them further changes no node already there.
    A circle leaves its last node out."""

    kind: int
    near_low: float
    near_high: float
    cells: tuple[int, int, int]
    widening: tuple[float, float]
    ends: tuple[int, int]
    padded: tuple[bool, bool]
    slopes: tuple[float, float] = (0.0, 0.0)

    def nodes(self, multiple: int) -> int:
        """Nodes with `multiple` times the cells of the coarsest level."""
        return multiple * sum(self.cells) + (self.kind != CIRCLE)

    def curve(self, xi: Array, n: int) -> tuple[Array, Array, Array]:
        """y(xi) with its first two derivatives."""
        multiple = (n if self.kind == CIRCLE else n - 1) / sum(self.cells)
        width, count = self.near_high - self.near_low, multiple * self.cells[1]
        r = (xi - multiple * self.cells[0]) / count
        before, after = np.maximum(-r, 0.0), np.maximum(r - 1.0, 0.0)
        g0, g1 = self.widening
        y = self.near_low + width * (r - g0 * before**3 + g1 * after**3)
        first = width / count * (1.0 + 3.0 * g0 * before**2 + 3.0 * g1 * after**2)
        return y, first, width / count**2 * 6.0 * (g1 * after - g0 * before)

    def through(self, place: float) -> Axis:
        """The axis moved by less than half a cell of the coarsest level, so that every level has a node at `place`, if it lies in
        the region. True ends do not move: then the one cell that is cut short is the error."""
        y = math.log(place) if self.kind == LOGARITHMIC else place
        cell = (self.near_high - self.near_low) / self.cells[1]
        if not self.near_low - cell <= y <= self.near_high + cell or not any(self.padded):
            return self
        shift = (y - self.near_low) - cell * round((y - self.near_low) / cell)
        return replace(self, near_low=self.near_low + shift, near_high=self.near_high + shift)

    def coordinates(self, n: int) -> tuple[Array, Array, Array]:
        """X, X', X'' at n nodes."""
        y, first, second = self.curve(np.arange(n, dtype=float), n)
        if self.kind == LOGARITHMIC:
            x = np.exp(y)
            return x, x * first, x * (first**2 + second)
        if self.kind == UNIFORM:
            y = np.where(np.abs(y) < 1e-13 * (1.0 + np.max(np.abs(y))), 0.0, y)
        return y, first, second

    def steps(self, n: int) -> tuple[Array, Array]:
        """Of n nodes, the mean g of the steps ahead and behind, and c: they are g (1 + c) and g (1 - c). Differences over these
        steps hold exactly for linear functions, and those along an axis for quadratic ones, on any mesh. The step beyond an end
        is as long as the one before it."""
        between = np.diff(self.coordinates(n)[0])
        ahead, behind = np.append(between, between[-1]), np.append(between[0], between)
        even = np.abs(ahead - behind) <= 1e-9 * (ahead + behind)
        return 0.5 * (ahead + behind), np.where(even, 0.0, (ahead - behind) / (ahead + behind))

    def index(self, x: Array, n: int) -> Array:
        """Fractional index of coordinates x, by Newton's method from the nearest node."""
        y = np.log(np.maximum(x, 1e-300)) if self.kind == LOGARITHMIC else x
        xi = np.arange(n, dtype=float)
        if self.kind == CIRCLE:
            return np.mod((y - self.near_low) / (self.near_high - self.near_low) * n, n)
        z = np.interp(y, self.curve(xi, n)[0], xi)
        for _ in range(6):
            value, slope, _ = self.curve(z, n)
            z = np.clip(z - (value - y) / slope, 0.0, n - 1.0)
        return z


@dataclass(frozen=True, slots=True)
class Mesh:
    axes: tuple[Axis, ...]
    shape: tuple[int, ...]
    X: tuple[Array, ...]
    G: tuple[Array, ...]
    C: tuple[Array, ...]

    @staticmethod
    def of(axes: tuple[Axis, ...], shape: tuple[int, ...]) -> Mesh:
        built = [axis.coordinates(n) for axis, n in zip(axes, shape, strict=True)]
        return Mesh(axes, shape, tuple(b[0] for b in built), tuple(b[1] for b in built), tuple(b[2] for b in built))

    @property
    def nodes(self) -> int:
        return math.prod(self.shape)

    def inner(self) -> NDArray[np.bool_]:
        """Which nodes lie in the region that is asked for, not on its padding."""
        lines = []
        for axis, n in zip(self.axes, self.shape, strict=True):
            multiple = (n if axis.kind == CIRCLE else n - 1) / sum(axis.cells)
            xi = np.arange(n) / multiple
            lines.append((xi >= axis.cells[0] - 1e-9) & (xi <= axis.cells[0] + axis.cells[1] + 1e-9))
        return np.asarray(functools.reduce(np.logical_and, np.meshgrid(*lines, indexing="ij", sparse=True)))

    def index(self, x: Array) -> Array:
        """Fractional indices (d, k) of points x (k, d)."""
        return np.array([axis.index(x[:, i], n) for i, (axis, n) in enumerate(zip(self.axes, self.shape, strict=True))])


def region_box(equation: HJBEquation) -> list[tuple[float, float]]:
    problem = equation.problem
    return [
        (float(problem.numeric(problem.region[i][0])), float(problem.numeric(problem.region[i][1])))
        for i in problem.continuous_states
    ]


def build_axes(equation: HJBEquation, padding: float, cells: int, reserved: float = 0.0) -> tuple[Axis, ...]:
    """Axes with `cells` cells over an unpadded region on the coarsest level, of the padded region; `padding` is the
    widening of each artificial end in units of the region's width (of its logarithm for a positive state). True ends of
    the state space and exits are kept where they are. In four dimensions the cells are even, and `cells` count those of the
    padding too, where it is `reserved` wide (0: as wide as it is)."""
    problem = equation.problem
    box = region_box(equation)
    found = _continuation_box(equation, box) if problem.exit is not None else [(None, None)] * len(box)
    return tuple(
        _axis(equation, i, near, ends, padding, cells, reserved)
        for i, near, ends in zip(problem.continuous_states, box, found, strict=True)
    )


def _axis(
    equation: HJBEquation, i: int, near: tuple[float, float], found: tuple[float | None, float | None], padding: float,
    cells: int, reserved: float,
) -> Axis:  # fmt: skip
    problem = equation.problem
    bounds = problem.state_bounds[i]
    if bounds.periodic:
        return Axis(CIRCLE, -math.pi, math.pi, (0, _rounded(cells), 0), (0.0, 0.0), (WRAP, WRAP), (False, False))
    lower, upper = float(problem.numeric(bounds.lower)), float(problem.numeric(bounds.upper))
    ends = {c.side: _END.get(c.kind, OPEN) for c in equation.boundaries if c.state == i}
    slopes = {c.side: float(problem.numeric(c.amount)) for c in equation.boundaries if c.state == i and c.kind == "slope"}
    for condition in equation.boundaries:
        if condition.state == i and condition.written and condition.kind not in ("growth", "natural"):
            place = float(problem.numeric(condition.location))
            lower, upper = (place, upper) if condition.side == "lower" else (lower, place)
    logarithmic = lower == 0.0 and bounds.lower_open and near[0] > 0 and found == (None, None)
    scale = math.log if logarithmic else float
    near_low, near_high = scale(near[0]), scale(near[1])
    width = max(near_high - near_low, 0.5 if logarithmic else 1e-9)
    low, high = near_low - padding * width, near_high + padding * width
    true_low = -math.inf if logarithmic else lower
    true_high = math.log(upper) if logarithmic and math.isfinite(upper) else upper
    true_low = true_low if found[0] is None else found[0]
    true_high = true_high if found[1] is None else found[1]
    codes = [OPEN, OPEN]
    if low <= true_low or found[0] is not None:
        low, near_low, codes[0] = true_low, max(near_low, true_low), ends.get("lower", OPEN)
        near_low = low if near_low - low < width else near_low
    if high >= true_high or found[1] is not None:
        high, near_high, codes[1] = true_high, min(near_high, true_high), ends.get("upper", OPEN)
        near_high = high if high - near_high < width else near_high
    width = near_high - near_low
    artificial = (near_low > low) + (near_high < high)
    if len(problem.continuous_states) > 3:
        share = reserved or padding
        region, step = max(2, cells - artificial * max(1, round(share * cells / (1.0 + artificial * share)))), 0
    else:
        region, step = _rounded(cells * 0.8**artificial), PADDED_MULTIPLE[len(problem.continuous_states)]
    mixed = len(problem.continuous_states) == 2 and any(j != k for j, k in equation.covariance)
    widening = GENTLE if mixed and not equation.stationary else WIDENING
    before, g0 = _padding_cells((near_low - low) / width, region, low == true_low, step, widening)
    after, g1 = _padding_cells((high - near_high) / width, region, high == true_high, step, widening)
    return Axis(
        LOGARITHMIC if logarithmic else UNIFORM, near_low, near_high, (before, region, after), (g0, g1), (codes[0], codes[1]),
        (low > true_low, high < true_high), (slopes.get("lower", 0.0), slopes.get("upper", 0.0)),
    )  # fmt: skip


def _rounded(cells: float) -> int:
    return max(2, round(cells / MULTIPLE)) * MULTIPLE


def _padding_cells(distance: float, region: int, exact: bool, step: int, widening: float) -> tuple[int, float]:
    """Cells of a padding `distance` region widths wide, in steps of `step`, and its `widening`; an `exact` end is met by adapting
    it. A step of 0: cells as wide as the region's."""
    if distance <= 0.0:
        return 0, 0.0
    if step == 0:
        cells = max(1, round(distance * region))
        return cells, (max(distance * region / cells, 0.75) - 1.0) * (region / cells) ** 2 if exact else 0.0
    r = 0.0
    for _ in range(60):
        r -= (r + widening * r**3 - distance) / (1.0 + 3.0 * widening * r**2)
    cells = max(1, math.ceil(r * region / step - 1e-9)) * step
    if not exact:
        return cells, widening
    cells = min(cells, max(1, math.floor(distance * region / step)) * step)
    return cells, max((distance * region / cells - 1.0) * (region / cells) ** 2, 0.0)


def _continuation_box(equation: HJBEquation, box: list[tuple[float, float]]) -> list[tuple[float | None, float | None]]:
    """Ends of the bounding box of the points that have not exited, where it is bounded (None where it is not)."""
    problem = equation.problem
    symbols = [problem.state_symbols[i] for i in problem.continuous_states]
    assert problem.exit is not None
    ended = compile_expressions(symbols, [_indicator(problem.numeric(problem.exit.condition))])
    d = len(box)
    if d > 3:
        return [(None, None)] * d
    nodes = {1: 4001, 2: 241, 3: 61}[d]
    lines = []
    for i, (low, high) in zip(problem.continuous_states, box, strict=True):
        bounds = problem.state_bounds[i]
        width = high - low
        lower, upper = float(problem.numeric(bounds.lower)), float(problem.numeric(bounds.upper))
        lines.append(np.linspace(max(low - 2 * width, lower), min(high + 2 * width, upper), nodes))
    grids = np.meshgrid(*lines, indexing="ij")
    alive = np.broadcast_to(np.asarray(ended(*grids)[0]), grids[0].shape) < 0.5
    result: list[tuple[float | None, float | None]] = []
    for k in range(d):
        inside = np.nonzero(alive.any(axis=tuple(j for j in range(d) if j != k)))[0]
        first, last = (inside[0], inside[-1]) if inside.size else (0, nodes - 1)
        low_end = None if first == 0 else _edge(ended, lines, k, first, -1)
        high_end = None if last == nodes - 1 else _edge(ended, lines, k, last, +1)
        result.append((low_end, high_end))
    return result


def _edge(ended: Callable, lines: list[Array], k: int, index: int, direction: int) -> float:
    """Refine one end: exact in one dimension (bisection), the neighbouring node in several."""
    inner, outer = lines[k][index], lines[k][index + direction]
    if len(lines) > 1:
        return float(outer)
    for _ in range(60):
        middle = 0.5 * (inner + outer)
        if float(np.asarray(ended(np.array([middle]))[0]).ravel()[0]) > 0.5:
            outer = middle
        else:
            inner = middle
    return float(outer)


def _indicator(condition: object) -> object:
    return sp.Piecewise((1, condition), (0, True))
