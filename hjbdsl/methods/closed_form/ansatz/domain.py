"""Does the policy of an ansatz keep the state in its domain? Otherwise V is the value of a problem without that domain.

In: a Hamiltonian and coefficients. Out: the name of a state that the optimal control drives through a finite end of its domain.
An open end is taken at its word for states that no control moves ("never reached").
"""

from __future__ import annotations

import numpy as np

from hjbdsl.methods.closed_form.ansatz.hamiltonian import Hamiltonian, Kernel, Points
from hjbdsl.methods.closed_form.ansatz.samples import region_states
from hjbdsl.model.solution import Array

_NEAR = 1e-7
_NEGLIGIBLE = 1e-4


def escaping_state(hamiltonian: Hamiltonian, time: float, theta: Array) -> str | None:
    """At each finite end of a continuous state: noise that does not vanish there, or a drift outwards, lets it escape."""
    problem = hamiltonian.equation.problem
    for i in problem.continuous_states:
        bounds = problem.state_bounds[i]
        if bounds.periodic:
            continue
        for end, is_open, inward in ((bounds.lower, bounds.lower_open, 1.0), (bounds.upper, bounds.upper_open, -1.0)):
            place = problem.numeric(end)
            if not place.is_number or not place.is_finite or (is_open and not _moved(hamiltonian, i)):
                continue
            if _escapes(hamiltonian, time, theta, i, float(place), inward):
                return problem.state_symbols[i].name
    return None


def _moved(hamiltonian: Hamiltonian, i: int) -> bool:
    """Whether a control enters the drift or the noise of state i."""
    equation = hamiltonian.equation
    motion = [equation.problem.drift[i], *(entry for pair, entry in equation.covariance.items() if pair == (i, i))]
    return any(set(hamiltonian.controls) & e.free_symbols for e in motion)


def _escapes(hamiltonian: Hamiltonian, time: float, theta: Array, i: int, end: float, inward: float) -> bool:
    """Drift outwards or noise across the end, compared with both in the middle of the region; where V does not exist near the end
    (it is infinite before), nothing gets there."""
    problem, equation = hamiltonian.equation.problem, hamiltonian.equation
    middle = region_states(problem)[1]
    width = abs(middle[i] - end) + 1e-12
    edge = middle.copy()
    edge[i] = end + inward * _NEAR * width
    state = np.tile(np.stack([edge, middle]), (hamiltonian.index.size, 1))
    state[:, list(problem.lattice_states)] = np.repeat(hamiltonian.index.lattice, 2, axis=0)
    points = Points(np.full(len(state), time), state, np.repeat(np.arange(hamiltonian.index.size), 2))
    optimised, environment = hamiltonian.optimised(points, theta[None])
    environment = environment | {a: optimised.control[:, k] for k, a in enumerate(hamiltonian.controls)}
    variance = equation.covariance.get((i, i), problem.drift[i] * 0)
    drift, noise = Kernel([problem.numeric(problem.drift[i]), problem.numeric(variance)])(environment, (len(state),))
    speed, at_end = np.abs(drift[1::2]) + np.sqrt(np.abs(noise[1::2])), optimised.found[0::2] & np.isfinite(drift[0::2])
    outwards = -inward * drift[0::2] > _NEGLIGIBLE * speed
    across = np.sqrt(np.abs(noise[0::2])) > np.sqrt(_NEAR) * 10 * speed
    return bool(np.any(at_end & (outwards | across)))
