"""The common factor of a class: exp(tilt . z) in the coordinates z of the state, learned where values or rewards are
homogeneous.

A power of a positive state (z its logarithm) or an exponential of a real one is no polynomial in z; times the right factor it
is a constant. Any tilt leaves the conditions true: it only decides how few functions hold V.

In: features, and numbers seen at some places. Out: the slopes of their logarithm, none where it is not linear in z."""

from __future__ import annotations

import numpy as np
from numpy.polynomial import chebyshev

from hjbdsl.methods.model_free.features import Features, StateFeatures
from hjbdsl.methods.model_free.iteration import Learned, Places
from hjbdsl.methods.model_free.transitions import Transitions
from hjbdsl.model.solution import Array
from hjbdsl.numeric.points import Points

LEAST_SPREAD = 0.25
"""Of the logarithm that the state explains (standard deviation): what varies by less is left to the polynomials."""
MOST_REST = 0.2
"""The part of that spread which a linear logarithm may leave unexplained."""
_TIME_TERMS = 4
_LATE = 0.7
"""Later than this share of the horizon a value may vanish, whose logarithm says nothing."""

Tilt = tuple[float, ...]


def of_rewards(features: Features, data: Transitions) -> Tilt:
    """From observed rewards; the controls may enter their logarithm in any way that the class holds."""
    control = features.control
    actions = control(*control.space.coordinates(data.t, data.x, data.a))
    return _slopes(features.state, Points(data.t, data.x, data.mode), data.r, actions)


def of_value(features: Features, learned: Learned, places: Places) -> Tilt:
    """From a learned V."""
    inner = places.inner
    early = [axis.of(inner.t) <= 2 * _LATE - 1 for axis in features.state.axes if axis.column == 0]
    rows = np.flatnonzero(early[0]) if early else np.arange(len(inner))
    at = Points(inner.t[rows], inner.x[rows], inner.mode[rows])
    value = features.state(at.t, at.x, at.mode) @ learned.theta
    return _slopes(features.state, at, value, np.ones((len(rows), 1)))


def _slopes(state: StateFeatures, at: Points, values: Array, others: Array) -> Tilt:
    """d log|values| / dz; none where the values change sign, vary little, or are no such product. `others` (k, any): what else
    the logarithm may depend on, the constant first."""
    moved = [i for i, axis in enumerate(state.axes) if axis.column > 0 and axis.kind != "circle"]
    one_signed = values.size > 0 and (bool(np.all(values > 0)) or bool(np.all(values < 0)))
    if not moved or not one_signed:
        return ()
    logarithm = np.log(np.abs(values))
    z = np.stack([state.axes[i].of(at.x[:, state.axes[i].column - 1]) for i in moved], axis=1)
    beside = np.hstack([others, *(_of_time(axis.of(at.t)) for axis in state.axes if axis.column == 0), _labels(state, at)])
    if len(values) < 4 * (z.shape[1] + beside.shape[1]):
        return ()
    fitted = np.linalg.lstsq(np.hstack([z, beside]), logarithm, rcond=None)[0]
    rest = float(np.std(logarithm - np.hstack([z, beside]) @ fitted))
    spread = float(np.std(z @ fitted[: len(moved)]))
    if spread < LEAST_SPREAD or rest > MOST_REST * spread:
        return ()
    slopes = np.zeros(len(state.axes))
    slopes[moved] = fitted[: len(moved)]
    return tuple(float(slope) for slope in slopes)


def _of_time(z: Array) -> Array:
    return np.asarray(chebyshev.chebvander(z, _TIME_TERMS)[:, 1:], dtype=np.float64)


def _labels(state: StateFeatures, at: Points) -> Array:
    """Indicators of the labels but the first (k, L - 1)."""
    return state.belongs(at.x, at.mode)[:, 1:].astype(float) if len(state.labels) > 1 else np.zeros((len(at), 0))
