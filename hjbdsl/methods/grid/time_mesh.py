"""Steps in time of equal error: the mesh in time of the coarsest level, which every finer level subdivides.

In: the steps of a trial march with the error that each of them made. Out: times from the end of the horizon down to 0 whose steps
err alike and add up to a tolerance, no step much longer or shorter than its neighbours. (Equidistribution: Ascher, Mattheij and
Russell, Numerical Solution of Boundary Value Problems for ODEs, 1995, chapter 9.)
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hjbdsl.model.solution import Array

GRADIENT = 0.4
"""A step is at most this much longer or shorter than one step earlier or later: BDF2 is stable up to 1 + sqrt 2 times."""
LEAST_STEPS = {1: 41, 2: 6, 3: 5, 4: 4}
MOST_STEPS = {1: 400, 2: 100, 3: 60, 4: 40}
"""Steps of the coarsest level, by dimension."""
TOLERANCE = {1: 2e-4, 2: 1e-2, 3: 2e-2, 4: 2e-2}
"""Error in time of the coarsest level relative to how V varies; every halving of the cells takes three quarters of it."""


def graded_times(end: float, count: int) -> Array:
    """`count` + 1 times from 0 to `end`, quadratically dense at the end, where kinks of the terminal value smooth out."""
    return end * (1.0 - np.linspace(1.0, 0.0, count + 1) ** 2)


def equidistributed(times: Array, errors: Array, wanted: float, least: int, most: int) -> tuple[Array, float]:
    """Times from times[0] down to times[-1], and what their steps may err together: `wanted`, where that many steps are allowed.
    `errors[n]` is what step n of `times` erred, of third order in its length, the first one, from rest, of second."""
    steps = -np.diff(times)
    tiny = 1e-6 * wanted / steps.size
    density = np.cbrt(np.maximum(errors, tiny)) / steps
    for _ in range(3):  # the number of steps decides how much each may err, and so how short the first one is
        total = float(np.sum(density * steps))
        count = min(max(math.sqrt(total**3 / wanted), least, 1.0), most)
        first = steps[0] * math.sqrt(max(wanted / count, tiny) / max(float(errors[0]), tiny))
        density[0] = max(total / count / first, tiny)
    length = total / count / density
    middle = times[0] - 0.5 * (times[:-1] + times[1:])
    apart = np.abs(middle[:, None] - middle[None, :])
    length = np.min(length[None, :] + GRADIENT * apart, axis=1)
    passed = np.concatenate([[0.0], np.cumsum(steps / length)])
    number = max(least, min(math.ceil(passed[-1]), most))
    new = np.interp(np.linspace(0.0, passed[-1], number + 1), passed, times[0] - times)
    result = times[0] - new
    result[0], result[-1] = times[0], times[-1]
    return np.asarray(result, np.float64), total**3 / number**2


def subdivided(times: Array, parts: int) -> Array:
    """Every step cut into `parts` equal ones."""
    shares = np.arange(parts) / parts
    inner = (times[:-1, None] + (times[1:] - times[:-1])[:, None] * shares[None, :]).ravel()
    return np.append(inner, times[-1])


def kept(times: Array, parts: int, most: int) -> NDArray[np.int64]:
    """Indices of the steps, each cut into `parts`, at which the answer is kept: finer where the level is, up to about `most`."""
    count = times.size - 1
    finer = 1
    while 2 * finer <= parts and 2 * finer * count <= most:
        finer *= 2
    stride = parts // finer * max(1, math.ceil(count / most))
    indices = np.arange(0, parts * count + 1, stride)
    return np.asarray(indices if indices[-1] == parts * count else np.append(indices, parts * count), np.int64)


__all__ = ["LEAST_STEPS", "MOST_STEPS", "TOLERANCE", "equidistributed", "graded_times", "kept", "subdivided"]
