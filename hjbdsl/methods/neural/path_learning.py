"""What the learners on paths share: whether they apply, the run with its snapshots, and what the answer is worth.

In: an `HJBEquation`, a `LearningRequest`, the loss that makes the learner. Out: `Accepted(Solution)` or `Rejected(reason)`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from hjbdsl.codegen.torch_batched import UnsupportedInTorch
from hjbdsl.methods.neural.duality import Plan, convexity
from hjbdsl.methods.neural.learner import LearningRequest
from hjbdsl.methods.neural.lifted_value import PROBES
from hjbdsl.methods.neural.path_function import FEWEST, PathFunction, Worth, bracket
from hjbdsl.methods.neural.path_model import PathModel, rejection
from hjbdsl.methods.neural.path_sampling import Policy, Starts
from hjbdsl.methods.neural.path_training import WIDTH, Fit, Trained, Training, schedule_of, train
from hjbdsl.methods.neural.program import NeuralProgram
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Accepted, Evidence, Rejected, Solution
from hjbdsl.numeric.torch_threads import one_thread
from hjbdsl.progress import report

FEWEST_STATES = 4
"""Below, quadrature of the equation itself trains better; a learner named in the file is asked in any dimension."""
SAMPLES = 24
REPEATS = 64
STEPS = 24
LONGEST_PATH = 200
SHARE = 0.5
"""Of the budget that training may take; the rest is for measuring the answer and for the points that are asked."""
WIDE = 0.05
"""An answer whose typical bracket is wider than this share of V's size has not converged."""


def learn(equation: HJBEquation, request: LearningRequest, name: str, fit: Fit) -> Accepted | Rejected:
    """Train with `fit` and measure the result."""
    reason = rejection(equation)
    if reason is not None:
        return Rejected(reason)
    if equation.problem.dimension < FEWEST_STATES and request.options.get("method") != name:
        return Rejected(f"fewer than {FEWEST_STATES} states; it can be asked for with method = {name}")
    try:
        model = PathModel(NeuralProgram(equation), request.device)
    except UnsupportedInTorch as unsupported:
        return Rejected(str(unsupported))
    numbers = {key: float(value) for key, value in request.options.items() if isinstance(value, (int, float))}
    schedule = schedule_of(model, numbers, SHARE * request.budget)
    width = int(numbers.get("width", WIDTH))
    training = Training(model, schedule, fit, request.seed, width)
    owner = f"{name} {equation.problem.source.digest} seed {request.seed}"
    with one_thread():
        trained = train(training, request.checkpoint, request.resume, owner)
        return Accepted(_answer(equation, request, name, trained, width))


@dataclass(frozen=True, slots=True)
class Measured:
    """`worth` of the answer; `residual` of the equation, a share of its terms; `typical` half-width of a bracket, and that share
    of V's size; `network`: its mean distance from brackets."""

    worth: Worth
    residual: float
    typical: float
    share: float
    network: float


def _answer(equation: HJBEquation, request: LearningRequest, name: str, trained: Trained, width: int) -> Solution:
    report("measuring the answer", 0.95)
    state = tuple((key, tensor.detach().cpu().numpy().copy()) for key, tensor in trained.value.state_dict().items())
    plan = _plan(trained.value.model, trained, request.seed)
    nothing = Worth(0.0, 0.0, 0.0, None)
    function = PathFunction(equation, state, width, trained.policy.longest, nothing, plan, request.tol)
    model, policy = function.rebuilt()
    measured = _measure(model, policy, plan)
    function = replace(function, worth=measured.worth)
    settled = measured.share < WIDE and not trained.interrupted
    warnings = []
    if trained.interrupted:
        warnings.append("interrupted: training ended early, the answer is the best so far")
    if measured.share >= WIDE:
        warnings.append(f"the bracket is wide: typically {measured.typical:.2g}, {100 * measured.share:.0f}% of V's size")
    c = measured.worth.convexity
    how = (
        "lower bound by duality: no policy costs less, up to sampling and time step"
        if c is not None
        else "no control: both bounds are the confidence interval"
        if not model.program.controls
        else "lower bound estimated: the negative part of the equation's residual along the learned paths"
    )
    if model.sign < 0:
        how = how.replace("lower", "upper").replace("negative", "positive").replace("costs less", "earns more")
    return Solution(
        "neural", f"{name}: paths of the learned policy in {model.states} dimensions",
        "bracketed" if settled else "not_converged", function,
        Evidence(
            "monte_carlo_bracket", measured.residual,
            (f"{trained.schedule.rounds} rounds of {trained.schedule.paths} paths, seed {request.seed}",
             "the learned policy is feasible: its simulated cost is one bound, extrapolated in the time step", how,
             f"the network alone is off by {measured.network:.2g} in the mean over the region"),
            {"bracket": measured.typical, "network_error": measured.network},
        ),
        warnings=tuple(warnings),
    )  # fmt: skip


