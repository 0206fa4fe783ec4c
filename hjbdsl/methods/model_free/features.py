"""The function class: products of polynomials (and of sines on circles) of bounded degree, one family a discrete state.

V is a combination of X_i(t, x, mode); the advantage rate of X_i(t, x, mode) A_j(a). A_0 = 1, so that q's class holds V's. With
`total` set, a product has no higher degree than the class; else every X_i meets every A_j.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hjbdsl.methods.model_free.coordinates import ControlSpace, StateAxis
from hjbdsl.model.solution import Array

Modes = NDArray[np.int64]

TIME_DEGREE = 5
_MOST_EXPONENT = 300.0


def exponents(degrees: Sequence[Sequence[int]], most: int) -> NDArray[np.int64]:
    """Choices of one function a coordinate with a sum of degrees up to `most`: (functions, coordinates), lowest degree first."""
    rows: list[tuple[int, ...]] = [()]
    sums = [0]
    for options in degrees:
        grown = [((*row, i), s + d) for row, s in zip(rows, sums, strict=True) for i, d in enumerate(options) if s + d <= most]
        rows, sums = [row for row, _ in grown], [s for _, s in grown]
    order = np.argsort(np.array(sums), kind="stable")
    return np.array(rows, dtype=np.int64).reshape(len(rows), len(degrees))[order]


@dataclass(frozen=True, slots=True)
class StateFeatures:
    """X. `axes`: coordinates of (t, x): column 0 is the time; `labels` (L, 1 + lattice columns): joint mode and lattice values;
    `choice` (I, axes): which function of each coordinate; `degree` (I,). Every function carries the factor exp(tilt . z) in the
    coordinates z, so that a homogeneous V (a power of a positive state, an exponential of a real one) is of degree 0."""

    axes: tuple[StateAxis, ...]
    lattice: tuple[int, ...]
    labels: Array
    choice: NDArray[np.int64]
    degree: NDArray[np.int64]
    tilt: tuple[float, ...] = ()

    @property
    def count(self) -> int:
        return len(self.choice) * len(self.labels)

    @property
    def degrees(self) -> NDArray[np.int64]:
        """(I,): the degree of each feature, label by label."""
        return np.tile(self.degree, len(self.labels))

    def __call__(self, t: Array, x: Array, mode: Modes) -> Array:
        """(k, I)."""
        tables = [_functions(axis, _column(axis, t, x), self._most(i))[0] for i, axis in enumerate(self.axes)]
        smooth = np.repeat(self.size(t, x)[:, None], len(self.choice), axis=1)
        for place, table in enumerate(tables):
            smooth *= table[:, self.choice[:, place]]
        return self._by_label(smooth, x, mode)

    def size(self, t: Array, x: Array) -> Array:
        """The common factor exp(tilt . z) (k,)."""
        exponent = np.zeros(len(t))
        for axis, slope in zip(self.axes, self.tilt, strict=False):
            if slope:
                exponent += slope * axis.of(_column(axis, t, x))
        return np.exp(np.clip(exponent, -_MOST_EXPONENT, _MOST_EXPONENT))

    def kept(self, keep: NDArray[np.int64]) -> StateFeatures:
        """Some of the features, the same ones for every label."""
        first = keep[keep < len(self.choice)]
        return replace(self, choice=self.choice[first], degree=self.degree[first])

    def gradient(self, x: Array, t: Array, mode: Modes, component: int) -> Array:
        """dX/dx_component (k, I)."""
        result = np.zeros((len(t), len(self.choice)))
        for place, axis in enumerate(self.axes):
            if axis.column != component + 1:
                continue
            product = np.ones((len(t), len(self.choice)))
            for other, along in enumerate(self.axes):
                column = _column(along, t, x)
                values, slopes = _functions(along, column, self._most(other))
                if other == place:
                    slopes = slopes + values * (self.tilt[place] if self.tilt else 0.0)
                factor = slopes * axis.slope(column)[:, None] if other == place else values
                product *= factor[:, self.choice[:, other]]
            result += product * self.size(t, x)[:, None]
        return self._by_label(result, x, mode)

    def _most(self, place: int) -> int:
        """The highest degree, or the shortest wave, that a coordinate needs."""
        highest = int(self.choice[:, place].max(initial=0))
        return (highest + 1) // 2 if self.axes[place].kind == "circle" else highest

    def _by_label(self, smooth: Array, x: Array, mode: Modes) -> Array:
        if len(self.labels) == 1:
            return smooth
        return (self.belongs(x, mode)[:, :, None] * smooth[:, None, :]).reshape(len(x), self.count)

    def belongs(self, x: Array, mode: Modes) -> NDArray[np.bool_]:
        """Which label a place has (k, L)."""
        place = np.column_stack([mode, x[:, list(self.lattice)]])
        return np.asarray(np.abs(place[:, None, :] - self.labels[None]).max(axis=2) < 0.5)


def _column(axis: StateAxis, t: Array, x: Array) -> Array:
    return t if axis.column == 0 else x[:, axis.column - 1]


def axis_degrees(axis: StateAxis, most: int) -> list[int]:
    """Degrees of the functions of one coordinate. Time has its own few, which count nothing: V depends on it throughout."""
    if axis.column == 0:
        return [0] * (TIME_DEGREE + 1)
    return [(i + 1) // 2 for i in range(2 * most + 1)] if axis.kind == "circle" else list(range(most + 1))


def _functions(axis: StateAxis, column: Array, most: int) -> tuple[Array, Array]:
    """Values and derivatives by the coordinate (k, functions): 1, cos, sin, cos 2, ... on a circle, Chebyshev polynomials
    else."""
    z = axis.of(column)
    if axis.kind == "circle":
        waves = np.arange(1, most + 1)
        angle = z[:, None] * waves
        values, slopes = np.ones((len(z), 2 * most + 1)), np.zeros((len(z), 2 * most + 1))
        values[:, 1::2], values[:, 2::2] = np.cos(angle), np.sin(angle)
        slopes[:, 1::2], slopes[:, 2::2] = -waves * np.sin(angle), waves * np.cos(angle)
        return values, slopes
    values, slopes = np.ones((len(z), most + 1)), np.zeros((len(z), most + 1))
    if most:
        values[:, 1], slopes[:, 1] = z, 1.0
    for i in range(2, most + 1):
        values[:, i] = 2 * z * values[:, i - 1] - values[:, i - 2]
        slopes[:, i] = 2 * values[:, i - 1] + 2 * z * slopes[:, i - 1] - slopes[:, i - 2]
    return values, slopes


@dataclass(frozen=True, slots=True)
class ControlFeatures:
    """A: indicator of a joint finite point (the first stands for 1) times monomials in v. `powers` (M, axes)."""

    space: ControlSpace
    powers: NDArray[np.int64]

    @property
    def finite(self) -> int:
        return len(self.space.points)

    @property
    def count(self) -> int:
        return len(self.powers) * self.finite

    @property
    def degrees(self) -> NDArray[np.int64]:
        return np.tile(self.powers.sum(axis=1), self.finite)

    def kept(self, keep: NDArray[np.int64]) -> ControlFeatures:
        """Some of the features, the same ones at every finite point."""
        return ControlFeatures(self.space, self.powers[keep[keep < len(self.powers)]])

    def __call__(self, v: Array, chosen: NDArray[np.int64]) -> Array:
        """(k, J)."""
        smooth = self.monomials(v)
        if self.finite == 1:
            return smooth
        which = (chosen[:, None] == np.arange(self.finite)).astype(float)
        which[:, 0] = 1.0
        return (which[:, :, None] * smooth[:, None, :]).reshape(len(v), self.count)

    def monomials(self, v: Array) -> Array:
        return self.derivative(v)

    def derivative(self, v: Array, *by: int) -> Array:
        """Of the monomials, by none, one or two of the coordinates (k, M)."""
        result = np.ones((len(v), len(self.powers)))
        for place in range(self.powers.shape[1]):
            result *= _powers(v[:, place], int(self.powers.max()), by.count(place))[:, self.powers[:, place]]
        return result

    def by_point(self, coefficients: Array) -> Array:
        """Coefficients of A (k, J) -> coefficients of the monomials at every finite point (k, D, M)."""
        table = coefficients.reshape(len(coefficients), self.finite, len(self.powers)).copy()
        table[:, 1:] += table[:, :1]
        return table


def _powers(v: Array, most: int, times: int) -> Array:
    """Derivatives of 1, v, v^2, ... (k, most + 1)."""
    result = np.zeros((len(v), most + 1))
    factor = np.ones(len(v))
    for power in range(times, most + 1):
        result[:, power] = math.perm(power, times) * factor
        factor = factor * v
    return result


@dataclass(frozen=True, slots=True)
class Features:
    """X, A and which products make up q's class: `pairs` (p, 2). The first I pairs are those with A_0."""

    state: StateFeatures
    control: ControlFeatures
    pairs: NDArray[np.int64]
    total: bool

    @property
    def values(self) -> int:
        """How many features V has; the first so many of q's."""
        return self.state.count

    @property
    def constants(self) -> slice:
        """Where the constant of every label is (without a tilt)."""
        return slice(0, self.values, len(self.state.choice))

    @property
    def count(self) -> int:
        return len(self.pairs)

    def products(self, X: Array, A: Array) -> Array:
        """(k, p) from X (k, I) and A (k, J), or from expectations of A under a policy."""
        return X[:, self.pairs[:, 0]] * A[:, self.pairs[:, 1]]

    def by_action(self, X: Array, q: Array) -> Array:
        """Coefficients of A at given states (k, J) of the function with coefficients q (p,)."""
        table = np.zeros((self.state.count, self.control.count))
        table[self.pairs[:, 0], self.pairs[:, 1]] = q
        return X @ table

    def kept(self, keep: NDArray[np.int64]) -> Features:
        """The class of some of the products only; `keep` in increasing order."""
        kept = self.pairs[keep]
        state = np.unique(kept[:, 0])
        control = np.unique(kept[:, 1])
        pairs = np.stack([np.searchsorted(state, kept[:, 0]), np.searchsorted(control, kept[:, 1])], axis=1)
        return Features(self.state.kept(state), self.control.kept(control), pairs, self.total)

    def within(self, degree: int) -> NDArray[np.int64]:
        """The products that belong to the class of a lower degree."""
        i, j = self.pairs.T
        state, control = self.state.degrees[i], self.control.degrees[j]
        return np.flatnonzero((state <= degree) & ((state + control <= degree) | (j == 0) | (not self.total)))


def paired(state: StateFeatures, control: ControlFeatures, total: int | None) -> NDArray[np.int64]:
    """The products of q's class, those with A_0 first."""
    i, j = (grid.ravel() for grid in np.meshgrid(np.arange(state.count), np.arange(control.count)))
    keep = np.ones(len(i), dtype=bool)
    if total is not None:
        keep = (state.degrees[i] + control.degrees[j] <= total) | (j == 0)
    return np.stack([i[keep], j[keep]], axis=1)
