"""What the players may choose, as text: bounds, constraints, the candidates for the optimum and where each one holds.

In: the emitter of an equation. Out: lines of the generated program. Raises NotImplementedError with what it cannot write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sympy as sp

from hjbdsl.methods.grid.formulas import Emitter
from hjbdsl.methods.grid.soft import Soft
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import ControlProblem

SEARCH_NODES = {1: 25, 2: 7, 3: 4}
"""Lattice of the numerical search by the number of control components."""


def bound_lines(emitter: Emitter) -> list[str]:
    groups = emitter.problem.controls + emitter.problem.adversaries
    every = [bound for group in groups for bound in group.bounds]
    low = [min(b.points) if b.is_finite_set else b.lower for b in every]
    high = [max(b.points) if b.is_finite_set else b.upper for b in every]
    finite = [sp.sympify(e) for e in low + high]
    lines, results = emitter.lines([sp.S.Zero if e.is_infinite else e for e in finite])
    texts = [("-np.inf" if e == -sp.oo else "np.inf") if e.is_infinite else r for e, r in zip(finite, results, strict=True)]
    return [*lines, f"return {', '.join(texts)}"]


def constraint_lines(emitter: Emitter) -> list[str]:
    conditions = [c.condition for c in emitter.problem.constraints if c.role != "state"]
    tests = []
    for c, bound in enumerate(b for g in emitter.problem.controls + emitter.problem.adversaries for b in g.bounds):
        if bound.is_finite_set:
            tests.append(
                "(" + " or ".join(f"abs(a{c} - {float(emitter.problem.numeric(p))!r}) < 1e-9" for p in bound.points) + ")"
            )
    relaxed = []
    for condition in conditions:
        for part in condition.args if isinstance(condition, sp.And) else (condition,):
            if isinstance(part, sp.Rel) and not isinstance(part, (sp.Eq, sp.Ne)):
                relaxed.append(part.gts - part.lts)
            else:
                raise NotImplementedError(f"the constraint {part}")
    lines, results = emitter.lines(relaxed, controls=True) if relaxed else ([], [])
    tests += [f"({text}) >= -1e-9" for text in results]
    return [*lines, f"return {' and '.join(tests) if tests else 'True'}"]


def _resting(emitter: Emitter) -> list[tuple[str, Mapping[sp.Symbol, sp.Expr]]]:
    """Controls that hold one continuous state still: where the wind turns, the optimum may sit there."""
    candidates = emitter.equation.optimum.candidates
    found: list[tuple[str, Mapping[sp.Symbol, sp.Expr]]] = []
    for axis in emitter.axes:
        drift = emitter.problem.drift[axis]
        for symbol in emitter.controls:
            slope = sp.diff(drift, symbol)
            if slope == 0 or any(c in slope.free_symbols for c in emitter.controls):
                continue
            rest = -drift.xreplace({symbol: sp.S.Zero}) / slope
            others = [c for c in emitter.controls if c != symbol]
            if symbol in rest.free_symbols:
                continue
            base = candidates[0].controls if candidates else {}
            name = f"{emitter.problem.state_symbols[axis]} at rest"
            if all(c in base for c in others) and not any(c in rest.free_symbols for c in emitter.controls):
                found.append((name, {**{c: base[c] for c in others}, symbol: rest}))
    return found


def idle(emitter: Emitter) -> list[tuple[str, Mapping[sp.Symbol, sp.Expr]]]:
    """Where V is still flat and no formula holds: one control rests a state, the others are 0."""
    found: list[tuple[str, Mapping[sp.Symbol, sp.Expr]]] = []
    for axis in emitter.axes:
        for symbol in emitter.controls:
            slope = sp.diff(emitter.problem.drift[axis], symbol)
            if slope == 0 or any(c in slope.free_symbols for c in emitter.controls):
                continue
            idle: dict[sp.Symbol, sp.Expr] = {c: sp.S.Zero for c in emitter.controls if c != symbol}
            rest = (-emitter.problem.drift[axis].xreplace({symbol: sp.S.Zero}) / slope).xreplace(idle)
            found.append((f"{emitter.problem.state_symbols[axis]} at rest, the other controls 0", {**idle, symbol: rest}))
    return found


def noise_unbounded(equation: HJBEquation) -> tuple[bool, ...]:
    """Whether a control without bound scales the noise, by continuous state."""
    problem = equation.problem
    bounds = [bound for group in problem.controls + problem.adversaries for bound in group.bounds]
    free = {
        a
        for a, bound in zip(problem.control_symbols + problem.adversary_symbols, bounds, strict=True)
        if not bound.is_finite_set and sp.oo in (-bound.lower, bound.upper)
    }
    return tuple(not free.isdisjoint(equation.covariance.get((i, i), sp.S.Zero).free_symbols) for i in problem.continuous_states)


def silent(emitter: Emitter) -> list[tuple[str, Mapping[sp.Symbol, sp.Expr]]]:
    """Every candidate with a control that scales the noise of a state set so that there is none: what a constraint needs."""
    found: list[tuple[str, Mapping[sp.Symbol, sp.Expr]]] = []
    for (axis, _), loading in emitter.problem.diffusion.items():
        variance = emitter.equation.covariance.get((axis, axis), sp.S.Zero)
        for symbol in emitter.controls:
            slope = sp.diff(loading, symbol)
            if slope == 0 or any(c in slope.free_symbols for c in emitter.controls):
                continue
            silence = sp.simplify(-loading.xreplace({symbol: sp.S.Zero}) / slope)
            if any(c in silence.free_symbols for c in emitter.controls) or sp.simplify(variance.xreplace({symbol: silence})) != 0:
                continue
            for candidate in emitter.equation.optimum.candidates[:1]:
                name = f"{candidate.name}, {emitter.problem.state_symbols[axis]} without noise"
                found.append((name, {**candidate.controls, symbol: silence}))
                found += _resting_too(emitter, axis, name, {**candidate.controls, symbol: silence}, symbol)
    return found


def _resting_too(
    emitter: Emitter, axis: int, name: str, controls: Mapping[sp.Symbol, sp.Expr], silent_one: sp.Symbol
) -> list[tuple[str, Mapping[sp.Symbol, sp.Expr]]]:
    """A state without noise is also held still by another control: at an end nothing that leaves may be consumed."""
    found: list[tuple[str, Mapping[sp.Symbol, sp.Expr]]] = []
    for symbol in emitter.controls:
        slope = sp.diff(emitter.problem.drift[axis], symbol)
        if symbol == silent_one or slope == 0 or any(c in slope.free_symbols for c in emitter.controls):
            continue
        others = {c: value for c, value in controls.items() if c != symbol}
        rest = (-emitter.problem.drift[axis].xreplace({symbol: sp.S.Zero}) / slope).xreplace(others)
        found.append((f"{name} and at rest", {**others, symbol: rest}))
    return found


def candidate_branches(emitter: Emitter) -> list[dict[str, object]]:
    branches: list[dict[str, object]] = []
    named = [(c.name, c.controls) for c in emitter.equation.optimum.candidates] + silent(emitter) + _resting(emitter)
    for name, controls in [*named, *idle(emitter)]:
        lines, results = emitter.lines([controls[symbol] for symbol in emitter.controls])
        branches.append({"name": name, "lines": [*lines, f"return {', '.join(results)}{',' if len(results) == 1 else ''}"]})
    return branches


def search_nodes(emitter: Emitter) -> int:
    """Nodes a component of the numerical search, 0 where formulas cover the optimum."""
    if emitter.equation.optimum.status != "implicit" or not emitter.controls:
        return 0
    if len(emitter.controls) not in SEARCH_NODES:
        raise NotImplementedError("a numerical search over more than three control components")
    if emitter.problem.controls and emitter.problem.adversaries:
        raise NotImplementedError("a game whose saddle point has no formula")
    return SEARCH_NODES[len(emitter.controls)]


def fallback_lines(emitter: Emitter) -> list[str]:
    """A control inside the box, where nothing else is admissible yet: the middle, or one unit from the finite end."""
    lines = []
    for c in range(len(emitter.controls)):
        low, high = f"low{c}", f"high{c}"
        lines.append(
            f"a{c} = 0.5 * ({low} + {high}) if abs({low}) < 1e300 and abs({high}) < 1e300 else "
            f"({low} + 1.0 if abs({low}) < 1e300 else ({high} - 1.0 if abs({high}) < 1e300 else 0.0))"
        )
    return lines


def case_branches(emitter: Emitter) -> list[dict[str, object]]:
    cases: list[dict[str, object]] = []
    for case in emitter.equation.optimum.candidates:
        lines, results = emitter.lines([sp.Piecewise((1, case.where), (0, True))])
        cases.append({"name": case.name, "lines": lines, "where": f"{results[0]} > 0.5"})
    return cases


def leaps_controlled(problem: ControlProblem, controls: Sequence[sp.Symbol]) -> bool:
    """Whether a control enters a jump or a switch of mode."""
    jumped = [e for jump in problem.jumps for e in (jump.rate, *jump.displacement.values())]
    switched = [rate for chain in problem.modes for rate in chain.rates.values()]
    return any(c in sp.sympify(e).free_symbols for e in jumped + switched for c in controls)


def needed_differences(emitter: Emitter) -> list[int]:
    """Numbers of the jumps whose difference E[V after] - V a candidate of the maximiser uses: those with a controlled rate."""
    free = set().union(*(sp.sympify(e).free_symbols for c in emitter.equation.optimum.candidates for e in c.controls.values()))
    return [k for k, symbol in enumerate(emitter.equation.jump_differences) if symbol in free]


def soft_context(emitter: Emitter, soft: Soft | None) -> dict[str, object] | None:
    """What the template of a Gibbs policy needs; None without one."""
    if soft is None:
        return None
    emitter.names |= {a: f"e{c}" for c, a in enumerate(soft.explored)}
    exponent_lines, exponent_results = emitter.lines([soft.exponent, soft.log_prior], controls=True)
    term_lines, term_results = emitter.lines(list(soft.means.values()), controls=True)
    ends = [sp.sympify(e) for b in soft.bounds for e in (b.lower, b.upper)]
    bound_lines, texts = emitter.lines([sp.S.Zero if e.is_infinite else e for e in ends])
    sides = [f"{side}{c}" for c in range(len(soft.bounds)) for side in ("low", "high")]
    for side, end, text in zip(sides, ends, texts, strict=True):
        bound_lines.append(f"{side} = {('-np.inf' if end == -sp.oo else 'np.inf') if end.is_infinite else text}")
    points = [[float(emitter.problem.numeric(v)) for v in point] for point in soft.points]
    axes = list(range(len(soft.explored)))
    return {
        "points": points, "axes": axes, "count": len(axes), "es": ", ".join(f"e{c}" for c in axes),
        "terms": list(range(len(soft.means))), "term_names": ", ".join(f"term{k}" for k in range(len(soft.means))),
        "box_names": ", ".join(f"left{c}, right{c}" for c in axes),
        "exponent_lines": exponent_lines, "exponent_results": ", ".join(exponent_results), "bound_lines": bound_lines,
        "term_lines": term_lines, "term_results": ", ".join(term_results),
    }  # fmt: skip
