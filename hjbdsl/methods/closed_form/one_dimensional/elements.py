"""One linear two-point boundary-value problem on spectral elements, several modes at once.

In y:  alpha V_yy + beta V_y - r V + sum_j q_kj (V_j - V_k) + f = 0 (= the average) on free elements, V = payoff on
stopped ones; V and V_y continuous between free elements, V = payoff where a free element meets a stopped one or a
pinned break.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import splu

from hjbdsl.methods.closed_form.one_dimensional.chebyshev import clenshaw, rule, series
from hjbdsl.model.solution import Array

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Mesh:
    """`breaks` (n+1,) in y; `stopped` (m, n): V is the payoff there; `pinned` (m, n+1): V equals the payoff at this
    break, no more.
    """

    breaks: Array
    stopped: Flags
    pinned: Flags
    degree: int = 20

    @property
    def half(self) -> Array:
        return np.diff(self.breaks) / 2

    def nodes(self) -> Array:
        """(n, p) positions in y."""
        middle = (self.breaks[:-1] + self.breaks[1:]) / 2
        return middle[:, None] + self.half[:, None] * rule(self.degree).nodes


@dataclass(frozen=True, slots=True)
class EndCondition:
    """value: V = amount;  slope: V_y = amount;  natural: the equation itself at the end;  growth: V_yy = kappa V_y
    (V_yyy = 0 where kappa is None). `amount` (m,)."""

    kind: Literal["value", "slope", "natural", "growth"]
    amount: Array
    kappa: float | None = None


@dataclass(frozen=True, slots=True)
class Coefficients:
    """At the nodes (m, n, p), or at the two ends (m, 2, 1): alpha, beta, discount, running; rates (m, m, ...)."""

    alpha: Array
    beta: Array
    discount: Array
    running: Array
    rates: Array


@dataclass(frozen=True, slots=True)
class Spectral:
    """A piecewise solution: value and slope at the left ends (m, n), V_yy at the nodes (m, n, p); zeros on stopped
    elements.
    """

    mesh: Mesh
    value: Array
    slope: Array
    curvature: Array
    average: float = 0.0

    def at(self, y: Array, mode: int, element: NDArray[np.int64] | None = None) -> tuple[Array, Array, Array]:
        """V, V_y, V_yy at the points `y` (k,) of free elements (those containing them, unless named)."""
        where = self.locate(y) if element is None else element
        half = self.mesh.half
        middle = (self.mesh.breaks[:-1] + self.mesh.breaks[1:]) / 2
        local = (y - middle[where]) / half[where]
        second, first, zeroth = series(self.value[mode], self.slope[mode], self.curvature[mode], half)
        return clenshaw(zeroth[where], local), clenshaw(first[where], local), clenshaw(second[where], local)

    def locate(self, y: Array) -> NDArray[np.int64]:
        """The element of each point, the outermost ones beyond the ends."""
        inner = np.searchsorted(self.mesh.breaks, y, side="right") - 1
        return np.clip(inner, 0, len(self.mesh.breaks) - 2)

    def at_nodes(self) -> tuple[Array, Array, Array]:
        """V, V_y, V_yy at all nodes, (m, n, p) each."""
        r = rule(self.mesh.degree)
        half = self.mesh.half[:, None]
        slope = self.slope[..., None] + half * (self.curvature @ r.first.T)
        value = self.value[..., None] + half * (1 + r.nodes) * self.slope[..., None] + half**2 * (self.curvature @ r.second.T)
        return value, slope, self.curvature


class _Rows:
    """Triplets of a sparse system, each row scaled by its largest entry."""

    def __init__(self) -> None:
        self.rows: list[NDArray[np.int64]] = []
        self.columns: list[NDArray[np.int64]] = []
        self.entries: list[Array] = []
        self.right: list[Array] = []
        self.count = 0

    def add(self, columns: NDArray[np.int64], entries: Array, right: Array) -> None:
        """Rows with `columns` and `entries` (k, c) and right sides (k,)."""
        scale = np.abs(entries).max(axis=1)
        scale[scale == 0] = 1.0
        number = self.count + np.arange(len(right))
        self.rows.append(np.repeat(number, entries.shape[1]))
        self.columns.append(columns.ravel())
        self.entries.append((entries / scale[:, None]).ravel())
        self.right.append(right / scale)
        self.count += len(right)

    def solve(self, unknowns: int) -> Array:
        if self.count != unknowns:
            raise ValueError(f"{self.count} equations for {unknowns} unknowns")
        matrix = coo_matrix(
            (np.concatenate(self.entries), (np.concatenate(self.rows), np.concatenate(self.columns))), shape=(unknowns, unknowns)
        ).tocsc()
        right = np.concatenate(self.right)
        factors = splu(matrix)
        solution = factors.solve(right)
        # one step of refinement wins the digits that the growth of V over the padding costs
        return solution + factors.solve(right - matrix @ solution)


@dataclass(frozen=True, slots=True)
class System:
    """Everything of one linear solve but the coefficients. `payoff_nodes` (m, n, p), `payoff_breaks` (m, n+1) (zeros
    without stopping); `reference`: the break where V = 0 in mode 0 and the average is unknown, None without average."""

    mesh: Mesh
    lower: EndCondition
    upper: EndCondition
    payoff_nodes: Array
    payoff_breaks: Array
    reference: int | None = None


def solve(system: System, inner: Coefficients, ends: Coefficients) -> Spectral:
    """The solution, all modes at once. Raises `RuntimeError` where the matrix is singular."""
    mesh = system.mesh
    modes, count = mesh.stopped.shape
    width = mesh.degree + 2
    offsets = np.full((modes, count), -1, dtype=np.int64)
    free = ~mesh.stopped
    offsets[free] = np.arange(int(free.sum())) * width
    unknowns = int(free.sum()) * width + (system.reference is not None)
    if unknowns == 0:
        empty = np.zeros((modes, count))
        return Spectral(mesh, empty, empty, np.zeros((modes, count, mesh.degree)))
    rows = _Rows()
    for mode in range(modes):
        _add_equation(rows, system, inner, offsets, mode)
        _add_interfaces(rows, system, offsets, mode)
        _add_end(rows, system, ends, offsets, mode, upper=False)
        _add_end(rows, system, ends, offsets, mode, upper=True)
    if system.reference is not None:
        column = offsets[0, system.reference]
        rows.add(np.array([[column]]), np.ones((1, 1)), np.zeros(1))
    solution = rows.solve(unknowns)
    blocks = np.zeros((modes, count, width))
    blocks[free] = solution[: int(free.sum()) * width].reshape(-1, width)
    average = float(solution[-1]) if system.reference is not None else 0.0
    return Spectral(mesh, blocks[..., 0], blocks[..., 1], blocks[..., 2:], average)


def _value_block(mesh: Mesh, elements: NDArray[np.int64]) -> Array:
    """(k, p, p+2): V at the nodes from the unknowns (V and V_y at the left end, V_yy at the nodes)."""
    r, half = rule(mesh.degree), mesh.half[elements]
    block = np.empty((len(elements), mesh.degree, mesh.degree + 2))
    block[..., 0] = 1.0
    block[..., 1] = half[:, None] * (1 + r.nodes)
    block[..., 2:] = half[:, None, None] ** 2 * r.second
    return block


def _slope_block(mesh: Mesh, elements: NDArray[np.int64]) -> Array:
    r, half = rule(mesh.degree), mesh.half[elements]
    block = np.zeros((len(elements), mesh.degree, mesh.degree + 2))
    block[..., 1] = 1.0
    block[..., 2:] = half[:, None, None] * r.first
    return block


def _add_equation(rows: _Rows, system: System, c: Coefficients, offsets: NDArray[np.int64], mode: int) -> None:
    mesh = system.mesh
    elements = np.flatnonzero(~mesh.stopped[mode])
    if not len(elements):
        return
    width = mesh.degree + 2
    leaving = c.rates[mode].sum(axis=0)[elements]
    values = _value_block(mesh, elements)
    own = -(c.discount[mode, elements] + leaving)[..., None] * values
    own += c.beta[mode, elements][..., None] * _slope_block(mesh, elements)
    own[:, :, 2:] += c.alpha[mode, elements][..., None] * np.eye(mesh.degree)
    modes = len(offsets)
    extra = int(system.reference is not None)
    entries = np.zeros((len(elements), mesh.degree, modes * width + extra))
    columns = np.zeros((len(elements), modes * width + extra), dtype=np.int64)
    right = -c.running[mode, elements]
    for other in range(modes):
        place = slice(other * width, (other + 1) * width)
        reachable = offsets[other, elements] >= 0
        columns[:, place] = np.where(reachable, offsets[other, elements], 0)[:, None] + np.arange(width)
        if other == mode:
            entries[..., place] = own
        else:
            rate = c.rates[mode, other, elements]
            entries[..., place] = np.where(reachable[:, None, None], rate[..., None] * values, 0.0)
            right = right - np.where(reachable[:, None], 0.0, rate * system.payoff_nodes[other, elements])
    if extra:
        entries[..., -1] = -1.0
        columns[:, -1] = int((offsets >= 0).sum()) * width
    total = len(elements) * mesh.degree
    spread = np.broadcast_to(columns[:, None, :], entries.shape).reshape(total, -1)
    rows.add(spread, entries.reshape(total, -1), right.ravel())


def _add_interfaces(rows: _Rows, system: System, offsets: NDArray[np.int64], mode: int) -> None:
    mesh = system.mesh
    r, half, width = rule(mesh.degree), mesh.half, mesh.degree + 2
    for i in range(1, len(mesh.breaks) - 1):
        left, right = offsets[mode, i - 1], offsets[mode, i]
        payoff = system.payoff_breaks[mode, i : i + 1]
        if left < 0 and right < 0:
            continue
        h = half[i - 1]
        end_value = np.concatenate([[1.0, 2 * h], h * h * r.second_end])
        end_slope = np.concatenate([[0.0, 1.0], h * r.first_end])
        if left >= 0 and right >= 0 and not mesh.pinned[mode, i]:
            columns = np.concatenate([left + np.arange(width), [right]])[None]
            rows.add(columns, np.append(end_value, -1.0)[None], np.zeros(1))
            columns = np.concatenate([left + np.arange(width), [right + 1]])[None]
            rows.add(columns, np.append(end_slope, -1.0)[None], np.zeros(1))
            continue
        if left >= 0:
            rows.add((left + np.arange(width))[None], end_value[None], payoff)
        if right >= 0:
            rows.add(np.array([[right]]), np.ones((1, 1)), payoff)


def _add_end(rows: _Rows, system: System, ends: Coefficients, offsets: NDArray[np.int64], mode: int, *, upper: bool) -> None:
    mesh = system.mesh
    element = len(mesh.breaks) - 2 if upper else 0
    offset = offsets[mode, element]
    if offset < 0:
        return
    condition = system.upper if upper else system.lower
    width = mesh.degree + 2
    value, slope, curvature, third = _end_rows(mesh, element, upper=upper)
    columns = (offset + np.arange(width))[None]
    amount = condition.amount[mode : mode + 1]
    match condition.kind:
        case "value":
            rows.add(columns, value[None], amount)
        case "slope":
            rows.add(columns, slope[None], amount)
        case "growth":
            entries = third if condition.kappa is None else curvature - condition.kappa * slope
            rows.add(columns, entries[None], np.zeros(1))
        case "natural":
            _add_natural_end(rows, system, ends, offsets, mode, (value, slope, curvature), upper=upper)
        case _:
            raise TypeError(condition.kind)


def _end_rows(mesh: Mesh, element: int, *, upper: bool) -> tuple[Array, Array, Array, Array]:
    """V, V_y, V_yy, V_yyy at the outer end as rows over the element's unknowns."""
    r, h, p = rule(mesh.degree), mesh.half[element], mesh.degree
    head = np.zeros(2)
    curvature = np.concatenate([head, r.high if upper else r.low])
    third = np.concatenate([head, r.slope_high if upper else r.slope_low]) / h
    if upper:
        value = np.concatenate([[1.0, 2 * h], h * h * r.second_end])
        slope = np.concatenate([[0.0, 1.0], h * r.first_end])
    else:
        value = np.concatenate([[1.0, 0.0], np.zeros(p)])
        slope = np.concatenate([[0.0, 1.0], np.zeros(p)])
    return value, slope, curvature, third


