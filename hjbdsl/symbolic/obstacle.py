"""The obstacle axis: stopping (V against the payoff) and running extrema (V against the quantity).

In: a problem. Out: `Obstacle` or None.
"""

from __future__ import annotations

from hjbdsl.errors import Diagnostic, HjbError
from hjbdsl.model.equation import Obstacle
from hjbdsl.model.problem import ControlProblem


def obstacle_of(problem: ControlProblem) -> Obstacle | None:
    """Raises HJB117 for a running extremum of a noisy state: that value needs the extremum so far as a state."""
    objective = problem.objective
    match objective.form:
        case "running_min" | "running_max":
            if problem.diffusion or problem.jumps:
                word = objective.form
                message = f"`{word}` needs a system without noise"
                remedy = (
                    "with noise the value depends on the extremum so far; remove the noise, or give the noise to an `adversary`"
                )
                span = objective.span
                raise HjbError((Diagnostic("HJB117", message, remedy, span, problem.source.line(span)),))
            return Obstacle(objective.form, objective.running)
        case _:
            if problem.stopping is None or objective.stop_value is None:
                return None
            return Obstacle("stop", objective.stop_value)
