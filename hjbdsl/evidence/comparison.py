"""One answer held against another of the same problem, over the region: relative errors in the mean square.

In: a derived problem, a solution to be judged, one to judge it by. Out: `Comparison`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Array, Solution
from hjbdsl.numeric.sampling import sample_region
from hjbdsl.numeric.state_space import control_groups


@dataclass(frozen=True, slots=True)
class Comparison:
    """Root mean square differences over the root mean square of the other answer: of V (of `average` problems: up to a
    constant, over the spread of V), and of every control by name. `average`: the relative difference of the long-run averages,
    else None."""

    value: float
    controls: dict[str, float]
    average: float | None

    def as_numbers(self) -> dict[str, float]:
        """By name: V, the controls, average."""
        numbers = {"V": self.value, **self.controls}
        return numbers if self.average is None else numbers | {"average": self.average}


def compare(equation: HJBEquation, judged: Solution, other: Solution, seed: int = 0) -> Comparison:
    """At points of region x [0, T] x modes."""
    problem = equation.problem
    points = sample_region(problem, equation.stationary, {}, range(len(problem.mode_tuples())), seed)
    own = judged.function.evaluate(points.t, points.x, points.mode)
    their = other.function.evaluate(points.t, points.x, points.mode)
    difference, size = own.value - their.value, their.value
    if problem.objective.form == "average":
        difference, size = difference - difference.mean(), size - size.mean()
    controls, start = {}, 0
    for group in control_groups(problem):
        columns = slice(start, start + len(group.symbols))
        start = columns.stop
        controls[group.name] = _relative(own.control[:, columns] - their.control[:, columns], their.control[:, columns])
    average = None
    if judged.average is not None and other.average is not None:
        average = abs(judged.average - other.average) / max(abs(other.average), 1e-300)
    return Comparison(_relative(difference, size), controls, average)


def _relative(difference: Array, size: Array) -> float:
    return float(np.sqrt(np.mean(difference**2) / max(float(np.mean(size**2)), 1e-300)))
