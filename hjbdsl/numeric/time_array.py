"""Arrays whose entries may depend on time: the coefficients of a linear diffusion, ready for numbers.

In: expressions in `TIME` with the parameters' numbers put in. Out: plain data (pickles), called with a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp

from hjbdsl.model.problem import TIME
from hjbdsl.model.solution import Array
from hjbdsl.numeric.compile import compile_expressions


@lru_cache(maxsize=512)
def compiled(arguments: tuple[sp.Symbol, ...], expressions: tuple[sp.Basic, ...]) -> Callable[..., tuple[Array, ...]]:
    """`compile_expressions`, remembered: value functions keep expressions (plain data) and compile them where they are used."""
    return compile_expressions(arguments, expressions)


@dataclass(frozen=True, slots=True)
class TimeArray:
    """`constant` holds the entries that are numbers (zeros elsewhere); `entries[i]` is a function of t for `index[i]`."""

    constant: Array
    index: tuple[tuple[int, ...], ...] = ()
    entries: tuple[sp.Expr, ...] = ()

    def __call__(self, t: float) -> Array:
        if not self.entries:
            return self.constant
        result = self.constant.copy()
        for index, value in zip(self.index, compiled((TIME,), self.entries)(t), strict=True):
            result[index] = float(value)
        return result

    @property
    def is_constant(self) -> bool:
        return not self.entries


def time_array(shape: tuple[int, ...], entries: Mapping[Any, sp.Expr]) -> TimeArray:
    """Sparse `entries`, by index tuples, of an array.

    Raises `ValueError` for an entry that is neither a number nor a function of t."""
    constant = np.zeros(shape)
    varying: dict[tuple[int, ...], sp.Expr] = {}
    for index, entry in entries.items():
        free = entry.free_symbols
        if not free:
            constant[index] = float(entry)
        elif free == {TIME}:
            varying[index] = entry
        else:
            raise ValueError(f"the coefficient {entry} depends on {', '.join(sorted(str(s) for s in free - {TIME}))}")
    return TimeArray(constant, tuple(varying), tuple(varying.values()))
