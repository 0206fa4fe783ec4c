"""The learner: transitions in rounds, the class of functions that they call for, value and advantage rate, and what they are
worth.

In: a derived problem, of which only the objective's sense, discount and horizon, the kinds of its states and controls, and its
region are read; transitions from a simulator, an environment or a file. Out: `Accepted(Solution)` or `Rejected(reason)`."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from hjbdsl import progress
from hjbdsl.errors import SolverError, UsageError
from hjbdsl.methods.model_free.collect import Behaviour, Simulator, policy_behaviour, wide_behaviour
from hjbdsl.methods.model_free.conditions import gather
from hjbdsl.methods.model_free.coordinates import ControlSpace, control_space
from hjbdsl.methods.model_free.departure import exits, out_of_reach
from hjbdsl.methods.model_free.environment import Environment
from hjbdsl.methods.model_free.exploration import (
    HALVINGS,
    MOST_EARLY,
    MOST_ROUNDS,
    MOST_STRIDE,
    PROBE,
    early_steps,
    first_controls,
    first_exploration,
    gentler,
    stride,
)  # fmt: skip
from hjbdsl.methods.model_free.function import LearnedFunction
from hjbdsl.methods.model_free.function_class import Chosen, choose_degree, largest
from hjbdsl.methods.model_free.homogeneity import of_rewards, of_value
from hjbdsl.methods.model_free.iteration import Places, Task, plain_q_learning, q_learning
from hjbdsl.methods.model_free.lesson import Lesson
from hjbdsl.methods.model_free.precision import Precision
from hjbdsl.methods.model_free.transitions import Transitions, joined
from hjbdsl.methods.model_free.uncertainty import precision, scatter
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Accepted, Array, Evidence, Rejected, Solution
from hjbdsl.numeric.points import Points
from hjbdsl.numeric.state_space import horizon, number, region_of
from hjbdsl.simulation import compile_process

STEPS = 200_000
ENVIRONMENT_STEPS = 40_000
PLACES = 1200
MOST_DEFECT = 0.05
"""The largest defect of the constraint, by the spread of the rewards, of an answer that counts."""
MOST_ASTRAY = 0.01
"""The share of the places where q may have no maximum among the actions that were tried."""
SAMPLE = 20_000
MOST_MISFIT = 1e-3
"""The share of the rewards' variance that a class may miss without a warning."""


def rejection(equation: HJBEquation) -> str | None:
    """Why this learner does not apply, or None."""
    problem = equation.problem
    rate = problem.numeric(problem.objective.discount)
    if problem.reversal is not None:
        return "a generative problem is learned from its data, with `hjb sample`"
    if problem.adversaries:
        return "the learner plays alone: it knows no adversary; `hjb solve` does"
    if problem.stopping is not None or problem.objective.form not in ("expectation", "average"):
        return "the conditions are those of a discounted sum or of a long-run average, without stopping; ask `hjb solve`"
    if problem.jumps and (problem.exit is not None or any(b.kind == "value" for b in equation.boundaries)):
        return "a jump out of the domain has another payoff than V's polynomials; ask `hjb solve`"
    if not rate.is_number:
        return "the discount rate must be a constant: it is the one number that the learner is told"
    if any(c.role == "control" for c in problem.constraints):
        return (
            "joint constraints on controls are not in the learner's policies; choose controls that vary freely, such as shares of"
            " what is left, or ask `hjb solve`"
        )
    exploration = problem.exploration
    if exploration is not None and set(exploration.controls) != set(problem.control_symbols):
        return "the learner's policy is random in all controls or in none"
    if exploration is not None and not problem.numeric(exploration.temperature).is_number:
        return "the temperature must be a constant"
    return None


def learn(
    equation: HJBEquation, lesson: Lesson, environment: Environment | None = None, data: Transitions | None = None
) -> Accepted | Rejected:
    """Learn from recorded `data`, from an `environment`, or from a simulator of the file. Raises `UsageError` for data that
    does not fit, `SolverError` where it does not determine an answer."""
    reason = rejection(equation)
    if reason is not None:
        return Rejected(reason)
    return Accepted(_Learner(equation, lesson, environment, data).solution())


