"""A picture is rows of panels under one title.

In: panels, each of which draws on axes of its own. Out: a `Figure`, or its bytes in a file.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from hjbdsl.errors import UsageError
from hjbdsl.io.plot.style import FAMILY, GREY, LABEL_SIZE, MATH, NOTE_SIZE

FORMATS = ("png", "svg", "pdf")
_MOST_COLUMNS = 3
HEIGHT, WIDTH = 3.1, 4.3
_DOTS = 160


@dataclass(frozen=True, slots=True)
class Panel:
    """`draw` fills one axes; `width` and `height` are inches."""

    draw: Callable[[Axes], None]
    width: float = WIDTH
    height: float = HEIGHT


def figure(rows: Sequence[Sequence[Panel]], title: str, subtitle: str) -> Figure:
    """The panels row by row; a row that is too long is broken into parts of nearly the same length."""
    broken = [part for row in rows for part in _broken(row)]
    heights = [max(panel.height for panel in row) for row in broken]
    width = max(sum(panel.width for panel in row) for row in broken)
    lines = textwrap.wrap(title, max(20, round(width / 0.095))) or [""]
    heading = 0.45 + 0.26 * len(lines)
    whole = Figure(figsize=(width, sum(heights) + heading), layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08))
    FigureCanvasAgg(whole)
    parts = whole.subfigures(len(broken) + 1, 1, height_ratios=[heading, *heights], squeeze=False)[:, 0]
    _heading(parts[0], "\n".join(lines), subtitle, width, heading)
    for part, row in zip(parts[1:], broken, strict=True):
        share = [panel.width for panel in row]
        rest = width - sum(share)
        columns = part.subplots(
            1, len(row) + (rest > 0.1), width_ratios=[*share, *([rest] if rest > 0.1 else [])], squeeze=False
        )[0]
        for axes in columns[len(row) :]:
            axes.set_axis_off()
        for panel, axes in zip(row, columns[: len(row)], strict=True):
            panel.draw(axes)
    return whole


def _broken(row: Sequence[Panel]) -> list[Sequence[Panel]]:
    parts = math.ceil(len(row) / _MOST_COLUMNS)
    ends = [round(len(row) * k / parts) for k in range(parts + 1)]
    return [row[start:end] for start, end in pairwise(ends)]


def save(drawn: Figure, path: str) -> None:
    """Write the picture in the format of its ending. Raises `UsageError` where it cannot be written."""
    form = picture_format(path)
    try:
        # no dates or random names in the file: the same picture gives the same bytes
        metadata = {"png": {"Software": "hjb"}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[form]
        with rc_context({"svg.hashsalt": "hjb"}):
            drawn.savefig(path, format=form, dpi=_DOTS, metadata=metadata)
    except OSError as error:
        raise UsageError(f"cannot write `{path}`: {error.strerror or error}") from error


def picture_format(path: str) -> str:
    """The format that the ending names. Raises `UsageError` for another one."""
    ending = Path(path).suffix.lower().removeprefix(".")
    if ending not in FORMATS:
        raise UsageError(f"`{path}`: pictures are written as {', '.join(FORMATS)}; give -o such a name")
    return ending


def _heading(part: SubFigure, title: str, subtitle: str, width: float, height: float) -> None:
    left = 0.12 / width
    part.text(left, 1.0 - 0.12 / height, title, fontsize=LABEL_SIZE + 2, fontfamily=FAMILY, math_fontfamily=MATH, va="top")
    part.text(left, 0.08 / height, subtitle, fontsize=NOTE_SIZE + 1, fontfamily=FAMILY, color=GREY, va="bottom")
