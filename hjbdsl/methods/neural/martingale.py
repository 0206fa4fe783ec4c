"""Learner `martingale`: regression of value and gradient on returns corrected by the present martingale.

    minimise  E [ (W(t, X_t) - R_t)² / var R  +  |DW(t, X_t) - Y_t|² / E|Y|² ],

R_t the cost that followed less the stochastic integral of the present gradient, Y_t the costate of the path. Neither is
differentiated through: the loss is least squares, its minimum the cost of the present control and its gradient.
"""

from __future__ import annotations

from torch import Tensor

from hjbdsl.methods.neural.learner import LearningRequest
from hjbdsl.methods.neural.lifted_value import LiftedValue
from hjbdsl.methods.neural.path_learning import learn
from hjbdsl.methods.neural.path_training import Batch, Fit, Units
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Accepted, Rejected


def propose(equation: HJBEquation, request: LearningRequest) -> Accepted | Rejected:
    """The learner."""
    return learn(equation, request, "martingale", Fit(points=loss))


def loss(value: LiftedValue, batch: Batch, units: Units) -> Tensor:
    """Mean squares of both errors, each in units of what it varies by."""
    W, slope = value(batch.t, batch.x, batch.jet)
    of_value = ((W - batch.returns) ** 2).mean() / units.value
    of_slope = ((slope - batch.costates) ** 2).sum(-1).mean() / units.slope
    return of_value + of_slope
