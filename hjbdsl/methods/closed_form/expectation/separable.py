"""Family: independent parts. Where states and controls fall into groups that share nothing, V is the sum of the groups' values.

Two groups share nothing when no drift, noise, bound, constraint, jump or summand of the reward holds symbols of both;
correlated noises do no harm, since the mixed derivatives of a sum vanish. Each group is solved by the engine that is handed in
(the other families), equal groups once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.family import Derivatives, ExactFunction, Family, Proposal
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import TIME, ControlProblem, VariableGroup
from hjbdsl.model.solution import Accepted, Array, PointValues, Rejected
from hjbdsl.numeric.polynomial import additive_terms, expanded
from hjbdsl.symbolic.derive import derive

Solve = Callable[[HJBEquation], Accepted | Rejected]
_LONGEST_EXPANSION = 400


@dataclass(frozen=True, slots=True)
class SeparableValue(ExactFunction):
    """`parts` are (state indices, control indices, value function of these states)."""

    states: int
    controls: int
    parts: tuple[tuple[NDArray[np.intp], NDArray[np.intp], ExactFunction], ...]

    def evaluate(self, t: Array, x: Array, mode: NDArray[Any]) -> PointValues:
        k = len(t)
        value, error = np.zeros(k), np.zeros(k)
        gradient, control = np.zeros((k, self.states)), np.zeros((k, self.controls))
        for states, controls, function in self.parts:
            point = function.evaluate(t, x[:, states], mode)
            value += point.value
            error += point.error
            gradient[:, states] = point.gradient
            control[:, controls] = point.control
        return PointValues(value, error, gradient, control)

    def derivatives(self, t: Array, x: Array, mode: NDArray[Any]) -> Derivatives:
        k = len(t)
        value, time = np.zeros(k), np.zeros(k)
        gradient, hessian = np.zeros((k, self.states)), np.zeros((k, self.states, self.states))
        for states, _, function in self.parts:
            v = function.derivatives(t, x[:, states], mode)
            value += v.value
            time += v.time
            gradient[:, states] = v.gradient
            hessian[:, states[:, None], states] = v.hessian
        return Derivatives(value, time, gradient, hessian)


@dataclass(frozen=True, slots=True)
class _Part:
    """A group of states and of controls (then adversaries) by index, with its own problem."""

    states: NDArray[np.intp]
    controls: NDArray[np.intp]
    problem: ControlProblem


def family(solve: Solve) -> Family:
    """`propose` of this family; `solve` answers for a part."""

    def propose(equation: HJBEquation) -> Proposal | Rejected:
        problem = equation.problem
        parts = split(problem)
        if isinstance(parts, Rejected):
            return parts
        solved: dict[object, Accepted] = {}
        pieces, averages, names = [], [], []
        for part in parts:
            key = _shape(part.problem)
            if key not in solved:
                answer = solve(derive(part.problem))
                if isinstance(answer, Rejected):
                    states = ", ".join(str(s) for s in part.problem.state_symbols)
                    return Rejected(f"the part in {states} has no closed form: {answer.reason}")
                solved[key] = answer
            solution = solved[key].solution
            if not isinstance(solution.function, ExactFunction):
                return Rejected("a part lacks exact derivatives")
            pieces.append((part.states, part.controls, solution.function))
            averages.append(solution.average)
            names.append(solution.family)
        controls = len(problem.control_symbols) + len(problem.adversary_symbols)
        average = sum(a for a in averages if a is not None) if problem.objective.form == "average" else None
        function = SeparableValue(problem.dimension, controls, tuple(pieces))
        return Proposal(
            family=f"sum of {len(parts)} independent parts: {', '.join(dict.fromkeys(names))}",
            function=function,
            statements=(f"the equation falls apart: V is the sum of {len(parts)} values, {len(solved)} of them different",),
            average=average,
            accuracy=_accuracy(problem, function),
        )

    return propose


def _accuracy(problem: ControlProblem, function: ExactFunction) -> float:
    """The largest claimed error at the corners and the centre line of the region."""
    ends = np.array([[float(problem.numeric(v)) for v in pair] for pair in problem.region])
    ends = np.where(np.isfinite(ends), ends, np.sign(ends) * 2.0)
    x = ends[:, 0] + (ends[:, 1] - ends[:, 0]) * np.linspace(0.1, 0.9, 9)[:, None]
    return float(np.max(function.evaluate(np.zeros(9), x, np.zeros(9, dtype=np.int64)).error))


def split(problem: ControlProblem) -> tuple[_Part, ...] | Rejected:
    """The independent parts, at least two, or why there are none."""
    if problem.modes or problem.exit is not None or problem.stopping is not None or problem.exploration is not None:
        return Rejected("modes, stopping, exit and exploration are common to all states")
    if problem.reversal is not None or problem.objective.form not in {"expectation", "average"}:
        return Rejected("only sums of rewards separate")
    if problem.objective.discount.free_symbols - set(problem.values) - {TIME}:
        return Rejected("the discount depends on the state")
    symbols = (*problem.state_symbols, *problem.control_symbols, *problem.adversary_symbols)
    running = _summands(problem.objective.running, symbols)
    terminal = _summands(problem.objective.terminal or sp.S.Zero, symbols)
    groups = _components(symbols, [*_links(problem), *(t.free_symbols for t in (*running, *terminal))])
    if len(groups) < 2:
        return Rejected("states and controls hang together")
    if any(not group & set(problem.state_symbols) for group in groups):
        return Rejected("a control acts on no state")
    parts = []
    for number, group in enumerate(groups):
        share = [
            sp.Add(*(t for t in terms if t.free_symbols & group or (number == 0 and not t.free_symbols & set(symbols))))
            for terms in (running, terminal)
        ]
        if share[0] == 0 and share[1] == 0:
            return Rejected("a part of the states earns and costs nothing")
        parts.append(_part(problem, group, *share))
    return tuple(parts)


def _summands(expression: sp.Expr, symbols: tuple[sp.Symbol, ...]) -> list[sp.Expr]:
    result: list[sp.Expr] = []
    for term in additive_terms(expression, frozenset(symbols)):
        result += sp.Add.make_args(expanded(term)) if sp.count_ops(term) < _LONGEST_EXPANSION else (term,)
    return result


def _links(problem: ControlProblem) -> Iterable[set[sp.Symbol]]:
    """Sets of symbols that one expression of the dynamics or of the constraints holds together."""
    states = problem.state_symbols
    yield from ({states[i], *entry.free_symbols} for i, entry in enumerate(problem.drift))
    yield from ({states[i], *entry.free_symbols} for (i, _), entry in problem.diffusion.items())
    yield from (c.condition.free_symbols for c in problem.constraints)
    for jump in problem.jumps:
        yield {*jump.rate.free_symbols, *(states[i] for i in jump.displacement)}.union(
            *(d.free_symbols for d in jump.displacement.values())
        )
    for group in (*problem.states, *problem.controls, *problem.adversaries):
        for symbol, bounds in zip(group.symbols, group.bounds, strict=True):
            yield {symbol, *bounds.lower.free_symbols, *bounds.upper.free_symbols}


def _components(symbols: tuple[sp.Symbol, ...], links: list[set[sp.Symbol]]) -> list[set[sp.Symbol]]:
    """Connected components of `symbols`, in order of their first symbol."""
    parent = {s: s for s in symbols}

    def root(s: sp.Symbol) -> sp.Symbol:
        while parent[s] != s:
            parent[s] = parent[parent[s]]
            s = parent[s]
        return s

    for link in links:
        together = [s for s in symbols if s in link] if len(link) > 1 else []
        for other in together[1:]:
            parent[root(other)] = root(together[0])
    result: dict[sp.Symbol, set[sp.Symbol]] = {}
    for s in symbols:
        result.setdefault(root(s), set()).add(s)
    return list(result.values())


def _part(problem: ControlProblem, group: set[sp.Symbol], running: sp.Expr, terminal: sp.Expr) -> _Part:
    states = [i for i, s in enumerate(problem.state_symbols) if s in group]
    controls = [i for i, s in enumerate((*problem.control_symbols, *problem.adversary_symbols)) if s in group]
    place = {i: k for k, i in enumerate(states)}
    noises = sorted({k for i, k in problem.diffusion if i in place})
    noise = {k: j for j, k in enumerate(noises)}
    jumps = tuple(j for j in problem.jumps if set(j.displacement) <= set(states))
    moved = tuple(replace(j, displacement={place[i]: d for i, d in j.displacement.items()}) for j in jumps)
    objective = replace(problem.objective, running=running, terminal=terminal if problem.objective.terminal is not None else None)
    part = replace(
        problem,
        states=_restrict(problem.states, group),
        controls=_restrict(problem.controls, group),
        adversaries=_restrict(problem.adversaries, group),
        constraints=tuple(c for c in problem.constraints if c.condition.free_symbols & group),
        noises=tuple(problem.noises[k] for k in noises),
        correlation={(noise[k], noise[m]): c for (k, m), c in problem.correlation.items() if k in noise and m in noise},
        jumps=moved,
        drift=tuple(problem.drift[i] for i in states),
        diffusion={(place[i], noise[k]): d for (i, k), d in problem.diffusion.items() if i in place},
        objective=objective,
        boundaries=tuple(b for b in problem.boundaries if b.state in group),
        region=tuple(problem.region[i] for i in states),
        checks=(),
    )
    return _Part(np.array(states, dtype=np.intp), np.array(controls, dtype=np.intp), part)


def _restrict(groups: tuple[VariableGroup, ...], kept: set[sp.Symbol]) -> tuple[VariableGroup, ...]:
    result = []
    for g in groups:
        chosen = [(s, b) for s, b in zip(g.symbols, g.bounds, strict=True) if s in kept]
        if chosen:
            symbols, bounds = zip(*chosen, strict=True)
            result.append(replace(g, shape=() if g.shape == () else (len(symbols),), symbols=symbols, bounds=bounds))
    return tuple(result)


def _shape(problem: ControlProblem) -> object:
    """What two parts have in common when one's value function is the other's: all expressions, symbols renamed by position."""
    symbols = (*problem.state_symbols, *problem.control_symbols, *problem.adversary_symbols)
    table = {s: sp.Symbol(f"part{i}", **s.assumptions0) for i, s in enumerate(symbols)}

    def renamed(expressions: Iterable[sp.Basic]) -> tuple[sp.Basic, ...]:
        return tuple(sp.sympify(e).xreplace(table) for e in expressions)

    o = problem.objective
    bounds = [b for g in (*problem.states, *problem.controls, *problem.adversaries) for b in g.bounds]
    jumps = tuple((renamed([j.rate, *j.displacement.values()]), tuple(j.displacement), j.mark, j.law) for j in problem.jumps)
    return (
        renamed([*problem.drift, *problem.diffusion.values(), o.running, o.terminal or sp.S.Zero]),
        tuple(problem.diffusion), renamed(problem.correlation.values()), tuple(problem.correlation), jumps,
        renamed(c.condition for c in problem.constraints), tuple((*renamed([b.lower, b.upper]), b.points) for b in bounds),
        renamed(v for pair in problem.region for v in pair), tuple(str(b) for b in problem.boundaries),
    )  # fmt: skip
