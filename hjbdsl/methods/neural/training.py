"""Gauss-Newton training of a small network on linear functionals of V.

In: model, parameters, groups of functionals with weights. Out: parameters after Levenberg-Marquardt steps. The loss is

    sum over groups of mean_i ( w_i (l_i(V) + c_i) )^2  +  a little |theta|^2;

where a group is the HJB equation, c_i and l_i carry the improved policy, whose own derivative drops out at a maximum (the
envelope theorem), so that one step of Gauss and Newton is one step of policy iteration. Several processes add their normal
equations, each from samples of its own, and then take the same step (`torch.distributed`, started by torchrun).
(Marquardt, SIAM Journal on Applied Mathematics 11, 1963; More, Lecture Notes in Mathematics 630, 1978.)
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from hjbdsl.methods.neural.model import Functionals, ValueModel
from hjbdsl.methods.neural.networks import Parameters

DECAY = 1e-10
"""Weight of the sum of squares of the parameters: a unit that bends between two samples only would cost nothing else."""
_LEAST_DAMPING, _MOST_DAMPING = 1e-12, 1e8


@dataclass(frozen=True, slots=True)
class Group:
    """Functionals whose weighted mean square enters the loss; `weights` (B,)."""

    functionals: Functionals
    weights: Tensor


Groups = Callable[[Parameters], Sequence[Group]]
"""The groups at given parameters: the policy inside may follow them."""


@dataclass(frozen=True, slots=True)
class Fitted:
    parameters: Parameters
    loss: float
    damping: float
    steps: int


def flat(parameters: Parameters) -> Tensor:
    return torch.cat([value.reshape(-1) for value in parameters.values()])


def moved(parameters: Parameters, step: Tensor) -> Parameters:
    result, place = {}, 0
    for name, value in parameters.items():
        result[name] = value + step[place : place + value.numel()].reshape(value.shape)
        place += value.numel()
    return result


def fit(
    model: ValueModel, parameters: Parameters, groups: Groups, steps: int, damping: float = 1e-3, decay: float = DECAY
) -> Fitted:
    """At most `steps` accepted steps; ends early where nothing improves. A loss that is no number never replaces one that is."""
    current = groups(parameters)
    residuals = _residuals(model, parameters, current)
    loss = _shared_sum(_loss(residuals)) + _decay(parameters, decay)
    taken = 0
    while taken < steps:
        matrix, right = _normal_equations(model, parameters, current, residuals)
        matrix, right = matrix + decay * torch.eye(len(right)).to(matrix), right + decay * flat(parameters)
        diagonal = torch.diagonal(matrix).clone()
        diagonal = diagonal + 1e-6 * diagonal.mean() + 1e-30
        accepted = False
        while damping <= _MOST_DAMPING:
            step = _solved(matrix, diagonal * damping, right)
            if step is not None:
                trial = moved(parameters, -step)
                following = groups(trial)
                after = _residuals(model, trial, following)
                new_loss = _shared_sum(_loss(after)) + _decay(trial, decay)
                if new_loss < loss:
                    accepted = True
                    break
            damping *= 4.0
        if not accepted:
            return Fitted(parameters, loss, 1.0, taken)
        gain = 1.0 - new_loss / max(loss, 1e-300)
        parameters, current, residuals, loss = trial, following, after, new_loss
        damping = max(damping / 5.0, _LEAST_DAMPING)
        taken += 1
        if gain < 1e-4 and taken > 2:
            break
    return Fitted(parameters, loss, damping, taken)


def _residuals(model: ValueModel, parameters: Parameters, groups: Sequence[Group]) -> list[Tensor]:
    return [g.weights * model.apply(parameters, g.functionals) / math.sqrt(len(g.weights)) for g in groups]


def _loss(residuals: Sequence[Tensor]) -> float:
    total = float(sum(float((r * r).sum()) for r in residuals))
    return total if math.isfinite(total) else math.inf


def _decay(parameters: Parameters, decay: float) -> float:
    return decay * float(flat(parameters).square().sum())


def _normal_equations(
    model: ValueModel, parameters: Parameters, groups: Sequence[Group], residuals: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    size = sum(value.numel() for value in parameters.values())
    like = next(iter(parameters.values()))
    matrix, right = like.new_zeros(size, size), like.new_zeros(size)
    for group, residual in zip(groups, residuals, strict=True):
        slopes = model.slopes(parameters, group.functionals) * (group.weights / math.sqrt(len(group.weights)))[:, None]
        matrix += slopes.T @ slopes
        right += slopes.T @ residual
    return _shared(matrix), _shared(right)


def _solved(matrix: Tensor, ridge: Tensor, right: Tensor) -> Tensor | None:
    factor, failed = torch.linalg.cholesky_ex(matrix + torch.diag(ridge))
    if int(failed) != 0:
        return None
    step: Tensor = torch.cholesky_solve(right[:, None], factor)[:, 0]
    return step if bool(torch.isfinite(step).all()) else None


@contextmanager
def joined() -> Iterator[None]:
    """Inside, the processes that torchrun started train together; alone, nothing changes."""
    alone = int(os.environ.get("WORLD_SIZE", "1")) == 1 or torch.distributed.is_initialized()
    if not alone:
        torch.distributed.init_process_group("gloo")
    try:
        yield
    finally:
        if not alone:
            torch.distributed.destroy_process_group()


def agreed(value: float) -> float:
    """The mean over all processes, so that all decide alike."""
    return _shared_sum(value)


def processes() -> int:
    """How many processes train together."""
    group = torch.distributed
    return group.get_world_size() if group.is_available() and group.is_initialized() else 1


def rank() -> int:
    return torch.distributed.get_rank() if processes() > 1 else 0


def _shared(values: Tensor) -> Tensor:
    """The mean over all processes."""
    if processes() > 1:
        torch.distributed.all_reduce(values)
        values = values / processes()
    return values


def _shared_sum(loss: float) -> float:
    if processes() == 1:
        return loss
    values = torch.tensor([loss], dtype=torch.float64)
    torch.distributed.all_reduce(values)
    return float(values[0]) / processes()
