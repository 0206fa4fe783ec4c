"""Training on paths: sample under the present control, fit, sample again. Which loss is fitted is the learner's.

In: a `PathModel`, a loss, a `LearningRequest`. Out: `Trained`: the network, the bound of its gradient, what was seen on the way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hjbdsl.errors import SolverError, UsageError
from hjbdsl.methods.neural.checkpoint import read_checkpoint, write_checkpoint
from hjbdsl.methods.neural.lifted_value import Jet, LiftedValue
from hjbdsl.methods.neural.path_model import PathModel
from hjbdsl.methods.neural.path_sampling import Paths, Policy, Starts, sample_paths
from hjbdsl.progress import report

PATHS = 512
STEPS = 20
BATCH = 1024
PASSES = 2
RATE = 3e-3
FIRST_PATHS, FIRST_ENTRIES = 2048, 4_000_000
"""Paths without effort at the beginning, fewer in very many states: entries of all their points together."""
WIDTH = 64
WARM = 0.15
KEPT_EVERY = 20
RESCALED = (8, 4)
"""After this many rounds, and after this fraction of them, features are scaled anew."""
AVERAGED = 0.1
"""Of the rounds: over so many, up to the last, the network's numbers are averaged (Polyak and Juditsky, SIAM J. Control
Optim. 30, 1992)."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Points of paths with what they say: t (B,), x (B, n), returns (B,), costates (B, n), the file's functions."""

    t: Tensor
    x: Tensor
    returns: Tensor
    costates: Tensor
    jet: Jet


@dataclass(frozen=True, slots=True)
class Units:
    """Variances that make the parts of a loss comparable."""

    value: float
    slope: float


PointLoss = Callable[[LiftedValue, Batch, Units], Tensor]
PathLoss = Callable[[LiftedValue, Batch, Paths, Units], Tensor]


@dataclass(frozen=True, slots=True)
class Fit:
    """What is minimised: a loss on points drawn from all paths, or one on whole paths (their points in `Batch`, time by time);
    `warm` on points in the first rounds, where the loss itself needs a control that is not wild."""

    points: PointLoss | None = None
    whole_paths: PathLoss | None = None
    warm: PointLoss | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """`rounds` of `paths` paths with `steps` steps over `span`; minibatches of `batch`, `passes` times over."""

    rounds: int
    paths: int
    steps: int
    span: float
    batch: int
    passes: int
    rate: float


@dataclass(frozen=True, slots=True)
class Trained:
    value: LiftedValue
    policy: Policy
    units: Units
    schedule: Schedule
    interrupted: bool
    loss: float


def schedule_of(model: PathModel, options: dict[str, float], budget: float) -> Schedule:
    """Rounds from the budget in processor seconds by a cost per step that was measured once: the same on every machine, so that
    a seed gives the same numbers."""
    paths, steps = int(options.get("paths", PATHS)), int(options.get("steps", STEPS))
    seconds = paths * steps / (PATHS * STEPS) * (0.12 + 7e-4 * model.states)
    rounds = int(options.get("rounds", max(20, round(budget / seconds))))
    span = model.end if math.isfinite(model.end) else float(options.get("span", 1.0))
    return Schedule(rounds, paths, steps, span, int(options.get("batch", BATCH)), PASSES, float(options.get("rate", RATE)))


