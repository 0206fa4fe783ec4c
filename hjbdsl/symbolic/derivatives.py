"""The plain symbols that stand for derivatives of V. In: a problem. Out: gradient, Hessian and jump-difference symbols.

They are named `dV[i]`, `d2V[i,j]` and `DV[N]`: no name a file can declare collides with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sympy as sp

from hjbdsl.model.problem import ControlProblem


def gradient_symbols(problem: ControlProblem) -> tuple[sp.Symbol, ...]:
    """One symbol a state component, in order."""
    return tuple(sp.Symbol(f"dV[{i + 1}]", real=True) for i in range(problem.dimension))


def hessian_symbols(pairs: Iterable[tuple[int, int]]) -> dict[tuple[int, int], sp.Symbol]:
    """One symbol for each pair (i, j), i <= j, that occurs."""
    return {(i, j): sp.Symbol(f"d2V[{i + 1},{j + 1}]", real=True) for i, j in pairs}


def jump_difference_symbols(problem: ControlProblem) -> tuple[sp.Symbol, ...]:
    """One symbol a jump: E[V(x + displacement)] - V(x)."""
    return tuple(sp.Symbol(f"DV[{jump.name}]", real=True) for jump in problem.jumps)


def is_derivative(symbol: sp.Basic) -> bool:
    """Whether a symbol (or a dummy that stands for it) is one of the above."""
    return str(symbol.name).startswith(("dV[", "d2V[", "DV["))


def control_set(problem: ControlProblem) -> frozenset[sp.Symbol]:
    """Every component of the controls and of the adversary."""
    return frozenset((*problem.control_symbols, *problem.adversary_symbols))


def depends(expression: sp.Basic, symbols: frozenset[sp.Symbol]) -> bool:
    return not symbols.isdisjoint(expression.free_symbols)


def split_terms(expression: sp.Expr, symbols: frozenset[sp.Symbol]) -> tuple[list[sp.Expr], list[sp.Expr]]:
    """The summands of `expression` without and with `symbols`, in one pass over its terms."""
    free: list[sp.Expr] = []
    bound: list[sp.Expr] = []
    for term in sp.Add.make_args(expression):
        (bound if depends(term, symbols) else free).append(term)
    return free, bound


def derivative_table(
    problem: ControlProblem, gradient: tuple[sp.Symbol, ...], hessian: Mapping[tuple[int, int], sp.Symbol], value: sp.Expr
) -> dict[sp.Symbol, sp.Expr]:
    """Derivative symbol -> the derivative of the expression `value`."""
    states = problem.state_symbols
    table: dict[sp.Symbol, sp.Expr] = {p: sp.diff(value, x) for p, x in zip(gradient, states, strict=True)}
    table.update({symbol: sp.diff(table[gradient[i]], states[j]) for (i, j), symbol in hessian.items()})
    return table
