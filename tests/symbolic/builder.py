"""`make` builds a `ControlProblem` from sympy expressions: the derivation is tested apart from the front end."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from hjbdsl.errors import Span
from hjbdsl.model.problem import Bounds, ControlProblem, Noise, Objective, Source, VariableGroup

SPAN = Span("built.hjb", 1, 1, 1)
LINE = Bounds(-sp.oo, sp.oo)
POSITIVE = Bounds(sp.Integer(0), sp.oo)


def parameter(name, value):
    number = sp.nsimplify(str(value)) if not isinstance(value, sp.Basic) else value
    return sp.Symbol(name, real=True, positive=True if number > 0 else None, negative=True if number < 0 else None), number


def group(name, bounds, role="state", size=None):
    components = [name] if size is None else [f"{name}[{i + 1}]" for i in range(size)]
    positive = bounds.lower == 0 and bounds.lower_open
    symbols = tuple(sp.Symbol(c, real=True, positive=True) if positive else sp.Symbol(c, real=True) for c in components)
    return VariableGroup(name, role, () if size is None else (size,), symbols, (bounds,) * len(symbols), None, SPAN)


def objective(sense, running, end=sp.oo, terminal=None, discount=0, form="expectation", risk=None, **values):
    return Objective(sense, form, sp.sympify(running), terminal, values.get("stop"), values.get("leave"),
                     sp.sympify(discount), sp.sympify(end), risk, True, SPAN)  # fmt: skip


def make(states, drift, diffusion, goal, controls=(), values=(), noises=1, **fields):
    """`diffusion` is {(state, noise): expression}; `values` pairs (symbol, number)."""
    size = sum(len(g.symbols) for g in states)
    problem = ControlProblem(
        name="built", title=None, source=Source("built.hjb", {}, ""), parameters=(), values=dict(values), states=tuple(states),
        controls=tuple(controls), adversaries=(), constraints=(), noises=tuple(Noise(f"W[{i + 1}]", "W") for i in range(noises)),
        correlation={}, jumps=(), modes=(), mode_parameters=(), drift=tuple(map(sp.sympify, drift)),
        diffusion={k: sp.sympify(v) for k, v in diffusion.items()}, objective=goal, stopping=None, exit=None, exploration=None,
        reversal=None, boundaries=(), region=((sp.Integer(1), sp.Integer(2)),) * size, region_written=frozenset(), checks=(),
        hint=None, notation={}, origins={},
    )  # fmt: skip
    return replace(problem, **fields)