def _add_natural_end(
    rows: _Rows,
    system: System,
    ends: Coefficients,
    offsets: NDArray[np.int64],
    mode: int,
    basis: tuple[Array, Array, Array],
    *,
    upper: bool,
) -> None:
    """The equation itself at the end, where the diffusion vanishes and the drift points inward."""
    mesh = system.mesh
    value, slope, curvature = basis
    side, element = int(upper), len(mesh.breaks) - 2 if upper else 0
    width = mesh.degree + 2
    leaving = float(ends.rates[mode, :, side, 0].sum())
    own = ends.alpha[mode, side, 0] * curvature + ends.beta[mode, side, 0] * slope
    own = own - (ends.discount[mode, side, 0] + leaving) * value
    columns, entries = [offsets[mode, element] + np.arange(width)], [own]
    right = -float(ends.running[mode, side, 0])
    for other in range(len(offsets)):
        rate = float(ends.rates[mode, other, side, 0])
        if other == mode or rate == 0:
            continue
        if offsets[other, element] >= 0:
            columns.append(offsets[other, element] + np.arange(width))
            entries.append(rate * value)
        else:
            right -= rate * float(system.payoff_breaks[other, -1 if upper else 0])
    if system.reference is not None:
        columns.append(np.array([int((offsets >= 0).sum()) * width]))
        entries.append(np.array([-1.0]))
    rows.add(np.concatenate(columns)[None], np.concatenate(entries)[None], np.array([right]))
