"""`hjb sample --tilt`: a reward of the final state, turned into a tilted law where that is exact and into a control elsewhere.

In: a problem, a reward in its states. Out: the problem with the tilted mixture as its data and log Z, or None; the reward as a
numpy function with its gradient.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp

from hjbdsl.errors import UsageError
from hjbdsl.methods.generative.start import MixtureLaw, mixture_law
from hjbdsl.methods.generative.steering import Reward
from hjbdsl.methods.generative.tilted_law import quadratic_reward, tilted_mixture
from hjbdsl.model.problem import ControlProblem, GaussianMixture
from hjbdsl.model.solution import Array
from hjbdsl.numeric.compile import compile_expressions


@dataclass(frozen=True, slots=True)
class TiltedProblem:
    """`problem` has the data p_0 exp(reward)/Z."""

    problem: ControlProblem
    log_normaliser: float


def tilted_problem(problem: ControlProblem, reward: sp.Expr) -> TiltedProblem | None:
    """None where the data are rows, or the reward no quadratic. Raises `UsageError` where exp(reward) has no finite mean."""
    reversal = problem.reversal
    if reversal is None or not isinstance(reversal.law, GaussianMixture):
        return None
    quadratic = quadratic_reward(problem, reward)
    if quadratic is None:
        return None
    found = tilted_mixture(mixture_law(problem, reversal.law), quadratic)
    if found is None:
        raise UsageError(f"exp({reward}) has no finite mean under the data: the reward grows faster than the tails fall")
    law, normaliser = found
    digest = hashlib.sha256(f"{problem.source.digest} tilted by {reward}".encode()).hexdigest()
    source = replace(problem.source, digest=digest)
    return TiltedProblem(replace(problem, reversal=replace(reversal, law=_symbolic(law)), source=source, checks=()), normaliser)


def _symbolic(law: MixtureLaw) -> GaussianMixture:
    def entry(value: float) -> sp.Expr:
        return sp.Rational(*float(value).as_integer_ratio())

    return GaussianMixture(
        tuple(entry(w) for w in law.weights),
        tuple(tuple(entry(m) for m in mean) for mean in law.means),
        tuple(sp.ImmutableMatrix(len(c), len(c), [entry(v) for v in c.ravel()]) for c in law.covariances),
    )


def _step(place: sp.Expr, *_value_at_zero: sp.Expr) -> sp.Expr:
    return sp.Piecewise((1, place >= 0), (0, True))


def reward_function(problem: ControlProblem, reward: sp.Expr) -> Reward:
    """Values and gradients; a kink counts as its right-hand slope."""
    states, expression = problem.state_symbols, problem.numeric(reward)
    slopes = [sp.diff(expression, state).replace(sp.Heaviside, _step) for state in states]
    compiled = compile_expressions(states, [expression, *slopes])

    def evaluate(y: Array) -> tuple[Array, Array]:
        value, *gradient = (np.broadcast_to(np.asarray(part, dtype=float), (len(y),)) for part in compiled(*y.T))
        return np.array(value), np.stack(gradient, axis=1)

    return evaluate
