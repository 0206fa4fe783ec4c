"""How far two sets of samples lie apart: maximum mean discrepancy and sliced Wasserstein distance.

In: rows x (k, n), y (l, n). Out: a distance, 0 for equal laws up to the sampling error, which the same distance between two
sets of true samples shows.
Sources: Gretton et al. (2012), J. Machine Learning Research 13; Bonneel et al. (2015), J. Mathematical Imaging and Vision 51.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from hjbdsl.model.solution import Array

_WIDTHS = (0.1, 0.3, 1.0)
"""Kernel widths in units of the median distance."""
_CHUNK = 1000
_MEDIAN_ROWS = 1000


def median_distance(rows: Array) -> float:
    """The median distance between rows (of the first thousand)."""
    some = rows[:_MEDIAN_ROWS]
    distances = cdist(some, some)[np.triu_indices(len(some), 1)]
    return float(np.median(distances))


def maximum_mean_discrepancy(x: Array, y: Array, scale: float) -> float:
    """sqrt(E k(x, x') + E k(y, y') - 2 E k(x, y)) over all pairs (the V-statistic: about sqrt(2/k) for equal laws), k the
    mean of Gaussian kernels of widths (0.1, 0.3, 1) * `scale`."""
    square = _mean_kernel(x, x, scale) + _mean_kernel(y, y, scale) - 2 * _mean_kernel(x, y, scale)
    return float(np.sqrt(max(square, 0.0)))


def _mean_kernel(x: Array, y: Array, scale: float) -> float:
    total = 0.0
    for start in range(0, len(x), _CHUNK):
        squares = cdist(x[start : start + _CHUNK], y, "sqeuclidean")
        total += sum(float(np.exp(squares / (-2 * (width * scale) ** 2)).sum()) for width in _WIDTHS)
    return total / (len(_WIDTHS) * len(x) * len(y))


def sliced_wasserstein(x: Array, y: Array, seed: int = 0, directions: int = 100) -> float:
    """The mean over random directions of the 2-Wasserstein distance of the projections, squared, then its root."""
    random = np.random.default_rng(seed)
    axes = random.standard_normal((x.shape[1], directions))
    axes /= np.linalg.norm(axes, axis=0)
    places = (np.arange(min(len(x), len(y))) + 0.5) / min(len(x), len(y))
    first, second = (_quantiles(rows @ axes, places) for rows in (x, y))
    return float(np.sqrt(np.mean((first - second) ** 2)))


def _quantiles(values: Array, places: Array) -> Array:
    """Of every column, interpolated between the order statistics at (i + 1/2)/k."""
    ordered = np.sort(values, axis=0)
    position = np.clip(places * len(ordered) - 0.5, 0, len(ordered) - 1)
    below = position.astype(int)
    share = (position - below)[:, None]
    return (1 - share) * ordered[below] + share * ordered[np.minimum(below + 1, len(ordered) - 1)]
