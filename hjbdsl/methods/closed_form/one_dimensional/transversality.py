"""Why the solution found is the value: uniqueness on a bounded interval, decay of e^{-rt} V(X_t) where an end is never
reached.

At an optimum L V - r V = -f (or average - f), so |V| itself is a Lyapunov function of the optimal process wherever f
has the sign of V: (d/dt) E e^{-rt}|V| <= -(f/V) E e^{-rt}|V|. A destabilising root of the equation (a negative cost,
say) fails this test.
"""

from __future__ import annotations

import numpy as np

from hjbdsl.methods.closed_form.one_dimensional.component import Component, Edge
from hjbdsl.methods.closed_form.one_dimensional.elements import Spectral
from hjbdsl.methods.closed_form.one_dimensional.far_ends import returns
from hjbdsl.methods.closed_form.one_dimensional.policy_iteration import NoConvergence
from hjbdsl.model.solution import Array


def transversality(component: Component, solution: Spectral) -> tuple[str, ...]:
    """What was established, for the reader. Raises `NoConvergence` where an end gives no argument."""
    edges = ((component.lower, False), (component.upper, True))
    open_ends = [(edge, upper) for edge, upper in edges if edge.is_cut]
    if not open_ends:
        ends = f"{component.lower.why} at {component.lower.location:.6g}, {component.upper.why} at {component.upper.location:.6g}"
        found = f"bounded interval ({ends}), the noise never vanishes: the classical solution is unique (maximum principle)"
        if not all(rate.is_nonnegative for rate in component.line.discount):
            found += "; where the discount rate is negative, a positive supersolution bounds the expectation"
        return (found,)
    notes = {_end_argument(component, solution, edge, upper=upper) for edge, upper in open_ends}
    return tuple(sorted(notes - {""}))


def _end_argument(component: Component, solution: Spectral, edge: Edge, *, upper: bool) -> str:
    low, high = component.window()
    breaks = solution.mesh.breaks
    outer = np.linspace(high, breaks[-1], 60) if upper else np.linspace(low, breaks[0], 60)
    # the last quarter feels the artificial end condition
    outer = outer[5:45]
    state = component.line.state.name
    side = f"{state} -> {'inf' if upper else '-inf'}" if not np.isfinite(edge.location) else f"{state} -> {edge.location:g}"
    if edge.kind == "lost":
        return f"as {side} the process is lost with a positive probability and pays nothing then: at the cut V = 0, in the limit"
    if edge.kind == "returning":
        return f"as {side}: the exit is reached from there with certainty, and nothing is paid meanwhile"
    certain = returns(component.line, upper=upper)
    stopped = 0
    for mode in range(component.modes):
        kept = ~solution.mesh.stopped[mode][solution.locate(outer)]
        if not kept.any():
            stopped += 1
            continue
        _require_decay(component, solution, mode, outer[kept], side, returning=certain)
    if stopped == component.modes:
        return f"stopped at once as {side}"
    if certain:
        return f"as {side}: the exit is reached from there with certainty"
    return f"transversality as {side}: V bounded, or the running term has the sign of V there, so that e^(-r t) V(X_t) decays"


def _require_decay(component: Component, solution: Spectral, mode: int, y: Array, side: str, *, returning: bool) -> None:
    value, slope_y, curvature_y = solution.at(y, mode)
    slope, curvature = component.coordinate.state_derivatives(y, slope_y, curvature_y)
    x = component.coordinate.to_state(y)
    law = component.laws[mode]
    controls, _ = law.optimise(x, value, slope, curvature)
    _, _, running, discount = law.coefficients_at(x, controls)
    inner = float(np.abs(solution.at(np.linspace(*component.window(), 41), mode)[0]).max())
    if component.average:
        lyapunov = (running - solution.average) * np.sign(value)
        ok = bool(np.all(lyapunov[len(y) // 2 :] > 0)) and bool(np.all(np.abs(np.diff(value)) >= 0))
        if not ok:
            raise NoConvergence(f"no proof that the optimally controlled process is stable as {side}")
        return
    # beyond the middle of the way to the cut |V| must have stopped growing; without discounting bounded solutions are not unique
    half = len(y) // 2
    before, after = max(float(np.abs(value[:half]).max(initial=0.0)), inner), float(np.abs(value[half:]).max(initial=0.0))
    bounded = after <= 1.05 * before + 1e-9 and (returning or bool(np.all(discount > 0)))
    same_sign = bool(np.all(running * np.sign(value) > 0))
    if not (bounded or same_sign):
        raise NoConvergence(f"no proof of transversality as {side}: V grows there and the running term has the other sign")
