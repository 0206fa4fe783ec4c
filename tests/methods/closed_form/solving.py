"""From the text of a problem to its closed form, for tests."""

from __future__ import annotations

import numpy as np

from hjbdsl.frontend.load import loads_problem
from hjbdsl.methods import closed_form
from hjbdsl.methods.closed_form.family import Family, Proposal
from hjbdsl.methods.closed_form.verify import verify
from hjbdsl.model.solution import Accepted, Evidence, PointValues, Solution
from hjbdsl.symbolic.derive import derive


def equation(text: str):
    return derive(loads_problem(text))


def solved(text: str, family: str = "linear-quadratic") -> Solution:
    """The solution; fails with the reasons where there is none, or where another family than `family` gave it."""
    answer = closed_form.solve(equation(text))
    assert isinstance(answer, Accepted), answer.reason
    assert answer.solution.family.startswith(family)
    return answer.solution


def point(solution: Solution, x, t: float = 0.0, mode: int = 0):
    """(V, controls) at one point; x a number or a list."""
    values = solution.function.evaluate(np.array([float(t)]), np.atleast_2d(np.asarray(x, dtype=float)), np.array([mode]))
    return float(values.value[0]), values.control[0]


def proved(propose: Family, text: str) -> Proposal:
    """One family's own proposal for the problem, after the verifier has passed it."""
    derived = equation(text)
    proposal = propose(derived)
    assert isinstance(proposal, Proposal), proposal
    evidence = verify(derived, proposal)
    assert isinstance(evidence, Evidence), evidence
    return proposal


def along(proposal: Proposal, points, mode: int = 0) -> PointValues:
    """The proposed values at points of a problem in one state."""
    points = np.asarray(points, dtype=float)
    return proposal.function.evaluate(np.zeros(len(points)), points[:, None], np.full(len(points), mode))
