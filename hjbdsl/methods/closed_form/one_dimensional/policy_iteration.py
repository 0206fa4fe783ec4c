"""Howard's policy iteration on spectral elements, with the mesh fitted to the places where the maximiser changes branch.

V is smooth between such places and has a kink in V_xxx there; with a break at each, convergence in the degree stays
geometric. In: a component, a mesh, a first guess. Out: the fitted solution, or the reason why there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.one_dimensional.chebyshev import rule
from hjbdsl.methods.closed_form.one_dimensional.component import Component
from hjbdsl.methods.closed_form.one_dimensional.elements import Coefficients, Mesh, Spectral, System, solve
from hjbdsl.methods.closed_form.one_dimensional.first_order_elements import FirstOrderSpectral
from hjbdsl.methods.closed_form.one_dimensional.positivity import pays, raise_infinite, verdict
from hjbdsl.model.solution import Array

Guess = Callable[[Array, int], tuple[Array, Array, Array]]
"""(x, mode) -> V, V_x, V_xx."""
_ITERATIONS = 60
_MOST_ELEMENTS = 400


class NoConvergence(Exception):
    """Why the iteration gave no answer; caught by the proposers of this room, which then reject."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the breaks come from. `base`: free to move; `kinks`: of the data; `switches`: of the maximiser;
    `boundaries`: by mode, the ends of stopping intervals; `stop`: by mode, one flag for each interval that the
    boundaries cut; `pinned`: by mode, isolated points."""

    base: tuple[float, ...]
    kinks: tuple[float, ...] = ()
    switches: tuple[float, ...] = ()
    boundaries: tuple[tuple[float, ...], ...] = ()
    stop: tuple[tuple[bool, ...], ...] = ()
    pinned: tuple[tuple[float, ...], ...] = ()

    def mesh(self, modes: int, degree: int) -> Mesh:
        fixed = sorted({*self.kinks, *self.switches, *(b for row in (*self.boundaries, *self.pinned) for b in row)})
        fixed = [f for f in fixed if self.base[0] < f < self.base[-1]]
        base = np.array(self.base)
        spacing = np.minimum(np.append(np.diff(base), np.inf), np.append(np.inf, np.diff(base)))
        keep = [b for i, b in enumerate(base) if i in (0, len(base) - 1) or all(abs(b - f) > 0.2 * spacing[i] for f in fixed)]
        breaks = _distinct(np.sort(np.array([*keep, *fixed])))
        middle = (breaks[:-1] + breaks[1:]) / 2
        stopped = np.zeros((modes, len(middle)), dtype=bool)
        pinned = np.zeros((modes, len(breaks)), dtype=bool)
        for k in range(len(self.stop)):
            stopped[k] = np.array(self.stop[k])[np.searchsorted(np.array(self.boundaries[k]), middle)]
            for point in self.pinned[k]:
                pinned[k, np.argmin(np.abs(breaks - point))] = True
        return Mesh(breaks, stopped, pinned, degree)


def _distinct(points: Array) -> Array:
    scale = points[-1] - points[0]
    keep = np.append(True, np.diff(points) > 1e-12 * scale)
    keep[-1] = True
    return points[keep]


def fitted(
    component: Component, layout: Layout, guess: Guess, degree: int = 20, reference: float | None = None
) -> tuple[Spectral, Layout]:
    """Policy iteration, then breaks moved to the switching places and elements halved until every series has decayed."""
    modes = component.modes
    solution: Spectral | None = None
    for _ in range(25):
        mesh = layout.mesh(modes, degree)
        start = guess if solution is None else carried(component, solution, guess)
        solution = policy_iteration(component, mesh, start, reference)
        switches = switching_places(component, solution)
        moved = not _same(switches, layout.switches, mesh.breaks[-1] - mesh.breaks[0])
        crowded = unresolved(component, solution)
        if not moved and not crowded.any():
            return solution, layout
        base = set(layout.base)
        if not moved:
            # a misplaced break looks like missing resolution, so elements are halved only once the breaks stand still
            base |= {float(b) for b in ((mesh.breaks[:-1] + mesh.breaks[1:]) / 2)[crowded]}
        if len(base) > _MOST_ELEMENTS:
            raise NoConvergence(f"the solution is not resolved by {_MOST_ELEMENTS} spectral elements")
        layout = replace(layout, base=tuple(sorted(base)), switches=switches)
    raise NoConvergence("the places where the maximiser changes branch did not settle")


def policy_iteration(component: Component, mesh: Mesh, guess: Guess, reference: float | None = None) -> Spectral:
    """Howard's iteration on one mesh, to rounding."""
    y = mesh.nodes()
    at = None if reference is None else int(np.argmin(np.abs(mesh.breaks[:-1] - reference)))
    system = component.system(mesh, at)
    x = component.coordinate.to_state(y)
    ends = mesh.breaks[[0, -1]][:, None]
    values = np.array([np.stack(guess(x.ravel(), k)).reshape(3, *y.shape) for k in range(component.modes)])
    outer = np.array(
        [np.stack(guess(component.coordinate.to_state(ends).ravel(), k)).reshape(3, 2, 1) for k in range(component.modes)]
    )
    free = np.repeat(~mesh.stopped[..., None], mesh.degree, axis=2)
    previous, best, stalled = values[:, 0], np.inf, 0
    window = component.window()
    near = (y >= window[0]) & (y <= window[1])
    for iteration in range(_ITERATIONS):
        controls = _controls(component, x, values, free)
        inner = component.coefficients(y, controls)
        _require_elliptic(inner.alpha, free)
        at_ends = _end_coefficients(component, ends, outer)
        expectation = verdict(system, inner, at_ends)
        if expectation == "infinite" and pays(component, system, inner):
            raise_infinite(component)
        solution = _solved(system, inner, at_ends)
        values, outer = _state_values(component, solution, y), _end_values(component, solution)
        scale = np.abs(values[:, 0][free & near]).max(initial=1e-3)
        change = float((np.abs(values[:, 0] - previous) / (np.abs(previous) + scale))[free].max(initial=0.0))
        if not np.isfinite(change):
            raise NoConvergence("policy iteration left the numbers")
        stalled = stalled + 1 if change >= best else 0
        if change < 1e-13 or (not component.line.controls and iteration > 0) or (stalled >= 3 and best < 1e-9):
            if expectation != "finite":
                raise NoConvergence(f"the discount rate is negative, and the expectation under the policy found is {expectation}")
            return solution
        best, previous = min(best, change), values[:, 0]
    raise NoConvergence(f"policy iteration did not settle in {_ITERATIONS} steps (last change {change:.1e})")


