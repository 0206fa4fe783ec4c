"""A modelling language and solver for continuous-time stochastic optimal control.

    import hjbdsl
    problem = hjbdsl.load("problems/merton.hjb", gamma=3)
    problem.hjb                    # the equation; shows as LaTeX in a notebook
    solution = problem.solve()
    solution(x=1.0), solution.policy(x=1.0)

The names below load what they need on first use, so that `import hjbdsl` and `hjb --help` are immediate.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from hjbdsl.errors import Diagnostic, HjbError, NoMethodError, SolverError, UsageError

if TYPE_CHECKING:
    from hjbdsl.api import Equation, Problem, Solution, derive, load, loads, solve

__version__ = "0.1.0"

__all__ = [
    "Diagnostic", "Equation", "HjbError", "NoMethodError", "Problem", "Solution", "SolverError", "UsageError",
    "derive", "load", "loads", "solve",
]  # fmt: skip

_FROM_API = frozenset({"Equation", "Problem", "Solution", "derive", "load", "loads", "solve"})


def __getattr__(name: str) -> object:
    if name in _FROM_API:
        return getattr(import_module("hjbdsl.api"), name)
    raise AttributeError(f"module 'hjbdsl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
