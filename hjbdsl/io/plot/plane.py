"""Pictures over two states: the value as filled contours, the policy as arrows or contours, exits and stopping regions hatched.

In: a `View` of a problem with two or more continuous states; the first two are the plane, others are held. Out: panels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from hjbdsl.io.plot.line import stopping_words
from hjbdsl.io.plot.panel import Panel
from hjbdsl.io.plot.style import (
    BELOW,
    FAMILY,
    GREY,
    LABEL_SIZE,
    MAP,
    MATH,
    SIGNED_MAP,
    color_bar,
    dress,
    framed,
    legend,
    math_text,
    note,
    number_text,
)  # fmt: skip
from hjbdsl.io.plot.view import View
from hjbdsl.io.tabulation import condition_mask
from hjbdsl.model.names import latex_name
from hjbdsl.model.solution import Array
from hjbdsl.numeric.state_space import control_groups

_LEVELS = 16
_ARROWS = 17
WIDTH, HEIGHT = 4.7, 3.7
_TIMES = (0.0, 0.5, 0.9)
"""Shares of the horizon at which V is drawn, where it depends on time."""
_PALE = LinearSegmentedColormap.from_list("pale blues", colormaps["Blues"](np.linspace(0.0, 0.6, 64)))
_SLICES = (0.2, 0.5, 0.8)
"""Shares of the third state's region."""
_MOST_MODES = 4
_MOST_CONTROLS = 6
_MASK_NODES = 400
_FEW, _FINE = 45, 81

Place = Mapping[str, float | str]


@dataclass(frozen=True, slots=True)
class _Plane:
    """The two states of a picture and where everything else is held."""

    x: str
    y: str
    place: Place


def value_rows(view: View) -> list[list[Panel]]:
    """One row a mode; in it the times, or else slices through a third state."""

    def panel(plane: _Plane) -> Panel:
        return Panel(lambda axes: _draw_value(view, plane, axes), WIDTH, HEIGHT)

    return [[panel(plane) for plane in row] for row in _planes(view)]


