"""The smooth expressions that a kinked payoff is made of, and the points where its kinks lie.

In: an expression with min, max, absolute values and cases. Out: its branches, or the kinks in an interval.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
import sympy as sp
from scipy.optimize import brentq

from hjbdsl.numeric.compile import compile_expressions

_MOST_BRANCHES = 32


def smooth_branches(expression: sp.Expr, state: sp.Symbol) -> tuple[sp.Expr, ...]:
    """Every way of choosing one side of each max, min, |.| and one case of each `if` that depends on `state`."""
    kinked = next((node for node in sp.postorder_traversal(expression) if _is_kinked(node, state)), None)
    if kinked is None:
        return (expression,)
    options = itertools.chain.from_iterable(
        smooth_branches(expression.xreplace({kinked: option}), state) for option in _options(kinked)
    )
    return tuple(dict.fromkeys(itertools.islice(options, _MOST_BRANCHES)))


@lru_cache(maxsize=512)
def kinks(expressions: tuple[sp.Basic, ...], state: sp.Symbol, low: float, high: float) -> tuple[float, ...]:
    """The points of (low, high) where some max, min, |.| or case condition of `expressions` changes sides, in
    increasing order.
    """
    switching = {difference for e in expressions for difference in _switching_functions(e, state)}
    points: list[float] = []
    for function in switching:
        points.extend(_sign_changes(function, state, low, high))
    distinct: list[float] = []
    for point in sorted(points):
        if not distinct or point - distinct[-1] > 1e-12 * (1 + abs(point)):
            distinct.append(point)
    return tuple(distinct)


def _is_kinked(node: sp.Basic, state: sp.Symbol) -> bool:
    return isinstance(node, (sp.Max, sp.Min, sp.Abs, sp.Piecewise, sp.sign)) and state in node.free_symbols


def _options(node: sp.Basic) -> tuple[sp.Expr, ...]:
    match node:
        case sp.Max() | sp.Min():
            return tuple(node.args)
        case sp.Abs():
            return (node.args[0], -node.args[0])
        case sp.Piecewise():
            return tuple(value for value, _ in node.args)
        case sp.sign():
            return (sp.S.One, sp.S.NegativeOne)
        case _:
            raise TypeError(f"no branches of {type(node).__name__}")


def _switching_functions(expression: sp.Basic, state: sp.Symbol) -> set[sp.Expr]:
    found: set[sp.Expr] = set()
    for node in sp.preorder_traversal(expression):
        match node:
            case sp.Max() | sp.Min():
                found.update(a - b for a, b in itertools.combinations(node.args, 2))
            case sp.Abs() | sp.sign():
                found.add(node.args[0])
            case sp.core.relational.Relational():
                found.add(node.lhs - node.rhs)
            case _:
                pass
    return {f for f in found if f.free_symbols == {state}}


def _sign_changes(function: sp.Expr, state: sp.Symbol, low: float, high: float) -> list[float]:
    """Zeros of `function` in (low, high), sought on each of its smooth branches and then tried in the function itself."""
    evaluate = compile_expressions((state,), (function,))
    found: list[float] = []
    for branch in smooth_branches(function, state):
        polynomial = branch.as_poly(state)
        if polynomial is not None and polynomial.degree() <= 8:
            roots = np.roots([float(c) for c in polynomial.all_coeffs()])
            found += [float(r.real) for r in roots if abs(r.imag) < 1e-12 * (1 + abs(r))]
        else:
            found += _scanned(branch, state, low, high)
    inside = [r for r in found if low < r < high]
    return [r for r in inside if abs(float(evaluate(r)[0])) <= 1e-9 * (1 + abs(r))]


def _scanned(function: sp.Expr, state: sp.Symbol, low: float, high: float) -> list[float]:
    """Sign changes on grids that are even, and that refine towards either end and the origin."""
    evaluate = compile_expressions((state,), (function,))
    graded = np.geomspace(1e-9, 1.0, 1001) * (high - low)
    grid = np.unique(np.concatenate([np.linspace(low, high, 2001), low + graded, high - graded, graded, -graded]))
    grid = grid[(grid > low) & (grid < high)]
    (sampled,) = evaluate(grid)
    changes = np.flatnonzero(sampled[:-1] * sampled[1:] < 0)
    exact = [float(grid[i]) for i in np.flatnonzero(sampled == 0)]
    if len(exact) > 50:
        exact = []
    return exact + [float(brentq(lambda s: float(evaluate(s)[0]), grid[i], grid[i + 1], xtol=1e-15)) for i in changes]