def _plan(model: PathModel, trained: Trained, seed: int) -> Plan:
    if math.isfinite(model.end):
        return Plan(max(STEPS, 2 * math.ceil(0.6 * trained.schedule.steps)), FEWEST, seed + 1)
    h = trained.schedule.span / trained.schedule.steps
    steps = min(LONGEST_PATH, 2 * math.ceil(0.5 * 5.0 / (max(model.rate or 0.0, 1e-9) * h)))
    return Plan(steps, FEWEST, seed + 1, steps * h)


def _measure(model: PathModel, policy: Policy, plan: Plan) -> Measured:
    """Brackets at random points of the region against the network, and the equation's residual there."""
    generator = torch.Generator().manual_seed(12345)
    starts = Starts(model)
    x, t = starts.draw(SAMPLES, generator), starts.times(SAMPLES, generator)
    with torch.no_grad():
        W = policy.slope(t, x)[0].double().numpy()
    first = Worth(0.0, 0.0, 0.0, convexity(model))
    found = bracket(model, policy, first, plan, t.double().numpy(), x.double().numpy())
    off = np.abs(W - found.value)
    size = float(np.std(W)) + float(np.mean(np.abs(W))) + 1e-12
    half = 0.5 * (found.upper - found.lower)
    scaled = float(np.quantile(off / (np.abs(W) + 0.1 * size), 0.95)) * 1.5
    tail = 0.0
    if not math.isfinite(model.end):
        # |W - V| <= e on the region and D e beyond it: e (1 - D) is what brackets at random points show
        kept = 1.0 - math.exp(-(model.rate or 0.0) * (plan.span or 0.0))
        tail = float(np.max(off + half)) / max(kept, 0.05)
    worth = Worth(scaled * 0.1 * size + float(np.mean(half)), scaled, tail, first.convexity)
    return Measured(
        worth, _residual(model, policy, t, x), float(np.median(half)), float(np.median(half)) / size, float(np.mean(off))
    )


def _residual(model: PathModel, policy: Policy, t: torch.Tensor, x: torch.Tensor) -> float:
    """Root mean square of the equation's defect over that of the sum of its terms' sizes; second derivatives that are estimated
    are averaged."""
    repeats = 1 if model.noises <= PROBES else REPEATS
    with torch.no_grad():
        terms = _terms(model, policy, t.repeat(repeats), x.repeat(repeats, 1)).reshape(5, repeats, -1).mean(1)
    total, sizes = terms.sum(0), terms.abs().sum(0)
    return float(torch.sqrt((total**2).mean() / ((sizes**2).mean() + 1e-30)))


def _terms(model: PathModel, policy: Policy, t: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """W_t, second-order term, running cost, drift term, discount term at points: (5, B); their sum vanishes at the solution."""
    assert policy.value is not None
    full = policy.value.complete(t, x)
    u = policy.control(t, x, full.W, full.slope)
    z = model.modes(x)
    drift = (model.module.drift(t, x, z, u) * full.slope).sum(-1)
    return torch.stack([full.W_t, full.diffusion, model.running(t, x, u), drift, -model.module.discount(t, x, z, u) * full.W])


__all__ = ["learn"]
