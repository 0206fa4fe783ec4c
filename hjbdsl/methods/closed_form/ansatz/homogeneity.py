"""Which states scale: the homogeneity of a problem in a positive state, found and measured.

In: a problem. Out: the weight (0 or 1) of every control under w -> lambda*w, and what the rewards do:
f(lambda w, lambda^s a) = lambda^p f (power, degree p), or f + slope*log(lambda) (logarithm), up to an additive constant.
With E f = sum of weight*variable*df/dvariable (Euler's operator), p is E(E f)/E f, and p = 0 is the logarithm.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import sympy as sp

from hjbdsl.budget import BudgetExceeded, time_budget
from hjbdsl.methods.closed_form.ansatz.samples import sample_environment
from hjbdsl.model.problem import TIME, ControlProblem
from hjbdsl.model.solution import Array
from hjbdsl.numeric.compile import UnsupportedExpression, compile_expressions

_TOLERANCE = 1e-9
_FACTORS = (1.7, 0.4)


@dataclass(frozen=True, slots=True)
class Scaling:
    """`state` is the index of the wealth-like state; `weights` control -> 0 or 1; `degree` the exact degree p of the rewards,
    0 for a logarithm; `running_constant`, `terminal_constant` are the additive constants of the rewards."""

    state: int
    weights: dict[sp.Symbol, int]
    degree: sp.Expr
    running_constant: sp.Expr
    terminal_constant: sp.Expr


def scaling(problem: ControlProblem, state: int) -> Scaling | None:
    """The scaling in one positive state, or None where there is none (or a reward has no derivative that could show it)."""
    try:
        return _scaling(problem, state)
    except UnsupportedExpression:
        return None


def _scaling(problem: ControlProblem, state: int) -> Scaling | None:
    wealth = problem.state_symbols[state]
    groups = [g for g in (*problem.controls, *problem.adversaries) if not any(b.is_finite_set for b in g.bounds)]
    for choice in itertools.product((0, 1), repeat=len(groups)):
        weights = {a: s for g, s in zip(groups, choice, strict=True) for a in g.symbols}
        if not _covariant(problem, state, weights):
            continue
        found = _degree(problem, {wealth: 1, **{a: s for a, s in weights.items() if s}})
        if found is not None:
            return Scaling(state, weights, *found)
    return None


def _covariant(problem: ControlProblem, state: int, weights: dict[sp.Symbol, int]) -> bool:
    """Dynamics, rates, discount and control sets scale with the state."""
    invariant: list[sp.Expr] = [problem.objective.discount, *problem.correlation.values()]
    scaled: list[sp.Expr] = []
    for i, drift in enumerate(problem.drift):
        (scaled if i == state else invariant).append(drift)
    for (i, _), coefficient in problem.diffusion.items():
        (scaled if i == state else invariant).append(coefficient)
    for jump in problem.jumps:
        invariant.append(jump.rate)
        for i, displacement in jump.displacement.items():
            (scaled if i == state else invariant).append(displacement)
    invariant += [rate for chain in problem.modes for rate in chain.rates.values()]
    for group in (*problem.controls, *problem.adversaries):
        for symbol, bounds in zip(group.symbols, group.bounds, strict=True):
            ends = [e for e in (bounds.lower, bounds.upper, *bounds.points) if e.is_finite is not False]
            (scaled if weights.get(symbol) else invariant).extend(ends)
    joint = [c.condition for c in problem.constraints if c.role != "state"]
    wealth = problem.state_symbols[state]
    return (
        _scale_by(problem, invariant, wealth, weights, 0)
        and _scale_by(problem, scaled, wealth, weights, 1)
        and all(_scale_by_some(problem, condition, wealth, weights) for condition in joint)
    )


def _scale_by(
    problem: ControlProblem, expressions: list[sp.Expr], wealth: sp.Symbol, weights: dict[sp.Symbol, int], power: int
) -> bool:
    moving = {wealth} | {a for a, s in weights.items() if s}
    if power == 0:
        expressions = [e for e in expressions if e.free_symbols & moving]
    if not expressions:
        return True
    environment = sample_environment(problem)
    base = _evaluate(problem, expressions, environment)
    for factor in _FACTORS:
        moved = environment | {s: environment[s] * factor for s in moving}
        if not _close(_evaluate(problem, expressions, moved), base * factor**power):
            return False
    return True


def _scale_by_some(problem: ControlProblem, condition: sp.Basic, wealth: sp.Symbol, weights: dict[sp.Symbol, int]) -> bool:
    relations = condition.args if isinstance(condition, sp.And) else (condition,)
    return all(
        isinstance(r, sp.core.relational.Relational)
        and any(_scale_by(problem, [r.lhs - r.rhs], wealth, weights, power) for power in (0, 1))
        for r in relations
    )


def _degree(problem: ControlProblem, moving: dict[sp.Symbol, int]) -> tuple[sp.Expr, sp.Expr, sp.Expr] | None:
    """The common degree of running and terminal reward, and the constants left over in each."""
    objective = problem.objective
    degrees: list[sp.Expr] = []
    constants: list[sp.Expr] = []
    for reward in (objective.running, objective.terminal):
        found = (None, sp.S.Zero) if reward is None or reward == 0 else _split(problem, reward, moving)
        if found is None:
            return None
        if found[0] is not None:
            degrees.append(found[0])
        constants.append(found[1])
    if not degrees or any(abs(float(problem.numeric(p - degrees[0]))) > _TOLERANCE for p in degrees[1:]):
        return None
    return degrees[0], constants[0], constants[1]


def _split(problem: ControlProblem, reward: sp.Expr, moving: dict[sp.Symbol, int]) -> tuple[sp.Expr | None, sp.Expr] | None:
    """(degree, constant) of one reward; degree None where it is a mere constant; None where it is not homogeneous."""
    slope = euler(reward, moving)
    if slope == 0:
        constant = constant_value(problem, reward)
        return None if constant is None else (None, constant)
    ratio = _constant_ratio(problem, euler(slope, moving), slope)
    if ratio is None:
        return None
    if ratio[1] == 0:
        return sp.S.Zero, sp.S.Zero
    constant = constant_value(problem, reward - slope / ratio[0])
    return None if constant is None else (ratio[0], constant)


def euler(expression: sp.Expr, moving: dict[sp.Symbol, int]) -> sp.Expr:
    """Euler's operator: the derivative along the scaling."""
    return sp.Add(*(weight * s * sp.diff(expression, s) for s, weight in moving.items()))


