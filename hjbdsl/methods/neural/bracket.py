"""What a trained V is worth: the return of its greedy policy on one side, the equation's defect on its paths on the other.

In: model, policy, points never trained on. Out: a `Bracket`. For a maximiser with greedy policy pi, J its return over a segment h
with V at the end, and R = V_t + max_a { f + L^a V - r V },

    J - V   =  E^pi int_0^h D (defect under pi) ds                    a feasible policy: V* >= J up to D_h (V* - V)
    V* - V <=  sup over policies of E int_0^h D R ds + D_h (V* - V)    (Dynkin's formula; Fleming and Soner, III.8)

The second is estimated on the paths of pi with |R|. With q = sup E D_h over paths that still run at the end of the segment, both
are divided by 1 - q for what that end leaves; before a horizon T, by h/T. They hold with the Monte-Carlo confidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hjbdsl.methods.neural.feynman_kac import Rollout, Segment
from hjbdsl.methods.neural.function import Band
from hjbdsl.methods.neural.networks import Parameters

CONFIDENCE = 0.99
_DEVIATIONS = 2.576
_SAFETY = 1.5


@dataclass(frozen=True, slots=True)
class Bracket:
    """`policy_gap` the largest |J - V|, `defect_gap` the largest E int D |R| ds, `noise` the largest standard error, all relative
    to the size of V; `kept` the share of V that the segment decides."""

    band: Band
    policy_gap: float
    defect_gap: float
    noise: float
    kept: float


def bracket(rollout: Rollout, parameters: Parameters, at: tuple[Tensor, Tensor, Tensor], segment: Segment, pairs: int) -> Bracket:
    """From `pairs` antithetic pairs of paths of the greedy policy out of every point of `at` (t, x, z)."""
    t, x, z = at
    returns = rollout.returns(parameters, t, x, z, segment, pairs)
    value = rollout.model.chosen(parameters)(t, x, z)
    horizon = rollout.program.horizon
    kept = min(1.0, segment.length / horizon) if math.isfinite(horizon) else max(1e-3, 1.0 - float(returns.left.max()))
    relative = rollout.model.architecture.form in ("exponential", "multiplied")
    size = value.abs() if relative else value.abs().median() * torch.ones_like(value)
    gap, defect, noise = (q / size for q in ((returns.value - value).abs(), returns.defect, returns.error))
    worst = float((_SAFETY * torch.maximum(gap, defect) + _DEVIATIONS * noise).max()) / kept
    band = Band(0.0, worst, CONFIDENCE) if relative else Band(worst * float(value.abs().median()), 0.0, CONFIDENCE)
    return Bracket(band, float(gap.max()), float(defect.max()), float(noise.max()), kept)
