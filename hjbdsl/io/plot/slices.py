"""Pictures of many dimensions: V and its bracket, and the policy, along lines through the centre of the region.

In: a `View` whose table has the layout `lines`. Out: panels, one an axis.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from hjbdsl.io.plot.panel import Panel
from hjbdsl.io.plot.style import SERIES, dress, legend, math_text, note, number_text
from hjbdsl.io.plot.view import View, columns
from hjbdsl.model.names import latex_name

_MOST_VALUES, _MOST_POLICIES = 6, 3
_MOST_COMPONENTS = 3


def slice_value_rows(view: View) -> list[list[Panel]]:
    """V along the first few axes."""
    return [[_panel(view, axis, None) for axis in _axes(view)[:_MOST_VALUES]]]


def slice_policy_rows(view: View) -> list[list[Panel]]:
    """The controls along the first few axes, the components that change most."""
    return [[_panel(view, axis, name) for axis in _axes(view)[:_MOST_POLICIES]] for name, _ in view.controls()]


def _axes(view: View) -> list[int]:
    lines = np.unique(view.table["line"].values)
    return [int(k) for k in lines if k >= 0]


def _panel(view: View, axis: int, control: str | None) -> Panel:
    if control is None:
        return Panel(lambda axes: _draw_value(view, axis, axes))
    return Panel(lambda axes: _draw_control(view, axis, control, axes))


def _draw_value(view: View, axis: int, axes: Axes) -> None:
    table = view.table.isel(point=np.flatnonzero(view.table["line"].values == axis))
    name = view.names.states[axis]
    x = np.asarray(table[name].values, dtype=float)
    value, error = (np.asarray(table[part].values, dtype=float) for part in (view.names.value, view.names.error))
    lower, upper = value - error, value + error
    words = "error"
    if view.names.lower in table and view.names.upper in table:
        lower, upper = (np.asarray(table[part].values, dtype=float) for part in (view.names.lower, view.names.upper))
        words = "bracket"
    axes.fill_between(x, lower, upper, color=SERIES[0], alpha=0.22, lw=0)
    axes.plot(x, value, color=SERIES[0], lw=1.6)
    handles = [Line2D([], [], color=SERIES[0], lw=1.6, label="$V$"), Patch(facecolor=SERIES[0], alpha=0.3, label=words)]
    place: dict[str, float | str] = {
        other: float(table[other].values[0]) for i, other in enumerate(view.names.states) if i != axis
    }
    place |= {chain.name: chain.labels[0] for chain in view.problem.modes}
    exact = view.exact(place)
    if exact is not None:
        axes.plot(x, view.along(name, place, exact, x), color="black", lw=1.0, ls=(0, (4, 3)))
        handles.append(Line2D([], [], color="black", lw=1.0, ls=(0, (4, 3)), label="exact (the file's check)"))
    dress(axes, view.label(name), "$V$", "the others at their centre")
    finite = error[np.isfinite(error)]
    if finite.size:
        note(axes, f"error ≤ {number_text(float(finite.max()), 2)}")
    legend(axes, handles)


def _draw_control(view: View, axis: int, control: str, axes: Axes) -> None:
    table = view.table.isel(point=np.flatnonzero(view.table["line"].values == axis))
    name = view.names.states[axis]
    x = np.asarray(table[name].values, dtype=float)
    values = columns(table[control], "point")
    symbols = dict(view.controls())[control].symbols
    handles = []
    change = np.ptp(np.nan_to_num(values), axis=0)
    for number, component in enumerate(sorted(np.argsort(-change, kind="stable")[:_MOST_COMPONENTS])):
        symbol = symbols[component].name
        handles += axes.plot(
            x, values[:, component], color=SERIES[number], lw=2.2 - 0.4 * number, label=math_text(latex_name(symbol), symbol)
        )
    dress(axes, view.label(name), math_text(f"{{{latex_name(control)}}}^{{*}}", f"{control}*"), "the others at their centre")
    if len(symbols) > 1:
        legend(axes, handles, f"of {len(symbols)} components" if len(symbols) > _MOST_COMPONENTS else "")
