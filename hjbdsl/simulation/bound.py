"""The other side of the bracket: how much more than V any policy could earn, from how V fails its equation.

In: a process, V with its policy, places. Out: `Excess`. Let h(x) = max over a of f + V_t + L^a V - r V (under maximize). For
every policy, by Ito's formula, its value is at most V + E integral D h+ dt, plus what the payoffs exceed V by (Fleming and
Soner, III.8); so the largest h+ times the discounted length of the problem bounds what V may be short of. The maximum over a is
taken over the policy's own control and many others, that over x over the places given: a bound as good as the sampling. Under
minimize everything is mirrored.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from hjbdsl.model.solution import Array, Status, ValueFunction
from hjbdsl.numeric.points import Points
from hjbdsl.simulation.compiled import At
from hjbdsl.simulation.hamiltonian import LocalValue, local_value, operator, size_of_terms
from hjbdsl.simulation.process import ControlledProcess

_SCALES = (0.01, 0.1, 1.0, 3.0)
_DRAWS = 6
_MOST_COMBINATIONS = 64
_FINENESS_OF_FORMULA, _FINENESS_OF_TABLE = 1e-3, 1e-2


@dataclass(frozen=True, slots=True)
class Excess:
    """residual      largest |f + V_t + L V - r V| under the policy where it runs; `typical` the mean of it better
    largest gain of the Hamiltonian by another control, in the objective's sense: h+ (0 where V is above all) adverse       the
    same for the adversary, of games payoff        how much the reward for stopping, or the terminal reward, exceeds V;
    `shortfall` how much V exceeds the terminal reward length        discounted time that the problem may run: the factor of the
    residuals places        how many were looked at
    """

    residual: float
    typical: float
    better: float
    adverse: float
    payoff: float
    shortfall: float
    length: float
    places: int

    @property
    def above(self) -> float:
        """What the controller could earn beyond V."""
        return self.better * self.length + self.payoff

    @property
    def below(self) -> float:
        """What an adversary could take from V."""
        return self.adverse * self.length + self.shortfall


def excess(
    process: ControlledProcess,
    claimed: ValueFunction,
    places: Points,
    status: Status,
    average: float | None,
    lifetime: float,
    seed: int = 0,
) -> Excess | None:
    """`lifetime` is a length of the problem where neither horizon nor discount bounds it. None where the equation is no sum of
    rewards (a running extreme) or its optimum is soft (explore)."""
    problem = process.problem
    if process.extreme is not None or problem.exploration is not None:
        return None
    local = local_value(process, claimed, places, _FINENESS_OF_FORMULA if status == "proved" else _FINENESS_OF_TABLE)
    sense = -1.0 if problem.objective.sense == "minimize" else 1.0
    control = process.feasible(places.t, places.x, places.mode, local.at.control)
    shift = local.slope - (average or 0.0)
    own = operator(process, claimed, local, control) + shift
    good = np.isfinite(own)
    if not good.any():
        return None
    generator = np.random.default_rng(seed)
    mine, theirs = len(problem.control_symbols), len(problem.adversary_symbols)
    best = _largest(process, claimed, local, control, range(mine), sense, generator) + sense * shift
    worst = _largest(process, claimed, local, control, range(mine, mine + theirs), -sense, generator) - sense * shift
    runs = good if local.at.stop is None else good & ~local.at.stop
    size = size_of_terms(process, local, control) + abs(average or 0.0)
    relative = np.abs(own) / np.where(size > 0, size, 1.0)
    payoff, shortfall = _payoffs(process, claimed, places, local, sense)
    top = max(0.0, float(np.max(np.fmax(sense * own, best)[good])))
    return Excess(
        float(np.max(relative[runs], initial=0.0)),
        float(np.mean(relative[runs])) if runs.any() else 0.0,
        top,
        max(0.0, float(np.max(worst[good]))) if theirs else 0.0,
        payoff,
        shortfall,
        1.0 if problem.objective.form == "average" else _discounted_length(process, places, control, lifetime),
        len(places),
    )


def _largest(
    process: ControlledProcess,
    claimed: ValueFunction,
    local: LocalValue,
    control: Array,
    columns: range,
    sense: float,
    generator: np.random.Generator,
) -> Array:
    """max over trial controls of sense * operator (k,), the other columns held."""
    best = np.full(len(control), -np.inf)
    for trial in _trials(process, local.places, control, columns, generator):
        value = sense * operator(process, claimed, local, trial)
        best = np.fmax(best, np.where(np.isnan(value), -np.inf, value))
    return best


def _trials(
    process: ControlledProcess, places: Points, control: Array, columns: range, generator: np.random.Generator
) -> list[Array]:
    """The control itself; random moves of many sizes; the ends of intervals and all points of finite sets, in combination."""
    trials = [control]
    if not len(columns):
        return trials
    for combination in itertools.islice(itertools.product(*_marks(process, places, control, columns)), _MOST_COMBINATIONS):
        trial = control.copy()
        for column, values in zip(columns, combination, strict=True):
            trial[:, column] = values
        trials.append(trial)
    chosen = np.zeros(control.shape[1])
    chosen[columns.start : columns.stop] = 1.0
    for scale in _SCALES:
        for _ in range(_DRAWS):
            size = scale * np.maximum(np.abs(control), 0.1) * chosen
            trial = control + size * generator.normal(size=control.shape)
            trials.append(process.feasible(places.t, places.x, places.mode, trial))
    return trials


def _marks(process: ControlledProcess, places: Points, control: Array, columns: range) -> list[list[Array]]:
    """For each column the values that mark its set: all points of a finite one; what is chosen and the ends of an interval."""
    ends = process.coefficients.control_bounds(At(places.t, places.x, places.mode, control))
    bounds = [b for group in (*process.problem.controls, *process.problem.adversaries) for b in group.bounds]
    result: list[list[Array]] = []
    for column in columns:
        if bounds[column].is_finite_set:
            points = [float(process.problem.numeric(p)) for p in bounds[column].points]
            result.append([np.full(len(control), point) for point in points])
        else:
            here = control[:, column]
            result.append([here, *(np.where(np.isfinite(end), end, here) for end in ends[2 * column : 2 * column + 2])])
    return result


def _payoffs(
    process: ControlledProcess, claimed: ValueFunction, places: Points, local: LocalValue, sense: float
) -> tuple[float, float]:
    """How much a payoff exceeds V, and V the terminal payoff, at the places."""
    above, below = 0.0, 0.0
    control = np.zeros((len(places), process.controls))
    stop = process.coefficients.payoffs.get("stop")
    if stop is not None:
        gain = sense * (stop(At(places.t, places.x, places.mode, control))[0] - local.at.value)
        above = max(above, float(np.nanmax(gain)))
    if math.isfinite(process.horizon):
        end = Points(np.full(len(places), process.horizon), places.x, places.mode)
        gain = sense * (
            process.payoff_at_end(At(end.t, end.x, end.mode, control)) - claimed.evaluate(end.t, end.x, end.mode).value
        )
        gain = gain[np.isfinite(gain)]
        above, below = max(above, float(np.max(gain, initial=0.0))), max(below, float(np.max(-gain, initial=0.0)))
    return max(above, 0.0), below


def _discounted_length(process: ControlledProcess, places: Points, control: Array, lifetime: float) -> float:
    rate = process.coefficients.running(At(places.t, places.x, places.mode, control))[1]
    least = float(np.min(rate[np.isfinite(rate)], initial=math.inf))
    length = process.horizon if math.isfinite(process.horizon) else lifetime
    if least > 0 and not math.isfinite(process.horizon):
        return 1 / least
    if least > 0:
        return (1 - math.exp(-least * length)) / least
    return length * math.exp(-least * length) if least < 0 and math.isfinite(least) else length
