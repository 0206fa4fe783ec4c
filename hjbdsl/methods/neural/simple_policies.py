"""Simple policies: constants and multiples of states, from which policy iteration may start.

In: program, domain, a length of time. Out: coefficients (m, 1 + n) of a policy affine in the states.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import torch
from torch import Tensor

from hjbdsl import progress
from hjbdsl.methods.neural.feynman_kac import Policy, Rollout, Segment
from hjbdsl.methods.neural.improvement import affine
from hjbdsl.methods.neural.model import ValueModel
from hjbdsl.methods.neural.networks import Parameters
from hjbdsl.methods.neural.program import NeuralProgram, Point
from hjbdsl.methods.neural.sampling import Domain, drawn

_FAR = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)


def best_simple(model: ValueModel, domain: Domain, nothing: Parameters, segment: Segment, generator: torch.Generator) -> Tensor:
    """Component by component, the constant or the multiple of a state whose return is best over the domain."""
    program = model.program
    t, x, z = drawn(program, domain, 64, generator)
    best = torch.zeros(program.controls, 1 + program.states, dtype=torch.float64)
    best[:, 0] = default_control(program, t, x, z)[0]
    low, high = program.module.lowest(t, x, z)[0], program.module.highest(t, x, z)[0]
    positive = [1 + i for i, feature in enumerate(domain.features) if feature.kind == "logarithm" and feature.origin == 0.0]
    ends = math.isfinite(program.horizon)  # without an end the steps are too long for a feedback to be followed
    signed = [1 + i for i, feature in enumerate(domain.features) if feature.kind == "line" and ends]
    score = -math.inf
    for c in range(program.controls):
        half, bounded = math.isfinite(float(low[c])), math.isfinite(float(high[c]))
        shapes = [0] if bounded else [0, *positive] if half else [0, *positive, *signed]
        for column, value in itertools.product(shapes, _trials(float(low[c]), float(high[c]))):
            progress.report("simple policies")
            trial = best.clone()
            trial[c] = 0.0
            trial[c, column] = value
            rollout = Rollout(model, domain, held(program, trial), torch.Generator().manual_seed(1))
            y = rollout.returns(nothing, t, x, z, replace(segment, steps=segment.steps // 2), 1).value
            reached = _score(program.sense * y)
            if reached > score + 1e-9 * abs(reached):
                score, best = reached, trial
    return best


def standing(program: NeuralProgram, simple: Tensor, t: Tensor, x: Tensor, z: Tensor) -> list[Tensor]:
    """Policies affine in the states under which these have no drift, one control changed in each. A return that no state enters
    has no maximiser, and may be had at the price of states that run away (a debt that is never paid)."""
    design, found = torch.cat([torch.ones_like(x[:, :1]), x], 1), []
    for c in range(program.controls):
        a = affine(simple, x)
        a[:, c] = 0.0
        idle, unit = program.module.drift(t, x, z, a), torch.zeros_like(a)
        unit[:, c] = 1.0
        effect = program.module.drift(t, x, z, a + unit) - idle
        wanted = -(idle * effect).sum(-1) / effect.square().sum(-1).clamp(min=1e-300)
        row = torch.linalg.pinv(design) @ wanted
        trial = simple.clone()
        trial[c] = row
        b = affine(trial, x)
        moving = program.module.drift(t, x, z, b).abs().max()
        if float(moving) < 1e-9 * (1.0 + float(idle.abs().max())) and bool((program.projected(t, x, z, b) == b).all()):
            found.append(trial)
    return found


def held(program: NeuralProgram, coefficients: Tensor) -> Policy:
    """The policy that is affine in the states, (m, 1 + n), within the bounds."""

    def control(_parameters: Parameters, t: Tensor, x: Tensor, z: Tensor, _at: Point) -> Tensor:
        return program.projected(t, x, z, affine(coefficients, x))

    return control


def default_control(program: NeuralProgram, t: Tensor, x: Tensor, z: Tensor) -> Tensor:
    """The middle of an interval, a little inside a half-line, 0 on a line."""
    low, high = program.module.lowest(t, x, z), program.module.highest(t, x, z)
    half = torch.where(torch.isfinite(low), low + 0.1, torch.where(torch.isfinite(high), high - 0.1, 0.0))
    return torch.where(torch.isfinite(low) & torch.isfinite(high), 0.5 * (low + high), half)


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


__all__ = ["best_simple", "default_control", "held", "standing"]
