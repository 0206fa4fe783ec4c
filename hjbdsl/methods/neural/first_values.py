"""Where policy iteration starts: the best of some simple policies, its return, and the form of network that suits it.

In: program, domain. Out: `Start`: a value model with parameters fitted to the return, and the policy: every control is constant,
or proportional to a state.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hjbdsl.errors import SolverError
from hjbdsl.methods.neural.conditions import condition_groups
from hjbdsl.methods.neural.emit import smooth_end
from hjbdsl.methods.neural.feynman_kac import Rollout, Segment, Targets
from hjbdsl.methods.neural.improvement import Improvement
from hjbdsl.methods.neural.model import Functionals, ValueModel, blank
from hjbdsl.methods.neural.networks import Architecture, Form, Parameters, initial_parameters
from hjbdsl.methods.neural.program import NeuralProgram
from hjbdsl.methods.neural.sampling import Domain, drawn
from hjbdsl.methods.neural.simple_policies import best_simple, default_control, held, standing
from hjbdsl.methods.neural.training import Group, fit

WIDTHS = {(1, False): (16, 16), (1, True): (20, 20), (2, False): (24, 24), (2, True): (24, 24)}
"""Of the hidden layers, by the number of states and whether there is a clock."""
WIDEST = (32, 32)
POINTS = 250
STEPS = 100
LIFETIMES = 6.0
"""How many mean lifetimes 1/r the first paths run."""
FLAT = 1e-6
"""A return that varies by a smaller share of its size is the same from everywhere."""
AFFINE = 1e-3
"""Share of a variance that an affine function leaves where it all but explains it."""
FAST = 2.0
"""A terminal payoff that would halve within half the horizon fades fast."""
_DECAY = 1e-6


@dataclass(frozen=True, slots=True)
class Start:
    model: ValueModel
    parameters: Parameters
    policy: Tensor


def lifetime(program: NeuralProgram, domain: Domain, generator: torch.Generator) -> Segment:
    """To the horizon; or for several mean lifetimes; or, without either, for as long as it takes to cross the domain twice."""
    if math.isfinite(program.horizon):
        return Segment(program.horizon, STEPS)
    t, x, z = drawn(program, domain, 64, generator)
    rate = float(program.module.discount(t, x, z, default_control(program, t, x, z)).mean())
    if rate > 0.0:
        return Segment(LIFETIMES / rate, STEPS)
    a = default_control(program, t, x, z)
    width = domain.high - domain.low
    speed = float((program.module.drift(t, x, z, a).abs() / width).max(-1).values.mean())
    if program.noises:
        speed = max(speed, float((program.module.diffusion(t, x, z, a).square().sum(-1) / width.square()).max(-1).values.mean()))
    return Segment(2.0 / max(speed, 1e-6), 2 * STEPS)


def first_values(program: NeuralProgram, domain: Domain, seed: int) -> Start:
    """Raises `SolverError` where no simple policy has a finite return."""
    generator = torch.Generator().manual_seed(seed)
    built_in = math.isfinite(program.horizon) and smooth_end(program.problem)
    horizon = program.horizon if math.isfinite(program.horizon) else None
    zero = Architecture(domain.features, horizon, (2,), program.modes, "added" if built_in else "shifted", scale=0.0)
    nothing = initial_parameters(zero, generator)
    model = ValueModel(program, zero)
    segment = lifetime(program, domain, generator)
    simple = best_simple(model, domain, nothing, segment, generator)
    t, x, z = drawn(program, domain, POINTS, generator)
    simple, targets = _told(model, domain, nothing, simple, (t, x, z), segment, generator)
    if not bool(torch.isfinite(targets.value).all()):
        raise SolverError("no simple policy has a finite return from every state of the domain")
    wear = wearing(model, nothing, simple, x, z) if built_in else 0.0
    payoff = model.chosen(nothing)(t, x, z) / (1.0 + wear * (program.horizon - t)) if built_in else None
    form, offset, scale, sign = formed(targets.value, payoff, program.horizon, domain, x)
    widths = WIDTHS.get((program.states, horizon is not None), WIDEST)
    architecture = Architecture(domain.features, horizon, widths, program.modes, form, offset, scale, sign, wear)
    fitting = ValueModel(program, architecture)
    groups = target_groups(architecture, t, x, z, targets, 1.0)
    scale = float(targets.value.abs().median()) + 1e-12
    groups += condition_groups(fitting, domain, generator, scale)
    fitted = fit(fitting, initial_parameters(architecture, generator), lambda _: groups, 20, 1e-2, _DECAY)
    # the return of a policy solves a linear equation, which smooths what noise there is in the targets
    t, x, z = drawn(program, domain, 4 * POINTS, generator)
    at = fitting.point(fitted.parameters, t, x, z)
    a = held(program, simple)(fitted.parameters, t, x, z, at)
    group = weighted(fitting.evaluation(t, x, z, a, at), at.V, segment.length)
    fitted = fit(fitting, fitted.parameters, lambda _: [*groups, group], 30, 1e-2, _DECAY)
    return Start(fitting, fitted.parameters, simple)


def _told(
    model: ValueModel, domain: Domain, nothing: Parameters, simple: Tensor, at: tuple[Tensor, Tensor, Tensor], segment: Segment,
    generator: torch.Generator,
) -> tuple[Tensor, Targets]:  # fmt: skip
    """The policy with its return; where that is the same from everywhere, one that keeps the states where they are."""
    program = model.program

    def earned(policy: Tensor) -> Targets:
        return Rollout(model, domain, held(program, policy), generator).targets(nothing, *at, segment, 32)

    targets = earned(simple)
    if program.controls and _flat(targets.value):
        for still in standing(program, simple, *at):
            others = earned(still)
            if not _flat(others.value):
                return still, others
    return simple, targets


def _flat(returns: Tensor) -> bool:
    return float(returns.std()) < FLAT * float(returns.abs().mean())


def wearing(model: ValueModel, nothing: Parameters, simple: Tensor, x: Tensor, z: Tensor) -> float:
    """The rate -(H(g) - r g)/g at which the equation has a terminal payoff g of one sign fade before T, where that is fast."""
    program = model.program
    end = torch.full_like(x[:, 0], program.horizon)
    at = model.point(nothing, end, x, z)
    a = Improvement(program, model, simple).control(nothing, end, x, z, at)
    defect = program.defect(end, x, z, a, at)
    large = at.V.abs() > 0.1 * at.V.abs().median()
    if not bool((at.V[large] > 0).all() or (at.V[large] < 0).all()):
        return 0.0
    rate = float((-defect / at.V)[large].median())
    return rate if rate * program.horizon > FAST else 0.0


def weighted(functionals: Functionals, V: Tensor, length: float) -> Group:
    """The equation relative to the sizes of its terms: those of outliers held down, none below V over the lifetime `length`."""
    magnitude = V.abs() + 0.1 * V.abs().median() + 1e-12
    usual = (functionals.size / magnitude).median() * magnitude
    sizes = torch.minimum(functionals.size, 3.0 * usual) + 0.1 * torch.minimum(functionals.size.median(), usual)
    return Group(functionals, 1.0 / (sizes + magnitude / length))


def formed(y: Tensor, payoff: Tensor | None, horizon: float, domain: Domain, x: Tensor) -> tuple[Form, float, float, float]:
    """Form, offset, scale and sign that suit first values y at x: a logarithm where values of one sign have many magnitudes in
    positive states, or where it is all but affine."""
    sign = float(torch.sign(y.median()))
    many, logs = False, domain.logarithms(x)
    if bool((sign * y > 0).all()):
        bent = _unexplained(torch.log(y.abs()), domain.scaled(x))
        many = bent < AFFINE and bent < 0.1 * _unexplained(y, domain.scaled(x))
        if logs is not None and float(y.abs().max()) > 10.0 * float(y.abs().min()):
            many = _unexplained(torch.log(y.abs()), logs) < _unexplained(y, logs)
    if payoff is None:
        values = torch.log(y.abs()) if many else y
        return ("exponential" if many else "shifted"), float(values.mean()), float(values.std()) + 1e-6, sign
    if many and bool((sign * payoff > 0).all()):
        return "multiplied", 0.0, float(torch.log(y / payoff).abs().mean()) / horizon + 1e-3, sign
    return "added", 0.0, float((y - payoff).abs().mean()) / horizon + 1e-3, sign


def _unexplained(y: Tensor, regressors: Tensor) -> float:
    """The share of the variance of y that an affine function of the regressors leaves."""
    design = torch.cat([torch.ones(len(y), 1, dtype=y.dtype), regressors], 1)
    left = y - design @ (torch.linalg.pinv(design) @ y)
    return float(left.var() / y.var())


def target_groups(architecture: Architecture, t: Tensor, x: Tensor, z: Tensor, targets: Targets, weight: float) -> list[Group]:
    """Value and slope at every starting point, relative to the size of V and held the less the noisier they are."""
    size = targets.value.abs() + 0.1 * targets.value.abs().median() + 1e-12
    none = blank(architecture, t, x, z)
    value = replace(none, on_value=torch.nn.functional.one_hot(z, architecture.heads).to(x), constant=-targets.value)
    clock = x.new_zeros(len(t), architecture.variables - x.shape[1])
    slope = replace(none, on_gradient=torch.cat([targets.direction, clock], 1), constant=-targets.slope)
    return [
        Group(value, weight / (size + 10.0 * targets.error)),
        Group(slope, 0.3 * weight / (size + 10.0 * targets.slope_error)),
    ]


__all__ = ["Start", "first_values", "lifetime", "target_groups", "weighted"]
