"""Expressions of a problem as vectorised functions of time, state, joint mode and control.

In: a `ControlProblem` and expressions in its symbols. Out: `Compiled`. What depends on the mode is an argument like any other,
looked up in a table, so that paths in different modes are evaluated together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.errors import SolverError
from hjbdsl.model.problem import TIME, ControlProblem
from hjbdsl.model.solution import Array
from hjbdsl.numeric.compile import compile_expressions
from hjbdsl.numeric.state_space import number

Modes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class At:
    """k places: t (k,), x (k, n), joint mode (k,), control (k, m) (controls, then adversaries)."""

    t: Array
    x: Array
    mode: Modes
    control: Array

    def rows(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> At:
        return At(self.t[rows], self.x[rows], self.mode[rows], self.control[rows])


@dataclass(frozen=True, slots=True)
class Compiled:
    """Some expressions of the problem, to be evaluated together; constants are found once."""

    symbols: tuple[sp.Symbol, ...]
    table: Array
    function: Callable[..., tuple[Array, ...]] | None
    varying: tuple[int, ...]
    constants: Array

    def __call__(self, at: At, *more: Array) -> Array:
        """(expressions, k)."""
        result = np.empty((len(self.constants), len(at.t)))
        result[:] = self.constants[:, None]
        if self.function is not None:
            values = self.function(at.t, *at.x.T, *at.control.T, *self.table[at.mode].T, *more)
            for place, value in zip(self.varying, values, strict=True):
                result[place] = value
        return result

    @property
    def constant(self) -> bool:
        return self.function is None


def compile_at(problem: ControlProblem, expressions: Sequence[sp.Basic], *more: sp.Symbol) -> Compiled:
    """Functions of time, states, controls, adversaries and mode (and the symbols `more`)."""
    parameters = {p.symbol: p for p in problem.mode_parameters}
    exact = [sp.sympify(problem.numeric(e)) for e in expressions]
    used = [s for s in parameters if any(s in e.free_symbols for e in exact)]
    columns = [
        [number(problem, parameters[s].values[labels[parameters[s].chain]]) for s in used] for labels in problem.mode_tuples()
    ]
    table = np.array(columns, dtype=float).reshape(len(columns), len(used))
    if np.isnan(table).any():
        raise SolverError("a parameter by mode is not a number, and cannot be simulated")
    varying = tuple(i for i, e in enumerate(exact) if e.free_symbols)
    constants = np.array([np.nan if e.free_symbols else _real(e) for e in exact], dtype=float)
    symbols = (TIME, *problem.state_symbols, *problem.control_symbols, *problem.adversary_symbols, *used, *more)
    function = compile_expressions(symbols, [exact[i] for i in varying]) if varying else None
    return Compiled(symbols, table, function, varying, constants)


def _real(expression: sp.Basic) -> float:
    (value,) = compile_expressions((), [expression])()
    return float(value)
