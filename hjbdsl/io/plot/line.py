"""Pictures along one state: the value with its error band, the policy, where stopping is optimal.

In: a `View` of a problem whose first continuous (or else finite) state is the axis. Out: panels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from hjbdsl.io.plot.panel import WIDTH, Panel
from hjbdsl.io.plot.style import GREY, SERIES, dress, legend, math_text, note, number_text
from hjbdsl.io.plot.view import Series, View, columns
from hjbdsl.io.tabulation import condition_mask
from hjbdsl.model.names import latex_name
from hjbdsl.model.problem import VariableGroup
from hjbdsl.model.solution import Array

if TYPE_CHECKING:
    from xarray import Dataset

_STYLES = ("-", "--", "-.", ":")
_MOST_INSIDE = 3
_MOST_COMPONENTS = 7
_WITH_LEGEND = 5.7
_MARKED_BELOW = 25
"""Axes of fewer points (finite states) show each point."""


def value_panel(view: View, axis: str) -> Panel:
    """V along `axis`; wider where the legend stands beside it."""
    beside = len(view.family(axis)[1]) > _MOST_INSIDE
    return Panel(lambda axes: _draw_value(view, axis, axes), _WITH_LEGEND if beside else WIDTH)


def policy_panels(view: View, axis: str, explained: bool) -> list[Panel]:
    """One a control; a vector control's components share one. The family is explained in the last, or in no panel."""
    controls = view.controls()

    def panel(name: str, group: VariableGroup, legend_wanted: bool) -> Panel:
        return Panel(lambda axes: _draw_policy(view, axis, name, group, legend_wanted, axes))

    return [panel(*control, explained and control is controls[-1]) for control in controls]


def boundary_panel(view: View, axis: str) -> Panel | None:
    """The free boundary over time, where there are both."""
    if not view.timed or view.names.stop not in view.table or axis not in view.continuous:
        return None
    return Panel(lambda axes: _draw_boundary(view, axis, axes))


def _draw_value(view: View, axis: str, axes: Axes) -> None:
    title, family, held = view.family(axis)
    largest = 0.0
    handles: list[Any] = []
    exact_drawn = payoff_drawn = False
    for line in family:
        x = _abscissa(line.table, axis)
        value = columns(line.table[view.names.value], axis)[:, 0]
        error = columns(line.table[view.names.error], axis)[:, 0]
        largest = max(largest, float(np.nanmax(np.where(np.isfinite(error), error, 0.0), initial=0.0)))
        lower, upper = value - error, value + error
        if view.names.lower in line.table and view.names.upper in line.table:
            lower, upper = (columns(line.table[name], axis)[:, 0] for name in (view.names.lower, view.names.upper))
        axes.fill_between(x, lower, upper, color=line.color, alpha=0.2, linewidth=0)
        handles += axes.plot(x, value, color=line.color, lw=1.6, label=line.label or "$V$", **_marks(view, axis, x))
        exact = view.exact(line.place)
        if exact is not None and axis in view.names.states:
            axes.plot(x, view.along(axis, line.place, exact, x), color="black", lw=1.0, ls=(0, (4, 3)))
            exact_drawn = True
        payoff_drawn |= _draw_payoff(view, axis, line, x, axes)
    stopped = _shade_stopping(view, axis, family, axes)
    left = _shade_exit(view, axis, held, axes)
    if exact_drawn:
        handles.append(Line2D([], [], color="black", lw=1.0, ls=(0, (4, 3)), label="exact (the file's check)"))
    if payoff_drawn:
        handles.append(Line2D([], [], color=GREY, lw=0.9, label="payoff"))
    handles += stopped + left
    if len(handles) > 1 or title:
        legend(axes, handles, title, **_legend_place(family, True))
    word = "bracket" if view.names.lower in view.table else "error"
    words = f"{word} ≤ {number_text(largest, 2)}" if largest > 0 else ""
    dress(axes, view.label(axis), r"$V$", _held_text(view, held))
    _named_modes(view, axis, axes)
    note(axes, words)