class Training:
    """The state of a run; `advance` is one round."""

    def __init__(self, model: PathModel, schedule: Schedule, fit: Fit, seed: int, width: int = WIDTH):
        torch.manual_seed(seed)
        self.model, self.schedule, self.fit = model, schedule, fit
        self.generator = torch.Generator(device=model.device).manual_seed(seed)
        self.starts = Starts(model)
        self.value = LiftedValue(model, width).to(model.device)
        self.optimiser = torch.optim.Adam(self.value.parameters(), lr=schedule.rate, betas=(0.9, 0.99))
        self.longest, self.done, self.last_loss = math.inf, 0, math.nan
        self.units = Units(1.0, 1.0)
        self.carried = self.starts.draw(0, self.generator)
        self.averaged = [parameter.detach().clone() for parameter in self.value.parameters()]

    def begin(self) -> None:
        """Paths without effort set the scales and the first fit."""
        count = min(FIRST_PATHS, max(256, FIRST_ENTRIES // (self.schedule.steps * self.model.states)))
        paths = self._sample(count, Policy(self.model, None))
        t, x, returns, costates = paths.flat()
        self.value.fit_scales(t, x, returns)
        self.units = Units(float(returns.var()) + 1e-12, float((costates**2).sum(-1).mean()) + 1e-12)
        self._see(costates)
        self._descend(paths)

    def advance(self) -> None:
        """One round: paths under the present control, then `passes` over their points."""
        self._set_rate()
        paths = self._sample(self.schedule.paths, Policy(self.model, self.value, self.longest))
        self._see(paths.costates.flatten(0, 1))
        if self.done in (RESCALED[0], self.schedule.rounds // RESCALED[1]):
            self._rescale(paths)
        self._descend(paths)
        self._average()
        self.done += 1
        if not math.isfinite(self.last_loss):
            raise SolverError(f"the loss is no number after round {self.done}: the paths or the network diverge")

    def _average(self) -> None:
        """Anew after every change of scale."""
        new = self.done <= max(RESCALED[0], self.schedule.rounds // RESCALED[1])
        share = 1.0 if new else 1.0 / max(1.0, AVERAGED * self.schedule.rounds)
        for mean, parameter in zip(self.averaged, self.value.parameters(), strict=True):
            mean.lerp_(parameter.detach(), share)

    def settle(self) -> None:
        """The averaged numbers become the network's."""
        with torch.no_grad():
            for mean, parameter in zip(self.averaged, self.value.parameters(), strict=True):
                parameter.copy_(mean)

    def _rescale(self, paths: Paths) -> None:
        """Units and features by the states that the present control visits, which may be far from those without effort."""
        t, x, returns, costates = paths.flat()
        self.value.refit_scales(t, x, returns)
        self.units = Units(float(returns.var()) + 1e-12, float((costates**2).sum(-1).mean()) + 1e-12)
        self.optimiser.state.clear()

    def _sample(self, count: int, policy: Policy) -> Paths:
        x = self.starts.draw(count, self.generator)
        t = self.starts.times(count, self.generator)
        finite = math.isfinite(self.model.end)
        span = self.model.end - t if finite else torch.full_like(t, self.schedule.span)
        if not finite and len(self.carried):
            kept = min(len(self.carried), count // 2)
            x[:kept] = self.carried[:kept]
        paths = sample_paths(self.model, policy, t, x, self.schedule.steps, span, self.generator)
        if not finite:
            self.carried = paths.last[~self.starts.outside(paths.last)]
        return paths

    def _see(self, costates: Tensor) -> None:
        """The longest gradient that costates speak for: a control beyond it is the network's error."""
        norms = costates.norm(dim=-1)
        norms = norms[torch.isfinite(norms)][:100_000]
        seen = 2.0 * float(torch.quantile(norms, 0.99))
        self.longest = seen if math.isinf(self.longest) else max(seen, 0.8 * self.longest)

    def _set_rate(self) -> None:
        rate = self.schedule.rate * 0.5 * (1.0 + math.cos(math.pi * min(1.0, self.done / max(1, self.schedule.rounds))))
        for group in self.optimiser.param_groups:
            group["lr"] = rate + 1e-6

    def _descend(self, paths: Paths) -> None:
        t, x, returns, costates = paths.flat()
        jet = self.value.jet(t, x)
        steps, count = paths.t.shape
        warm = self.fit.warm if self.done < WARM * self.schedule.rounds else None
        whole = self.fit.whole_paths if warm is None else None
        points = self.fit.points if warm is None else warm
        items, size = (len(t), self.schedule.batch) if whole is None else (count, max(1, self.schedule.batch // steps))
        for _ in range(self.schedule.passes):
            order = torch.randperm(items, generator=self.generator, device=t.device)
            for chosen in order.split(size):
                index = chosen if whole is None else (torch.arange(steps, device=t.device)[:, None] * count + chosen).reshape(-1)
                batch = Batch(t[index], x[index], returns[index], costates[index], jet.rows(index))
                if whole is not None:
                    loss = whole(self.value, batch, paths.chosen(chosen), self.units)
                else:
                    assert points is not None
                    loss = points(self.value, batch, self.units)
                self.optimiser.zero_grad(set_to_none=True)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self.value.parameters(), 10.0)
                self.optimiser.step()
        self.last_loss = float(loss.detach())

    def snapshot(self) -> dict[str, object]:
        """Everything that the rest of the run depends on."""
        return {
            "value": self.value.state_dict(), "optimiser": self.optimiser.state_dict(), "generator": self.generator.get_state(),
            "done": self.done, "longest": self.longest, "units": (self.units.value, self.units.slope), "carried": self.carried,
            "schedule": repr(self.schedule), "loss": self.last_loss, "averaged": self.averaged,
        }  # fmt: skip

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Continue where a snapshot was taken; UsageError where it belongs to another run."""
        states = (self.value.state_dict(), snapshot["value"])
        shapes = [{name: numbers.shape for name, numbers in state.items()} for state in states]
        if snapshot["schedule"] != repr(self.schedule) or shapes[0] != shapes[1]:
            raise UsageError("the checkpoint belongs to another problem, another budget or another version")
        self.value.load_state_dict(snapshot["value"])
        self.optimiser.load_state_dict(snapshot["optimiser"])
        self.generator.set_state(snapshot["generator"])
        self.done, self.longest, self.carried = snapshot["done"], snapshot["longest"], snapshot["carried"]
        self.units, self.last_loss, self.averaged = Units(*snapshot["units"]), snapshot["loss"], snapshot["averaged"]


def train(training: Training, checkpoint: str | None = None, resume: bool = False, owner: str = "") -> Trained:
    """All rounds; an interrupt ends them early. With a `checkpoint` the state is kept every `KEPT_EVERY` rounds, as that of the
    run named `owner`."""
    interrupted = False
    schedule = training.schedule
    found = read_checkpoint(checkpoint, owner) if checkpoint is not None and resume else None
    if found is not None:
        training.restore(found)
    try:
        if training.done == 0:
            training.begin()
        while training.done < schedule.rounds:
            training.advance()
            if checkpoint is not None and training.done % KEPT_EVERY == 0:
                write_checkpoint(checkpoint, owner, training.snapshot())
            if training.done % 5 == 0 or training.done == schedule.rounds:
                centre = training.starts.centre[None]
                with torch.no_grad():
                    W = float(training.value(centre.new_zeros(1), centre)[0])
                report(
                    "training",
                    training.done / schedule.rounds,
                    round=training.done,
                    loss=training.last_loss,
                    V=training.model.sign * W,
                )
    except KeyboardInterrupt:
        interrupted = True
    if training.done == 0 and math.isinf(training.longest):
        raise KeyboardInterrupt
    if training.done:
        training.settle()
    policy = Policy(training.model, training.value.requires_grad_(False), training.longest)
    return Trained(training.value, policy, training.units, schedule, interrupted, training.last_loss)


__all__ = ["Batch", "Fit", "Schedule", "Trained", "Training", "Units", "schedule_of", "train"]
