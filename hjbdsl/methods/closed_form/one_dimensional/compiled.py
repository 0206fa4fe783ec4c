"""Compiled expressions, remembered: the same coefficients are evaluated on every mesh."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import sympy as sp

from hjbdsl.model.solution import Array
from hjbdsl.numeric.compile import compile_expressions


@lru_cache(maxsize=1024)
def compiled(arguments: tuple[sp.Symbol, ...], expressions: tuple[sp.Basic, ...]) -> Callable[..., tuple[Array, ...]]:
    """`compile_expressions(arguments, expressions)`."""
    return compile_expressions(arguments, expressions)
