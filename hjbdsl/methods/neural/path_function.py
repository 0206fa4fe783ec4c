"""The answer of a learner on paths, as a function: a bracket by simulation at the points that are asked.

In: the trained network. Out: `PathFunction`, plain data that pickles. Few points are each simulated from: upper bound the cost of
the learned policy, lower bound by duality, both extrapolated in the time step from two runs under the same noise. Many points (a
plot, a check over the region) are read from the network, whose error was measured against such brackets when training ended.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from hjbdsl.methods.neural.duality import CERTAIN, Bounds, Plan, bound
from hjbdsl.methods.neural.lifted_value import LiftedValue
from hjbdsl.methods.neural.path_model import PathModel
from hjbdsl.methods.neural.path_sampling import Policy
from hjbdsl.methods.neural.program import NeuralProgram
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Array, PointValues, ValueFunction
from hjbdsl.numeric.torch_threads import one_thread

SIMULATED = 256
"""Points up to which each gets a simulation of its own."""
CONFIDENCE = 0.99
SCANTIEST, FEWEST, MOST = 16, 128, 4096
"""Paths a point: where many are asked, to begin with, at most."""
BUDGET = 400_000
"""Steps of paths in all points together, before the most accurate answer is given up."""


@dataclass(frozen=True, slots=True)
class Worth:
    """`network` and `network_share`: the error of the network over the region is below network + network_share * |V| at nearly
    every point; `tail`: that of V where paths of a problem without end are cut off; `convexity`: c of the lower bound."""

    network: float
    network_share: float
    tail: float
    convexity: float | None


@dataclass(frozen=True, slots=True)
class Bracket:
    """Lower and upper bounds of the cost at k points, confidence and time step included, and the best guess between them."""

    lower: Array
    upper: Array
    value: Array
    sampling: Array
    stepping: Array


def bracket(model: PathModel, policy: Policy, worth: Worth, plan: Plan, t: Array, x: Array) -> Bracket:
    """Two runs under the same noise, one with twice the step: their difference corrects the time step and bounds what is left."""
    fine = bound(model, policy, worth.convexity, t, x, plan)
    coarse = bound(model, policy, worth.convexity, t, x, replace(plan, coarsen=2))
    gain = 3.0 if model.loading_matrix is not None else 1.0
    upper, upper_error, step_up = _extrapolated(fine.upper, coarse.upper, fine.upper_error, coarse.upper_error, gain)
    lower, lower_error, step_low = _extrapolated(fine.lower, coarse.lower, fine.lower_error, coarse.lower_error, gain)
    if not model.program.controls:
        lower, lower_error, step_low = upper, upper_error, step_up
    if not math.isfinite(model.end):
        tail = worth.tail * math.exp(-(model.rate or 0.0) * (plan.span or 0.0))
        step_up, step_low = step_up + tail, step_low + tail
    rounding = 1e-6 * (1.0 + np.abs(upper))
    high = upper + CERTAIN * upper_error + step_up + rounding
    low = np.minimum(lower - CERTAIN * lower_error - step_low - rounding, high)
    value = np.clip(0.5 * (upper + lower), low, high)
    return Bracket(low, high, value, CERTAIN * np.maximum(upper_error, lower_error), np.maximum(step_up, step_low))


def _extrapolated(fine: Array, coarse: Array, fine_error: Array, coarse_error: Array, gain: float) -> tuple[Array, Array, Array]:
    """Richardson's value, its standard error, and what it may still be off: as much as it corrected."""
    correction = (fine - coarse) / gain
    # both runs share their noise: the difference is known better than either
    return fine + correction, fine_error + np.abs(coarse_error - fine_error) / gain, np.abs(correction)


@dataclass(frozen=True, slots=True)
class PathFunction(ValueFunction):
    """`state` the network's numbers by name, `width` of its layers; `longest` the bound of the gradient that the policy uses."""

    equation: HJBEquation
    state: tuple[tuple[str, Array], ...]
    width: int
    longest: float
    worth: Worth
    plan: Plan
    tol: float | None = None

    @one_thread()
    def evaluate(self, t: Array, x: Array, mode: NDArray[np.int64]) -> PointValues:  # noqa: ARG002 (no modes here)
        model, policy = self.rebuilt()
        times, states = torch.tensor(t, dtype=torch.float32), torch.tensor(x, dtype=torch.float32)
        if not math.isfinite(model.end):
            times = torch.zeros_like(times)
        value, slope = (v.detach() for v in policy.slope(times, states))
        control = policy.control(times, states, value, slope).double().numpy()
        network = value.double().numpy()
        gradient = model.sign * slope.double().numpy()
        if len(t) <= SIMULATED:
            found = self.simulated(model, policy, times.double().numpy(), x)
            best, low, high = found.value, found.lower, found.upper
        else:
            error = self.worth.network + self.worth.network_share * np.abs(network)
            best, low, high = network, network - error, network + error
        if model.sign < 0:
            best, low, high = -best, -high, -low
        error = np.maximum(high - best, best - low)
        return PointValues(best, error, gradient, control, lower=low, upper=high, confidence=CONFIDENCE)

    def simulated(self, model: PathModel, policy: Policy, t: Array, x: Array) -> Bracket:
        """Paths are added until their noise no longer matters: against the bracket's own width, or the tolerance."""
        affordable = BUDGET // (len(t) * self.plan.steps) // 2 * 2
        plan = replace(self.plan, paths=max(SCANTIEST, min(self.plan.paths, affordable)))
        found = bracket(model, policy, self.worth, plan, t, x)
        while plan.paths < MOST and len(t) * plan.paths * plan.steps * 4 <= BUDGET:
            width = found.upper - found.lower
            wanted = np.maximum(0.35 * width, 0.0 if self.tol is None else 0.5 * self.tol)
            if np.all(found.sampling <= wanted):
                break
            plan = replace(plan, paths=4 * plan.paths)
            found = bracket(model, policy, self.worth, plan, t, x)
        return found

    def rebuilt(self) -> tuple[PathModel, Policy]:
        """Network and policy from the plain data."""
        model = PathModel(NeuralProgram(self.equation))
        value = LiftedValue(model, self.width)
        value.load_state_dict({name: torch.from_numpy(np.array(numbers)) for name, numbers in self.state})
        return model, Policy(model, value.requires_grad_(False), self.longest)


__all__ = ["Bounds", "Bracket", "PathFunction", "Worth", "bracket"]
