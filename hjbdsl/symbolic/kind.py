"""The name of an equation for the reader: its most telling feature, the first row of the table that holds.

In: a problem. Out: one of the kinds. Nothing is computed from it.
"""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

from hjbdsl.model.problem import ControlProblem


def deterministic(problem: ControlProblem) -> bool:
    return not problem.diffusion and not problem.jumps and not problem.modes


def _minimum_time(problem: ControlProblem) -> bool:
    objective = problem.objective
    return (
        problem.exit is not None
        and deterministic(problem)
        and objective.sense == "minimize"
        and objective.running.is_number
        and not objective.exit_value
        and objective.discount == 0
    )


KINDS: tuple[tuple[str, Callable[[ControlProblem], bool]], ...] = (
    ("generative", lambda p: p.reversal is not None),
    ("reachability", lambda p: p.objective.form in ("running_min", "running_max")),
    ("game", lambda p: bool(p.adversary_symbols)),
    ("exploratory", lambda p: p.exploration is not None),
    ("risk_sensitive", lambda p: p.objective.form == "risk"),
    ("stopping", lambda p: p.stopping is not None),
    ("minimum_time", _minimum_time),
    ("exit", lambda p: p.exit is not None),
    ("average", lambda p: p.objective.form == "average"),
    ("feynman_kac", lambda p: p.objective.sense == "evaluate"),
    ("finite_horizon", lambda p: p.objective.end != sp.oo),
    ("infinite_horizon", lambda _: True),
)


def kind_of(problem: ControlProblem) -> str:
    return next(name for name, holds in KINDS if holds(problem))
