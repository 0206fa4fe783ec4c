"""Integrals over an interval at many points at once: Gauss-Legendre panels, split at kinks, halved until two levels agree.

In: a weight in logarithms and smooth-on-pieces factors. Out: for each point the integrals, a common logarithmic scale and the
difference of the last two levels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hjbdsl.model.solution import Array

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_NEGLIGIBLE = 46.0
"""Where the logarithm of the integrand lies so far below its maximum, its share is below 1e-19."""
_LARGEST_CHUNK = 400_000
_ROUNDING = 1e-15

Weighted = Callable[[Array, NDArray[np.intp]], tuple[Array, Array]]
"""(z (k', N), rows (k',)) -> logarithm of the weight (k', N), factors (k', N, c): the integrand is exp(first) * second."""


@dataclass(frozen=True, slots=True)
class PanelIntegrals:
    """The integrals are exp(scale) * moments; `scale` (k,), `moments` (k, c), `error` (k, c) in the units of moments."""

    scale: Array
    moments: Array
    error: Array


def integrate_panels(
    integrand: Weighted,
    lower: Array,
    upper: Array,
    breaks: Array,
    *,
    tolerance: float = 1e-13,
    coarsest: int = 2,
    finest: int = 192,
    scan: int = 97,
) -> PanelIntegrals:
    """Integrate over [lower, upper] (k,), which hold all the mass; `breaks` (k, b) are where the factors may jump or bend.

    `coarsest` and `finest` are the numbers of panels between breaks; a scan at `scan` points (0: none) first cuts negligible
    ends off.
    """
    count = len(lower)
    if count == 0:
        return PanelIntegrals(np.zeros(0), np.zeros((0, 1)), np.zeros((0, 1)))
    low, high, scale = _live_interval(integrand, lower, upper, scan or 9)
    if not scan:
        low, high = lower, upper
    edges = np.sort(np.column_stack([low, np.clip(breaks, low[:, None], high[:, None]), high]), axis=1)
    panels = coarsest
    rows = np.arange(count)
    previous, _ = _composite(integrand, edges, scale, rows, panels)
    moments, error = previous.copy(), np.full(previous.shape, np.inf)
    while rows.size:
        panels *= 2
        refined, size = _composite(integrand, edges, scale, rows, panels)
        with np.errstate(invalid="ignore"):  # two infinite sums have no difference
            difference = np.abs(refined - previous)
        moments[rows], error[rows] = refined, difference + _ROUNDING * size
        settled = np.all(difference <= tolerance * size + 1e-300, axis=1)
        if panels >= finest:
            break
        rows, previous = rows[~settled], refined[~settled]
    return PanelIntegrals(scale, moments, error)


def _live_interval(integrand: Weighted, lower: Array, upper: Array, scan: int) -> tuple[Array, Array, Array]:
    """The part of each interval where the integrand is not negligible, and the logarithm of its maximum, by a scan."""
    z = lower[:, None] + (upper - lower)[:, None] * np.linspace(0.0, 1.0, scan)
    size = np.empty(z.shape)
    for rows in _chunks(np.arange(len(lower)), scan):
        log_weight, factors = integrand(z[rows], rows)
        with np.errstate(all="ignore"):
            size[rows] = log_weight + np.log(np.max(np.abs(factors), axis=2))
    size = np.where(np.isnan(size) | (size == np.inf), -np.inf, size)
    scale = size.max(axis=1)
    live = size >= (scale - _NEGLIGIBLE)[:, None]
    first = np.maximum(np.argmax(live, axis=1) - 1, 0)
    last = np.minimum(scan - np.argmax(live[:, ::-1], axis=1), scan - 1)
    rows = np.arange(len(lower))
    return z[rows, first], z[rows, last], np.where(np.isfinite(scale), scale, 0.0)


def _composite(integrand: Weighted, edges: Array, scale: Array, rows: NDArray[np.intp], panels: int) -> tuple[Array, Array]:
    """Integrals and integrals of absolute values (k', c), each interval between edges cut in `panels`."""
    fractions = (np.arange(panels)[:, None] + (_NODES + 1) / 2).ravel() / panels
    weights = np.tile(_WEIGHTS / 2, panels) / panels
    values, sizes = [], []
    for part in _chunks(rows, (edges.shape[1] - 1) * len(fractions)):
        left, width = edges[part, :-1], np.diff(edges[part], axis=1)
        z = (left[:, :, None] + width[:, :, None] * fractions).reshape(len(part), -1)
        log_weight, factors = integrand(z, part)
        with np.errstate(all="ignore"):
            terms = np.exp(log_weight - scale[part, None])[:, :, None] * factors
        measure = (width[:, :, None] * weights).reshape(len(part), -1)
        terms = np.where(measure[:, :, None] > 0, terms, 0.0)
        values.append(np.einsum("kn,knc->kc", measure, terms))
        sizes.append(np.einsum("kn,knc->kc", measure, np.abs(terms)))
    return np.concatenate(values), np.concatenate(sizes)


def _chunks(rows: NDArray[np.intp], width: int) -> list[NDArray[np.intp]]:
    length = max(1, _LARGEST_CHUNK // width)
    return [rows[i : i + length] for i in range(0, len(rows), length)]
