"""Arrays of expressions in t, turned into numbers once where they are constant.

In: {index: expression}. Out: `TimeArray`, whose `at(t)` is the array of numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import sympy as sp

from hjbdsl.model.problem import TIME
from hjbdsl.model.solution import Array
from hjbdsl.numeric.compile import compile_expressions

Index = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TimeArray:
    """`base` with the entries `varying` overwritten by `function(t)`."""

    base: Array
    varying: tuple[Index, ...]
    function: Callable[..., tuple[Array, ...]] | None

    @property
    def constant(self) -> bool:
        return self.function is None

    def at(self, t: float) -> Array:
        if self.function is None:
            return self.base
        result = self.base.copy()
        for index, value in zip(self.varying, self.function(t), strict=True):
            result[index] = value
        return result


def time_array(shape: tuple[int, ...], entries: Mapping[Index, sp.Expr], numeric: Callable[[sp.Basic], sp.Basic]) -> TimeArray:
    """`entries` with the parameters' numbers put in by `numeric`; what remains may depend on t alone."""
    base = np.zeros(shape)
    varying: dict[Index, sp.Expr] = {}
    for index, expression in entries.items():
        value = expression if expression.is_Rational else numeric(expression)
        if value.free_symbols:
            varying[index] = value
        else:
            base[index] = float(value)
    if not varying:
        return TimeArray(base, (), None)
    return TimeArray(base, tuple(varying), compile_expressions((TIME,), list(varying.values())))
