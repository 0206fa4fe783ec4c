"""Which equations policy iteration does not take, and why.

In: an `HJBEquation`. Out: a reason for `--explain`, or None.
"""

from __future__ import annotations

import sympy as sp

from hjbdsl.model.equation import HJBEquation

MOST_STATES = 5
_BOUNDARIES = ("absorbing", "reflect", "slope", "value", "natural", "growth", "periodic", "outflow")


def policy_iteration(equation: HJBEquation) -> str | None:
    """Why neural policy iteration does not apply."""
    problem = equation.problem
    objective = problem.objective
    if problem.reversal is not None:
        return "a generative problem is learned from samples, not from its equation"
    if not problem.continuous_states:
        return "no continuous state: nothing to interpolate"
    if problem.lattice_states:
        return "states in finite sets are not among the inputs of the network"
    if problem.dimension > MOST_STATES:
        return f"{problem.dimension} states: a sample of the domain covers at most {MOST_STATES}"
    reason = _aim(equation)
    if reason is not None:
        return reason
    if any(c.role == "state" for c in problem.constraints) or any(c.kind not in _BOUNDARIES for c in equation.boundaries):
        return "a state constraint that the controller must keep is not in the scheme"
    if equation.optimum.status == "implicit" and any(c.role == "control" for c in problem.constraints):
        return "joint constraints on controls whose optimum has no formula"
    if any(
        c.amount is not None and c.kind in ("slope", "value") and not problem.numeric(c.amount).is_number
        for c in equation.boundaries
    ):
        return "a boundary condition that is no constant is not in the scheme"
    if (
        not problem.noises
        and not problem.jumps
        and problem.exit is None
        and not equation.stationary
        and objective.terminal is None
    ):
        return "a deterministic problem without terminal payoff: nothing smooths its value"
    return None


def _aim(equation: HJBEquation) -> str | None:
    """Why what is asked for is not an expectation that one smooth policy earns."""
    problem, objective = equation.problem, equation.problem.objective
    if objective.form != "expectation":
        return f"the objective is of the form `{objective.form}`, not an expectation of rewards over time"
    if not equation.stationary and problem.objective.end == sp.oo:
        return "the problem changes with time and never ends: no sample of times covers it (give a finite horizon)"
    if problem.stopping is not None or equation.obstacle is not None:
        return "a stopping problem has a free boundary, across which a smooth network is not exact"
    if problem.exploration is not None:
        return "a soft optimum is not in the Hamiltonian of this learner"
    if problem.adversaries:
        return "a game has no policy that bounds its value from one side"
    return None
