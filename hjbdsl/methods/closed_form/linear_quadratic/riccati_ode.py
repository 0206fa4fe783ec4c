"""The Riccati differential equation, backwards from the terminal cost: finite horizons and time-dependent coefficients.

In: a `LinearQuadratic` and T. Out: `Trajectory`, piecewise Chebyshev in t for Pi and the feedback, with the error found by a
second, independent integrator. Raises `Escape` where the solution leaves every bound before t = 0: the value is infinite there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from hjbdsl.methods.closed_form.linear_quadratic.coefficients import LinearQuadratic
from hjbdsl.methods.closed_form.linear_quadratic.failures import Escape
from hjbdsl.methods.closed_form.linear_quadratic.riccati import (
    NoSaddle,
    System,
    feedback,
    operator,
    policy_spread,
    system_at,
)
from hjbdsl.methods.closed_form.linear_quadratic.trajectory import Trajectory, packing
from hjbdsl.model.solution import Array

RELATIVE_TOLERANCE = 3e-13
_DEGREE = 11
_FEWEST_PIECES = 12
_HUGE = 1e9
"""Growth of Pi beyond this multiple of its natural size counts as escape."""


def integrate(problem: LinearQuadratic, horizon: float, breaks: Sequence[float]) -> Trajectory:
    """Solve on [0, T]; `breaks` are times where the coefficients are not smooth. Raises `Escape`, `NoSaddle` (at T itself)."""
    size, count = problem.states + 1, len(problem.modes)
    pack, unpack = packing(count, size)
    fixed = system_at(problem, horizon) if problem.autonomous else None

    def system(remaining: float) -> System:
        return fixed if fixed is not None else system_at(problem, horizon - remaining)

    def rate(remaining: float, vector: Array) -> Array:
        return pack(operator(system(remaining), unpack(vector)))

    terminal = pack(np.array([mode.terminal for mode in problem.modes]))
    feedback(system(0.0), unpack(terminal))
    bound = _HUGE * (1 + np.abs(terminal).max() + np.abs(rate(0.0, terminal)).max() * horizon)
    cuts = [0.0, *sorted(horizon - b for b in breaks if 0 < b < horizon), horizon]
    edges, samples = _primary(rate, terminal, cuts, bound)
    error = _second_opinion(rate, terminal, cuts, bound, edges, samples)
    times = _nodes(edges)
    pi = unpack(samples)
    gains, spreads = _policies(problem, system, times, pi)
    fit = _chebyshev_fit()
    pieces = len(edges) - 1

    def coefficients(array: Array) -> Array:
        return np.einsum("cd,pdv->pcv", fit, array.reshape(pieces, _DEGREE + 1, -1))

    return Trajectory(horizon, edges, coefficients(samples), coefficients(gains), coefficients(spreads), error)


def _nodes(edges: Array) -> Array:
    """Chebyshev-Lobatto nodes of every piece, (pieces, degree+1), nudged inside so that a jump at an edge is seen from its
    own side."""
    unit = -np.cos(np.pi * np.arange(_DEGREE + 1) / _DEGREE) * (1 - 1e-13)
    return (edges[1:, None] + edges[:-1, None]) / 2 + (edges[1:, None] - edges[:-1, None]) / 2 * unit


def _chebyshev_fit() -> Array:
    unit = -np.cos(np.pi * np.arange(_DEGREE + 1) / _DEGREE)
    return np.asarray(np.linalg.inv(np.polynomial.chebyshev.chebvander(unit, _DEGREE)), dtype=np.float64)


def _solve(
    rate: Callable[[float, Array], Array], start: Array, span: tuple[float, float], bound: float, method: str, tolerance: float,
    **options: object,
) -> Any:  # fmt: skip
    def escape(_remaining: float, vector: Array) -> float:
        return float(bound - np.abs(vector).max())

    escape.terminal = True  # type: ignore[attr-defined]
    scale = 1e-2 * tolerance
    try:
        with np.errstate(all="ignore"):
            result = solve_ivp(rate, span, start, method, rtol=tolerance, atol=scale, events=escape, **options)
    except (NoSaddle, np.linalg.LinAlgError) as error:
        raise Escape(_reached(rate, start, span), getattr(error, "player", "control")) from error
    if result.status == 1 or not result.success:
        raise Escape(float(result.t[-1]))
    return result


def _reached(rate: Callable[[float, Array], Array], start: Array, span: tuple[float, float]) -> float:
    """The time-to-go at which the curvature is lost, by bisection on the span that still integrates."""
    low, high = span[0], span[1]
    for _ in range(25):
        middle = (low + high) / 2
        try:
            solve_ivp(rate, (span[0], middle), start, "RK45", rtol=1e-6)
        except (NoSaddle, np.linalg.LinAlgError):
            high = middle
        else:
            low = middle
    return high


def _primary(rate: Callable[[float, Array], Array], start: Array, cuts: list[float], bound: float) -> tuple[Array, Array]:
    """DOP853 between the cuts: a coarse run chooses the pieces, a fine one gives Pi at their nodes."""
    edges: list[float] = [0.0]
    samples: list[Array] = []
    for left, right in pairwise(cuts):
        longest = (cuts[-1] - cuts[0]) / _FEWEST_PIECES
        coarse = _solve(rate, start, (left, right), bound, "DOP853", 1e-9, max_step=longest)
        inner = np.asarray(coarse.t)
        inner[-1] = right
        nodes = _nodes(inner)
        wanted = np.unique(np.concatenate([nodes.ravel(), [right]]))
        solved = _solve(rate, start, (left, right), bound, "DOP853", RELATIVE_TOLERANCE, dense_output=True)
        fine = solved.sol(wanted).T
        place = np.searchsorted(wanted, nodes)
        samples.extend(fine[place])
        edges.extend(inner[1:])
        start = fine[-1]
    return np.array(edges), np.array(samples)


def _second_opinion(
    rate: Callable[[float, Array], Array], start: Array, cuts: list[float], bound: float, edges: Array, samples: Array
) -> float:
    """Twice the largest difference (relative to 1 + |Pi|) from an integration by another method, at the middle and the end
    of every piece (interpolation included, so it bounds what is used)."""
    middle = np.polynomial.chebyshev.chebvander(np.array([0.0, 1.0]), _DEGREE) @ _chebyshev_fit()
    claimed = np.einsum("ec,pcv->pev", middle, samples)
    worst = 0.0
    for left, right in pairwise(cuts):
        pieces = np.flatnonzero((edges[:-1] >= left) & (edges[1:] <= right))
        wanted = np.column_stack([(edges[pieces] + edges[pieces + 1]) / 2, edges[pieces + 1]]).ravel()
        result = _solve(rate, start, (left, right), bound, "LSODA", 1e-12, t_eval=wanted)
        found = np.asarray(result.y).T
        start = found[-1]
        gap = np.abs(claimed[pieces].reshape(found.shape) - found) / (1 + np.abs(found))
        worst = max(worst, float(gap.max()))
    return max(2 * worst, 1e-13)


def _policies(problem: LinearQuadratic, system: Callable[[float], System], times: Array, pi: Array) -> tuple[Array, Array]:
    """The feedback and the spread at every node."""
    flat_times, stacks = times.ravel(), pi.reshape(-1, *pi.shape[-3:])
    gains, spreads = [], []
    for remaining, stack in zip(flat_times, stacks, strict=True):
        here = system(float(remaining))
        gain, curvature = feedback(here, stack)
        gains.append(gain)
        pairs = zip(here.modes, curvature, strict=True)
        spreads.append([policy_spread(c, problem.explored, m.temperature) for m, c in pairs])
    return np.array(gains), np.array(spreads)
