"""Tensor grids on a padded region: each axis is a smooth map x = X(xi) of a unit-spaced index.

Uniform, logarithmic (a positive state) or periodic. In: the equation, a number of nodes, a padding. Out: coordinates,
X', X'' and what happens beyond each end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Array
from hjbdsl.numeric.compile import compile_expressions

FIXED, MIRROR, WRAP, OPEN, CONSTRAIN = 0, 1, 2, 3, 4
_END = {"periodic": WRAP, "reflect": MIRROR, "constrain": CONSTRAIN}
UNIFORM, LOGARITHMIC, CIRCLE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis. `low`, `high` are its ends in x; a circle leaves its last node out."""

    kind: int
    low: float
    high: float
    ends: tuple[int, int]
    padded: tuple[bool, bool]
    """Whether each end is artificial: the state goes on beyond it."""

    def coordinates(self, n: int) -> tuple[Array, Array, Array, float, float]:
        """X, X', X'' at n nodes, and origin and step of the index map."""
        low, high = (math.log(self.low), math.log(self.high)) if self.kind == LOGARITHMIC else (self.low, self.high)
        step = (high - low) / (n if self.kind == CIRCLE else n - 1)
        xi = low + step * np.arange(n)
        if self.kind == LOGARITHMIC:
            x = np.exp(xi)
            x[0], x[-1] = self.low, self.high
            return x, x * step, x * step * step, low, step
        return xi, np.full(n, step), np.zeros(n), low, step


@dataclass(frozen=True, slots=True)
class Mesh:
    axes: tuple[Axis, ...]
    shape: tuple[int, ...]
    X: tuple[Array, ...]
    G: tuple[Array, ...]
    C: tuple[Array, ...]
    origin: Array
    step: Array

    @staticmethod
    def of(axes: tuple[Axis, ...], shape: tuple[int, ...]) -> Mesh:
        built = [axis.coordinates(n) for axis, n in zip(axes, shape, strict=True)]
        return Mesh(
            axes, shape, tuple(b[0] for b in built), tuple(b[1] for b in built), tuple(b[2] for b in built),
            np.array([b[3] for b in built]), np.array([b[4] for b in built]),
        )  # fmt: skip

    @property
    def nodes(self) -> int:
        return math.prod(self.shape)

    def index(self, x: Array) -> Array:
        """Fractional indices (d, k) of points x (k, d)."""
        columns = []
        for i, axis in enumerate(self.axes):
            value = np.log(x[:, i]) if axis.kind == LOGARITHMIC else x[:, i]
            z = (value - self.origin[i]) / self.step[i]
            columns.append(np.mod(z, self.shape[i]) if axis.kind == CIRCLE else z)
        return np.array(columns)


def region_box(equation: HJBEquation) -> list[tuple[float, float]]:
    problem = equation.problem
    return [
        (float(problem.numeric(problem.region[i][0])), float(problem.numeric(problem.region[i][1])))
        for i in problem.continuous_states
    ]


def build_axes(equation: HJBEquation, padding: float) -> tuple[Axis, ...]:
    """Axes of the padded region; `padding` is the widening of each artificial end in units of the region's width
    (of its logarithm for a positive state). True ends of the state space and exits are kept where they are."""
    problem = equation.problem
    box = region_box(equation)
    found = _continuation_box(equation, box) if problem.exit is not None else [(None, None)] * len(box)
    axes = []
    for k, i in enumerate(problem.continuous_states):
        low, high = box[k]
        bounds = problem.state_bounds[i]
        if bounds.periodic:
            axes.append(Axis(CIRCLE, -math.pi, math.pi, (WRAP, WRAP), (False, False)))
            continue
        lower, upper = float(problem.numeric(bounds.lower)), float(problem.numeric(bounds.upper))
        logarithmic = lower == 0.0 and bounds.lower_open and low > 0 and found[k] == (None, None)
        ends = {c.side: _END.get(c.kind, OPEN) for c in equation.boundaries if c.state == i}
        codes = (ends.get("lower", OPEN), ends.get("upper", OPEN))
        if logarithmic:
            ratio = max(high / low, 1.5)
            low, high = low * ratio**-padding, high * ratio**padding
        else:
            width = high - low
            low, high = low - padding * width, high + padding * width
        low_true, high_true = low <= lower, high >= upper
        low, high = max(low, lower), min(high, upper)
        if found[k][0] is not None:
            low, low_true = found[k][0], True
        if found[k][1] is not None:
            high, high_true = found[k][1], True
        axes.append(
            Axis(
                LOGARITHMIC if logarithmic else UNIFORM, low, high,
                (codes[0] if low_true else OPEN, codes[1] if high_true else OPEN), (not low_true, not high_true),
            )
        )  # fmt: skip
    return tuple(axes)


def _continuation_box(
    equation: HJBEquation, box: list[tuple[float, float]]
) -> list[tuple[float | None, float | None]]:
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
        low_end = None if first == 0 else _edge(ended, lines, k, first, -1, alive)
        high_end = None if last == nodes - 1 else _edge(ended, lines, k, last, +1, alive)
        result.append((low_end, high_end))
    return result


def _edge(ended: Callable, lines: list[Array], k: int, index: int, direction: int, alive: Array) -> float:
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
    import sympy as sp

    return sp.Piecewise((1, condition), (0, True))