def _end_coefficients(component: Component, ends: Array, outer: Array) -> Coefficients:
    """The coefficients at the two ends, needed where the equation itself holds there (zeros elsewhere: they may be
    singular).
    """
    if "natural" not in (component.lower.kind, component.upper.kind):
        nothing = np.zeros((component.modes, 2, 1))
        return Coefficients(nothing, nothing, nothing, nothing, np.zeros((component.modes, component.modes, 2, 1)))
    x = component.coordinate.to_state(ends)
    return component.coefficients(ends, _controls(component, x, outer, np.ones((component.modes, 2, 1), dtype=bool)))


def _solved(system: System, inner: Coefficients, ends: Coefficients) -> Spectral:
    try:
        return solve(system, inner, ends)
    except RuntimeError as singular:
        raise NoConvergence(f"the linear system is singular ({singular})") from singular


def _controls(component: Component, x: Array, values: Array, needed: NDArray[np.bool_]) -> Array:
    """(m, ..., number of controls) optimal controls; raises where no candidate is valid at a point that needs one."""
    number = len(component.line.controls)
    controls = np.zeros((component.modes, *x.shape, number))
    if not number:
        return controls
    for k, law in enumerate(component.laws):
        value, slope, curvature = (part[needed[k]] for part in values[k])
        chosen, taken = law.optimise(x[needed[k]], value, slope, curvature)
        if (taken < 0).any():
            raise NoConvergence("no branch of the maximiser is valid at some point of the domain")
        controls[k][needed[k]] = chosen
    return controls


def _require_elliptic(alpha: Array, free: NDArray[np.bool_]) -> None:
    if not np.all(alpha[free] > 0):
        raise NoConvergence("the noise vanishes inside the domain: the equation is not elliptic")


def _state_values(component: Component, solution: Spectral, y: Array) -> Array:
    """(m, 3, n, p): V, V_x, V_xx at the nodes."""
    value, slope, curvature = solution.at_nodes()
    first, second = component.coordinate.state_derivatives(y, slope, curvature)
    return np.stack([value, first, second], axis=1)


def _end_values(component: Component, solution: Spectral) -> Array:
    y = solution.mesh.breaks[[0, -1]]
    rows = []
    for k in range(component.modes):
        value, slope, curvature = solution.at(y, k)
        first, second = component.coordinate.state_derivatives(y, slope, curvature)
        rows.append(np.stack([value, first, second])[..., None])
    return np.array(rows)


