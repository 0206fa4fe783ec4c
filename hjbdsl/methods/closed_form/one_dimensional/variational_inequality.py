"""The inequalities of the verification theorem for a stopping problem, on a fine sample of the whole domain.

In: a solved component. Out: statements; raises `NoConvergence` where one fails (the candidate is then not the value).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.one_dimensional.branches import kinks
from hjbdsl.methods.closed_form.one_dimensional.component import Component
from hjbdsl.methods.closed_form.one_dimensional.elements import Spectral
from hjbdsl.methods.closed_form.one_dimensional.policy_iteration import NoConvergence
from hjbdsl.model.solution import Array

_SAMPLES = 41


def require_inequalities(component: Component, solution: Spectral) -> tuple[str, ...]:
    """V >= g where continued; f + L g - r g <= 0 and no convex kink where stopped (reversed under `minimize`)."""
    mesh = solution.mesh
    y = (mesh.breaks[:-1, None] + 2 * mesh.half[:, None] * np.linspace(0, 1, _SAMPLES)[1:-1]).ravel()
    element = np.repeat(np.arange(len(mesh.half)), _SAMPLES - 2)
    values = _values(component, solution, y, element)
    sign = 1.0 if component.line.maximise else -1.0
    gap, regret = np.inf, -np.inf
    slack = _slack(component, solution, y)
    for k in range(component.modes):
        stopped = mesh.stopped[k][element]
        payoff = component.payoff(y)[k]
        scale = (1 + np.abs(payoff)) * slack
        gap = min(gap, float((sign * (values[k] - payoff) / scale)[~stopped].min(initial=np.inf)))
        if stopped.any():
            regret = max(regret, float((sign * _continuing(component, k, y, values) / scale)[stopped].max()))
        _require_no_resting_convex_kink(component, solution, k, sign)
    if gap < -1e-10:
        raise NoConvergence(f"V falls below the payoff by {-gap:.1e} (relative): the stopping regions are not the optimal ones")
    if regret > 1e-9:
        raise NoConvergence(
            f"continuing would gain {regret:.1e} (relative) where V is the payoff: the stopping regions are not the optimal ones"
        )
    worse = "below" if sign > 0 else "above"
    return (f"variational inequality on {len(y)} points: V nowhere {worse} the payoff, continuing nowhere better where stopped",)


def _slack(component: Component, solution: Spectral, y: Array) -> Array:
    """1 in the region and a third of the way to an artificial cut; beyond, where the condition at the cut is felt, a
    factor so large that only a region of stopping that was overlooked shows."""
    low, high = component.window()
    left, right = solution.mesh.breaks[[0, -1]]
    core = (y >= low - (low - left) / 3) & (y <= high + (right - high) / 3)
    artificial = ((y < low) & (component.lower.kind == "growth")) | ((y > high) & (component.upper.kind == "growth"))
    return np.where(core | ~artificial, 1.0, 1e7)


def _values(component: Component, solution: Spectral, y: Array, element: NDArray[np.int64]) -> Array:
    """(m, k) V, the payoff where stopped."""
    rows = []
    for k in range(component.modes):
        value = solution.at(y, k, element)[0]
        stopped = solution.mesh.stopped[k][element]
        value[stopped] = component.payoff(y[stopped])[k]
        rows.append(value)
    return np.array(rows)


def _continuing(component: Component, mode: int, y: Array, values: Array) -> Array:
    """f + L g - r g + sum q (V_j - g), optimised over the controls, at all points, divided by 1 + r + rates."""
    x = component.coordinate.to_state(y)
    payoff, slope, curvature = (row[mode] for row in component.payoff_derivatives(y))
    law = component.laws[mode]
    controls, _ = law.optimise(x, payoff, slope, curvature)
    drift, variance, running, discount = law.coefficients_at(x, controls)
    rates = component.rates(x)[mode]
    exchange = sum(rates[j] * (values[j] - payoff) for j in range(component.modes))
    total = running + drift * slope + variance * curvature / 2 - discount * payoff + exchange
    weight = 1 + np.abs(discount) + rates.sum(axis=0) + np.abs(drift * slope) + np.abs(variance * curvature)
    return np.where(np.isfinite(total), total / weight, np.inf)


def _require_no_resting_convex_kink(component: Component, solution: Spectral, mode: int, sign: float) -> None:
    line = component.line
    assert line.payoff is not None
    breaks = solution.mesh.breaks
    low, high = component.coordinate.to_state(breaks[[0, -1]])
    for place in kinks((line.payoff[mode],), line.state, float(low), float(high)):
        y = float(component.coordinate.from_state(np.array(place)))
        around = np.array([y - 1e-9 * (1 + abs(y)), y + 1e-9 * (1 + abs(y))])
        if not solution.mesh.stopped[mode][solution.locate(around)].all():
            continue
        before, after = component.payoff_derivatives(around)[1][mode]
        value_before, value_after = component.payoff(around)[mode]
        if sign * (after - before) > 1e-6 or abs(value_after - value_before) > 1e-6 * (1 + abs(value_before)):
            raise NoConvergence(
                f"the payoff has a convex kink or a jump inside the stopping region, at {line.state.name} = {place:.6g}"
            )
