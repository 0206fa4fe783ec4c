"""Neural policy iteration in low dimension.

In: an `HJBEquation`. Out: V as a small network, its greedy policy, and a bracket. Each round, at fresh samples of the domain:

    evaluation     targets of V and of its slopes by Feynman-Kac Monte Carlo under the greedy policy of V_k, bootstrapped with V_k
    improvement    the maximiser of the Hamiltonian with V frozen, in closed form where there is one
    regression     Gauss-Newton on value, slope and conditions, and on the equation: with the policy frozen while it is far from
                   solved, then with the maximiser following V

What is left of the equation, with the exact maximiser, at points never trained on, is the diagnosis, and decides when to stop.
(Jia and Zhou, JMLR 23, 2022, for policy evaluation by martingales; Kerimkulov, Siska and Szpruch, SIAM J. Control Optim. 58,
2020, for the convergence of policy improvement.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hjbdsl import progress
from hjbdsl.errors import SolverError
from hjbdsl.methods.neural.conditions import condition_groups, tangent_groups
from hjbdsl.methods.neural.feynman_kac import Rollout, Segment, Targets
from hjbdsl.methods.neural.first_values import lifetime, target_groups, weighted
from hjbdsl.methods.neural.improvement import Improvement
from hjbdsl.methods.neural.learner import LearningRequest
from hjbdsl.methods.neural.model import ValueModel
from hjbdsl.methods.neural.networks import Parameters
from hjbdsl.methods.neural.sampling import Domain, drawn
from hjbdsl.methods.neural.training import Group, agreed, fit, rank
from hjbdsl.model.equation import HJBEquation

ROUNDS = 14
FROZEN_ABOVE = 0.06
"""The residual above which the policy is frozen inside a regression: far from the solution the equation with its maximiser has
stationary points that are no solutions."""
SETTLED = 3e-4
"""Two rounds in a row with a residual below this end the training."""
AGREED = 0.003
"""... and the returns of the greedy policy agree with V to this share of it."""
ANCHOR = 0.3
"""Weight of the returns beside the equation, while they tell something new."""
STARTS, PAIRS = 150, 8
STARTS_OF_ASCENT, PAIRS_OF_ASCENT, STEPS_OF_ASCENT = 40, 2, 50
"""Paths where every control on them is a search of its own."""
HELD_OUT = 500
_STEPS = 100


@dataclass(frozen=True, slots=True)
class State:
    """What a round leaves for the next one. `best` are the parameters of the least residual so far."""

    round: int
    parameters: Parameters
    damping: float
    residual: float
    best: Parameters
    least: float
    settled: int = 0

    @property
    def done(self) -> bool:
        return self.round >= ROUNDS or self.settled >= 2


class PolicyIteration:
    """The training of one equation. Every round draws from a generator of its own, made of seed, round and process, so that a
    training that is resumed goes on as if it had not stopped."""

    def __init__(self, equation: HJBEquation, request: LearningRequest, model: ValueModel, domain: Domain, simple: Tensor):
        self.equation, self.request, self.model, self.domain = equation, request, model, domain
        self.program = model.program
        self.policy = Improvement(self.program, model, simple)
        searched = equation.optimum.status == "implicit"
        self.starts, self.pairs, self.steps = (
            (STARTS_OF_ASCENT, PAIRS_OF_ASCENT, STEPS_OF_ASCENT) if searched else (STARTS, PAIRS, _STEPS)
        )
        self.samples = 500 * (1 + self.program.states) * (1 if equation.stationary else 2)
        self.lifetime = lifetime(self.program, domain, self.generator(0))

    def generator(self, number: int, shared: bool = False) -> torch.Generator:
        return torch.Generator().manual_seed(1_000_003 * self.request.seed + 1009 * number + (0 if shared else rank()))

    # ------------------------------------------------------------------------------------------------ one round

    def advance(self, state: State) -> State:
        """One round of policy iteration."""
        generator = self.generator(state.round + 1)
        t, x, z = drawn(self.program, self.domain, self.samples, generator)
        far = state.residual > FROZEN_ABOVE
        policy = self.policy.held_back(state.parameters, t, x, z) if far else self.policy
        group = self.equation_group(state.parameters, policy, t, x, z)
        segment = self.segment(state.parameters, policy, generator)
        rollout = Rollout(self.model, self.domain, policy.control, generator)
        few = slice(0, self.starts)
        targets = rollout.targets(state.parameters, t[few], x[few], z[few], segment, self.pairs)
        if not bool(torch.isfinite(targets.value).all()):
            raise SolverError("the returns of the policy are not finite")
        gap, news = self.news(state.parameters, t[few], x[few], z[few], targets)
        gap = agreed(gap)
        decided = agreed(self.decided(segment, targets))
        weight = ANCHOR * decided**4 * news
        scale = float(targets.value.abs().median()) + 1e-12
        fixed = [*target_groups(self.model.architecture, t[few], x[few], z[few], targets, weight),
                 *condition_groups(self.model, self.domain, generator, scale),
                 *tangent_groups(self.model, self.domain, state.parameters, generator)]  # fmt: skip

        def following(parameters: Parameters) -> list[Group]:
            return [self.equation_group(parameters, policy, t, x, z, group.weights), *fixed]

        def frozen(_parameters: Parameters) -> list[Group]:
            return [group, *fixed]

        groups = frozen if far else following
        fitted = fit(self.model, state.parameters, groups, 10, min(max(state.damping, 1e-6), 1e-2))
        residual = self.residual(fitted.parameters, policy)
        if not math.isfinite(residual):
            raise SolverError(f"the residual of round {state.round + 1} is not a number")
        better = residual < state.least
        progress.report(
            "policy iteration", (state.round + 1) / ROUNDS, round=state.round + 1, loss=fitted.loss, residual=residual, gap=gap,
            V=self.centre(fitted.parameters),
        )  # fmt: skip
        return State(
            state.round + 1, fitted.parameters, fitted.damping, residual,
            fitted.parameters if better else state.best, min(residual, state.least),
            state.settled + 1 if residual < SETTLED and gap < AGREED * decided else 0,
        )  # fmt: skip

    def news(self, parameters: Parameters, t: Tensor, x: Tensor, z: Tensor, targets: Targets) -> tuple[float, float]:
        """How far the returns are from V, relative to V; and a weight for them: little where that is within their noise."""
        size = targets.value.abs() + 0.1 * targets.value.abs().median() + 1e-12
        gap = float(((targets.value - self.model.chosen(parameters)(t, x, z)).abs() / size).median())
        noise = float((targets.error / size).median())
        return gap, max(0.02, min(1.0, gap / AGREED, 0.5 * gap / max(noise, 1e-12) - 0.5))

    def equation_group(
        self, parameters: Parameters, policy: Improvement, t: Tensor, x: Tensor, z: Tensor, weights: Tensor | None = None
    ) -> Group:
        """The equation under the improved policy; with the weights of an earlier V where there are such."""
        at = self.model.point(parameters, t, x, z)
        functionals = self.model.evaluation(t, x, z, policy.control(parameters, t, x, z, at), at)
        return weighted(functionals, at.V, self.lifetime.length) if weights is None else Group(functionals, weights)

    def segment(self, parameters: Parameters, policy: Improvement, generator: torch.Generator) -> Segment:
        """As many steps as the closed loop allows to be followed: its drift must not turn within one."""
        t, x, z = drawn(self.program, self.domain, 200, generator)
        rollout = Rollout(self.model, self.domain, policy.control, generator)
        unit = rollout.unit(x)
        y = x + 1e-3 * unit
        here, there = (self._drift(parameters, policy, t, place, z) / unit for place in (x, y))
        rate = ((there - here).abs() / 1e-3).max(-1).values.median()
        speed = here.abs().max(-1).values.median()
        step = 0.5 / max(float(rate), float(speed), 1e-12)
        return Segment(min(self.steps * step, self.lifetime.length), self.steps)

    def _drift(self, parameters: Parameters, policy: Improvement, t: Tensor, x: Tensor, z: Tensor) -> Tensor:
        a = policy.control(parameters, t, x, z, self.model.point(parameters, t, x, z))
        drift: Tensor = self.program.module.drift(t, x, z, a)
        return drift

    def decided(self, segment: Segment, targets: Targets) -> float:
        """The share of V that a segment decides, the rest being bootstrapped."""
        if math.isfinite(self.program.horizon):
            return min(1.0, segment.length / self.lifetime.length)
        return max(0.0, 1.0 - float(targets.left.median()))

    # ------------------------------------------------------------------------------------------------ diagnosis

    def residual(self, parameters: Parameters, policy: Improvement) -> float:
        """Root mean square of the equation's defect relative to its terms at points of the region; 1 where V has no maximiser."""
        t, x, z = drawn(self.program, self.domain, HELD_OUT, self.generator(-1, shared=True), inner=True)
        group = self.equation_group(parameters, policy, t, x, z)
        defect = self.model.apply(parameters, group.functionals) * group.weights
        exists = policy.exists(t, x, z, self.model.point(parameters, t, x, z))
        defect = torch.where(exists, defect, torch.ones_like(defect))
        return float(defect.square().mean().sqrt())

    def centre(self, parameters: Parameters) -> float:
        x = 0.5 * (self.domain.inner_low + self.domain.inner_high)[None]
        zero = torch.zeros(1, dtype=torch.float64)
        return float(self.model.chosen(parameters)(zero, x, torch.zeros(1, dtype=torch.long))[0])


__all__ = ["PolicyIteration", "State"]
