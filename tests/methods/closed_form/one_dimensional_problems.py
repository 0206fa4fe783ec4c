"""Equations in one (or n) continuous states, put together by hand for the tests of this room."""

from __future__ import annotations

import sympy as sp

from hjbdsl.errors import Span
from hjbdsl.model.equation import BoundaryCondition, Candidate, HJBEquation, Obstacle, Optimum
from hjbdsl.model.problem import (
    Bounds,
    ControlProblem,
    ExitRule,
    ModeChain,
    ModeParameter,
    Noise,
    Notation,
    Objective,
    Source,
    StoppingRule,
    VariableGroup,
)

SPAN = Span("test.hjb", 1, 1)
P = sp.Symbol("V_x", real=True)
M = sp.Symbol("V_xx", real=True)
R = sp.Rational


def bounds(low=-sp.oo, high=sp.oo, *, closed=False):
    return Bounds(sp.sympify(low), sp.sympify(high), not closed or low == -sp.oo, not closed or high == sp.oo)


def equation(
    state,
    drift,
    diffusion,
    *,
    region,
    sense="maximize",
    state_bounds=None,
    values=None,
    running=0,
    discount=0,
    stop=None,
    exit_when=None,
    exit_value=None,
    controls=(),
    adversaries=(),
    candidates=(),
    form="expectation",
    chain=None,
    boundaries=(),
):
    """`controls`: ((symbol, Bounds), ...); `candidates`: ((name, {control: expression in x, P, M}, condition), ...);
    `chain`: (labels, {(i, j): rate}, ((symbol, values), ...))."""
    drift, diffusion, running, discount = (sp.sympify(e) for e in (drift, diffusion, running, discount))
    objective = Objective(
        sense,
        form,
        running,
        None,
        None if stop is None else sp.sympify(stop),
        None if exit_value is None else sp.sympify(exit_value),
        discount,
        sp.oo,
        None,
        True,
        SPAN,
    )
    groups = tuple(VariableGroup(s.name, "control", (), (s,), (b,), None, SPAN) for s, b in controls)
    opposing = tuple(VariableGroup(s.name, "adversary", (), (s,), (b,), None, SPAN) for s, b in adversaries)
    modes, parameters = (), ()
    if chain is not None:
        labels, rates, entries = chain
        modes = (ModeChain("z", labels, {k: sp.sympify(v) for k, v in rates.items()}, SPAN),)
        parameters = tuple(ModeParameter(s, 0, tuple(sp.sympify(v) for v in row)) for s, row in entries)
    problem = ControlProblem(
        name="test",
        title=None,
        source=Source("test.hjb", {}, "0"),
        parameters=(),
        values=values or {},
        states=(VariableGroup(state.name, "state", (), (state,), (state_bounds or bounds(),), None, SPAN),),
        controls=groups,
        adversaries=opposing,
        constraints=(),
        noises=(Noise("W", "W"),) if diffusion != 0 else (),
        correlation={},
        jumps=(),
        modes=modes,
        mode_parameters=parameters,
        drift=(drift,),
        diffusion={(0, 0): diffusion} if diffusion != 0 else {},
        objective=objective,
        stopping=None if stop is None else StoppingRule("tau", sp.oo, SPAN),
        exit=None if exit_when is None else ExitRule("tau", exit_when, sp.oo, SPAN),
        exploration=None,
        reversal=None,
        boundaries=(),
        region=(tuple(sp.sympify(e) for e in region),),
        region_written=frozenset({state.name}),
        checks=(),
        hint=None,
        notation={},
        origins={"objective": SPAN, "discount": SPAN, "dx": SPAN},
    )
    variance = sp.expand(diffusion**2)
    optimum = Optimum(
        "symbolic" if candidates else "none",
        tuple(Candidate(name, law, where) for name, law, where in candidates),
        {},
        (),
    )
    blank = Notation("", "")
    return HJBEquation(
        problem=problem,
        kind="test",
        stationary=True,
        covariance={(0, 0): variance} if variance != 0 else {},
        gradient=(P,),
        hessian={(0, 0): M} if variance != 0 else {},
        hamiltonian=running + drift * P + variance * M / 2,
        optimum=optimum,
        reduced=None,
        entropy=None,
        obstacle=None if stop is None else Obstacle("stop", sp.sympify(stop)),
        boundaries=tuple(BoundaryCondition(*b) for b in boundaries),
        pde=blank,
        reduced_pde=None,
        maximiser=(),
        q_function=None,
        advantage=None,
        steps=(),
    )
