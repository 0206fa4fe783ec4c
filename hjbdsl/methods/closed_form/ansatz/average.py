"""Long-run averages: relative values h and the average a with F(theta) = a in the level of every discrete state, 0 elsewhere.

In: a matching of an `average` problem. Out: theta, normalised to h = 0 at a reference state, and a. Newton's method in h and a is
Howard's policy iteration (Puterman, Markov Decision Processes, 1994, section 8.6); a pseudo-time step holds it near the backward
flow theta' = F. At the root the spectrum of the linearised flow is one zero, the level, and negative real parts besides: then
the optimal process forgets its start, E[h(X_T)] stays bounded, and a is the average from every state.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hjbdsl.methods.closed_form.ansatz.hamiltonian import Points
from hjbdsl.methods.closed_form.ansatz.matching import DEFECT, Matching
from hjbdsl.methods.closed_form.ansatz.samples import region_states
from hjbdsl.methods.closed_form.ansatz.stationary import NoRoot, flow_jacobian, starts
from hjbdsl.model.solution import Array

_STEPS = 200


@dataclass(frozen=True, slots=True)
class AverageRoot:
    """`theta` (D, K); `average`; `decay` > 0 the rate at which the start is forgotten, infinite for one discrete state alone;
    `residual` of F(theta) = average; `defect` of the matching."""

    theta: Array
    average: float
    decay: float
    residual: float
    defect: float

    @property
    def flow(self) -> Array:
        """F at the root, (D, K)."""
        flow = np.zeros_like(self.theta)
        flow[:, 0] = self.average
        return flow


def average_root(matching: Matching) -> AverageRoot | NoRoot:
    """The root, or why there is none."""
    if matching.ansatz.multiplicative:
        return NoRoot("its level is not additive, as an average needs")
    answer: AverageRoot | NoRoot = NoRoot("no start from which the relative values can be computed")
    for start in starts(matching):
        answer = _continue(matching, start)
        if isinstance(answer, AverageRoot):
            break
    return answer


def relative_values(matching: Matching, theta: Array) -> Array:
    """theta with the level moved so that h = 0 in the first mode at the origin, where the region holds it, else at its centre."""
    problem = matching.hamiltonian.equation.problem
    low, centre, high = region_states(problem)
    state = np.where((low <= 0) & (high >= 0), 0.0, centre)
    lattice = list(problem.lattice_states)
    index = matching.hamiltonian.index
    place = int(np.abs(index.lattice[: index.lattice_size] - state[lattice]).sum(axis=1).argmin()) if lattice else 0
    state[lattice] = index.lattice[place]
    points = Points(np.zeros(1), state[None], np.array([place]))
    environment = matching.hamiltonian.environment(points, theta[None])
    moved = theta.copy()
    moved[:, 0] -= matching.hamiltonian.derivatives(environment, 1).value[0]
    return moved


def _continue(matching: Matching, start: Array) -> AverageRoot | NoRoot:
    theta, here = start, matching(0.0, start)
    size = theta.size
    level = np.zeros(theta.shape)
    level[:, 0] = 1.0
    pinned = np.zeros(size)
    pinned[0] = 1.0
    step, average = 1.0 / (1.0 + np.abs(here.flow).max()), 0.0
    for _ in range(_STEPS):
        if not here.valid:
            return NoRoot("the optimum is not attained on the ansatz")
        if here.defect > DEFECT:
            return NoRoot(f"not invariant (defect {here.defect:.1e})")
        jacobian = flow_jacobian(matching, theta, here.control)
        if jacobian is None:
            return NoRoot("the optimum is not attained on the ansatz")
        system = np.block([[np.eye(size) / step - jacobian, level.reshape(-1, 1)], [pinned, np.zeros(1)]])
        if np.linalg.cond(system) > 1e13:
            return NoRoot("the average depends on where the process starts")
        *change, average = np.linalg.solve(system, np.append(here.flow.ravel(), 0.0))
        moved = np.reshape(change, theta.shape)
        trial = matching(0.0, theta + moved, here.control)
        if not trial.valid:
            step /= 4
            if step < 1e-14:
                return NoRoot("the flow of the relative values cannot be followed")
            continue
        theta, here, step = theta + moved, trial, min(4 * step, 1e12)
        if np.abs(moved).max() <= 1e-13 * (1 + np.abs(theta).max()) and step > 1e9:
            break
    return _judged(matching, theta, float(average))


def _judged(matching: Matching, theta: Array, average: float) -> AverageRoot | NoRoot:
    here = matching(0.0, theta)
    jacobian = flow_jacobian(matching, theta, here.control)
    if not here.valid or jacobian is None:
        return NoRoot("the optimum is not attained on the ansatz")
    target = np.zeros_like(theta)
    target[:, 0] = average
    residual = float(np.abs(here.flow - target).max())
    if residual > 1e-9 * (1 + np.abs(here.flow).max()) or here.defect > DEFECT:
        return NoRoot(f"the relative values did not settle (residual {residual:.1e})")
    spectrum = np.sort(np.linalg.eigvals(jacobian).real)[::-1]
    decay = -float(spectrum[1]) if len(spectrum) > 1 else np.inf
    if abs(spectrum[0]) > 1e-6 * (1 + np.abs(spectrum).max()) or decay <= 1e-6 * np.abs(spectrum).max():
        return NoRoot("the process under the optimal control does not forget its start")
    return AverageRoot(theta, average, decay, residual, here.defect)