def _draw_policy(view: View, axis: str, name: str, group: VariableGroup, explained: bool, axes: Axes) -> None:
    title, family, held = view.family(axis)
    spread_name = view.names.spreads[view.names.controls.index(name)]
    handles: list[Any] = []
    several = len(group.symbols) > 1
    for number, line in enumerate(family):
        x = _abscissa(line.table, axis)
        control = columns(line.table[name], axis)
        for component, symbol in enumerate(group.symbols[:_MOST_COMPONENTS]):
            style = _STYLES[component % len(_STYLES)] if title else "-"
            color = SERIES[component % len(SERIES)] if several and not title else line.color
            label = line.label if title else math_text(latex_name(symbol.name), symbol.name)
            width = max(2.2 - 0.4 * number, 1.2) if title else 1.6  # a line under another one still shows
            drawn = axes.plot(
                x, control[:, component], color=color, lw=width, label=label, **({"ls": style} | _marks(view, axis, x))
            )
            if not title or (component == 0 and explained):
                handles += drawn
            if spread_name in line.table:
                wide = columns(line.table[spread_name], axis)[:, component]
                axes.fill_between(x, control[:, component] - wide, control[:, component] + wide, color=color, alpha=0.15, lw=0)
    if several and title:
        handles += [
            Line2D([], [], color=GREY, ls=_STYLES[k % len(_STYLES)], label=math_text(latex_name(s.name), s.name))
            for k, s in enumerate(group.symbols[:_MOST_COMPONENTS])
        ]
    handles += _shade_stopping(view, axis, family, axes) + _shade_exit(view, axis, held, axes)
    if spread_name in view.table:
        handles.append(Patch(facecolor=GREY, alpha=0.25, label="one standard deviation"))
    if len(handles) > 1 or (title and explained):
        legend(axes, handles, title if explained else "", **_legend_place(family, explained))
    latex = latex_name(name)
    star = f"{{{latex}}}^{{*}}" if "^" not in latex else latex
    dress(axes, view.label(axis), math_text(star, f"{name}*"), _held_text(view, held))
    _named_modes(view, axis, axes)
    _room(axes)


def _draw_boundary(view: View, axis: str, axes: Axes) -> None:
    """The stopping region in the plane of time and state; its edge is the free boundary."""
    _, family, _ = view.family(axis)
    place = {name: value for name, value in family[0].place.items() if name != view.names.time}
    if "free_boundary" in view.table and not view.names.chains and not view.lattice:
        _draw_found_boundary(view, axis, axes)
        return
    table = view.at(place)
    t, x = np.asarray(table[view.names.time].values), np.asarray(table[axis].values)
    # the table's nodes make steps; half a node of smoothing takes them away
    stopped = gaussian_filter(table[view.names.stop].transpose(axis, view.names.time).values.astype(float), 1.5, mode="nearest")
    axes.contourf(t, x, stopped, levels=[0.5, 1.5], colors=[SERIES[4]], alpha=0.35)
    axes.contour(t, x, stopped, levels=[0.5], colors=[SERIES[1]], linewidths=1.4)
    handles = [
        Patch(facecolor=SERIES[4], alpha=0.35, label=stopping_words(view)),
        Line2D([], [], color=SERIES[1], lw=1.4, label="free boundary"),
    ]
    dress(axes, "$t$", view.label(axis), _held_text(view, place))
    legend(axes, handles)


def _draw_found_boundary(view: View, axis: str, axes: Axes) -> None:
    """The boundary as the method found it, (t, discrete state, x, error) by row; several branches where there are several x at
    one time, counted from below."""
    rows = np.asarray(view.table["free_boundary"].values, dtype=float)
    low, high = view.table[axis].attrs["region"]
    times, order = np.unique(rows[:, 0], return_inverse=True)
    branches = [np.sort(rows[order == k, 2]) for k in range(len(times))]
    for k in range(max((len(found) for found in branches), default=0)):
        points = [(t, found[k]) for t, found in zip(times, branches, strict=True) if len(found) > k]
        axes.plot(*np.array(points).T, color=SERIES[1], lw=1.5)
    error = float(np.max(rows[:, 3], initial=0.0))
    dress(axes, "$t$", view.label(axis), "free boundary")
    axes.set_xlim(0.0, float(view.table[view.names.time].values[-1]))
    axes.set_ylim(low, high)
    note(axes, f"error ≤ {number_text(error, 2)}")


def _draw_payoff(view: View, axis: str, line: Series, x: Array, axes: Axes) -> bool:
    """What stopping pays at once, or the function whose running extreme is sought."""
    objective = view.problem.objective
    payoff = objective.stop_value if view.problem.stopping is not None else None
    if objective.form in ("running_min", "running_max"):
        payoff = objective.running
    if payoff is None or axis not in view.names.states:
        return False
    modes = {chain.name: line.place.get(chain.name) for chain in view.problem.modes}
    values = view.along(axis, line.place, view.evaluator(payoff, modes), x)
    axes.plot(x, values, color=GREY, lw=0.9, zorder=1)
    return True


