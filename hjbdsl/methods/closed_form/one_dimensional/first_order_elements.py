"""The linear first-order system on spectral elements: beta V_y - r V + sum_j q_kj (V_j - V_k) + f = 0, several modes at once.

V_y is interpolated at Gauss nodes, V follows by integration. Each mode's flow has one sink, a break of the mesh: there the
drift is zero and the equation without its first term is the one condition that a first-order equation needs. No end of the
interval needs one, since the flow enters there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import splu

from hjbdsl.methods.closed_form.one_dimensional.chebyshev import clenshaw, rule
from hjbdsl.methods.closed_form.one_dimensional.elements import Coefficients, Mesh
from hjbdsl.model.solution import Array


@dataclass(frozen=True, slots=True)
class FirstOrderSpectral:
    """A piecewise solution: `value` (m, n) at the left ends, `slope` (m, n, p) = V_y at the nodes."""

    mesh: Mesh
    value: Array
    slope: Array

    def at(self, y: Array, mode: int, element: NDArray[np.int64] | None = None) -> tuple[Array, Array, Array]:
        """V, V_y, V_yy at the points `y` (k,)."""
        where = self.locate(y) if element is None else element
        half = self.mesh.half
        middle = (self.mesh.breaks[:-1] + self.mesh.breaks[1:]) / 2
        local = (y - middle[where]) / half[where]
        first = self.slope[mode] @ rule(self.mesh.degree).analysis.T
        second = chebyshev.chebder(first, 1, axis=-1) / half[:, None]
        zeroth = chebyshev.chebint(first, 1, lbnd=-1, axis=-1) * half[:, None]
        zeroth[:, 0] += self.value[mode]
        return clenshaw(zeroth[where], local), clenshaw(first[where], local), clenshaw(second[where], local)

    def locate(self, y: Array) -> NDArray[np.int64]:
        inner = np.searchsorted(self.mesh.breaks, y, side="right") - 1
        return np.clip(inner, 0, len(self.mesh.breaks) - 2)


@dataclass(frozen=True, slots=True)
class Sink:
    """Where one mode's flow comes to rest: the break's index; `running`, `discount`, `rates` (m,) of the resting policy there."""

    index: int
    running: float
    discount: float
    rates: Array


def solve_first_order(mesh: Mesh, c: Coefficients, sinks: tuple[Sink, ...]) -> FirstOrderSpectral:
    """All modes at once. Raises `RuntimeError` where the matrix is singular."""
    r, half, p = rule(mesh.degree), mesh.half, mesh.degree
    modes, count, width = len(sinks), len(half), mesh.degree + 1
    unknowns = modes * count * width
    offset = np.arange(modes * count).reshape(modes, count) * width
    rows: list[Array] = []
    columns: list[Array] = []
    entries: list[Array] = []
    right: list[float] = []
    values = np.empty((count, p, width))
    values[..., 0] = 1.0
    values[..., 1:] = half[:, None, None] * r.first

    def add(place: Array, row: Array, amount: float) -> None:
        scale = np.abs(row).max()
        rows.append(np.full(len(place), len(right)))
        columns.append(place)
        entries.append(row / scale)
        right.append(amount / scale)

    for k in range(modes):
        leaving = c.rates[k].sum(axis=0)
        for e in range(count):
            own = -(c.discount[k, e] + leaving[e])[:, None] * values[e]
            own[:, 1:] += np.diag(c.beta[k, e])
            others = [j for j in range(modes) if j != k and c.rates[k, j, e].any()]
            place = np.concatenate([offset[j, e] + np.arange(width) for j in (k, *others)])
            block = np.concatenate([own, *(c.rates[k, j, e][:, None] * values[e] for j in others)], axis=1)
            for i in range(p):
                add(place, block[i], -float(c.running[k, e, i]))
            if e + 1 < count:
                place = np.append(offset[k, e] + np.arange(width), offset[k, e + 1])
                add(place, np.concatenate([[1.0], half[e] * r.first_end, [-1.0]]), 0.0)
        sink = sinks[k]
        leaving_there = float(sink.rates.sum())
        place, row = _value_at_break(mesh, offset, k, sink.index)
        parts, weights = [place], [-(sink.discount + leaving_there) * row]
        for j in range(modes):
            if j != k and sink.rates[j]:
                place, row = _value_at_break(mesh, offset, j, sink.index)
                parts.append(place)
                weights.append(sink.rates[j] * row)
        add(np.concatenate(parts), np.concatenate(weights), -sink.running)
    matrix = coo_matrix(
        (np.concatenate(entries), (np.concatenate(rows), np.concatenate(columns))), shape=(unknowns, unknowns)
    ).tocsc()
    factors = splu(matrix)
    target = np.array(right)
    solution = factors.solve(target)
    solution = solution + factors.solve(target - matrix @ solution)
    blocks = solution.reshape(modes, count, width)
    return FirstOrderSpectral(mesh, blocks[..., 0], blocks[..., 1:])


def _value_at_break(mesh: Mesh, offset: NDArray[np.int64], mode: int, index: int) -> tuple[Array, Array]:
    if index < len(mesh.half):
        return np.array([offset[mode, index]]), np.ones(1)
    last = len(mesh.half) - 1
    row = np.concatenate([[1.0], mesh.half[last] * rule(mesh.degree).first_end])
    return offset[mode, last] + np.arange(mesh.degree + 1), row
