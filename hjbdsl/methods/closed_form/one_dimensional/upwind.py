"""A first guess for deterministic problems: Howard's iteration on a monotone upwind scheme (Achdou et al., Rev. Econ. Stud.
89, 2022).

In: a component without noise and an interval. Out: V_x on a grid, and the drift of the policy found. Only a guess:
first-order accurate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import splu

from hjbdsl.methods.closed_form.one_dimensional.component import Component
from hjbdsl.methods.closed_form.one_dimensional.policy_iteration import NoConvergence
from hjbdsl.methods.closed_form.one_dimensional.resting import resting_controls
from hjbdsl.model.solution import Array

_ITERATIONS = 100


@dataclass(frozen=True, slots=True)
class UpwindSolution:
    """`y` (n,), `x` (n,), by mode `value`, `slope` = V_x and `drift` (m, n)."""

    y: Array
    x: Array
    value: Array
    slope: Array
    drift: Array


def upwind(component: Component, left: float, right: float, points: int = 2001) -> UpwindSolution:
    """The scheme's solution on [left, right] in y, the state kept inside at both ends."""
    y = np.linspace(left, right, points)
    x = component.coordinate.to_state(y)
    rest = resting_controls(component, x)
    modes = component.modes
    resting = [law.coefficients_at(x, rest[k]) for k, law in enumerate(component.laws)]
    rates = component.rates(x)
    step = np.diff(x)
    forward, backward = np.append(1 / step, 0.0), np.append(0.0, 1 / step)
    value = _linear(np.zeros((modes, points)), _running(resting), _discount(resting), rates, forward, backward)
    taken = rest
    for _ in range(_ITERATIONS):
        slopes = np.diff(value, axis=1) / step
        ahead = np.concatenate([slopes, slopes[:, -1:]], axis=1)
        behind = np.concatenate([slopes[:, :1], slopes], axis=1)
        taken, drift, running, discount = _improved(component, x, value, ahead, behind, (rest, taken))
        new = _linear(drift, running, discount, rates, forward, backward)
        change = float(np.abs(new - value).max() / (1 + np.abs(new).max()))
        value = new
        if change < 1e-11:
            break
    else:
        raise NoConvergence("the upwind scheme did not settle")
    return UpwindSolution(y, x, value, np.gradient(value, x, axis=1), drift)


def _improved(
    component: Component, x: Array, value: Array, ahead: Array, behind: Array, held: tuple[Array, Array]
) -> tuple[Array, Array, Array, Array]:
    """At each node the best of: the maximiser at the forward and at the backward slope, resting, and the policy held so far, each
    judged by the slope its own drift looks along. Keeping the held policy makes every step an improvement even where a slope
    of the wrong sign has no maximiser."""
    sign = 1.0 if component.line.maximise else -1.0
    modes, points = value.shape
    controls = held[0].copy()
    drift, running, discount = (np.zeros((modes, points)) for _ in range(3))
    for k, law in enumerate(component.laws):
        best = np.full(points, -np.inf)
        flat = np.zeros(points)
        contenders = [part[k] for part in held] + [law.optimise(x, value[k], p[k], flat)[0] for p in (ahead, behind)]
        for contender in contenders:
            b, _, f, r = law.coefficients_at(x, contender)
            b = np.where(np.abs(b) < 1e-14 * (1 + np.abs(x)), 0.0, b)
            with np.errstate(all="ignore"):
                score = sign * (f + b * np.where(b > 0, ahead[k], behind[k]) - r * value[k])
            usable = np.isfinite(score) & (score > best + 1e-13 * np.abs(score))
            usable[-1] &= b[-1] <= 0
            usable[0] &= b[0] >= 0
            controls[k][usable] = contender[usable]
            drift[k][usable], running[k][usable], discount[k][usable] = b[usable], f[usable], r[usable]
            best[usable] = score[usable]
    return controls, drift, running, discount


def _running(resting: list[tuple[Array, Array, Array, Array]]) -> Array:
    return np.array([row[2] for row in resting])


def _discount(resting: list[tuple[Array, Array, Array, Array]]) -> Array:
    return np.array([row[3] for row in resting])


def _linear(drift: Array, running: Array, discount: Array, rates: Array, forward: Array, backward: Array) -> Array:
    modes, points = drift.shape
    up, down = np.maximum(drift, 0) * forward, np.maximum(-drift, 0) * backward
    main = up + down + discount + rates.sum(axis=1)
    index = np.arange(modes * points).reshape(modes, points)
    rows = [index[:, :-1].ravel(), index[:, 1:].ravel()]
    columns = [index[:, 1:].ravel(), index[:, :-1].ravel()]
    entries = [-up[:, :-1].ravel(), -down[:, 1:].ravel()]
    for i in range(modes):
        for j in range(modes):
            if i != j and rates[i, j].any():
                rows.append(index[i])
                columns.append(index[j])
                entries.append(-rates[i, j])
    shape = (index.size, index.size)
    matrix = coo_matrix((np.concatenate(entries), (np.concatenate(rows), np.concatenate(columns))), shape=shape)
    matrix = matrix + diags(main.ravel())
    try:
        return splu(matrix.tocsc()).solve(running.ravel()).reshape(modes, points)
    except RuntimeError as singular:
        raise NoConvergence("the upwind scheme is singular: some policy never stops costing") from singular
