"""Denoising score matching: the loss that the verification identity gives, minimised over a network.

In: rows of data, forward process, settings. Out: the averaged weights and the held-out loss. A training that was broken off
is taken up again from its last checkpoint; seed and settings fix the result.

A pair is y_s = F y_0 + c + L z; the network learns E[target | y_s], with levels log nu drawn from a normal law about the middle
of the range where data and noise mix (Karras et al., 2022, section 5) and from the whole range.
"""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hjbdsl.methods.generative.forward import Forward
from hjbdsl.methods.generative.network import Architecture, ScoreNetwork
from hjbdsl.methods.generative.precondition import Frame, Level, Prediction, level_at
from hjbdsl.model.solution import Array
from hjbdsl.numeric.torch_threads import one_thread
from hjbdsl.progress import report

_CHECKPOINT_EVERY = 1000
_JUDGE_EVERY, _PATIENCE = 200, 0.3
"""Steps between looks at the validation loss, and the share of all steps without improvement after which training may end."""
_REPORT_EVERY = 100
_OTHERS, _MOST_DIMENSIONS_WITH_NEIGHBOURS = 512, 4
"""Rows that a target is averaged over; in more dimensions noised rows have no neighbours among them."""
_HELD_OUT_PAIRS = 4096
_MIDDLE, _WIDTH, _EVERYWHERE = -0.5, 1.3, 0.15
"""Mean and deviation of log nu in training, and the share of pairs drawn from the whole range."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`steps` of Adam on `batch` pairs, `rate` its largest learning rate (rises over a twentieth of the steps, falls as a
    cosine), `averaging` the half-life of the exponential average of the weights, as a share of the steps so far; `lowest` the
    smallest noise level nu that is learned."""

    architecture: Architecture
    prediction: Prediction
    steps: int
    batch: int
    rate: float
    averaging: float
    lowest: float
    levels: int
    seed: int
    device: str


@dataclass(frozen=True, slots=True)
class Trained:
    """Weights by name, losses on training and held-out pairs (mean, and standard error of the second); `steps` after which the
    weights were the best on validation pairs; `finished`: not interrupted."""

    weights: dict[str, Array]
    loss: float
    held_out: float
    held_out_error: float
    steps: int
    finished: bool


@dataclass(frozen=True, slots=True)
class Tables:
    """The levels as tensors, first axis the level."""

    scaled: torch.Tensor
    carry: torch.Tensor
    add: torch.Tensor
    whiten: torch.Tensor
    guess: torch.Tensor
    rest: torch.Tensor
    weights: torch.Tensor
    prediction: Prediction


def scaled_level(log_level: float) -> float:
    """The network's second argument."""
    return log_level / 4.0


def tables(forward: Forward, frame: Frame, settings: Settings) -> Tables:
    times = forward.times(settings.lowest, settings.levels)
    stack = [level_at(forward, frame, settings.prediction, s) for s in times]
    logs = np.array([level.log_level for level in stack])
    weights = np.exp(-((logs - _MIDDLE) ** 2) / (2 * _WIDTH**2))
    weights = (1 - _EVERYWHERE) * weights / weights.sum() + _EVERYWHERE / len(logs)

    def gathered(name: str) -> torch.Tensor:
        return _tensor(np.stack([getattr(level, name) for level in stack]), settings.device)

    names = [f.name for f in fields(Level) if f.name in ("carry", "add", "whiten", "guess", "rest")]
    scaled = _tensor(np.array([scaled_level(entry) for entry in logs]), settings.device)
    found = {name: gathered(name) for name in names}
    return Tables(scaled, **found, weights=_tensor(weights, settings.device), prediction=settings.prediction)


def _tensor(array: Array, device: str) -> torch.Tensor:
    return torch.as_tensor(array, dtype=torch.float32, device=device)


