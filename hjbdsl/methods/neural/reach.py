"""Where policy iteration starts, on a domain as wide as what settles V in the region.

In: an `HJBEquation`, a request, its program. Out: a `PolicyIteration` with the parameters of its start. Where the greedy policy
of the first values spends most of what counts beyond the domain (exponential utility: wealth wanders without end), the domain is
widened along the paths and the first values are found anew.
"""

from __future__ import annotations

import math

import torch

from hjbdsl.methods.neural.feynman_kac import Rollout
from hjbdsl.methods.neural.first_values import Start, first_values
from hjbdsl.methods.neural.learner import LearningRequest
from hjbdsl.methods.neural.networks import Parameters
from hjbdsl.methods.neural.policy_iteration import PolicyIteration
from hjbdsl.methods.neural.program import NeuralProgram
from hjbdsl.methods.neural.sampling import Domain, domain_of, drawn, widened
from hjbdsl.model.equation import HJBEquation
from hjbdsl.numeric.state_space import number

VISITORS = 100
BEYOND = 0.5
"""Share of what counts beyond the domain from which on it is widened."""
TAIL = 0.003
"""Share that may lie beyond each end of a domain that is widened."""
WIDEST = 4.0
"""... in half-widths of the first domain: a network that must hold over more resolves the region less."""


def started(equation: HJBEquation, request: LearningRequest, program: NeuralProgram) -> tuple[PolicyIteration, Parameters]:
    """Raises `SolverError` where no simple policy has a finite return."""
    domain = domain_of(program)
    start = first_values(program, domain, request.seed)
    training = PolicyIteration(equation, request, start.model, domain, start.policy)
    wider = _as_wide_as_paths(training, start)
    if wider is not None:
        start = first_values(program, wider, request.seed)
        training = PolicyIteration(equation, request, start.model, wider, start.policy)
    return training, start.parameters


def _as_wide_as_paths(training: PolicyIteration, start: Start) -> Domain | None:
    """Wider on whole lines only: a positive state is measured by its logarithm, in which a power goes on as it is, and an end of
    the states or an exit stays where it is."""
    domain, program, generator = training.domain, training.program, training.generator(-3, shared=True)
    bounds = [(number(program.problem, b.lower), number(program.problem, b.upper)) for b in program.problem.state_bounds]
    kinds = [feature.kind for feature in domain.features]
    lines = torch.tensor([k == "line" and math.isinf(b[0]) and math.isinf(b[1]) for k, b in zip(kinds, bounds, strict=True)])
    if not bool(lines.any()) or not program.noises or program.problem.exit is not None:
        return None
    t, x, z = drawn(program, domain, VISITORS, generator, inner=True)
    segment = training.segment(start.parameters, training.policy, generator)
    rollout = Rollout(training.model, domain, training.policy.control, generator)
    places, weights = rollout.visited(start.parameters, t, x, z, segment)
    beyond = ((places.abs() > 1.0) & lines).any(-1)
    if not float(weights[beyond].sum()) > BEYOND * float(weights.sum()):
        return None
    low, high = -torch.ones(program.states, dtype=torch.float64), torch.ones(program.states, dtype=torch.float64)
    tails = torch.tensor([TAIL, 1.0 - TAIL], dtype=torch.float64)
    for i in torch.nonzero(lines)[:, 0].tolist():
        order = torch.argsort(places[..., i].flatten())
        share = torch.cumsum(weights.flatten()[order], 0) / weights.sum()
        least, most = places[..., i].flatten()[order][torch.searchsorted(share, tails)].tolist()
        low[i], high[i] = max(-WIDEST, min(-1.0, least)), min(WIDEST, max(1.0, most))
    return widened(domain, low, high)


__all__ = ["started"]
