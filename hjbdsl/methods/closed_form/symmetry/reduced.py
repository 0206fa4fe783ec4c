"""The reduced equation, in one state, given to the one-dimensional room.

In: a line problem. Out: its proposal, whose function is a `LineFunction`, or why there is none.
"""

from __future__ import annotations

from hjbdsl.methods.closed_form.family import Proposal
from hjbdsl.methods.closed_form.one_dimensional.boundary_value import solve_components
from hjbdsl.methods.closed_form.one_dimensional.ends import components
from hjbdsl.methods.closed_form.one_dimensional.free_boundary import solve_stopping
from hjbdsl.methods.closed_form.one_dimensional.line import LineProblem
from hjbdsl.methods.closed_form.one_dimensional.policy import laws
from hjbdsl.model.solution import Rejected


def solve_reduced(line: LineProblem) -> Proposal | Rejected:
    """Stopped or not, on every interval between exits."""
    found = laws(line)
    if isinstance(found, str):
        return Rejected(found)
    if all(variance == 0 for variance in line.variance):
        return Rejected("there is no noise in what is left: the equation is of first order")
    intervals = components(line, found)
    if isinstance(intervals, Rejected):
        return intervals
    return solve_stopping(intervals) if line.payoff is not None else solve_components(intervals)