def _shade_stopping(view: View, axis: str, family: list[Series], axes: Axes) -> list[Patch]:
    """Where stopping is optimal; with several lines only the boundaries are marked, in each line's colour."""
    if view.names.stop not in view.table or len(view.table[axis]) < _MARKED_BELOW:
        return []
    shaded = False
    for line in family:
        x = _abscissa(line.table, axis)
        stopped = columns(line.table[view.names.stop], axis)[:, 0] > 0.5
        for low, high in _intervals(x, stopped):
            if len(family) == 1:
                axes.axvspan(low, high, color=SERIES[4], alpha=0.18, lw=0)
                shaded = True
            for edge in (low, high):
                if x[0] < edge < x[-1]:
                    axes.axvline(edge, color=line.color if len(family) > 1 else SERIES[1], lw=0.9, ls=":")
    return [Patch(facecolor=SERIES[4], alpha=0.3, label=stopping_words(view))] if shaded else []


def stopping_words(view: View) -> str:
    """What the stopping set means: for a running extreme, that it is attained at once."""
    match view.problem.objective.form:
        case "running_min":
            return "the minimum is now"
        case "running_max":
            return "the maximum is now"
        case _:
            return "stopping is optimal"


def _shade_exit(view: View, axis: str, held: Mapping[str, float | str], axes: Axes) -> list[Patch]:
    if view.problem.exit is None or axis not in view.continuous or any(name in view.lattice for name in held):
        return []
    x = np.asarray(view.table[axis].values, dtype=float)
    points = np.column_stack([x if name == axis else np.full(len(x), float(held[name])) for name in view.names.states])
    ended = condition_mask(view.problem, view.problem.exit.condition)(points)
    for low, high in _intervals(x, ended):
        axes.axvspan(low, high, color=GREY, alpha=0.15, lw=0)
    wide = sum(high - low for low, high in _intervals(x, ended)) > 1e-3 * (x[-1] - x[0])
    return [Patch(facecolor=GREY, alpha=0.25, label="exited")] if wide else []


def _intervals(x: Array, chosen: NDArray[np.bool_]) -> Iterator[tuple[float, float]]:
    """The maximal intervals of points chosen, their edges half way to the next point."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]).astype(int)))
    for first, last in zip(edges[::2], edges[1::2] - 1, strict=True):
        low = x[first] if first == 0 else 0.5 * (x[first - 1] + x[first])
        high = x[last] if last == len(x) - 1 else 0.5 * (x[last] + x[last + 1])
        yield float(low), float(high)


def _held_text(view: View, held: Mapping[str, float | str]) -> str:
    return "" if not held else view.held(held)


def _legend_place(family: list[Series], explained: bool) -> dict[str, Any]:
    """Beside the axes where many lines leave no room among them."""
    return {"loc": "upper left", "bbox_to_anchor": (1.0, 1.02)} if explained and len(family) > _MOST_INSIDE else {}


def _abscissa(table: Dataset, axis: str) -> Array:
    """The numbers along an axis; modes are counted."""
    values = table[axis].values
    return np.asarray(values, dtype=float) if values.dtype.kind in "fiu" else np.arange(len(values), dtype=float)


def _named_modes(view: View, axis: str, axes: Axes) -> None:
    """The labels of the modes, where these are the axis."""
    if axis in view.names.chains:
        labels = [str(label) for label in view.table[axis].values]
        axes.set_xticks(range(len(labels)), labels)
        axes.margins(x=0.15)


def _marks(view: View, axis: str, x: Array) -> dict[str, Any]:
    """Few points show as points; nothing lies between modes."""
    if axis in view.names.chains:
        return {"marker": "o", "ms": 7, "ls": ""}
    return {"marker": "o", "ms": 3.5} if len(x) < _MARKED_BELOW else {}


def _room(axes: Axes) -> None:
    """A constant policy gets an axis wide enough to look constant."""
    low, high = axes.get_ylim()
    middle = 0.5 * (low + high)
    least = 0.1 * max(abs(middle), 1e-9)
    if high - low < least:
        axes.set_ylim(middle - least, middle + least)
