"""Learner `log_variance`: the variance of what is left of the backward equation along whole paths.

    minimise  E sum_k ( W(t_k, X_k) - [ sum_{j >= k} D_kj (cost_j - DW(t_j, X_j).S dW_j) + D_kK W(t_K, X_K) ] )² / var R.

The gradient enters through the stochastic integral, so the loss vanishes only at the solution and its gradient; no derivative
passes through the paths. Under the present control the derivative of the driver in DW drops out (envelope theorem), which makes
this the log-variance loss of the control problem taken on-policy. (Nüsken and Richter, Partial Differential Equations and
Applications 2, 2021, section 3; Han, Jentzen and E, PNAS 115, 2018, for the backward equation.)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hjbdsl.methods.neural import martingale
from hjbdsl.methods.neural.learner import LearningRequest
from hjbdsl.methods.neural.lifted_value import LiftedValue
from hjbdsl.methods.neural.path_learning import learn
from hjbdsl.methods.neural.path_sampling import Paths
from hjbdsl.methods.neural.path_training import Batch, Fit, Units
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Accepted, Rejected


def propose(equation: HJBEquation, request: LearningRequest) -> Accepted | Rejected:
    """The learner."""
    return learn(equation, request, "log_variance", Fit(whole_paths=loss, warm=martingale.loss))


def loss(value: LiftedValue, batch: Batch, paths: Paths, units: Units) -> Tensor:
    """Mean square over paths and times of the backward equation's remainder."""
    steps, count = paths.t.shape
    W, slope = value(batch.t, batch.x, batch.jet)
    W, slope = W.reshape(steps, count), slope.reshape(steps, count, -1)
    martingale = (slope * paths.noise).sum(-1)
    after = _after(value, paths)
    rests = []
    for k in reversed(range(steps)):
        after = paths.cost[k] + paths.factor[k] * after - martingale[k]
        rests.append(W[k] - after)
    return (torch.stack(rests) ** 2).mean() / units.value


def _after(value: LiftedValue, paths: Paths) -> Tensor:
    """What follows the last step: the terminal cost, or the present W, held."""
    with torch.no_grad():
        end = value.model.end
        if math.isfinite(end):
            return value.model.terminal(torch.full_like(paths.h, end), paths.last)
        after: Tensor = value(paths.t[-1], paths.last)[0]
        return after
