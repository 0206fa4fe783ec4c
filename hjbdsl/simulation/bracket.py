"""A two-sided bracket of the optimal value at a point.

In: equation, solution, points. Out: `Bracket`. No policy can beat the optimum: what the solution's own policy earns, less its
errors, bounds the value from one side. No policy can gain more than the excess of the Hamiltonian allows: that bounds it from
the other. Without a controller the simulation alone bounds both sides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Solution
from hjbdsl.numeric.points import Points
from hjbdsl.numeric.sampling import sample_region
from hjbdsl.simulation.bound import Excess, excess
from hjbdsl.simulation.process import ControlledProcess, compile_process
from hjbdsl.simulation.remembered import RememberedValue
from hjbdsl.simulation.trial import Settings, Trial, try_out

_PLACES, _ENTRIES = 256, 20_000_000


@dataclass(frozen=True, slots=True)
class Bracket:
    """lower <= optimal value <= upper: the side of the policy at `confidence`, the other as good as the places sampled
    (infinite where there is none). `excess` None where the equation has no such bound."""

    trial: Trial
    lower: float
    upper: float
    confidence: float
    excess: Excess | None

    @property
    def holds(self) -> bool:
        """Whether V lies inside, and its policy earns it."""
        rounding = 1e-9 * max(1.0, abs(self.trial.claimed))
        error = self.trial.claimed_error + rounding
        return self.trial.verdict == "agrees" and self.lower - error <= self.trial.claimed <= self.upper + error


def bracket(equation: HJBEquation, solution: Solution, start: Points, settings: Settings) -> Bracket:
    """At the one point `start`. Raises `SolverError` for what cannot be simulated."""
    process = compile_process(equation)
    trial = try_out(equation, solution, start, settings)
    found = _excess(process, equation, solution, trial, settings.seed)
    earned, claimed = trial.earned, trial.claimed
    if not process.controls and process.problem.stopping is None:
        return Bracket(trial, earned.lower, earned.upper, earned.confidence, found)
    sense = -1.0 if equation.problem.objective.sense == "minimize" else 1.0
    game = bool(process.problem.adversary_symbols)
    least = -math.inf if found is None and game else sense * earned.mean - earned.error
    if found is not None and game:  # against the best adversary; the simulated one plays its own policy
        least = sense * claimed - trial.claimed_error - found.below
    most = math.inf if found is None else sense * claimed + trial.claimed_error + found.above
    lower, upper = (least, most) if sense > 0 else (-most, -least)
    return Bracket(trial, lower, upper, earned.confidence, found)


def _excess(process: ControlledProcess, equation: HJBEquation, solution: Solution, trial: Trial, seed: int) -> Excess | None:
    problem = equation.problem
    claimed = RememberedValue(solution.function, equation.stationary)
    places = _places(equation, trial, seed)
    average = solution.average if problem.objective.form == "average" else None
    lifetime = trial.earned.clockwork.length
    if trial.paths is not None and len(trial.paths.end_time):
        ended = trial.paths.end_time[trial.paths.ended > 0]
        lifetime = 2 * float(np.mean(ended)) if len(ended) == len(trial.paths.ended) else lifetime
    return excess(process, claimed, places, solution.status, average, lifetime, seed)


def _places(equation: HJBEquation, trial: Trial, seed: int) -> Points:
    """Places of the region and along the recorded paths, none at the very end of time or of a path."""
    problem, generator = equation.problem, np.random.default_rng(seed)
    sampled = sample_region(problem, equation.stationary, {}, range(len(problem.mode_tuples())), seed)
    most = max(4, min(_PLACES, _ENTRIES // problem.dimension**2)) if problem.dimension else _PLACES
    parts = [_some(sampled, most, generator)]
    paths = trial.paths
    if paths is not None:
        t = np.broadcast_to(paths.t, paths.mode.shape)
        running = t < paths.end_time[:, None]
        rows = np.flatnonzero(running.ravel())
        flat = Points(t.ravel()[rows], paths.x.reshape(t.size, -1)[rows], paths.mode.ravel()[rows])
        parts.append(_some(flat, most, generator))
    joined = Points(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("t", "x", "mode")))
    if equation.stationary or not len(joined):
        return joined
    last = float(np.max(joined.t))
    early = joined.t <= last * (1 - 1e-2)
    return Points(joined.t[early], joined.x[early], joined.mode[early])


def _some(points: Points, most: int, generator: np.random.Generator) -> Points:
    if len(points) <= most:
        return points
    rows = generator.choice(len(points), most, replace=False)
    return Points(points.t[rows], points.x[rows], points.mode[rows])
