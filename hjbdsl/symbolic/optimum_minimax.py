"""Whether max min and min max of a Hamiltonian agree, by brute force over grids of both players' controls at sampled points."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import sympy as sp

from hjbdsl.model.problem import Bounds, ControlProblem

_POINTS = 13
_SAMPLES = 24
_MOST = 20_000


def order_of_play_gap(problem: ControlProblem, terms: Sequence[sp.Expr], maximised: bool) -> str:
    """A sentence with the largest relative gap found, or an empty string where there is none beyond the grid's resolution."""
    mode = problem.mode_tuples()[0]
    expression = problem.numeric(problem.at_mode(sp.Add(*terms), mode))
    mine, theirs = problem.control_symbols, problem.adversary_symbols
    others = sorted(expression.free_symbols - set(mine) - set(theirs), key=lambda s: s.name)
    evaluate = sp.lambdify([*others, *mine, *theirs], expression, modules="numpy")
    worst = 0.0
    generator = np.random.default_rng(20240229)
    for _ in range(_SAMPLES):
        point = dict(zip(others, generator.normal(size=len(others)), strict=True))
        point = {s: abs(v) if s.is_nonnegative else v for s, v in point.items()}
        ours = _grid(problem, mine, point)
        rivals = _grid(problem, theirs, point)
        if len(ours) * len(rivals) > _MOST:
            return ""
        with np.errstate(all="ignore"):
            table = np.array([[evaluate(*point.values(), *a, *b) for b in rivals] for a in ours], dtype=float)
        # at the end of an open interval, as consumption 0, there may be no reward
        table = (1.0 if maximised else -1.0) * table[np.isfinite(table).all(axis=1)]
        if not table.size:
            continue
        lower, upper = table.min(axis=1).max(), table.max(axis=0).min()
        scale = np.ptp(table) or 1.0
        worst = max(worst, (upper - lower) / scale)
    return f"by {worst:.0%} of the Hamiltonian's range at a sampled point" if worst > 0.08 else ""


def _grid(problem: ControlProblem, symbols: Sequence[sp.Symbol], point: dict[sp.Symbol, float]) -> list[tuple[float, ...]]:
    bounds = {
        s: b for group in (*problem.controls, *problem.adversaries) for s, b in zip(group.symbols, group.bounds, strict=True)
    }
    return list(itertools.product(*(_line(problem, bounds[s], point) for s in symbols)))


def _line(problem: ControlProblem, bounds: Bounds, point: dict[sp.Symbol, float]) -> list[float]:
    if bounds.is_finite_set:
        return [float(problem.numeric(p)) for p in bounds.points]
    low, high = (
        float(problem.numeric(end).subs(point)) if end not in (sp.oo, -sp.oo) else float(np.sign(float(end)) * 10)
        for end in (bounds.lower, bounds.upper)
    )
    return [float(v) for v in np.linspace(low, high, _POINTS)]