def _apply(matrix: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    return matrix * rows if matrix.ndim == 2 else (matrix @ rows[:, :, None])[:, :, 0]


def pair_losses(
    network: torch.nn.Module,
    levels: Tables,
    rows: torch.Tensor,
    random: torch.Generator,
    others: torch.Tensor | None = None,
) -> torch.Tensor:
    """One pair a row: the squared error of its prediction, (k,). `rows` in the frame's coordinates. With `others`, further rows,
    the target is its mean given the noised row and the set of rows that may have been noised: of the same mean, less noise."""
    index = torch.multinomial(levels.weights, len(rows), replacement=True, generator=random)
    noise = torch.randn(rows.shape, generator=random, device=rows.device)
    away = _apply(levels.carry[index], rows) + _apply(levels.add[index], noise)
    if others is not None:
        rows, noise = _averaged(levels, index, rows, noise, others)
    output = network(_apply(levels.whiten[index], away), levels.scaled[index])
    if levels.prediction == "residual":
        rest = levels.rest[index]
        scale = (rest**2).flatten(1).sum(dim=1) / rows.shape[1]
        error = _apply(rest, output) - (rows - _apply(levels.guess[index], away))
        return (error**2).mean(dim=1) / scale
    return ((output - noise if levels.prediction == "noise" else output + noise) ** 2).mean(dim=1)


def _averaged(
    levels: Tables, index: torch.Tensor, rows: torch.Tensor, noise: torch.Tensor, others: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean row and mean noise given the noised row, over the row itself and `others`: each was the one noised with a probability
    that the noise's density tells (Xu, Tong, Jaakkola, ICLR 2023). All are independent draws, so no mean moves."""
    carry = levels.carry[index] / levels.add[index] if levels.add.ndim == 2 else _solved(levels.add[index], levels.carry[index])
    moved = carry[:, None, :] * others if carry.ndim == 2 else (carry[:, None] @ others[:, :, None])[..., 0]
    candidates = (noise + _apply(carry, rows))[:, None, :] - moved
    squares = torch.cat([(noise**2).sum(1, keepdim=True), (candidates**2).sum(2)], 1)
    shares = torch.softmax(-squares / 2, 1)
    own = shares[:, :1]
    return own * rows + shares[:, 1:] @ others, own * noise + (shares[:, 1:, None] * candidates).sum(1)


def _solved(triangles: torch.Tensor, matrices: torch.Tensor) -> torch.Tensor:
    return torch.linalg.solve_triangular(triangles, matrices, upper=False)


@dataclass(frozen=True, slots=True)
class Split:
    """Rows (k, n), in the file's coordinates, each of one use: `training`, `validation` (when to stop, which weights to keep) and
    `held_out`, which no choice has seen."""

    training: Array
    validation: Array
    held_out: Array


def train(data: Split, forward: Forward, frame: Frame, settings: Settings, checkpoint: Path | None) -> Trained:
    """An interrupt ends with the weights so far."""
    with one_thread():
        return _train(data, forward, frame, settings, checkpoint)


def _train(split: Split, forward: Forward, frame: Frame, settings: Settings, checkpoint: Path | None) -> Trained:
    device = torch.device(settings.device)
    torch.manual_seed(settings.seed)
    random = torch.Generator(device).manual_seed(settings.seed + 1)
    network = ScoreNetwork(settings.architecture).to(device)
    parameters = list(network.parameters())
    optimiser = torch.optim.Adam(parameters, lr=settings.rate, betas=(0.9, 0.99), fused=True)
    far = torch.full((_HELD_OUT_PAIRS,), math.inf, dtype=torch.float64, device=device)
    run = _Run(network, parameters, optimiser, _copies(parameters), random, 0, math.nan, _copies(parameters), 0, far)
    if checkpoint is not None:
        run.resume(checkpoint, device)
    levels = tables(forward, frame, settings)
    data, judges, aside = (
        _tensor((rows - frame.mean) @ frame.basis, settings.device) for rows in (split.training, split.validation, split.held_out)
    )
    finished = True
    try:
        with _noted_interrupts() as interrupted:
            while run.step < settings.steps and not run.worse(settings):
                if interrupted():
                    raise KeyboardInterrupt
                run.advance(levels, data, settings)
                if run.step % _JUDGE_EVERY == 0 or run.step == settings.steps:
                    run.judge(levels, judges, settings)
                if run.step % _REPORT_EVERY == 0:
                    report("training the score", run.step / settings.steps, step=run.step, loss=run.loss)
                if checkpoint is not None and (run.step % _CHECKPOINT_EVERY == 0 or run.step == settings.steps):
                    run.save(checkpoint)
    except KeyboardInterrupt:
        finished = False
        if checkpoint is not None:
            run.save(checkpoint)
    return run.result(levels, aside, settings, finished)


def _neighbours(rows: torch.Tensor) -> torch.Tensor | None:
    """Rows that targets are averaged over; none in many dimensions."""
    return rows[:_OTHERS] if rows.shape[1] <= _MOST_DIMENSIONS_WITH_NEIGHBOURS else None


@contextmanager
def _noted_interrupts() -> Iterator[Callable[[], bool]]:
    """Whether an interrupt has been asked for: one in the middle of a step would leave a state that no whole number of steps
    leads to, and nothing could go on from it to the same answer."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before in (None, signal.SIG_IGN):
        yield lambda: False
        return
    noted = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: noted.set())
    try:
        yield noted.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def _copies(parameters: list[torch.Tensor]) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in parameters]


@dataclass(slots=True)
class _Run:
    """A training as it stands after `step` steps: all that a checkpoint holds. `lowest` are the losses of the validation pairs
    where their mean was lowest, `kept` the last averaged weights that were no worse by more than a standard error: few rows are
    soon learned by heart, and of many the mean only wavers."""

    network: ScoreNetwork
    parameters: list[torch.Tensor]
    optimiser: torch.optim.Optimizer
    average: list[torch.Tensor]
    random: torch.Generator
    step: int
    loss: float
    kept: list[torch.Tensor]
    kept_step: int
    lowest: torch.Tensor
    rise: float = 0.0

    def judge(self, levels: Tables, rows: torch.Tensor, settings: Settings) -> None:
        """Compare the averaged weights with those of the lowest mean loss so far, pair by pair; `rise` is the loss that they have
        above those, less three of its standard errors."""
        losses = self.losses(self.average, levels, rows, settings, _neighbours(rows))
        report("training the score", self.step / settings.steps, step=self.step, loss=self.loss, held_out=float(losses.mean()))
        more = losses - self.lowest
        mean, error = float(more.mean()), float(more.std()) / math.sqrt(len(more))
        self.rise = mean - 3.0 * error
        if not mean > error:
            self.kept, self.kept_step = _copies(self.average), self.step
        if not mean > 0.0:
            self.lowest = losses

    def worse(self, settings: Settings) -> bool:
        """Whether the rows are being learned by heart: surely, and for long. A loss that only wavers falls with the rate."""
        return self.rise > 0.0 and self.step - self.kept_step > max(_PATIENCE * settings.steps, 2 * _JUDGE_EVERY)

    def losses(
        self, weights: list[torch.Tensor], levels: Tables, rows: torch.Tensor, settings: Settings, others: torch.Tensor | None
    ) -> torch.Tensor:
        """Of the network with these weights, on the same pairs each time."""
        network = _with_weights(settings.architecture, weights)
        random = torch.Generator(rows.device).manual_seed(settings.seed + 2)
        chosen = rows[torch.randint(len(rows), (_HELD_OUT_PAIRS,), generator=random, device=rows.device)]
        with torch.no_grad():
            return pair_losses(network, levels, chosen, random, others).double()

    def advance(self, levels: Tables, data: torch.Tensor, settings: Settings) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = settings.rate * _schedule(self.step / settings.steps)
        index = torch.randint(len(data), (settings.batch + _OTHERS,), generator=self.random, device=data.device)
        rows, rest = data[index].split([settings.batch, _OTHERS])
        loss = pair_losses(self.network, levels, rows, self.random, _neighbours(rest)).mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        self.step += 1
        memory = 0.5 ** (1.0 / max(settings.averaging * self.step, 1.0))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.parameters, 1.0 - memory)
        if self.step % _REPORT_EVERY == 0 or self.step == settings.steps:
            self.loss = float(loss.detach())

    def save(self, path: Path) -> None:
        """At once or not at all: the file is written beside and then renamed."""
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".part")
        content = {
            "network": self.network.state_dict(), "optimiser": self.optimiser.state_dict(), "average": self.average,
            "random": self.random.get_state(), "dropout": torch.get_rng_state(), "step": self.step, "loss": self.loss,
            "kept": self.kept, "kept_step": self.kept_step, "lowest": self.lowest, "rise": self.rise,
        }  # fmt: skip
        torch.save(content, beside)
        beside.replace(path)

    def resume(self, path: Path, device: torch.device) -> None:
        content = _read(path, device)
        if content is None:
            return
        self.network.load_state_dict(content["network"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.average = [tensor.to(device) for tensor in content["average"]]
        self.random.set_state(content["random"].cpu())
        torch.set_rng_state(content["dropout"].cpu())
        self.kept = [tensor.to(device) for tensor in content["kept"]]
        self.step, self.loss, self.kept_step = content["step"], content["loss"], content["kept_step"]
        self.lowest, self.rise = content["lowest"].to(device), content["rise"]

    def result(self, levels: Tables, held_out: torch.Tensor, settings: Settings, finished: bool) -> Trained:
        weights = self.kept if self.kept_step else self.average
        losses = self.losses(weights, levels, held_out, settings, None)
        spread = float(losses.std()) / math.sqrt(min(len(held_out), _HELD_OUT_PAIRS))
        state = _with_weights(settings.architecture, weights).state_dict()
        by_name = {name: tensor.cpu().numpy() for name, tensor in state.items()}
        return Trained(by_name, self.loss, float(losses.mean()), spread, self.kept_step or self.step, finished)


def _with_weights(architecture: Architecture, weights: list[torch.Tensor]) -> ScoreNetwork:
    network = ScoreNetwork(architecture).to(weights[0].device).eval()
    with torch.no_grad():
        for mine, given in zip(network.parameters(), weights, strict=True):
            mine.copy_(given)
    return network


def _schedule(done: float) -> float:
    """The share of the largest learning rate at this share of the steps."""
    return min(done / 0.05, 1.0) * (0.5 + 0.5 * math.cos(math.pi * min(done, 1.0))) + 1e-3


def _read(path: Path, device: torch.device) -> Any:
    """The checkpoint, or None where there is none or it is damaged."""
    if not path.is_file():
        return None
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError):
        return None
