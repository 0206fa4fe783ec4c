"""Learner `residual`: the squared defect of the equation at the points that paths of the present control visit.

    minimise  E [ R(t, X_t)² ] T²/var R,      R = W_t + min_u {f + b.DW} + 1/2 tr(SS' D²W) - r W.

The trace is exact in few noises. In many it is estimated from a few random directions, and the square is the product of two
independent estimates, which keeps its mean. (Hu, Shukla, Karniadakis and Kawaguchi, Neural Networks 176, 2024.)
"""

from __future__ import annotations

import math

from torch import Tensor

from hjbdsl.methods.neural import martingale
from hjbdsl.methods.neural.learner import LearningRequest
from hjbdsl.methods.neural.lifted_value import PROBES, Complete, LiftedValue
from hjbdsl.methods.neural.path_learning import learn
from hjbdsl.methods.neural.path_training import Batch, Fit, Units
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Accepted, Rejected


def propose(equation: HJBEquation, request: LearningRequest) -> Accepted | Rejected:
    """The learner."""
    return learn(equation, request, "residual", Fit(points=loss, warm=martingale.loss))


def loss(value: LiftedValue, batch: Batch, units: Units) -> Tensor:
    """Mean of the defect's square in units of what the cost varies by over the time that is left."""
    model = value.model
    estimated = model.noises > PROBES
    first = _defect(value, batch, value.complete(batch.t, batch.x, batch.jet))
    second = _defect(value, batch, value.complete(batch.t, batch.x, batch.jet)) if estimated else first
    time = model.end if math.isfinite(model.end) else 1.0 / max(model.rate or 0.0, 1e-3)
    return (first * second).mean() * time**2 / units.value


def _defect(value: LiftedValue, batch: Batch, full: Complete) -> Tensor:
    """R (B,) with the minimising control, whose own derivative drops out."""
    model = value.model
    t, x, z = batch.t, batch.x, model.modes(batch.x)
    u = model.control(t, x, full.W.detach(), full.slope.detach())
    drift = (model.module.drift(t, x, z, u) * full.slope).sum(-1)
    return full.W_t + full.diffusion + model.running(t, x, u) + drift - model.module.discount(t, x, z, u) * full.W
