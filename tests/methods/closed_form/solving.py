"""From the text of a problem to its closed form, for tests."""

from __future__ import annotations

import numpy as np

from hjbdsl.frontend.load import loads_problem
from hjbdsl.methods import closed_form
from hjbdsl.model.solution import Accepted, Solution
from hjbdsl.symbolic.derive import derive


def equation(text: str):
    return derive(loads_problem(text))


def solved(text: str, family: str = "linear-quadratic") -> Solution:
    """The solution; fails with the reasons where there is none, or where another family than `family` gave it."""
    answer = closed_form.solve(equation(text))
    assert isinstance(answer, Accepted), answer.reason
    assert answer.solution.family.startswith(family)
    return answer.solution


def point(solution: Solution, x, t: float = 0.0, mode: int = 0):
    """(V, controls) at one point; x a number or a list."""
    values = solution.function.evaluate(np.array([float(t)]), np.atleast_2d(np.asarray(x, dtype=float)), np.array([mode]))
    return float(values.value[0]), values.control[0]
