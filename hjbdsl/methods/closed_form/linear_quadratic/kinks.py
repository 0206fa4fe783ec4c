"""Times at which coefficients are not smooth, so that the integrator may stop there.

In: the problem and its horizon. Out: the switching times of every Piecewise, Min, Max, Abs and sign of t alone.
"""

from __future__ import annotations

import numpy as np
import sympy as sp
from sympy.core.relational import Relational

from hjbdsl.model.problem import TIME, ControlProblem
from hjbdsl.numeric.compile import compile_expressions

_GRID = 4001


def kinks(problem: ControlProblem, horizon: float) -> tuple[float, ...]:
    """Sorted times in (0, T)."""
    objective = problem.objective
    expressions = [*problem.drift, *problem.diffusion.values(), objective.running, objective.discount]
    expressions += [*problem.correlation.values(), *(jump.rate for jump in problem.jumps)]
    expressions += [rate for chain in problem.modes for rate in chain.rates.values()]
    if problem.exploration is not None:
        expressions.append(problem.exploration.temperature)
    varying = [sp.sympify(e) for e in expressions if TIME in sp.sympify(e).free_symbols]
    switches = {sp.sympify(problem.numeric(s)) for e in varying for s in _switches(e)}
    switches = {s for s in switches if s.free_symbols == {TIME}}
    return tuple(sorted({root for s in switches for root in _roots(s, horizon)}))


def _switches(expression: sp.Expr) -> list[sp.Expr]:
    result = [r.lhs - r.rhs for r in expression.atoms(Relational)]
    result += [a.args[0] for a in expression.atoms(sp.Abs, sp.sign, sp.Heaviside)]
    for extreme in expression.atoms(sp.Min, sp.Max):
        arguments = list(extreme.args)
        result += [a - b for i, a in enumerate(arguments) for b in arguments[:i]]
    return result


def _roots(switch: sp.Expr, horizon: float) -> list[float]:
    function = compile_expressions((TIME,), (switch,))
    grid = np.linspace(0.0, horizon, _GRID)
    values = function(grid)[0]
    roots = [float(t) for t in grid[1:-1][values[1:-1] == 0]]
    for left, right, at_left, at_right in zip(grid, grid[1:], values, values[1:], strict=False):
        if at_left * at_right < 0:
            low, high = float(left), float(right)
            for _ in range(60):
                middle = (low + high) / 2
                low, high = (middle, high) if float(function(middle)[0]) * at_left > 0 else (low, middle)
            roots.append((low + high) / 2)
    return roots
