"""Conditions beside the equation, as rows of the regression: what an exit pays, walls, a terminal payoff with kinks.

In: program, domain, model. Out: groups of linear functionals that must vanish.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from hjbdsl.methods.neural.emit import smooth_end
from hjbdsl.methods.neural.model import ValueModel, blank
from hjbdsl.methods.neural.networks import Parameters
from hjbdsl.methods.neural.sampling import Domain
from hjbdsl.methods.neural.training import Group
from hjbdsl.model.equation import BoundaryCondition
from hjbdsl.numeric.state_space import number

POINTS = 200
_BISECTIONS = 50
_WEIGHT = 3.0
STRAIGHT = 0.3
"""Weight of a straight continuation beside the equation."""


def condition_groups(model: ValueModel, domain: Domain, generator: torch.Generator, scale: float) -> list[Group]:
    """Every condition at fresh points, relative to `scale`, the size of V."""
    groups = []
    if model.program.problem.exit is not None:
        groups.append(_exit_group(model, domain, generator, scale))
    if math.isfinite(model.program.horizon) and not smooth_end(model.program.problem):
        groups.append(_terminal_group(model, domain, generator, scale))
    groups += [
        _wall_group(model, domain, generator, scale, c)
        for c in model.program.equation.boundaries
        if c.kind in ("reflect", "slope", "value")
    ]
    return groups


def tangent_groups(model: ValueModel, domain: Domain, parameters: Parameters, generator: torch.Generator) -> list[Group]:
    """Where V = +-exp(N) without an end of time: N goes straight on at the open ends of the domain, as it is continued beyond.

    The equation alone has solutions that grow faster than any return; inside the domain they leave no defect at all. Of
    V = V_k (1 + e) the second derivative of log|V| is that of N_k plus e'', which is linear in V. The weight is small: it settles
    what the equation leaves open, and bends nothing else.
    """
    if model.architecture.form != "exponential" or math.isfinite(model.program.horizon):
        return []
    closed = {(c.state, c.side) for c in model.program.equation.boundaries if c.kind not in ("natural", "growth")}
    groups = []
    for i, feature in enumerate(domain.features):
        for side, end in (("lower", domain.low[i]), ("upper", domain.high[i])):
            if feature.kind == "angle" or (i, side) in closed:
                continue
            x = domain.sample(POINTS // 4, generator)
            x[:, i] = end
            t, z = torch.zeros(len(x), dtype=x.dtype), torch.randint(0, model.program.modes, (len(x),), generator=generator)
            at = model.point(parameters, t, x, z)
            unit = feature.width * (end - feature.origin if feature.kind == "logarithm" else 1.0)
            bend = feature.width if feature.kind == "logarithm" else 0.0
            slope = unit * at.p[:, i] / at.V
            curvature = (unit * unit * at.M[:, i, i] + bend * unit * at.p[:, i]) / at.V
            functionals = blank(model.architecture, t, x, z)
            functionals.on_hessian[:, i, i] = unit * unit / at.V
            functionals.on_gradient[:, i] = (bend - 2.0 * slope) * unit / at.V
            rows = torch.nn.functional.one_hot(z, model.program.modes).to(x)
            on_value = rows * ((2.0 * slope * slope - curvature) / at.V)[:, None]
            functionals = replace(functionals, on_value=on_value, constant=curvature - slope * slope)
            groups.append(Group(functionals, torch.full_like(t, STRAIGHT)))
    return groups


def _clock(model: ValueModel, count: int, generator: torch.Generator) -> Tensor:
    uniform = torch.rand(count, generator=generator, dtype=torch.float64)
    return model.program.horizon * uniform if math.isfinite(model.program.horizon) else 0.0 * uniform


def _value_group(model: ValueModel, t: Tensor, x: Tensor, z: Tensor, target: Tensor, scale: float) -> Group:
    rows = torch.nn.functional.one_hot(z, model.program.modes).to(x)
    weights = torch.full_like(t, _WEIGHT / scale)
    return Group(replace(blank(model.architecture, t, x, z), on_value=rows, constant=-target), weights)


def _exit_group(model: ValueModel, domain: Domain, generator: torch.Generator, scale: float) -> Group:
    """V is what the exit pays, at points of its edge found by bisection between points inside and points that have left."""
    program = model.program
    inner, outer = domain.sample(20 * POINTS, generator), domain.sample(20 * POINTS, generator)
    outer = domain.points(1.3 * domain.scaled(outer))
    t = _clock(model, len(inner), generator)
    z = torch.randint(0, program.modes, (len(inner),), generator=generator)
    between = ~program.exited(t, inner, z) & program.exited(t, outer, z)
    kept = torch.nonzero(between)[:POINTS, 0]
    t, z, inner, outer = t[kept], z[kept], inner[kept], outer[kept]
    for _ in range(_BISECTIONS):
        middle = 0.5 * (inner + outer)
        left = program.exited(t, middle, z)[:, None]
        inner, outer = torch.where(left, inner, middle), torch.where(left, middle, outer)
    return _value_group(model, t, outer, z, program.at_exit(t, outer, z), scale)


def _terminal_group(model: ValueModel, domain: Domain, generator: torch.Generator, scale: float) -> Group:
    x = domain.sample(2 * POINTS, generator)
    t = torch.full((len(x),), model.program.horizon, dtype=torch.float64)
    z = torch.randint(0, model.program.modes, (len(x),), generator=generator)
    paid = model.program.module.terminal(t, x, z) if model.program.problem.objective.terminal is not None else torch.zeros_like(t)
    return _value_group(model, t, x, z, paid, scale)


def _wall_group(
    model: ValueModel, domain: Domain, generator: torch.Generator, scale: float, condition: BoundaryCondition
) -> Group:
    """V or its slope at one end of one state."""
    problem, i = model.program.problem, condition.state
    x = domain.sample(POINTS, generator)
    x[:, i] = number(problem, condition.location)
    t = _clock(model, POINTS, generator)
    z = torch.randint(0, model.program.modes, (POINTS,), generator=generator)
    amount = 0.0 if condition.amount is None else number(problem, condition.amount)
    if condition.kind == "value":
        return _value_group(model, t, x, z, torch.full_like(t, amount), scale)
    width = domain.features[i].width
    functionals = blank(model.architecture, t, x, z)
    functionals.on_gradient[:, i] = width
    weights = torch.full_like(t, _WEIGHT / scale)
    return Group(replace(functionals, constant=torch.full_like(t, -width * amount)), weights)
