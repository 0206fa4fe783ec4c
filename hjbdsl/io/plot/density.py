"""Pictures of the law of the state under the optimal policy.

In: a `View` whose table holds the law (`Solution.tables`: law, law_times, law_mass, law_nodes_i). Out: panels, or none.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from scipy.ndimage import map_coordinates

from hjbdsl.io.plot.panel import Panel
from hjbdsl.io.plot.plane import HEIGHT, WIDTH, comparable
from hjbdsl.io.plot.style import MAP, MOST_SERIES, SERIES, color_bar, dress, framed, legend, note, number_text, sequence
from hjbdsl.io.plot.view import View
from hjbdsl.model.solution import Array

_TIMES = (0.05, 0.25, 0.5, 0.75, 1.0)
_PLANES = (0.1, 0.5, 1.0)
_KEPT = 0.998
"""Share of the mass that the axes show."""
_SPIKE, _FEW = 20.0, 4
_PARTS = 4
"""A map is drawn on so many points for one node of an axis."""


def density_rows(view: View) -> list[list[Panel]]:
    """One dimension: lines, by discrete state where the law is stationary, by time else. Two: maps."""
    if "law" not in view.table:
        return []
    law, times = (np.asarray(view.table[name].values, dtype=float) for name in ("law", "law_times"))
    nodes = [np.asarray(view.table[f"law_nodes_{i}"].values, dtype=float) for i in range(law.ndim - 2)]
    if len(nodes) == 1:
        return [[Panel(lambda axes: _draw_lines(view, law, times, nodes[0], axes))]]
    chosen = [0] if len(times) == 1 else [int(np.argmin(np.abs(times - share * times[-1]))) for share in _PLANES]

    def panel(k: int) -> Panel:
        return Panel(lambda axes: _draw_plane(view, law[k].sum(axis=0), times, k, nodes, axes), WIDTH, HEIGHT)

    return [[panel(k) for k in chosen]]


def _draw_lines(view: View, law: Array, times: Array, x: Array, axes: Axes) -> None:
    handles = []
    if len(times) == 1:
        labels = _discrete_labels(view)
        colors = SERIES if len(labels) <= len(SERIES) else sequence(len(labels))
        for s in range(min(len(labels), MOST_SERIES)):
            axes.fill_between(x, 0.0, law[0, s], color=colors[s], alpha=0.15, lw=0)
            handles += axes.plot(x, law[0, s], color=colors[s], lw=1.6, label=labels[s])
        title, place = ("", {}) if len(labels) == 1 else (", ".join(view.label(name) for name in _discrete_names(view)), {})
        words = "stationary law"
    else:
        chosen = [int(np.argmin(np.abs(times - share * times[-1]))) for share in _TIMES]
        for k, color in zip(chosen, sequence(len(chosen)), strict=True):
            handles += axes.plot(x, law[k].sum(axis=0), color=color, lw=1.6, label=number_text(float(times[k])))
        title, place = "$t$", {"loc": "upper left", "bbox_to_anchor": (1.0, 1.02)}
        words = f"law from the centre on{_running(view)}"
    dress(axes, view.label(view.continuous[0]), "density", words)
    axes.set_xlim(*_shown(x, law.sum(axis=(0, 1))))
    axes.set_ylim(bottom=0.0)
    if len(times) == 1:
        _cut_atoms(x, law[0].sum(axis=0), axes)
    if len(handles) > 1:
        legend(axes, handles, title, **place)


def _cut_atoms(x: Array, density: Array, axes: Axes) -> None:
    """A point that holds a share of the mass is a spike of one node: the axis shows the rest, and words say what it holds."""
    mass = density * np.gradient(x)
    spikes = np.flatnonzero((density > _SPIKE * np.median(density[density > 1e-6 * density.max()])) & (mass > 0.005 * mass.sum()))
    if not 0 < len(spikes) <= _FEW:
        return
    rest = np.delete(density, spikes)
    axes.set_ylim(0.0, 1.25 * float(rest.max()))
    place = number_text(float(x[spikes[np.argmax(mass[spikes])]]))
    note(axes, f"{100 * float(mass[spikes].sum() / mass.sum()):.0f}% at {place}")


def _draw_plane(view: View, density: Array, times: Array, k: int, nodes: list[Array], axes: Axes) -> None:
    levels = MaxNLocator(14).tick_values(0.0, float(density.max()) or 1.0)
    index = [np.linspace(0.0, len(line) - 1.0, _PARTS * (len(line) - 1) + 1) for line in nodes]
    x, y = (np.interp(at, np.arange(len(line)), line) for at, line in zip(index, nodes, strict=True))
    smooth = np.clip(map_coordinates(density, np.meshgrid(*index, indexing="ij"), order=3, mode="nearest"), 0.0, levels[-1])
    color_bar(axes, axes.contourf(x, y, smooth.T, levels=levels, cmap=MAP))
    held = "stationary density" if len(times) == 1 else f"density at $t$ = {number_text(float(times[k]))}"
    dress(axes, view.label(view.continuous[0]), view.label(view.continuous[1]), held)
    framed(axes)
    axes.set_xlim(*_shown(nodes[0], density.sum(axis=1)))
    axes.set_ylim(*_shown(nodes[1], density.sum(axis=0)))
    if comparable(view, view.continuous[:2]):
        axes.set_aspect("equal")


def _shown(x: Array, density: Array) -> tuple[float, float]:
    """The interval that holds nearly all mass."""
    widths = np.gradient(x) if len(x) > 1 else np.ones(1)
    mass = np.cumsum(np.maximum(density, 0.0) * widths)
    if not mass[-1] > 0:
        return float(x[0]), float(x[-1])
    low, high = (int(np.searchsorted(mass, share * mass[-1])) for share in ((1 - _KEPT) / 2, (1 + _KEPT) / 2))
    low, high = max(low - 1, 0), min(high + 1, len(x) - 1)
    return float(x[low]), float(x[high])


def _discrete_names(view: View) -> tuple[str, ...]:
    return (*view.names.chains, *view.lattice)


def _discrete_labels(view: View) -> list[str]:
    """One a joint discrete state, modes first, the last one fastest."""
    labels = [""]
    for name in _discrete_names(view):
        values = [v if isinstance(v, str) else number_text(float(v)) for v in view.table[name].values.tolist()]
        labels = [f"{head}, {value}" if head else value for head in labels for value in values]
    return labels


def _running(view: View) -> str:
    """How much of the mass has not ended at the last time."""
    if "law_mass" not in view.table:
        return ""
    mass = float(np.asarray(view.table["law_mass"].values)[-1])
    return f"; at the end {100 * mass:.0f}% still run" if mass < 0.999 else ""
