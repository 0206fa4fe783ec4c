"""Processes that may never end: a discount too small to be seen keeps what runs off to infinity from coming back.

An artificial end far out returns every path to the region, and without a discount each of them is then counted as if it had ended
there: the probability of ruin would be 1 with any premium. With a slight killing rate the paths that need very long to return pay
nothing, as those that never return. In: an equation. Out: the equation with the rate, and the rate (0 where there is no need).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import sympy as sp

from hjbdsl.methods.grid.mesh import build_axes, region_box
from hjbdsl.model.equation import HJBEquation
from hjbdsl.numeric.compile import compile_expressions

SLIGHT = 1e-8
"""The killing rate in units of the rate at which the region is crossed."""
FURTHER = 100.0
"""How many times this rate is tried to see what it does."""
_POINTS = 64


def killed(equation: HJBEquation) -> tuple[HJBEquation, float]:
    """The equation to be solved, and the rate that was added to its discount."""
    problem, objective = equation.problem, equation.problem.objective
    random = bool(equation.covariance or problem.jumps)
    ends = problem.exit is not None or problem.stopping is not None
    undiscounted = objective.form == "expectation" and problem.numeric(objective.discount) == 0
    if not (equation.stationary and random and ends and undiscounted):
        return equation, 0.0
    if not any(end for axis in build_axes(equation, 1.0, 16) for end in axis.padded):
        return equation, 0.0
    rate = SLIGHT * _crossing_rate(equation)
    slowly = replace(objective, discount=sp.Float(rate))
    return replace(equation, problem=replace(problem, objective=slowly)), rate


def _crossing_rate(equation: HJBEquation) -> float:
    """How often drift or noise crosses the region in a unit of time, with the controls at 0 or at an end next to it."""
    problem = equation.problem
    symbols = problem.state_symbols
    resting: dict[sp.Symbol, sp.Expr] = {}
    for group in problem.controls + problem.adversaries:
        for symbol, bound in zip(group.symbols, group.bounds, strict=True):
            ends = [problem.numeric(e) for e in (bound.points or (bound.lower, bound.upper))]
            finite = [float(e) for e in ends if e.is_number and e.is_finite]
            resting[symbol] = sp.Float(max(finite, key=abs)) if finite else sp.S.One
    for parameter in problem.mode_parameters:
        resting[parameter.symbol] = sp.sympify(parameter.values[0])
    axes, box = problem.continuous_states, region_box(equation)
    wanted = [problem.drift[i] for i in axes] + [equation.covariance.get((i, i), sp.S.Zero) for i in axes]
    wanted += [jump.rate for jump in problem.jumps]
    numeric = [problem.numeric(sp.sympify(e).xreplace(resting)) for e in wanted]
    random = np.random.default_rng(5)
    points = {symbols[i]: random.uniform(*ends, _POINTS) for i, ends in zip(axes, box, strict=True)}
    for i in problem.lattice_states:
        points[symbols[i]] = np.full(_POINTS, float(problem.numeric(problem.state_bounds[i].points[0])))
    order = list(points)
    numeric = [e if e.free_symbols <= set(order) else sp.S.Zero for e in numeric]
    sizes = [np.abs(np.broadcast_to(v, (_POINTS,))) for v in compile_expressions(order, numeric)(*points.values())]
    widths = [high - low for low, high in box]
    d = len(axes)
    rates = [size / width for size, width in zip(sizes[:d], widths, strict=True)]
    rates += [size / width**2 for size, width in zip(sizes[d : 2 * d], widths, strict=True)] + sizes[2 * d :]
    found = max(float(np.nanmax(np.where(np.isfinite(r), r, 0.0))) for r in rates)
    return found if found > 0.0 else 1.0


__all__ = ["FURTHER", "killed"]
