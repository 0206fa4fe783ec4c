"""Roots, powers and logarithms that are not real where the answer is wanted.

In: a problem and the partial operations its coefficients hold. Out: a finding at the operation. Only what a computed
point proves is reported: a point inside the region, not excluded by an exit or a constraint, where a coefficient
itself is not a real number.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping

import sympy as sp

from hjbdsl.frontend.arithmetic import as_float
from hjbdsl.frontend.context import PartialOperation
from hjbdsl.frontend.findings import Findings
from hjbdsl.frontend.interval import truth
from hjbdsl.model.problem import TIME, Bounds, ControlProblem

Point = Mapping[sp.Symbol, sp.Expr]
SAMPLES = 48


def interior_points(problem: ControlProblem) -> Iterator[Point]:
    """Points of the region, all the same on every run: a lattice in one and two dimensions, scattered ones beyond."""
    ranges = [(as_float(low), as_float(high)) for low, high in problem.region]
    symbols = problem.state_symbols
    if len(symbols) == 1:
        fractions: Iterator[tuple[float, ...]] = (((i + 0.5) / SAMPLES,) for i in range(SAMPLES))
    elif len(symbols) == 2:
        steps = [(i + 0.5) / 12 for i in range(12)]
        fractions = itertools.product(steps, steps)
    else:
        source = random.Random(1)
        fractions = (tuple(source.random() for _ in symbols) for _ in range(SAMPLES))
    for fraction in fractions:
        point: dict[sp.Symbol, sp.Expr] = {}
        for symbol, bounds, (low, high), part in zip(symbols, problem.state_bounds, ranges, fraction, strict=True):
            inside = sp.Rational(low + part * (high - low)).limit_denominator(10**6)
            point[symbol] = bounds.points[int(part * len(bounds.points))] if bounds.points else inside
        if _admitted(problem, point):
            yield point


def _admitted(problem: ControlProblem, point: Point) -> bool:
    """Whether the process can be at the point: not exited, no constraint on states broken."""
    numbers = {**problem.values, **point}
    if problem.exit is not None and truth(problem.exit.condition.xreplace(numbers), {}) is not False:
        return False
    states = [constraint.condition for constraint in problem.constraints if constraint.role == "state"]
    return all(truth(condition.xreplace(numbers), {}) is not False for condition in states)


def some_control(problem: ControlProblem, point: Point) -> Point:
    """An admissible value for every control, strictly inside its bounds where they have an inside."""
    chosen = {}
    for group in (*problem.controls, *problem.adversaries):
        for symbol, bounds in zip(group.symbols, group.bounds, strict=True):
            chosen[symbol] = _inside(bounds, {**problem.values, **point, TIME: sp.S.Zero})
    return chosen


def _inside(bounds: Bounds, numbers: Point) -> sp.Expr:
    if bounds.points:
        return bounds.points[-1].xreplace(dict(numbers))
    low, high = bounds.lower.xreplace(dict(numbers)), bounds.upper.xreplace(dict(numbers))
    if low == -sp.oo:
        return sp.Rational(1, 7) if high == sp.oo else high - 1
    return low + 1 if high == sp.oo else (low + high) / 2


def report_unreal(problem: ControlProblem, operations: Mapping[sp.Expr, PartialOperation], findings: Findings) -> None:
    """Drift, diffusion and payoffs must be real in the region; not so at an exit, where the process is outside of it."""
    if not operations:
        return
    points = list(interior_points(problem))
    free_of_choice = set(problem.control_symbols) | set(problem.adversary_symbols)
    objective = problem.objective
    payoffs = (
        ("running payoff", objective.running),
        ("terminal payoff", objective.terminal),
        ("payoff of stopping", objective.stop_value),
    )
    groups = [("diffusion", list(problem.diffusion.values())), ("drift", list(problem.drift))]
    groups += [(what, [payoff]) for what, payoff in payoffs if payoff is not None]
    for argument, operation in operations.items():
        if argument.free_symbols & free_of_choice or not argument.free_symbols & {*problem.state_symbols, TIME}:
            continue
        for what, entries in groups:
            holding = [entry for entry in entries if entry.has(argument)]
            if holding and _report_one(problem, operation, what, holding, points, findings):
                break


def _report_one(problem: ControlProblem, operation: PartialOperation, what: str, entries: list[sp.Expr],
                points: list[Point], findings: Findings) -> bool:  # fmt: skip
    for point, mode in itertools.product(points, problem.mode_tuples()[:8]):
        numbers = {**problem.values, **point, TIME: sp.S.Zero}
        value = as_float(problem.at_mode(operation.argument, mode).xreplace(numbers))
        if not value < -1e-9:
            continue
        numbers.update(some_control(problem, point))
        if not any(_is_unreal(problem.at_mode(entry, mode).xreplace(numbers)) for entry in entries):
            continue
        place = ", ".join(
            f"{symbol} = {as_float(number):.4g}" for symbol, number in point.items() if symbol in operation.argument.free_symbols
        )
        sign = "> 0" if operation.strict else ">= 0"
        where = f" at {place}" if place else ""
        message = f"the {what} is not real: `{operation.text}` with `{operation.argument_text}` negative{where}"
        remedy = f"`{operation.argument_text}` must be {sign} in the region: narrow the state's domain or the `region`"
        findings.report("HJB101", message, remedy, operation.span)
        return True
    return False


def _is_unreal(value: sp.Expr) -> bool:
    number = sp.N(value, 15)
    return bool(number.is_number) and number.is_real is False and not number.has(sp.oo, sp.zoo, sp.nan)
