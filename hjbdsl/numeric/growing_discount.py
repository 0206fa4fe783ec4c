"""A negative discount rate without an end: whether the value is finite is an eigenvalue's question, and the equation has a
solution, of either sign, also where it is not.

In: an equation. Out: the reason to refuse it, or None.
"""

from __future__ import annotations

import numpy as np

from hjbdsl.model.equation import HJBEquation
from hjbdsl.numeric.compile import compile_expressions

_POINTS = 400


def growing_discount(equation: HJBEquation) -> str | None:
    """Why no method that only solves the equation may answer; None where the rate is nowhere negative in the region."""
    problem = equation.problem
    rate = problem.numeric(problem.objective.discount)
    if not equation.stationary or problem.objective.form == "average":
        return None
    if rate.is_number:
        return "the discount rate is negative: its equation cannot tell whether the value is finite" if rate < 0 else None
    random = np.random.default_rng(3)
    symbols = sorted(rate.free_symbols, key=str)
    region = dict(zip(problem.state_symbols, problem.region, strict=True))
    if not set(symbols) <= region.keys():
        return None
    ends = [[float(problem.numeric(e)) for e in region[symbol]] for symbol in symbols]
    samples = [random.uniform(low, high, _POINTS) for low, high in ends]
    lowest = float(np.min(compile_expressions(symbols, [rate])(*samples)[0]))
    return "the discount rate is negative somewhere: its equation cannot tell whether the value is finite" if lowest < 0 else None