def policy_rows(view: View) -> list[list[Panel]]:
    """One row a mode, at the first time: arrows where two controls push the two states, contours of each control otherwise."""
    rows = []
    for row in _planes(view):
        middle = row[len(row) // 2] if len(view.continuous) > 2 and not view.timed else row[0]
        panels = _policy_panels(view, middle)
        rows.append([panel for plane in row for panel in _policy_panels(view, plane)] if len(panels) == 1 else panels)
    return rows


def _policy_panels(view: View, plane: _Plane) -> list[Panel]:
    pushed = _pushed(view, plane)
    if pushed is not None:
        return [Panel(lambda axes: _draw_arrows(view, plane, pushed, axes), WIDTH, HEIGHT)]

    def panel(name: str, component: int) -> Panel:
        return Panel(lambda axes: _draw_control(view, plane, name, component, axes), WIDTH, HEIGHT)

    panels = [panel(name, k) for name, group in view.controls() for k in range(len(group.symbols))]
    return panels[:_MOST_CONTROLS]


def _planes(view: View) -> list[list[_Plane]]:
    x, y, *rest = view.continuous
    others = [name for name in (view.names.time, *view.names.chains, *view.names.states) if name in view.table.dims]
    held = {name: view.middle(name) for name in others if name not in (x, y)}
    across: list[Place] = [{}]
    if view.timed:
        end = float(view.table[view.names.time].values[-1])
        across = [{view.names.time: share * end} for share in _TIMES]
    elif rest:
        low, high = view.table[rest[0]].attrs["region"]
        across = [{rest[0]: float(low + share * (high - low))} for share in _SLICES]
    down: list[Place] = [{}]
    if view.names.chains:
        joint = view.problem.mode_tuples()[:_MOST_MODES]
        labels = [chain.labels for chain in view.problem.modes]
        down = [{name: labels[k][mode[k]] for k, name in enumerate(view.names.chains)} for mode in joint]
    return [[_Plane(x, y, {**held, **row, **column}) for column in across] for row in down]


def _grid(view: View, plane: _Plane, variable: str, component: int = 0) -> Array:
    """A variable over the plane as (len(y), len(x)), as matplotlib wants it."""
    if _coarse(view, plane):
        return _evaluated(view, plane, variable, component)
    table = view.at(plane.place)[variable]
    rest = [name for name in table.dims if name not in (plane.x, plane.y)]
    values = np.asarray(table.transpose(plane.y, plane.x, *rest).values, dtype=float)
    return values.reshape(*values.shape[:2], -1)[:, :, component]


def _coarse(view: View, plane: _Plane) -> bool:
    """Whether the table has too few nodes for smooth curves: then the solution itself is asked between them."""
    return min(len(view.table[plane.x]), len(view.table[plane.y])) < _FEW


def _lines(view: View, plane: _Plane) -> tuple[Array, Array]:
    lines = [np.asarray(view.table[name].values, dtype=float) for name in (plane.x, plane.y)]
    if _coarse(view, plane):
        lines = [np.linspace(line[0], line[-1], _FINE) for line in lines]
    return lines[0], lines[1]


def _evaluated(view: View, plane: _Plane, variable: str, component: int) -> Array:
    x, y = np.meshgrid(*_lines(view, plane))
    points, place = _points(view, plane, x, y), plane.place
    labels = [chain.labels.index(str(place[chain.name])) for chain in view.problem.modes]
    mode = np.full(x.size, view.problem.mode_tuples().index(tuple(labels)))
    found = view.function.evaluate(np.full(x.size, float(place.get(view.names.time, 0.0))), points, mode)
    match variable:
        case view.names.value:
            values = found.value
        case view.names.error:
            values = found.error
        case view.names.stop if found.stop is not None:
            values = found.stop.astype(float)
        case control:
            groups = control_groups(view.problem)
            before = [len(group.symbols) for group in groups[: [group.name for group in groups].index(control)]]
            values = found.control[:, sum(before) + component]
    return np.asarray(values, dtype=float).reshape(x.shape)


def _points(view: View, plane: _Plane, x: Array, y: Array) -> Array:
    """States (points, components) over the plane."""
    free = {plane.x: x.ravel(), plane.y: y.ravel()}
    return np.column_stack(
        [free[name] if name in free else np.full(x.size, float(plane.place[name])) for name in view.names.states]
    )


def _draw_value(view: View, plane: _Plane, axes: Axes) -> None:
    x, y = _lines(view, plane)
    value = np.ma.masked_invalid(_grid(view, plane, view.names.value))
    reach = view.problem.objective.form in ("running_min", "running_max")
    levels = MaxNLocator(_LEVELS).tick_values(float(value.min()), float(value.max()))
    norm = TwoSlopeNorm(0.0) if reach and value.min() < 0.0 < value.max() else None
    drawn = axes.contourf(x, y, value, levels=levels, cmap=SIGNED_MAP if norm else MAP, norm=norm)
    axes.contour(x, y, value, levels=levels[::2], colors="white", linewidths=0.35, alpha=0.7, linestyles="solid")
    handles: list[Any] = []
    if norm:
        axes.contour(x, y, value, levels=[0.0], colors="black", linewidths=1.8)
        handles.append(Line2D([], [], color="black", lw=1.8, label="$V = 0$"))
    color_bar(axes, drawn)
    handles += _regions(view, plane, axes)
    _finish(view, plane, axes, r"$V$", handles)
    error = _grid(view, plane, view.names.error)
    if np.isfinite(error).any():
        note(axes, f"error ≤ {number_text(float(np.nanmax(error[np.isfinite(error)])), 2)}")


def _draw_control(view: View, plane: _Plane, name: str, component: int, axes: Axes) -> None:
    x, y = _lines(view, plane)
    control = np.ma.masked_invalid(_hidden(view, plane, _grid(view, plane, name, component)))
    low, high = (float(control.min()), float(control.max())) if control.count() else (0.0, 0.0)
    if high - low < 1e-6 * (abs(low) + abs(high)) or high == low:
        axes.text(0.5, 0.5, f"constant: {number_text(0.5 * (low + high), 5)}", ha="center", va="center", transform=axes.transAxes,
                  fontsize=LABEL_SIZE, fontfamily=FAMILY, math_fontfamily=MATH)  # fmt: skip
    else:
        signed = low < 0.0 < high
        levels = MaxNLocator(14, symmetric=signed).tick_values(low, high)
        palette = colormaps[SIGNED_MAP if signed else MAP]
        color_bar(axes, axes.contourf(x, y, control, levels=levels, cmap=palette))
    group = dict(view.controls())[name]
    latex = latex_name(group.symbols[component].name)
    handles = _regions(view, plane, axes)
    _finish(view, plane, axes, math_text(f"{{{latex}}}^{{*}}", f"{name}*"), handles)


def _draw_arrows(view: View, plane: _Plane, pushed: tuple[tuple[str, int], tuple[str, int]], axes: Axes) -> None:
    """The control as an arrow on the speed of its tip, over thin level lines of V."""
    x, y = _lines(view, plane)
    u, v = (_hidden(view, plane, _grid(view, plane, name, component)) for name, component in pushed)
    size = np.hypot(u, v)
    longest = float(np.nanmax(size)) if np.isfinite(size).any() else 1.0
    levels = MaxNLocator(10).tick_values(0.0, longest or 1.0)
    color_bar(axes, axes.contourf(x, y, np.ma.masked_invalid(size), levels=levels, cmap=_PALE))
    value = np.ma.masked_invalid(_grid(view, plane, view.names.value))
    axes.contour(x, y, value, levels=10, colors=GREY, linewidths=0.5)
    rows, columns = (np.linspace(0, len(line) - 1, _ARROWS + 2).round().astype(int)[1:-1] for line in (y, x))
    chosen = np.ix_(rows, columns)
    axes.quiver(
        x[columns], y[rows], u[chosen], v[chosen], angles="xy", color="black", width=0.0035,
        scale=(longest or 1.0) * _ARROWS / 1.3, scale_units="width", pivot="middle",
    )  # fmt: skip
    names = ", ".join(latex_name(dict(view.controls())[name].symbols[component].name) for name, component in pushed)
    handles = [Line2D([], [], color=GREY, lw=0.6, label="levels of $V$"), *_regions(view, plane, axes)]
    _finish(view, plane, axes, math_text(f"({names})^{{*}}", "policy"), handles)


def _pushed(view: View, plane: _Plane) -> tuple[tuple[str, int], tuple[str, int]] | None:
    """The two control components of which one pushes the first state of the plane and the other the second, and nothing else."""
    components = [(name, k, symbol) for name, group in view.controls() for k, symbol in enumerate(group.symbols)]
    if len(components) != 2 or view.problem.reversal is not None:
        return None
    symbols = view.problem.state_symbols
    drifts = [view.problem.drift[[s.name for s in symbols].index(name)] for name in (plane.x, plane.y)]
    pushes = [[sp.diff(drift, symbol) != 0 for drift in drifts] for _, _, symbol in components]
    if pushes == [[True, False], [False, True]]:
        order = (0, 1)
    elif pushes == [[False, True], [True, False]]:
        order = (1, 0)
    else:
        return None
    first, second = (components[k] for k in order)
    return (first[0], first[1]), (second[0], second[1])


def _hidden(view: View, plane: _Plane, values: Array) -> Array:
    """NaN where the process has ended or stops: there is no control."""
    ended = _ended(view, plane, *_lines(view, plane))
    if ended is not None:
        values = np.where(ended > 0.5, np.nan, values)
    if view.names.stop in view.table:
        values = np.where(_grid(view, plane, view.names.stop) > 0.5, np.nan, values)
    return values


def _ended(view: View, plane: _Plane, x_line: Array, y_line: Array) -> Array | None:
    """1 where the exit condition holds, over the plane."""
    if view.problem.exit is None:
        return None
    x, y = np.meshgrid(x_line, y_line)
    return condition_mask(view.problem, view.problem.exit.condition)(_points(view, plane, x, y)).reshape(x.shape).astype(float)


def _regions(view: View, plane: _Plane, axes: Axes) -> list[Any]:
    """Hatching over what has exited and where stopping is optimal."""
    x, y = _lines(view, plane)
    handles: list[Any] = []
    fine = [np.linspace(line[0], line[-1], _MASK_NODES) for line in (x, y)]
    outside = _ended(view, plane, fine[0], fine[1])
    if outside is not None and 0 < outside.sum() < outside.size:
        axes.contourf(*fine, outside, levels=[0.5, 1.5], colors=["#d9d9d9"])
        axes.contour(*fine, outside, levels=[0.5], colors=[GREY], linewidths=1.0)
        handles.append(Patch(facecolor="#d9d9d9", edgecolor=GREY, label="exited"))
    if view.names.stop in view.table:
        stopped = _grid(view, plane, view.names.stop)
        ended = _ended(view, plane, x, y)
        if ended is not None:
            stopped = np.where(ended > 0.5, 0.0, stopped)
        if 0 < (stopped > 0.5).sum() < stopped.size:
            axes.contourf(x, y, stopped, levels=[0.5, 1.5], colors="none", hatches=["..."])
            axes.contour(x, y, stopped, levels=[0.5], colors=["black"], linewidths=1.4)
            handles.append(Patch(facecolor="none", edgecolor="black", hatch="...", label=stopping_words(view)))
    return handles


def _finish(view: View, plane: _Plane, axes: Axes, what: str, handles: list[Any]) -> None:
    held = view.held(plane.place)
    dress(axes, view.label(plane.x), view.label(plane.y), f"{what}   at {held}" if held else what)
    framed(axes)
    axes.set_xlim(*view.table[plane.x].attrs["region"])
    axes.set_ylim(*view.table[plane.y].attrs["region"])
    if comparable(view, (plane.x, plane.y)):
        axes.set_aspect("equal")
    if handles:
        legend(axes, handles, **BELOW)


def comparable(view: View, names: Sequence[str]) -> bool:
    """Whether the states are components of one vector: then a circle should look like one."""
    return any(set(names) <= {symbol.name for symbol in group.symbols} for group in view.problem.states)
