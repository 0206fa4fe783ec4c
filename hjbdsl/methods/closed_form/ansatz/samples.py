"""Points at which structure is looked for and ansätze are tested: spread over the whole state space, not only the region.

In: a problem. Out: deterministic samples of states, controls, time, marks and mode parameters. An ansatz that holds on the region
but breaks where a control bound begins to bind elsewhere is no solution, hence the spread.
"""

from __future__ import annotations

import numpy as np
import sympy as sp

from hjbdsl.model.problem import TIME, Bounds, ControlProblem
from hjbdsl.model.solution import Array

_SEED = 20_240_607


def sample_states(problem: ControlProblem, count: int, spread: float = 1.0) -> Array:
    """(count, n) states: positive ones over factors of exp(spread), real ones over some widths of the region, bounded ones
    inside; lattice states are drawn from their points."""
    generator = np.random.default_rng(_SEED)
    columns = []
    for bounds, (low, high) in zip(problem.state_bounds, problem.region, strict=True):
        left, right = _number(problem, low), _number(problem, high)
        columns.append(_draw(problem, bounds, left, right, count, spread, generator))
    return np.stack(columns, axis=1) if columns else np.zeros((count, 0))


def sample_region(problem: ControlProblem, count: int) -> Array:
    """(count, n) states inside the region only."""
    generator = np.random.default_rng(_SEED)
    columns = []
    for bounds, (low, high) in zip(problem.state_bounds, problem.region, strict=True):
        if bounds.is_finite_set:
            columns.append(generator.choice(np.array([_number(problem, p) for p in bounds.points]), count))
        else:
            columns.append(generator.uniform(_number(problem, low), _number(problem, high), count))
    return np.stack(columns, axis=1)


def region_states(problem: ControlProblem) -> Array:
    """The centre and the two extreme corners of the region, (3, n); lattice states at the middle and end points."""
    rows = []
    for place in (0.0, 0.5, 1.0):
        row = []
        for bounds, (low, high) in zip(problem.state_bounds, problem.region, strict=True):
            if bounds.is_finite_set:
                points = sorted(_number(problem, p) for p in bounds.points)
                row.append(points[round(place * (len(points) - 1))])
            else:
                row.append(_number(problem, low) * (1 - place) + _number(problem, high) * place)
        rows.append(row)
    return np.array(rows).reshape(3, problem.dimension)


def far_states(problem: ControlProblem) -> Array:
    """States far outside the region, as far as 1000 times its width, one continuous component at a time and all together."""
    near = sample_states(problem, 1)[0]
    result = []
    for size in (5.0, 30.0, 200.0, 1000.0):
        for sign in (1, -1):
            moved = {i: _far(problem, i, near[i], sign * size) for i in problem.continuous_states}
            for i, value in moved.items():
                result.append([value if j == i else near[j] for j in range(len(near))])
            result.append([moved.get(j, near[j]) for j in range(len(near))])
    return np.array(result).reshape(-1, len(near))


def _far(problem: ControlProblem, i: int, near: float, size: float) -> float:
    bounds, (low, high) = problem.state_bounds[i], problem.region[i]
    lower, upper = _number(problem, bounds.lower), _number(problem, bounds.upper)
    half = (_number(problem, high) - _number(problem, low)) / 2
    if np.isfinite(lower) and np.isfinite(upper):
        return near
    if np.isfinite(lower):
        return lower + (near - lower) * (size if size > 0 else -1 / size)
    if np.isfinite(upper):
        return upper - (upper - near) * (size if size > 0 else -1 / size)
    return near + size * (half if np.isfinite(half) and half > 0 else 1.0)


def _draw(
    problem: ControlProblem, bounds: Bounds, left: float, right: float, count: int, spread: float, generator: np.random.Generator
) -> Array:
    if bounds.is_finite_set:
        points = np.array([_number(problem, p) for p in bounds.points])
        return generator.choice(points, count)
    lower, upper = _number(problem, bounds.lower), _number(problem, bounds.upper)
    if not np.isfinite([left, right]).all():
        left, right = (lower + 0.1, lower + 2) if np.isfinite(lower) else (-1.0, 1.0)
    if np.isfinite(lower) and np.isfinite(upper):
        return lower + (upper - lower) * generator.uniform(0.02, 0.98, count)
    centre, half = (left + right) / 2, max((right - left) / 2, 1e-3)
    if np.isfinite(lower):
        return lower + max(centre - lower, 1e-3) * np.exp(spread * generator.uniform(-1.5, 1.5, count))
    if np.isfinite(upper):
        return upper - max(upper - centre, 1e-3) * np.exp(spread * generator.uniform(-1.5, 1.5, count))
    return centre + 3 * spread * half * generator.uniform(-1, 1, count)


def sample_environment(problem: ControlProblem, count: int = 7) -> dict[sp.Symbol, Array]:
    """Arrays (count,) for time, states, controls, marks and mode parameters, all inside their sets where these are numbers."""
    generator = np.random.default_rng(_SEED + 1)
    states = sample_states(problem, count)
    environment: dict[sp.Symbol, Array] = {s: states[:, i] for i, s in enumerate(problem.state_symbols)}
    end = problem.objective.end
    horizon = _number(problem, end) if end.is_finite is not False else 1.0
    environment[TIME] = horizon * generator.uniform(0.05, 0.95, count)
    for group in (*problem.controls, *problem.adversaries):
        for symbol, bounds in zip(group.symbols, group.bounds, strict=True):
            environment[symbol] = _control(problem, bounds, count, generator)
    for parameter in problem.mode_parameters:
        values = [problem.numeric(v) for v in parameter.values]
        numbers = [1.0 if v == sp.true else 0.0 if v == sp.false else float(v) if v.is_number else np.nan for v in values]
        environment[parameter.symbol] = generator.choice(np.array(numbers), count)
    for jump in problem.jumps:
        if jump.mark is not None:
            environment[jump.mark] = generator.uniform(0.01, 0.2, count)
    return environment


def _control(problem: ControlProblem, bounds: Bounds, count: int, generator: np.random.Generator) -> Array:
    if bounds.is_finite_set:
        return generator.choice(np.array([_number(problem, p) for p in bounds.points]), count)
    lower, upper = _number(problem, bounds.lower), _number(problem, bounds.upper)
    uniform = generator.uniform(0.05, 0.95, count)
    if np.isfinite(lower) and np.isfinite(upper):
        return lower + (upper - lower) * uniform
    if np.isfinite(lower):
        return lower + 0.5 * uniform
    if np.isfinite(upper):
        return upper - 0.5 * uniform
    return uniform


def _number(problem: ControlProblem, expression: sp.Expr) -> float:
    """The number of an expression, infinite where it depends on states or time."""
    number = problem.numeric(expression)
    return float(number) if number.is_number else float("inf") * (-1 if (-number).is_positive else 1)
