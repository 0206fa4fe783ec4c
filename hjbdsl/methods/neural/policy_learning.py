"""The learner for few states: policy iteration from its start or its last snapshot, round by round, to an answer.

In: an `HJBEquation`, a `LearningRequest`. Out: `Accepted(Solution)` or `Rejected(reason)`.
"""

from __future__ import annotations

import time
from dataclasses import asdict

import torch

from hjbdsl.codegen.torch_batched import UnsupportedInTorch
from hjbdsl.errors import SolverError
from hjbdsl.methods.neural import answer, refusals
from hjbdsl.methods.neural.checkpoint import read_checkpoint, write_checkpoint
from hjbdsl.methods.neural.learner import LearningRequest
from hjbdsl.methods.neural.model import ValueModel
from hjbdsl.methods.neural.networks import Architecture, Feature
from hjbdsl.methods.neural.policy_iteration import PolicyIteration, State
from hjbdsl.methods.neural.program import NeuralProgram
from hjbdsl.methods.neural.reach import started
from hjbdsl.methods.neural.sampling import domain_of, domain_with
from hjbdsl.methods.neural.training import agreed, joined, rank
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Accepted, Rejected
from hjbdsl.numeric.torch_threads import one_thread


def propose(equation: HJBEquation, request: LearningRequest) -> Accepted | Rejected:
    """Train, and say what the answer is worth. Raises `SolverError` where training diverges."""
    reason = refusals.policy_iteration(equation)
    if reason is not None:
        return Rejected(reason)
    try:
        program = NeuralProgram(equation)
    except UnsupportedInTorch as unsupported:
        return Rejected(f"the torch program cannot hold {unsupported}")
    with torch.no_grad(), one_thread(), joined():
        training, state = begun(equation, request, program)
        interrupted = False
        began = time.process_time()
        try:
            while not state.done and agreed(time.process_time() - began) < request.budget:
                state = training.advance(state)
                if request.checkpoint is not None and rank() == 0:
                    keep(request.checkpoint, training, state)
        except KeyboardInterrupt:
            if not state.round:
                raise
            interrupted = True
        except SolverError as failure:
            where = f"; the last good checkpoint is {request.checkpoint}" if request.checkpoint is not None else ""
            raise SolverError(f"policy iteration diverges after round {state.round}: {failure}{where}") from None
        return Accepted(answer.solution(training, state, interrupted))


def begun(equation: HJBEquation, request: LearningRequest, program: NeuralProgram) -> tuple[PolicyIteration, State]:
    """A training from its start, or from its last snapshot."""
    found = read_checkpoint(request.checkpoint, owner(equation, request)) if request.resume and request.checkpoint else None
    if found is not None:
        stored = dict(found["architecture"])
        features = tuple(Feature(**feature) for feature in stored.pop("features"))
        architecture = Architecture(features, widths=tuple(stored.pop("widths")), **stored)
        region = domain_of(program)
        domain = domain_with(features, region.inner_low, region.inner_high)
        training = PolicyIteration(equation, request, ValueModel(program, architecture), domain, found["simple"])
        return training, State(**found["state"])
    training, parameters = started(equation, request, program)
    residual = training.residual(parameters, training.policy)
    return training, State(0, parameters, 1e-2, residual, parameters, residual)


def owner(equation: HJBEquation, request: LearningRequest) -> str:
    return f"policy_iteration {equation.problem.source.digest} seed {request.seed}"


def keep(path: str, training: PolicyIteration, state: State) -> None:
    """A snapshot after a round."""
    architecture = asdict(training.model.architecture)
    architecture["features"] = [dict(feature) for feature in architecture["features"]]
    architecture["widths"] = list(architecture["widths"])
    content = {"architecture": architecture, "simple": training.policy.fallback,
               "state": {name: getattr(state, name) for name in State.__slots__}}  # fmt: skip
    write_checkpoint(path, owner(training.equation, training.request), content)


__all__ = ["begun", "propose"]
