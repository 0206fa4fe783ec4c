"""A lesson from its source to its end: find the transitions, learn, and play what was learned where there is an environment.

In: a derived problem and a `Lesson`. Out: `Taught`, or `Rejected` with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass

from hjbdsl.errors import UsageError
from hjbdsl.methods.model_free.environment import Environment, make
from hjbdsl.methods.model_free.learn import learn, rejection
from hjbdsl.methods.model_free.lesson import Lesson
from hjbdsl.methods.model_free.recorded import read
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Array, Rejected, Solution
from hjbdsl.numeric.points import Points


@dataclass(frozen=True, slots=True)
class Taught:
    """`returns`: of the episodes played in the environment, none without one."""

    solution: Solution
    returns: tuple[float, ...]


def taught(equation: HJBEquation, lesson: Lesson) -> Taught | Rejected:
    """Raises `UsageError` for a source that is not there or does not fit, `SolverError` where it does not determine an answer."""
    problem = equation.problem
    reason = rejection(equation)
    if reason is not None:
        return Rejected(reason)
    environment = Environment(make(lesson.env), problem, lesson.dt) if lesson.env is not None else None
    if environment is not None and len(problem.mode_tuples()) > 1:
        raise UsageError("an environment shows no modes; record them and learn with --data")
    data = read(lesson.data, problem, lesson.dt, lesson.mean_reward) if lesson.data is not None else None
    answer = learn(equation, lesson, environment, data)
    if isinstance(answer, Rejected):
        return answer
    solution = answer.solution
    if environment is None:
        return Taught(solution, ())

    def feedback(places: Points) -> Array:
        return solution.function.evaluate(places.t, places.x, places.mode).control

    return Taught(solution, tuple(float(value) for value in environment.play(feedback, range(lesson.play))))
