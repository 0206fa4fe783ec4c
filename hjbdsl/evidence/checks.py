"""Last stage: the `check` statements of a file, held against a solution.

In: problem, solution. Out: one `CheckResult` a statement. A formula is compared over region x [0, T] x modes, a point where
it says; an error is the largest absolute difference over components; angles are compared modulo 2*pi.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.model.evidence import CheckResult
from hjbdsl.model.problem import TIME, CheckStatement, ControlProblem
from hjbdsl.model.solution import Array, Solution
from hjbdsl.numeric.compile import compile_expressions
from hjbdsl.numeric.points import Points
from hjbdsl.numeric.sampling import sample_region
from hjbdsl.numeric.state_space import control_groups, horizon, number

_TURN = 2 * math.pi


def run_checks(problem: ControlProblem, solution: Solution, stationary: bool, seed: int = 0) -> tuple[CheckResult, ...]:
    """Every check of the file, in order. `stationary` as in `HJBEquation`."""
    return tuple(run_check(problem, solution, stationary, check, seed) for check in problem.checks)


def run_check(problem: ControlProblem, solution: Solution, stationary: bool, check: CheckStatement, seed: int = 0) -> CheckResult:
    """Judge one statement. A difference that is not a number fails it."""
    if check.target == "average":
        expected = number(problem, check.expected[0])
        found = math.nan if solution.average is None else solution.average
        differences = np.array([abs(found - expected)])
    else:
        differences = _differences(problem, solution, stationary, check, seed)
    error = float(np.max(differences)) if differences.size else math.nan
    return CheckResult(
        check.target, check.span, bool(error <= check.tolerance), error, check.tolerance, len(differences), check.text
    )


def _differences(problem: ControlProblem, solution: Solution, stationary: bool, check: CheckStatement, seed: int) -> Array:
    """|found - expected|, (k,), the largest over components; points where only the oracle is undefined at the very end of
    time or on the rim of the region are left out."""
    fixed = {symbol: _coordinate(problem, symbol, number(problem, value)) for symbol, value in check.point.items()}
    points = sample_region(problem, stationary, fixed, _modes(problem, check), seed)
    if not len(points):
        return np.array([math.nan])
    expected = _expected(problem, check.expected, points)
    found, periodic = _found(problem, solution, check.target, points)
    with np.errstate(invalid="ignore"):
        difference = np.abs(found - expected)
        difference[:, periodic] = np.abs(np.remainder(difference[:, periodic] + math.pi, _TURN) - math.pi)
    difference[found == expected] = 0.0
    comparable = np.isfinite(expected).all(axis=1) | ~_on_rim(problem, points)
    largest: Array = np.max(difference[comparable], axis=1, initial=0.0) if comparable.any() else np.array([math.nan])
    return largest


def _coordinate(problem: ControlProblem, symbol: sp.Symbol, value: float) -> float:
    for candidate, bounds in zip(problem.state_symbols, problem.state_bounds, strict=True):
        if candidate == symbol and bounds.periodic and abs(value) > math.pi:
            return math.remainder(value, _TURN)
    return value


def _modes(problem: ControlProblem, check: CheckStatement) -> list[int]:
    names = [chain.name for chain in problem.modes]
    return [
        index
        for index, labels in enumerate(problem.mode_tuples())
        if all(check.modes.get(name, label) == label for name, label in zip(names, labels, strict=True))
    ]


def _expected(problem: ControlProblem, expressions: Sequence[sp.Expr], points: Points) -> Array:
    """(k, components)."""
    result = np.full((len(points), len(expressions)), math.nan)
    for index, labels in enumerate(problem.mode_tuples()):
        rows = points.mode == index
        if not rows.any():
            continue
        here = [problem.numeric(problem.at_mode(expression, labels)) for expression in expressions]
        function = compile_expressions((TIME, *problem.state_symbols), here)
        with np.errstate(all="ignore"):
            columns = function(points.t[rows], *points.x[rows].T)
        for component, column in enumerate(columns):
            result[rows, component] = column
    return result


def _found(problem: ControlProblem, solution: Solution, target: str, points: Points) -> tuple[Array, NDArray[np.bool_]]:
    """The solution's own numbers (k, components), and which components are angles."""
    values = solution.function.evaluate(points.t, points.x, points.mode)
    if target == "V":
        return np.asarray(values.value, dtype=float).reshape(-1, 1), np.zeros(1, dtype=bool)
    start = 0
    for group in control_groups(problem):
        stop = start + len(group.symbols)
        if group.name == target:
            angles = np.array([bounds.periodic for bounds in group.bounds], dtype=bool)
            return np.asarray(values.control[:, start:stop], dtype=float), angles
        start = stop
    raise ValueError(f"a check of {target!r}, which is neither V nor average nor a control")


def _on_rim(problem: ControlProblem, points: Points) -> NDArray[np.bool_]:
    """Points at the end of time or on the boundary of what was sampled, where a formula may have a removable singularity."""
    rim: NDArray[np.bool_] = points.t >= horizon(problem)
    for column in points.x.T:
        low, high = column.min(), column.max()
        if low < high:
            rim = rim | (column == low) | (column == high)
    return rim
