"""Pictures of what an answer is worth: how the levels of a grid converge.

In: a `View` whose table holds the changes of V from level to level (`Solution.tables`). Out: panels, none where it does not.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullFormatter

from hjbdsl.io.plot.panel import Panel
from hjbdsl.io.plot.style import BELOW, GREY, SERIES, dress, legend, note
from hjbdsl.io.plot.view import View
from hjbdsl.model.solution import Array


def convergence_rows(view: View) -> list[list[Panel]]:
    """The mean change of V at each refinement, beside slopes of first and second order."""
    if "level_nodes" not in view.table or "level_differences" not in view.table:
        return []
    nodes = np.asarray(view.table["level_nodes"].values, dtype=float)
    changes = np.asarray(view.table["level_differences"].values, dtype=float)
    if len(changes) < 2 or not np.all(changes > 0):
        return []
    return [[Panel(lambda axes: _draw(nodes, changes, axes))]]


def _draw(nodes: Array, changes: Array, axes: Axes) -> None:
    count = nodes[1:].max(axis=1)
    axes.loglog(count, changes, color=SERIES[0], marker="o", ms=4.5, lw=1.4)
    handles = [Line2D([], [], color=SERIES[0], marker="o", ms=4.5, label="mean change of $V$")]
    for order, style in ((1, ":"), (2, "--")):
        axes.loglog(count, changes[0] * (count[0] / count) ** order, color=GREY, lw=0.9, ls=style)
        handles.append(Line2D([], [], color=GREY, lw=0.9, ls=style, label=f"order {order}"))
    dress(axes, "nodes an axis", "change from the level before")
    axes.xaxis.set_major_locator(FixedLocator(list(count)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticklabels([f"{n:.0f}" for n in count])
    legend(axes, handles, **BELOW)
    orders = [np.log(a / b) / np.log(n / m) for (a, b), (m, n) in zip(pairwise(changes), pairwise(count), strict=True)]
    note(axes, f"observed order {orders[-1]:.2f}")
