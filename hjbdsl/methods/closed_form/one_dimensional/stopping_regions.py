"""Where to stop, roughly: a monotone finite-difference scheme for the obstacle problem on a uniform grid in y.

In: a component with a payoff. Out: by mode, the intervals of stopping, to the width of a cell; `free_boundary` makes
them exact. Primal-dual active sets (Hintermüller, Ito and Kunisch, SIAM J. Optim. 13, 2002), hybrid central and upwind
differences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import splu

from hjbdsl.methods.closed_form.one_dimensional.component import Component
from hjbdsl.methods.closed_form.one_dimensional.policy_iteration import NoConvergence
from hjbdsl.model.solution import Array

_POINTS = 1601
_ITERATIONS = 200


@dataclass(frozen=True, slots=True)
class StoppingRegions:
    """By mode: `boundaries` in y, increasing, and `stop`, one flag for each interval they cut; `cell`: the grid's width.
    `value` (m, n) on `grid` (n,), a first guess."""

    boundaries: tuple[tuple[float, ...], ...]
    stop: tuple[tuple[bool, ...], ...]
    cell: float
    grid: Array
    value: Array


def stopping_regions(component: Component, left: float, right: float) -> StoppingRegions:
    """The active set of the discrete obstacle problem on [left, right]."""
    grid = np.linspace(left, right, _POINTS)
    sign = 1.0 if component.line.maximise else -1.0
    payoff = component.payoff(grid)
    value = payoff.copy()
    active = np.zeros_like(payoff, dtype=bool)
    moved = np.inf
    for iteration in range(_ITERATIONS):
        matrix, right_side = _discrete(component, grid, value)
        diagonal = np.abs(matrix.diagonal())
        diagonal[diagonal == 0] = 1.0
        residual = ((matrix @ value.ravel() - right_side) / diagonal).reshape(value.shape)
        # residual = (r V - L V - f)/diagonal: stopping pays where it is positive (maximise) at V = g
        new = sign * (residual + payoff - value) > 1e-12 * (np.abs(payoff) + np.abs(value))
        settled = np.array_equal(new, active) and (not component.line.controls or moved < 1e-9)
        if iteration > 0 and (settled or moved < 1e-13):
            break
        active = new
        stopped = active.ravel()
        keep = coo_matrix(matrix)
        rows_kept = ~stopped[keep.row]
        held = np.flatnonzero(stopped)
        system = coo_matrix(
            (
                np.concatenate([keep.data[rows_kept], np.ones(len(held))]),
                (np.concatenate([keep.row[rows_kept], held]), np.concatenate([keep.col[rows_kept], held])),
            ),
            shape=matrix.shape,
        ).tocsc()
        try:
            solution = splu(system).solve(np.where(stopped, payoff.ravel(), right_side)).reshape(value.shape)
        except RuntimeError as singular:
            raise NoConvergence("the obstacle problem is singular on the grid: without discounting nothing fixes V") from singular
        moved = float(np.abs(solution - value).max() / (1 + np.abs(solution).max()))
        value = solution
        if not np.isfinite(value).all():
            raise NoConvergence("the obstacle problem has no finite solution on the grid")
    else:
        raise NoConvergence("the stopping region did not settle on the grid")
    boundaries, flags = zip(*(_intervals(grid, row) for row in active), strict=True)
    return StoppingRegions(tuple(boundaries), tuple(flags), float(grid[1] - grid[0]), grid, value)


def _intervals(grid: Array, active: NDArray[np.bool_]) -> tuple[tuple[float, ...], tuple[bool, ...]]:
    # the end points obey an artificial condition; they follow their neighbours
    flags = active.copy()
    flags[0], flags[-1] = flags[1], flags[-2]
    changes = np.flatnonzero(flags[1:] != flags[:-1])
    boundaries = tuple(float((grid[i] + grid[i + 1]) / 2) for i in changes)
    return boundaries, (bool(flags[0]), *(bool(flags[i + 1]) for i in changes))


def _discrete(component: Component, grid: Array, value: Array) -> tuple[coo_matrix, Array]:
    """(r - L) V = f as an M-matrix, the policy taken at `value`."""
    step = float(grid[1] - grid[0])
    modes, count = value.shape
    x = component.coordinate.to_state(grid)
    slope_y = np.gradient(value, step, axis=1)
    curvature_y = np.zeros_like(value)
    curvature_y[:, 1:-1] = (value[:, 2:] - 2 * value[:, 1:-1] + value[:, :-2]) / step**2
    controls = np.zeros((modes, count, len(component.line.controls)))
    for k, law in enumerate(component.laws):
        slope, curvature = component.coordinate.state_derivatives(grid, slope_y[k], curvature_y[k])
        controls[k], taken = law.optimise(x, value[k], slope, curvature)
        if component.line.controls and (taken < 0).any():
            raise NoConvergence("no branch of the maximiser is valid on the grid")
    c = component.coefficients(grid, controls)
    central = np.abs(c.beta) * step <= 2 * c.alpha
    up = c.alpha / step**2 + np.where(central, c.beta / (2 * step), np.maximum(c.beta, 0) / step)
    down = c.alpha / step**2 + np.where(central, -c.beta / (2 * step), np.maximum(-c.beta, 0) / step)
    leaving = c.rates.sum(axis=1)
    diagonal = up + down + c.discount + leaving
    right_side = c.running.copy()
    for position, edge in ((0, component.lower), (-1, component.upper)):
        given = edge.kind == "value"
        diagonal[:, position] = 1.0
        up[:, position] = 0.0 if given or position == -1 else 1.0
        down[:, position] = 0.0 if given or position == 0 else 1.0
        right_side[:, position] = np.array(edge.amount) if given else 0.0
    index = np.arange(modes * count).reshape(modes, count)
    rows, columns, entries = [index.ravel()], [index.ravel()], [diagonal.ravel()]
    for shift, weight in ((1, up), (-1, down)):
        here = index[:, :-1] if shift == 1 else index[:, 1:]
        rows.append(here.ravel())
        columns.append((here + shift).ravel())
        entries.append(-(weight[:, :-1] if shift == 1 else weight[:, 1:]).ravel())
    for i, j in component.line.rates:
        inner = slice(1, count - 1)
        rows.append(index[i, inner])
        columns.append(index[j, inner])
        entries.append(-c.rates[i, j, inner])
    matrix = coo_matrix(
        (np.concatenate(entries), (np.concatenate(rows), np.concatenate(columns))), shape=(index.size, index.size)
    )
    return matrix.tocsr(), right_side.ravel()
