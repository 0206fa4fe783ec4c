"""Where states and choices live, as intervals of floats, and how strong the noise of one state is.

In: the lowered problem. Out: intervals for `interval.enclosure`; a variance as an expression.
"""

from __future__ import annotations

import sympy as sp

from hjbdsl.frontend.arithmetic import as_float
from hjbdsl.frontend.interval import LINE, Interval
from hjbdsl.model.problem import TIME, Bounds, ControlProblem

Ranges = dict[sp.Symbol, Interval]


def hull(bounds: Bounds, problem: ControlProblem) -> Interval:
    """The smallest interval that holds the domain; an end that depends on time or states counts as infinite."""
    if bounds.points:
        points = [as_float(problem.numeric(point)) for point in bounds.points]
        return min(points), max(points)
    ends = []
    for end, default in zip((bounds.lower, bounds.upper), LINE, strict=True):
        number = problem.numeric(end)
        ends.append(as_float(number) if number.is_number and number not in (sp.oo, -sp.oo) else default)
    return ends[0], ends[1]


def state_ranges(problem: ControlProblem) -> Ranges:
    return {s: hull(b, problem) for s, b in zip(problem.state_symbols, problem.state_bounds, strict=True)}


def choice_ranges(problem: ControlProblem) -> Ranges:
    """The ranges of controls and adversary, and of the time."""
    groups = (*problem.controls, *problem.adversaries)
    ranges = {s: hull(b, problem) for group in groups for s, b in zip(group.symbols, group.bounds, strict=True)}
    end = problem.numeric(problem.objective.end)
    ranges[TIME] = (0.0, as_float(end) if end.is_number else LINE[1])
    return ranges


def variance(problem: ControlProblem, index: int, mode: tuple[int, ...]) -> sp.Expr:
    """d<x_i>/dt in one mode, correlations included."""
    row = {k: problem.at_mode(value, mode) for (i, k), value in problem.diffusion.items() if i == index}
    total = sp.Add(*(value**2 for value in row.values()))
    for (k, j), correlation in problem.correlation.items():
        if k in row and j in row:
            total += 2 * problem.at_mode(correlation, mode) * row[k] * row[j]
    return problem.numeric(total)