def carried(component: Component, solution: Spectral, guess: Guess) -> Guess:
    """`solution` as a guess on another mesh; where it is unknown (stopped, outside) the derivatives are continued as
    constants.
    """

    def evaluate(x: Array, mode: int) -> tuple[Array, Array, Array]:
        y = component.coordinate.from_state(x)
        breaks = solution.mesh.breaks
        inside = np.clip(y, breaks[0], breaks[-1])
        value, slope, curvature = solution.at(inside, mode)
        first, second = component.coordinate.state_derivatives(inside, slope, curvature)
        held = component.coordinate.to_state(inside)
        step = x - held
        first, value = first + second * step, value + first * step + second * step**2 / 2
        unknown = solution.mesh.stopped[mode][solution.locate(inside)]
        if unknown.any():
            value[unknown], first[unknown], second[unknown] = guess(x[unknown], mode)
        return value, first, second

    return evaluate


def switching_places(component: Component, solution: Spectral | FirstOrderSpectral) -> tuple[float, ...]:
    """Where the maximiser's branch changes, by bisection on the branch taken."""
    if not component.line.controls:
        return ()
    mesh = solution.mesh
    places: list[float] = []
    fractions = (np.arange(24) + 0.5) / 24
    for k in range(component.modes):
        elements = np.flatnonzero(~mesh.stopped[k])
        y = (mesh.breaks[elements, None] + 2 * mesh.half[elements, None] * fractions).ravel()
        taken = branch_taken(component, solution, k, y)
        adjacent = np.flatnonzero((taken[1:] != taken[:-1]) & (np.diff(y) < 2.5 * np.repeat(mesh.half[elements], 24)[1:]))
        low, high, low_branch = y[adjacent].copy(), y[adjacent + 1].copy(), taken[adjacent]
        for _ in range(60):
            middle = (low + high) / 2
            same = branch_taken(component, solution, k, middle) == low_branch
            low, high = np.where(same, middle, low), np.where(same, high, middle)
        places.extend(float(p) for p in (low + high) / 2)
    if len(places) > 40:
        raise NoConvergence("the maximiser changes branch at more than 40 places")
    return tuple(sorted(places))


def branch_taken(component: Component, solution: Spectral | FirstOrderSpectral, mode: int, y: Array) -> NDArray[np.int64]:
    """Index of the maximiser's candidate at the points y (k,)."""
    value, slope, curvature = solution.at(y, mode)
    first, second = component.coordinate.state_derivatives(y, slope, curvature)
    return component.laws[mode].optimise(component.coordinate.to_state(y), value, first, second)[1]


def _same(new: tuple[float, ...], old: tuple[float, ...], scale: float) -> bool:
    return len(new) == len(old) and all(abs(a - b) <= 1e-11 * scale for a, b in zip(new, old, strict=True))


def unresolved(component: Component, solution: Spectral) -> NDArray[np.bool_]:
    """(n,) elements whose series of V_yy has not decayed to the size that rounding in the equation's terms allows."""
    mesh = solution.mesh
    value, slope, curvature = solution.at_nodes()
    tail = np.abs(curvature @ rule(mesh.degree).analysis.T)[..., -3:].max(axis=-1)
    y = mesh.nodes()
    first, second = component.coordinate.state_derivatives(y, slope, curvature)
    free = np.repeat(~mesh.stopped[..., None], mesh.degree, axis=2)
    controls = _controls(component, component.coordinate.to_state(y), np.stack([value, first, second], axis=1), free)
    c = component.coefficients(y, controls)
    with np.errstate(all="ignore"):
        terms = (
            np.abs(c.beta * slope) + np.abs(c.running) + (np.abs(c.discount) + c.rates.sum(axis=1)) * np.abs(value)
        ) / c.alpha
    size = np.maximum(np.abs(curvature), np.where(free, terms, 0.0)).max(axis=-1)
    # far outside V may have decayed to the rounding of what it is on the region
    low, high = component.window()
    near = (y >= low) & (y <= high)
    outside = (mesh.breaks[1:] <= low) | (mesh.breaks[:-1] >= high)
    negligible = outside & (tail * mesh.half**2 <= 1e-15 * float(np.median(np.abs(value[:, near]))))
    bad = ((tail > 1e-12 * size) & ~mesh.stopped & ~negligible).any(axis=0)
    return bad & (mesh.half > 1e-7 * (mesh.breaks[-1] - mesh.breaks[0]))
