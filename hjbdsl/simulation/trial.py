"""A solution on trial: its policy is played from one point, and what it earns is held against V.

In: equation, solution, a point. Out: `Trial`. The time step is halved while what it may leave is larger than the sampling
error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hjbdsl.errors import SolverError
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Solution
from hjbdsl.numeric.points import Points
from hjbdsl.numeric.state_space import region_of
from hjbdsl.simulation.estimate import PolicyValue, policy_value
from hjbdsl.simulation.gibbs import policy_of
from hjbdsl.simulation.policy import Policy
from hjbdsl.simulation.process import ControlledProcess, compile_process
from hjbdsl.simulation.record import Paths
from hjbdsl.simulation.timescale import Clockwork, clockwork_of

_MOST_HALVINGS = 2
_MOST_STEPS = 6000
_PRECISION = 1e-4

Verdict = Literal["agrees", "earns less", "earns more", "unknown"]


@dataclass(frozen=True, slots=True)
class Settings:
    """`paths` simulated, the first `record` of them written down; `dt` and `horizon` None where they are to be chosen."""

    paths: int = 4096
    dt: float | None = None
    horizon: float | None = None
    seed: int = 0
    confidence: float = 0.99
    record: int = 0


@dataclass(frozen=True, slots=True)
class Trial:
    """`claimed` is V at `start` (the long-run average of an average problem), `claimed_error` its own error; `earned` what the
    policy was found to earn. `verdict`: agrees where the difference is within both errors, else whether the policy earns less
    or more than V says; unknown where V has no error to go by."""

    start: Points
    claimed: float
    claimed_error: float
    earned: PolicyValue
    verdict: Verdict

    @property
    def paths(self) -> Paths | None:
        return self.earned.recorded


def try_out(equation: HJBEquation, solution: Solution, start: Points, settings: Settings) -> Trial:
    """Simulate the solution's policy from the one point `start`. Raises `SolverError` for what cannot be simulated."""
    process = compile_process(equation)
    if process.problem.reversal is not None and process.problem.objective.terminal is None:
        raise SolverError("the density of the data has no formula here, so that nothing is known of the payoff at the end")
    policy = policy_of(equation, process, solution.function)
    clockwork = clockwork_of(process, policy, start, settings.dt, settings.horizon)
    claimed, error = _claim(equation, solution, start)
    earned = _settled(process, policy, start, clockwork, settings, error / 4 if np.isfinite(error) else 0.0)
    return Trial(start, claimed, error, earned, _verdict(equation, claimed, error, earned))


def _settled(
    process: ControlledProcess, policy: Policy, start: Points, clockwork: Clockwork, settings: Settings, enough: float
) -> PolicyValue:
    def play(steps: Clockwork) -> PolicyValue:
        return policy_value(process, policy, start, steps, settings.paths, settings.confidence, settings.seed, settings.record)

    earned = play(clockwork)
    for _ in range(_MOST_HALVINGS if settings.dt is None else 0):
        good_enough = max(earned.half_width, earned.raw_width / 4, _PRECISION * abs(earned.mean), enough, 1e-12)
        if abs(earned.gap) <= max(earned.gap_width, 2 * good_enough) or 2 * clockwork.steps > _MOST_STEPS:
            break
        clockwork = Clockwork(clockwork.dt / 2, 2 * clockwork.steps)
        earned = play(clockwork)
    return earned


def _claim(equation: HJBEquation, solution: Solution, start: Points) -> tuple[float, float]:
    if equation.problem.objective.form == "average":
        missing = solution.average_error is None
        return float("nan") if solution.average is None else solution.average, 0.0 if missing else float(
            solution.average_error or 0
        )
    at = solution.function.evaluate(start.t, start.x, start.mode)
    return float(at.value[0]), float(at.error[0])


def _verdict(equation: HJBEquation, claimed: float, error: float, earned: PolicyValue) -> Verdict:
    if not np.isfinite([claimed, error, earned.mean]).all():
        return "unknown"
    rounding = 1e-9 * max(1.0, abs(claimed))
    gap = earned.mean - claimed
    if abs(gap) <= earned.error + error + rounding:
        return "agrees"
    better = gap > 0 if equation.problem.objective.sense != "minimize" else gap < 0
    return "earns more" if better else "earns less"


def middle(equation: HJBEquation, candidates: Points) -> Points:
    """Of some points, the one nearest to the middle of the region where the process still runs, in the first mode."""
    region = region_of(equation.problem)
    width = np.maximum(np.ptp(region, axis=1), 1e-12) if len(region) else np.ones(0)
    distance = np.abs((candidates.x - region.mean(axis=1)) / width).max(axis=1, initial=0.0) + candidates.mode + candidates.t
    k = int(np.argmin(distance))
    return Points(candidates.t[k : k + 1], candidates.x[k : k + 1], candidates.mode[k : k + 1])
