"""Pictures of paths under the policy: the states, and the discounted reward as it adds up to V.

In: a `View` with its equation and value function. Out: panels. All paths start at the centre of the region, in the first mode.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from hjbdsl.io.plot.panel import Panel
from hjbdsl.io.plot.plane import comparable
from hjbdsl.io.plot.style import BELOW, GREY, SERIES, dress, framed, legend, note, number_text
from hjbdsl.io.plot.view import View
from hjbdsl.io.tabulation import condition_mask
from hjbdsl.model.solution import Array
from hjbdsl.numeric.points import Points, default_points
from hjbdsl.numeric.state_space import horizon, number, region_of
from hjbdsl.simulation import Paths, compile_process, simulate
from hjbdsl.simulation.gibbs import policy_of

_PATHS, _SHOWN, _STEPS = 300, 12, 250
_LIFETIMES = 4.0
"""Paths without an end are followed for so many times 1/discount rate, or _UNDISCOUNTED."""
_UNDISCOUNTED = 10.0
_MOST_STATES = 3
_WIDE = 100.0
_MOST_STARTS = 81


@dataclass(frozen=True, slots=True)
class _Sample:
    paths: Paths
    value: float
    error: float


def path_rows(view: View) -> list[list[Panel]]:
    """The first states over time, the plane of the first two, the reward."""
    sample = _sampled(view)
    states = [_state_panel(view, sample, i, name) for i, name in enumerate(view.names.states[:_MOST_STATES])]
    plane = [_plane_panel(view, sample)] if len(view.continuous) >= 2 else []
    return [[*states, *plane, Panel(lambda axes: _draw_reward(view, sample, axes))]]


def _sampled(view: View) -> _Sample:
    process = compile_process(view.equation)
    policy = policy_of(view.equation, process, view.function)
    start = _centre(view)
    end = horizon(view.problem)
    length = end if math.isfinite(end) else _endless(view)
    many = Points(np.repeat(start.t, _PATHS), np.repeat(start.x, _PATHS, axis=0), np.repeat(start.mode, _PATHS))
    paths = simulate(process, policy, many, length / _STEPS, _STEPS, np.random.default_rng(view.seed))
    last = 1.2 * float(np.max(paths.end_time))
    if last < 0.5 * length and not np.any(paths.ended == 0):  # all ended early: finer steps for the same picture
        paths = simulate(process, policy, many, last / _STEPS, _STEPS, np.random.default_rng(view.seed))
    values = view.function.evaluate(start.t, start.x, start.mode)
    return _Sample(paths, float(values.value[0]), float(values.error[0]))


def _centre(view: View) -> Points:
    """The centre of the region; where the process has ended there or stops at once, the first point half way to a corner where it
    goes on, if there is one."""
    region = region_of(view.problem)
    points = default_points(view.problem)
    distance = np.abs((points.x - region.mean(axis=1)) / np.maximum(np.ptp(region, axis=1), 1e-12)).max(axis=1, initial=0.0)
    k = int(np.argmin(distance + points.mode))
    centre = Points(points.t[k : k + 1], points.x[k : k + 1], points.mode[k : k + 1])
    shares = itertools.product((0.5, 0.75, 0.25), repeat=len(view.continuous))
    for chosen in itertools.islice(shares, _MOST_STARTS):
        x = centre.x.copy()
        for share, i in zip(chosen, view.problem.continuous_states, strict=True):
            if share != 0.5:
                x[0, i] = region[i, 0] + share * (region[i, 1] - region[i, 0])
        if _goes_on(view, Points(centre.t, x, centre.mode)):
            return Points(centre.t, x, centre.mode)
    return centre


def _goes_on(view: View, start: Points) -> bool:
    """Whether the process has neither ended at a point nor stops there."""
    if view.problem.exit is not None and condition_mask(view.problem, view.problem.exit.condition)(start.x)[0]:
        return False
    stop = view.function.evaluate(start.t, start.x, start.mode).stop
    return stop is None or view.problem.stopping is None or not stop[0]


def _endless(view: View) -> float:
    rate = number(view.problem, view.problem.objective.discount)
    return _LIFETIMES / rate if math.isfinite(rate) and rate > 0 else _UNDISCOUNTED


def _state_panel(view: View, sample: _Sample, component: int, name: str) -> Panel:
    return Panel(lambda axes: _draw_state(view, sample, component, name, axes))


def _draw_state(view: View, sample: _Sample, component: int, name: str, axes: Axes) -> None:
    paths = sample.paths
    alive = paths.t[None, :] <= paths.end_time[:, None] + 1e-12
    x = np.where(alive, paths.x[:, :, component], np.nan)
    step: Literal["default", "steps-post"] = "steps-post" if name in view.lattice else "default"
    _draw_lines(axes, paths.t, x, step)
    ended = np.flatnonzero((paths.ended[:_SHOWN] == 2) | (paths.ended[:_SHOWN] == 3))
    places = [paths.x[k, -1, component] for k in ended]
    axes.plot(paths.end_time[ended], places, ls="", marker="o", ms=3.5, mfc="white", mec=SERIES[1], mew=1.0)
    handles = _handles(x)
    if len(ended):
        handles.append(Line2D([], [], ls="", marker="o", ms=4, mfc="white", mec=SERIES[1], label="end of a path"))
    reached = x[np.isfinite(x)]
    if view.problem.state_symbols[component].is_positive and reached.max() > _WIDE * reached.min() > 0.0:
        axes.set_yscale("log")
    dress(axes, "$t$", view.label(name))
    axes.set_xlim(0.0, _last(sample))
    legend(axes, handles, **BELOW)


def _alike(values: Array) -> bool:
    """Whether all paths are the same, as they are where nothing is random."""
    return bool(np.all((values == values[:1]) | np.isnan(values)))


def _draw_lines(axes: Axes, t: Array, values: Array, step: Literal["default", "steps-post"] = "default") -> None:
    """Some of the paths, their mean and spread; where they are all the same, one."""
    if _alike(values):
        axes.plot(t, values[0], color=SERIES[0], lw=1.5, drawstyle=step)
        return
    for path in values[:_SHOWN]:
        axes.plot(t, path, color=SERIES[0], lw=0.7, alpha=0.55, drawstyle=step)
    _spread_and_mean(axes, t, values)


def _spread_and_mean(axes: Axes, t: Array, values: Array) -> None:
    """Mean and the middle four fifths of the paths that are still alive; left off where few are."""
    alive = np.isfinite(values).sum(axis=0)
    enough = alive >= max(20, 0.1 * len(values))
    shown = np.where(enough[None, :], values, 0.0)
    low, middle, high = (np.where(enough, part, np.nan) for part in (
        np.nanquantile(shown, 0.1, axis=0), np.nanmean(shown, axis=0), np.nanquantile(shown, 0.9, axis=0)))  # fmt: skip
    axes.fill_between(t, low, high, color=GREY, alpha=0.18, lw=0)
    axes.plot(t, middle, color="black", lw=1.5)


def _last(sample: _Sample) -> float:
    """Until when there is something to see: all paths may have ended early."""
    last = float(sample.paths.t[-1])
    return min(last, 1.05 * float(np.quantile(sample.paths.end_time, 0.98))) or last


def _handles(values: Array) -> list[Line2D | Patch]:
    if _alike(values):
        return [Line2D([], [], color=SERIES[0], lw=1.5, label="the path")]
    return [
        Line2D([], [], color=SERIES[0], lw=0.9, label="paths"),
        Line2D([], [], color="black", lw=1.5, label="mean"),
        Patch(facecolor=GREY, alpha=0.25, label="middle 80%"),
    ]


def _plane_panel(view: View, sample: _Sample) -> Panel:
    return Panel(lambda axes: _draw_plane(view, sample, axes))


def _draw_plane(view: View, sample: _Sample, axes: Axes) -> None:
    first, second = (view.names.states.index(name) for name in view.continuous[:2])
    for k in range(_SHOWN):
        x = sample.paths.x[k]
        axes.plot(x[:, first], x[:, second], color=SERIES[0], lw=0.7, alpha=0.6)
        axes.plot(x[-1, first], x[-1, second], marker="o", ms=3.5, mfc="white", mec=SERIES[1])
    start = sample.paths.x[0, 0]
    axes.plot(start[first], start[second], marker="o", ms=5, color="black")
    dress(axes, view.label(view.continuous[0]), view.label(view.continuous[1]))
    framed(axes)
    if comparable(view, view.continuous[:2]):
        axes.set_aspect("equal")
    handles = [
        Line2D([], [], ls="", marker="o", ms=5, color="black", label="start"),
        Line2D([], [], ls="", marker="o", ms=4, mfc="white", mec=SERIES[1], label="end"),
    ]
    legend(axes, handles, **BELOW)


def _draw_reward(view: View, sample: _Sample, axes: Axes) -> None:
    paths = sample.paths
    _draw_lines(axes, paths.t, paths.reward)
    handles = _handles(paths.reward)
    words = ""
    if view.problem.objective.form in ("expectation", "running_min", "running_max"):
        axes.axhline(sample.value, color=SERIES[1], lw=1.2, ls=(0, (5, 3)))
        handles.append(Line2D([], [], color=SERIES[1], lw=1.2, ls=(0, (5, 3)), label=r"$V$ at the start"))
        half = 2.58 * float(np.std(paths.reward[:, -1])) / math.sqrt(len(paths.reward))
        mean = number_text(float(np.mean(paths.reward[:, -1])), 4)
        words = f"in all {mean}" if _alike(paths.reward) else f"mean {mean} ± {number_text(half, 2)} (99%)"
    if "average" in view.result:
        last = float(paths.t[-1])
        axes.plot([0.0, last], [0.0, float(view.result["average"]) * last], color=SERIES[1], lw=1.2, ls=(0, (5, 3)))
        handles.append(Line2D([], [], color=SERIES[1], lw=1.2, ls=(0, (5, 3)), label="average × $t$"))
    unended = not math.isfinite(horizon(view.problem)) and np.any(paths.ended == 0)
    cut = f"paths are cut at $t$ = {number_text(float(paths.t[-1]))}" if unended else ""
    dress(axes, "$t$", _reward_words(view), cut)
    axes.set_xlim(0.0, _last(sample))
    note(axes, words)
    legend(axes, handles, **BELOW)


def _reward_words(view: View) -> str:
    cost = "cost" if view.problem.objective.sense == "minimize" else "reward"
    match view.problem.objective.form:
        case "running_min":
            return "running minimum"
        case "running_max":
            return "running maximum"
        case _:
            return f"discounted {cost} so far" if view.problem.objective.discount != 0 else f"{cost} so far"
