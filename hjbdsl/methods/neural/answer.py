"""A finished training as a `Solution`: the function, its bracket, and the statements that go with it.

In: training, state. Out: `Solution` with status "bracketed", or "not_converged" where the equation is not solved or the band is
as wide as V varies.
"""

from __future__ import annotations

import numpy as np

from hjbdsl.methods.neural.bracket import Bracket, bracket
from hjbdsl.methods.neural.feynman_kac import Rollout
from hjbdsl.methods.neural.function import NeuralFunction
from hjbdsl.methods.neural.networks import Parameters
from hjbdsl.methods.neural.policy_iteration import PolicyIteration, State
from hjbdsl.methods.neural.sampling import drawn
from hjbdsl.model.solution import Evidence, Solution

MOST_RESIDUAL = 0.02
MOST_BAND = 0.1
"""The widest band of a settled answer, relative to how V varies over the region."""
POINTS = 60


def solution(training: PolicyIteration, state: State, interrupted: bool) -> Solution:
    """The last parameters where they are as good as any, else the best ones."""
    parameters = state.parameters if state.residual <= 3.0 * state.least else state.best
    residual = training.residual(parameters, training.policy)
    worth, variation = _worth(training, parameters)
    model = training.model
    function = NeuralFunction(
        training.equation, model.architecture, {name: value.numpy().copy() for name, value in parameters.items()},
        training.policy.fallback.numpy().copy(), worth.band,
    )  # fmt: skip
    width = worth.band.absolute + worth.band.relative * variation[1]
    settled = residual < MOST_RESIDUAL and width < MOST_BAND * max(variation[0], 1e-2 * variation[1])
    warnings = []
    if interrupted:
        warnings.append(f"interrupted after round {state.round}: the best answer so far")
    elif not settled:
        warnings.append(f"the training did not settle: residual {residual:.2g} of its terms, band {width:.2g}")
    if training.request.device != "cpu":
        warnings.append("policy iteration runs on the CPU: its batches are too small to be worth moving")
    widths = " x ".join(str(w) for w in model.architecture.widths)
    size = model.architecture.size
    statements = (
        f"{state.round} rounds of policy iteration; a tanh network of {widths} units, {size} parameters",
        f"held-out residual {residual:.2g} of its terms, with the exact maximiser",
        f"the greedy policy's return, simulated: within {worth.policy_gap:.2g} of V, relative (standard error {worth.noise:.2g})",
        f"the equation's defect along its paths adds up to {worth.defect_gap:.2g} of V; the paths decide {worth.kept:.0%} of V",
    )
    numbers = {"policy_gap": worth.policy_gap, "defect_gap": worth.defect_gap, "rounds": float(state.round)}
    return Solution(
        "neural", "policy iteration", "bracketed" if settled and not interrupted else "not_converged", function,
        Evidence("monte_carlo_bracket", residual, statements, numbers), warnings=tuple(warnings),
    )  # fmt: skip


def _worth(training: PolicyIteration, parameters: Parameters) -> tuple[Bracket, tuple[float, float]]:
    """The bracket at fresh points of the region; and how V varies there: (range, largest size)."""
    generator = training.generator(-2, shared=True)
    at = drawn(training.program, training.domain, min(POINTS, training.starts), generator, inner=True)
    segment = training.segment(parameters, training.policy, generator)
    rollout = Rollout(training.model, training.domain, training.policy.control, generator)
    worth = bracket(rollout, parameters, at, segment, 2 * training.pairs)
    value = training.model.chosen(parameters)(*at).numpy()
    return worth, (float(np.ptp(value)), float(np.max(np.abs(value))))


__all__ = ["solution"]
