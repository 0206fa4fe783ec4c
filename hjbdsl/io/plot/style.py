"""How a picture looks: letters, colours, axes. No setting of matplotlib is changed outside the figure at hand.

In: axes that a panel has drawn on. Out: the same, dressed. Colours of series are Okabe and Ito's, told apart by colour-blind
readers too; sequences run through viridis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.mathtext import MathTextParser
from matplotlib.ticker import MaxNLocator

FAMILY = "STIXGeneral"
MATH = "stix"
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GREY = "#6e6e6e"
MOST_SERIES = 7
MAP = "viridis"
SIGNED_MAP = "RdBu_r"
LABEL_SIZE, TICK_SIZE, NOTE_SIZE = 12.0, 10.0, 9.0

BELOW: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (-0.02, -0.21), "ncols": 2, "columnspacing": 1.2}
"""A legend under the axes."""

_parser = MathTextParser("path")


def sequence(count: int) -> list[Any]:
    """`count` colours from dark to light, the pale end left out."""
    palette = colormaps[MAP]
    return [palette(0.9 * k / max(count - 1, 1)) for k in range(count)]


def math_text(latex: str, plain: str) -> str:
    """`latex` between dollars where matplotlib can set it, else the plain text."""
    text = f"${latex}$"
    try:
        _parser.parse(text)
    except ValueError:
        return plain.replace("$", r"\$")
    return text


def number_text(value: float, digits: int = 3) -> str:
    """A number as it is written in type: 1.5, 2e-7 as a power of ten."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    text = f"{value:.{digits}g}"
    mantissa, separator, exponent = text.partition("e")
    if not separator:
        return text.replace("-", "−")
    front = "" if mantissa == "1" else "-" if mantissa == "-1" else rf"{mantissa}\times "
    return f"${front}10^{{{int(exponent)}}}$"


def dress(axes: Axes, x_label: str, y_label: str, title: str = "") -> None:
    """Labels in mathematical type, thin axes on two sides, few ticks."""
    axes.set_xlabel(x_label, fontsize=LABEL_SIZE, fontfamily=FAMILY, math_fontfamily=MATH)
    axes.set_ylabel(y_label, fontsize=LABEL_SIZE, fontfamily=FAMILY, math_fontfamily=MATH)
    if title:
        axes.set_title(title, fontsize=LABEL_SIZE - 1, fontfamily=FAMILY, math_fontfamily=MATH, loc="left")
    axes.tick_params(labelsize=TICK_SIZE, labelfontfamily=FAMILY, width=0.6, length=3, direction="out")
    axes.tick_params(which="minor", labelsize=TICK_SIZE - 2, labelfontfamily=FAMILY, width=0.4, length=2)
    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() == "linear":
            axis.set_major_locator(MaxNLocator(5 if axis is axes.xaxis else 6, steps=[1, 2, 2.5, 5, 10]))
        axis.get_offset_text().set(fontsize=NOTE_SIZE, fontfamily=FAMILY, math_fontfamily=MATH)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_linewidth(0.6)


def framed(axes: Axes) -> None:
    """All four sides, as maps have them."""
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_linewidth(0.6)


def legend(axes: Axes, handles: Sequence[Any], title: str = "", **place: Any) -> None:
    """A legend without a frame round it, where there is something to tell apart."""
    if not handles:
        return
    place = {"loc": "best"} | place
    made = axes.legend(
        handles=list(handles), frameon=True, framealpha=0.85, edgecolor="none", borderpad=0.2, handlelength=1.8, **place
    )
    for text in made.get_texts():
        text.set(fontsize=NOTE_SIZE + 0.5, fontfamily=FAMILY, math_fontfamily=MATH)
    if title:
        made.set_title(title)
        made.get_title().set(fontsize=NOTE_SIZE + 0.5, fontfamily=FAMILY, math_fontfamily=MATH)


def note(axes: Axes, text: str) -> None:
    """Small grey words above the axes on the right."""
    axes.text(
        1.0, 1.01, text, transform=axes.transAxes, ha="right", va="bottom", fontsize=NOTE_SIZE, color=GREY, fontfamily=FAMILY,
        math_fontfamily=MATH,
    )  # fmt: skip


def color_bar(axes: Axes, drawn: Any, label: str = "") -> None:
    """The scale of a map, beside it."""
    bar = axes.figure.colorbar(drawn, ax=axes, pad=0.02, shrink=0.92, aspect=24)
    bar.outline.set_linewidth(0.5)
    bar.ax.tick_params(labelsize=TICK_SIZE - 1, labelfontfamily=FAMILY, width=0.5, length=2)
    bar.ax.yaxis.get_offset_text().set(fontsize=NOTE_SIZE, fontfamily=FAMILY, math_fontfamily=MATH)
    if label:
        bar.set_label(label, fontsize=LABEL_SIZE - 1, fontfamily=FAMILY, math_fontfamily=MATH)
