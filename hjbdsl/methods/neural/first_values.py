"""Where policy iteration starts: the best of some simple policies, its return, and the form of network that suits it.

In: program, domain. Out: `Start`: a value model with parameters fitted to the return, and the policy: every control is constant,
or proportional to a positive state.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hjbdsl import progress
from hjbdsl.errors import SolverError
from hjbdsl.methods.neural.conditions import condition_groups
from hjbdsl.methods.neural.emit import smooth_end
from hjbdsl.methods.neural.feynman_kac import Policy, Rollout, Segment, Targets
from hjbdsl.methods.neural.improvement import affine
from hjbdsl.methods.neural.model import Functionals, ValueModel, blank
from hjbdsl.methods.neural.networks import Architecture, Form, Parameters, initial_parameters
from hjbdsl.methods.neural.program import NeuralProgram, Point
from hjbdsl.methods.neural.sampling import Domain
from hjbdsl.methods.neural.training import Group, fit

WIDTHS = {1: (16, 16), 2: (24, 24)}
WIDEST = (32, 32)
POINTS = 250
STEPS = 100
LIFETIMES = 6.0
"""How many mean lifetimes 1/r the first paths run."""
_DECAY = 1e-6
_FAR = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)


@dataclass(frozen=True, slots=True)
class Start:
    model: ValueModel
    parameters: Parameters
    policy: Tensor


def drawn(
    program: NeuralProgram, domain: Domain, count: int, generator: torch.Generator, inner: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Times, states and modes from which the process still runs: of the domain, or of the region alone."""
    x = domain.sample(4 * count, generator, inner)
    t = torch.rand(4 * count, generator=generator, dtype=torch.float64)
    t = program.horizon * t if math.isfinite(program.horizon) else 0.0 * t
    z = torch.randint(0, program.modes, (4 * count,), generator=generator)
    if program.problem.exit is not None:
        running = program.module.exited(t, x, z) < 0.5
        t, x, z = t[running], x[running], z[running]
    return t[:count], x[:count], z[:count]


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


def default_control(program: NeuralProgram, t: Tensor, x: Tensor, z: Tensor) -> Tensor:
    """The middle of an interval, a little inside a half-line, 0 on a line."""
    low, high = program.module.lowest(t, x, z), program.module.highest(t, x, z)
    half = torch.where(torch.isfinite(low), low + 0.1, torch.where(torch.isfinite(high), high - 0.1, 0.0))
    return torch.where(torch.isfinite(low) & torch.isfinite(high), 0.5 * (low + high), half)


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
    targets = Rollout(model, domain, held(program, simple), generator).targets(nothing, t, x, z, segment, 32)
    if not bool(torch.isfinite(targets.value).all()):
        raise SolverError("no simple policy has a finite return from every state of the domain")
    payoff = model.chosen(nothing)(t, x, z) if built_in else None
    form, offset, scale, sign = formed(targets.value, payoff, program.horizon, domain.logarithms(x))
    widths = WIDTHS.get(program.states, WIDEST)
    architecture = Architecture(domain.features, horizon, widths, program.modes, form, offset, scale, sign)
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


def weighted(functionals: Functionals, V: Tensor, length: float) -> Group:
    """The equation relative to the sizes of its terms: those of outliers held down, none below V over the lifetime `length`."""
    magnitude = V.abs() + 0.1 * V.abs().median() + 1e-12
    usual = (functionals.size / magnitude).median() * magnitude
    sizes = torch.minimum(functionals.size, 3.0 * usual) + 0.1 * torch.minimum(functionals.size.median(), usual)
    return Group(functionals, 1.0 / (sizes + magnitude / length))


def held(program: NeuralProgram, coefficients: Tensor) -> Policy:
    """The policy that is affine in the states, (m, 1 + n), within the bounds."""

    def control(_parameters: Parameters, t: Tensor, x: Tensor, z: Tensor, _at: Point) -> Tensor:
        return program.projected(t, x, z, affine(coefficients, x))

    return control


def best_simple(model: ValueModel, domain: Domain, nothing: Parameters, segment: Segment, generator: torch.Generator) -> Tensor:
    """Component by component, the constant or the multiple of a positive state whose return is best over the domain."""
    program = model.program
    t, x, z = drawn(program, domain, 64, generator)
    best = torch.zeros(program.controls, 1 + program.states, dtype=torch.float64)
    best[:, 0] = default_control(program, t, x, z)[0]
    low, high = program.module.lowest(t, x, z)[0], program.module.highest(t, x, z)[0]
    positive = [1 + i for i, feature in enumerate(domain.features) if feature.kind == "logarithm" and feature.origin == 0.0]
    score = -math.inf
    for c in range(program.controls):
        bounded = math.isfinite(float(high[c]))
        shapes = [0] if bounded else [0, *positive]
        for column, value in itertools.product(shapes, _trials(float(low[c]), float(high[c]))):
            progress.report("simple policies")
            trial = best.clone()
            trial[c] = 0.0
            trial[c, column] = value
            rollout = Rollout(model, domain, held(program, trial), torch.Generator().manual_seed(1))
            y = rollout.targets(nothing, t, x, z, replace(segment, steps=segment.steps // 2), 1).value
            reached = _score(program.sense * y)
            if reached > score + 1e-9 * abs(reached):
                score, best = reached, trial
    return best


def _score(returns: Tensor) -> float:
    """The mean return, of returns of many magnitudes and one sign (all below zero) the mean logarithm: the share lost counts."""
    if not bool(torch.isfinite(returns).all()):
        return -math.inf
    if bool((returns < 0).all()):
        return -float(torch.log(-returns).mean())
    return float(returns.mean())


def _trials(low: float, high: float) -> list[float]:
    if math.isfinite(low) and math.isfinite(high):
        return [low + share * (high - low) for share in (0.05, 0.25, 0.5, 0.75, 0.95)]
    if math.isfinite(low):
        return [low + distance for distance in _FAR]
    if math.isfinite(high):
        return [high - distance for distance in _FAR]
    return [0.0, 0.1, -0.1, 0.5, -0.5, 2.0, -2.0]


def formed(y: Tensor, payoff: Tensor | None, horizon: float, logs: Tensor | None) -> tuple[Form, float, float, float]:
    """Form, offset, scale and sign that suit first values y; `logs` (N, k) are the logarithms of positive states."""
    sign = float(torch.sign(y.median()))
    many = logs is not None and bool((sign * y > 0).all()) and float(y.abs().max()) > 10.0 * float(y.abs().min())
    if many and logs is not None:
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


__all__ = ["Start", "drawn", "first_values", "held", "lifetime", "target_groups", "weighted"]