def gathered(equation: HJBEquation, lesson: Lesson) -> Transitions:
    """The transitions that a lesson with the simulator learns from in the end, rewards in the file's own sense, as `--data` takes
    them. Raises `UsageError` where there is no such lesson."""
    reason = rejection(equation)
    if reason is not None or lesson.env is not None or lesson.data is not None:
        raise UsageError(reason or "only the simulator's transitions are gathered")
    learner = _Learner(equation, lesson, None, None)
    data, _ = learner._learned()
    return data.with_rewards(learner.sign * data.r, learner.sign * data.payoff)


def task_of(problem: ControlProblem) -> Task:
    """What the learner is told of the objective."""
    exploration = problem.exploration
    temperature = number(problem, exploration.temperature) if exploration is not None else 0.0
    average = problem.objective.form == "average"
    rho = 0.0 if average else number(problem, problem.objective.discount)
    return Task(rho, average, horizon(problem), temperature)


class _Learner:
    """One lesson, from the first transition to the answer."""

    def __init__(self, equation: HJBEquation, lesson: Lesson, environment: Environment | None, data: Transitions | None):
        self.problem = problem = equation.problem
        self.lesson, self.environment, self.recorded = lesson, environment, data
        self.steps = lesson.steps or (STEPS if environment is None else ENVIRONMENT_STEPS)
        self.sign = -1.0 if problem.objective.sense == "minimize" else 1.0
        self.generator = np.random.default_rng(lesson.seed)
        self.task = task_of(problem)
        self.simulator = None
        if environment is None and data is None:
            length = math.ceil(self.steps / lesson.episodes) if lesson.episodes else min(50, round(1 / lesson.dt))
            self.simulator = Simulator(compile_process(equation), lesson.dt, max(1, length), self.sign)

    def solution(self) -> Solution:
        data, chosen = self._learned()
        progress.report("how far it may be off", 0.95)
        function = self._function(data, chosen)
        return self._present(data, chosen, function)

    def _learned(self) -> tuple[Transitions, Chosen]:
        """All transitions at once, or in rounds: the policy learned from one round draws the actions of the next."""
        if self.recorded is not None:
            data = self._turned(self.recorded)
            return data, self._fit(data, self.task)[0]
        first = control_space(self.problem, first_controls(self.problem, self.lesson.around))
        if self.simulator is not None and not self.lesson.around:
            first = self._gentle(first)
        behaviour = wide_behaviour(first)
        if self.lesson.off_policy:
            progress.report("transitions under one behaviour", 0.0)
            data = self._collect(behaviour, self.steps)
            return data, self._fit(data, self.task)[0]
        early, left = early_steps(self.steps), self.steps
        exploration = first_exploration(self.task, self.lesson.dt, first, bool(self.lesson.around))
        for round_ in range(MOST_ROUNDS):
            rate = self.task.rho + exploration.extra
            progress.report(f"round {round_ + 1}, discount rate {rate:.3g}", 0.9 * (1 - left / self.steps))
            data = self._collect(behaviour, early)
            left -= early
            task = replace(self.task, rho=rate, average=self.task.average and exploration.extra == 0.0)
            try:
                chosen, places = self._fit(data, task)
            except SolverError:
                # the round goes on with the same actions, and counts with the next one's
                if left < (1 - MOST_EARLY) * self.steps:
                    raise
                more = self._collect(behaviour, early)
                left -= early
                data = joined([data, more])
                chosen, places = self._fit(data, task)
            exploration = exploration.after(chosen.operator, chosen.learned, task, places, first)
            behaviour = policy_behaviour(chosen.operator, task, chosen.learned.advantage, exploration.widths)
            if exploration.over or left < (1 - MOST_EARLY) * self.steps:
                break
        progress.report("last round", 0.6)
        data = self._collect(behaviour, left)
        return data, self._fit(data, self.task)[0]

    def _gentle(self, first: ControlSpace) -> ControlSpace:
        """First actions under which a step does not lead out of sight, where that is in their hands."""
        before = stride(self.problem, self._collect(wide_behaviour(first), PROBE))
        for _ in range(HALVINGS):
            if before <= MOST_STRIDE:
                break
            smaller = gentler(first)
            after = stride(self.problem, self._collect(wide_behaviour(smaller), PROBE))
            if after > 0.9 * before:
                break
            first, before = smaller, after
        return first

    def _collect(self, behaviour: Behaviour, count: int) -> Transitions:
        if self.simulator is not None:
            return self._with_prior(self.simulator.collect(behaviour, count, self.generator))
        assert self.environment is not None
        return self._with_prior(self.environment.collect(behaviour, count, self.generator))

    def _turned(self, data: Transitions) -> Transitions:
        """Recorded rewards are in the file's own sense: costs, where it minimises."""
        return self._with_prior(data.with_rewards(self.sign * data.r, self.sign * data.payoff))

    def _with_prior(self, data: Transitions) -> Transitions:
        """Relative entropy to a normal prior: its logarithm is one more reward."""
        exploration = self.problem.exploration
        if exploration is None or exploration.prior is None:
            return data
        mean, variance = (number(self.problem, e) for e in exploration.prior)
        logs = -0.5 * ((data.a - mean) ** 2 / variance + math.log(2 * math.pi * variance)).sum(axis=1)
        return data.with_rewards(data.r + self.task.temperature * logs, data.payoff)

    def _fit(self, data: Transitions, task: Task) -> tuple[Chosen, Places]:
        places, data = self._places(data), out_of_reach(data, task.end)
        space, degree = control_space(self.problem, data.a), self.lesson.degree
        features, top = largest(self.problem, space, data, task.end, degree)
        pairs = self.generator.permutation(len(data) // 2)[: SAMPLE // 2]
        sample = data.rows(np.stack([2 * pairs, 2 * pairs + 1], axis=1).ravel())
        tilt = of_rewards(features, sample) if not task.average else ()
        if tilt:
            features, top = largest(self.problem, space, data, task.end, degree, tilt)
        chosen = choose_degree(gather(features, data), top, task, places, sample, degree)
        if not tilt and not task.average:
            tilt = of_value(chosen.operator.features, chosen.learned, places)
            if tilt:
                features, top = largest(self.problem, space, data, task.end, degree, tilt)
                chosen = choose_degree(gather(features, data), top, task, places, sample, degree)
        weights = precision(chosen.moments, chosen.operator, chosen.learned, task, sample)
        if weights is not None:
            places = self._weighted(places, weights, chosen)
            chosen = choose_degree(gather(features, data, weights), top, task, places, sample, degree)
        if self.lesson.algorithm == "td":
            chosen = replace(chosen, learned=plain_q_learning(chosen.operator, task, places))
        return chosen, places

    def _weighted(self, places: Places, weights: Precision, chosen: Chosen) -> Places:
        """The constraint counts as much at a state as the increments do there, at the centre of the actions."""
        features, inner = chosen.operator.features, places.inner
        k = len(inner)
        centre = np.zeros((k, len(features.control.space.axes)))
        return replace(places, weight=np.sqrt(weights(features, inner, centre, np.zeros(k, dtype=np.int64))))

    def _places(self, data: Transitions) -> Places:
        """Where the constraint is imposed: over the region, or where the data is; and the ends that were seen."""
        rows = self.generator.permutation(len(data))
        if self.simulator is not None:
            inner = self.simulator.places(PLACES, self.generator)
            last, payoff = self.simulator.ends(PLACES // 3, self.generator)
            left = data.rows(self.generator.permutation(exits(data, self.task.end))[: PLACES // 3])
            last = Points(
                np.append(last.t, left.t + data.dt), np.vstack([last.x, left.x_next]), np.append(last.mode, left.mode_next)
            )
            return Places(inner, last, np.append(payoff, left.payoff))
        region = region_of(self.problem)
        near = np.all((data.x[rows] >= region[:, 0]) & (data.x[rows] <= region[:, 1]), axis=1)
        rows = np.concatenate([rows[near], rows[~near]]) if near.sum() < PLACES // 2 else rows[near]
        seen = data.rows(rows[:PLACES])
        inner = Points(seen.t, seen.x, seen.mode)
        over = data.rows(self.generator.permutation(np.flatnonzero(data.done))[:PLACES])
        if math.isfinite(self.task.end) and not len(over):
            raise UsageError("a finite horizon is learned from its end: the data marks no transition as `done`")
        return Places(inner, Points(over.t + data.dt, over.x_next, over.mode_next), over.payoff)

    def _function(self, data: Transitions, chosen: Chosen) -> LearnedFunction:
        centre = region_of(self.problem).mean(axis=1)[None]
        origin = Points(np.zeros(1), centre, np.zeros(1, dtype=np.int64)) if self.task.average else None
        if self.lesson.algorithm == "td":
            return LearnedFunction(chosen.operator, self.task, chosen.learned, None, None, self.sign, 0.0, None, origin)
        shake = scatter(chosen.moments, chosen.operator, chosen.learned, self.task, out_of_reach(data, self.task.end))
        coarse = q_learning(chosen.operator, self.task, self._places(data), coarse=True)
        left = _size(chosen.learned.residual)
        lasting = min(1.0 / self.task.rho if self.task.rho > 0 else 1.0, self.task.end)
        return LearnedFunction(
            chosen.operator, self.task, chosen.learned, coarse, shake, self.sign, left * lasting, chosen.neighbour, origin
        )

    def _present(self, data: Transitions, chosen: Chosen, function: LearnedFunction) -> Solution:
        learned, bracketed = chosen.learned, function.shake is not None
        average, average_error = None, None
        if self.task.average:
            average = self.sign * learned.average
            average_error = function.average_error() if bracketed else math.nan
        settled = learned.settled and bool(np.all(np.isfinite(learned.theta))) and learned.astray < MOST_ASTRAY
        settled = settled and self._defect(chosen) <= MOST_DEFECT
        return Solution(
            "model_free", "continuous-time q-learning" if bracketed else "plain Q-learning target y = r dt + exp(-rho dt) V(x')",
            "not_converged" if not settled else "bracketed", function,
            Evidence("monte_carlo_bracket", _size(learned.residual), self._statements(data, chosen), {
                "transitions": float(chosen.moments.count), "functions": float(chosen.moments.features.count),
                "degree": float(chosen.degree),
                "reward_misfit": chosen.operator.misfit, "policy_iterations": float(learned.iterations), "dt": data.dt,
            }),
            average=average, average_error=average_error, warnings=tuple(self._warnings(chosen, bracketed)),
        )  # fmt: skip

    def _defect(self, chosen: Chosen) -> float:
        """Of the constraint, by the spread of the rewards."""
        spread = math.sqrt(chosen.moments.variance)
        return chosen.learned.defect / spread if spread > 0 else 0.0

    def _statements(self, data: Transitions, chosen: Chosen) -> tuple[str, ...]:
        where = "recorded" if self.recorded is not None else "simulated in mirrored pairs"
        where = "played in the environment" if self.environment is not None else where
        policy = f"policy: Gibbs law of q at temperature {self.task.temperature:g}"
        if self.task.temperature == 0:
            policy = "policy: the maximiser of q (the file has no `explore`: temperature 0; only the data explores)"
        features = chosen.moments.features
        return (
            f"{chosen.moments.count} transitions of dt = {data.dt:g} in the last conditions, {where}",
            f"class: degree {chosen.degree}, {features.values} functions for V, {features.count} for q",
            policy,
        )

    def _warnings(self, chosen: Chosen, bracketed: bool) -> list[str]:
        result = []
        if self._defect(chosen) > MOST_DEFECT:
            result.append(f"the class does not hold V: its equation fails by {self._defect(chosen):.1%} of the rewards' spread")
        if chosen.learned.astray >= MOST_ASTRAY:
            result.append("q has no maximum near the actions that were tried: say with --around where to try")
        elif not chosen.learned.settled:
            result.append("the policy went on changing: what was learned is no fixed point")
        if chosen.operator.misfit > MOST_MISFIT:
            result.append(
                f"the class misses {chosen.operator.misfit:.1%} of the variance of the rewards: a higher --degree may help"
            )
        if not bracketed:
            result.append("the plain target is biased by the time step; no error is claimed")
        return result


def _size(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else 0.0