def _constant_ratio(problem: ControlProblem, top: sp.Expr, bottom: sp.Expr) -> tuple[sp.Expr, float] | None:
    """top/bottom where it is the same number everywhere: exactly and as a float."""
    environment = sample_environment(problem)
    upper, lower = _evaluate(problem, [top, bottom], environment)
    usable = np.isfinite(upper) & np.isfinite(lower) & (np.abs(lower) > 0)
    if usable.sum() < 3:
        return None
    ratio = upper[usable] / lower[usable]
    value = float(np.median(ratio))
    value = 0.0 if abs(value) < _TOLERANCE else value
    if np.abs(ratio - value).max() > _TOLERANCE * (1 + abs(value)):
        return None
    return _exact(problem, top, bottom, value), value


def _exact(problem: ControlProblem, top: sp.Expr, bottom: sp.Expr, value: float) -> sp.Expr:
    """The constant in the parameters' symbols: both sides at a point where everything is one, else a rational number."""
    if value == 0:
        return sp.S.Zero
    variables = {*problem.state_symbols, *problem.control_symbols, *problem.adversary_symbols, TIME}
    ones: dict[sp.Basic, sp.Expr] = dict.fromkeys(variables, sp.S.One)
    try:
        with time_budget(0.3):
            exact = sp.cancel(sp.powsimp(top.xreplace(ones) / bottom.xreplace(ones)))
            number = problem.numeric(exact)
            if number.is_number and number.is_finite and abs(float(number) - value) < 1e-9 * (1 + abs(value)):
                return exact
    except (BudgetExceeded, TypeError, ValueError):
        pass
    return sp.nsimplify(sp.Float(value), rational=True, tolerance=1e-12)


def constant_value(problem: ControlProblem, expression: sp.Expr) -> sp.Expr | None:
    """The number that `expression` is everywhere, exactly; None where it is not constant."""
    values = _evaluate(problem, [expression, sp.S.One], sample_environment(problem))[0]
    values = values[np.isfinite(values)]
    if len(values) == 0 or np.ptp(values) > 1e-8 * (1 + np.abs(values).max()):
        return None
    value = float(np.median(values))
    return sp.S.Zero if abs(value) < _TOLERANCE else _exact(problem, expression, sp.S.One, value)


def _evaluate(problem: ControlProblem, expressions: list[sp.Expr], environment: dict[sp.Symbol, Array]) -> Array:
    numeric = [problem.numeric(e) for e in expressions]
    arguments = list(environment)
    return np.stack(compile_expressions(arguments, numeric)(*environment.values()))


def _close(left: Array, right: Array) -> bool:
    both = np.isfinite(left) & np.isfinite(right)
    return bool(both.any()) and bool(
        np.all(np.abs(left - right)[both] <= _TOLERANCE * (1e-12 + np.abs(left) + np.abs(right))[both])
    )
