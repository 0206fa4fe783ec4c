"""Problems built by hand for the tests of invariant ansätze: no front end, no derivation, the optimum left to numerics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sympy as sp

from hjbdsl.errors import Span
from hjbdsl.model.equation import HJBEquation, Optimum
from hjbdsl.model.problem import (
    Bounds,
    Constraint,
    ControlProblem,
    Jump,
    MarkLaw,
    ModeChain,
    ModeParameter,
    Noise,
    Objective,
    Source,
    VariableGroup,
)
from hjbdsl.model.problem import Notation as Words

SPAN = Span("by_hand.hjb", 1, 1, 1)
REAL = Bounds(-sp.oo, sp.oo)
POSITIVE = Bounds(sp.S.Zero, sp.oo)
NONNEGATIVE = Bounds(sp.S.Zero, sp.oo, lower_open=False)


def closed(low: Any, high: Any) -> Bounds:
    return Bounds(sp.nsimplify(low), sp.nsimplify(high), False, False)


def finite(*points: Any) -> Bounds:
    return Bounds(sp.S.Zero, sp.S.Zero, points=tuple(sp.nsimplify(p) for p in points))


def jump(rate: Any, displacement: Mapping[int, Any], law: MarkLaw | None = None, mark: sp.Symbol | None = None) -> Jump:
    return Jump("N", sp.sympify(rate), mark, law or MarkLaw("none"), {i: sp.sympify(d) for i, d in displacement.items()}, SPAN)


def equation(
    *,
    states: Sequence[tuple[sp.Symbol, Bounds]],
    controls: Sequence[tuple[sp.Symbol, Bounds]] = (),
    drift: Sequence[Any],
    diffusion: Mapping[tuple[int, int], Any] | None = None,
    correlation: Mapping[tuple[int, int], Any] | None = None,
    running: Any = 0,
    terminal: Any = None,
    discount: Any = 0,
    end: Any = sp.oo,
    sense: str = "maximize",
    values: Mapping[sp.Symbol, Any] | None = None,
    jumps: Sequence[Jump] = (),
    modes: Sequence[ModeChain] = (),
    mode_parameters: Sequence[ModeParameter] = (),
    constraints: Sequence[Any] = (),
    region: Sequence[tuple[Any, Any]] | None = None,
) -> HJBEquation:
    """The HJB equation of a problem; the stationary form where `end` is infinite."""
    n = len(states)
    diffusion = {k: sp.sympify(v) for k, v in (diffusion or {}).items()}
    correlation = {k: sp.sympify(v) for k, v in (correlation or {}).items()}
    noises = max((k for _, k in diffusion), default=-1) + 1
    objective = Objective(
        sense, "expectation", sp.sympify(running), None if terminal is None else sp.sympify(terminal), None, None,
        sp.sympify(discount), sp.sympify(end), None, True, SPAN,
    )  # fmt: skip
    values = {s: sp.nsimplify(v, rational=True) for s, v in (values or {}).items()}
    problem = ControlProblem(
        "by_hand", None, Source("by_hand.hjb", {}, ""), (), values,
        tuple(VariableGroup(s.name, "state", (), (s,), (b,), None, SPAN) for s, b in states),
        tuple(VariableGroup(s.name, "control", (), (s,), (b,), None, SPAN) for s, b in controls),
        (), tuple(Constraint(c, "control", SPAN) for c in constraints),
        tuple(Noise(f"W{k}", f"W{k}") for k in range(noises)), correlation, tuple(jumps), tuple(modes), tuple(mode_parameters),
        tuple(sp.sympify(d) for d in drift), diffusion, objective, None, None, None, None, (),
        tuple((sp.nsimplify(a), sp.nsimplify(b)) for a, b in (region or [(sp.Rational(1, 2), 2)] * n)),
        frozenset(), (), None, {}, {s.name: SPAN for s in values} | {"objective": SPAN},
    )  # fmt: skip
    gradient = tuple(sp.Symbol(f"p_{s.name}", real=True) for s, _ in states)
    covariance, hessian = {}, {}
    for i in range(n):
        for j in range(i, n):
            entry = sum(
                diffusion.get((i, k), 0) * diffusion.get((j, m), 0) * (1 if k == m else correlation.get((min(k, m), max(k, m)), 0))
                for k in range(noises)
                for m in range(noises)
            )
            if entry != 0:
                covariance[i, j] = entry
                hessian[i, j] = sp.Symbol(f"M_{i}{j}", real=True)
    hamiltonian = objective.running + sum(b * p for b, p in zip(problem.drift, gradient, strict=True))
    hamiltonian += sum(a * hessian[i, j] * (sp.Rational(1, 2) if i == j else 1) for (i, j), a in covariance.items())
    words = Words("", "")
    optimum = Optimum("implicit" if controls else "none", (), {}, ())
    return HJBEquation(
        problem, "by_hand", end == sp.oo, covariance, gradient, hessian, hamiltonian, optimum, None, None, None, (), words, None, (),
        None, None, (),
    )  # fmt: skip
