"""Paths under the present control, and what they say of the cost-to-go at every point they pass.

In: a `PathModel`, the control of a `LiftedValue`, where paths start. Out: `Paths`: at each point the cost that followed, less the
martingale of the present gradient (zero variance at the solution), and the costate, whose mean is the gradient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hjbdsl.methods.neural.lifted_value import LiftedValue
from hjbdsl.methods.neural.path_model import PathModel
from hjbdsl.numeric.state_space import number, region_of

TAIL_OF_REGION = 4.0
"""Paths without an end that leave the region by this many of its half-widths start again."""


@dataclass(frozen=True, slots=True)
class Paths:
    """K steps of B paths: t (K, B), x (K, B, n), returns (K, B), costates (K, B, n); `last` the states at the end (B, n); `noise`
    S dW (K, B, n), `cost` and discount `factor` (K, B) of each step, of length `h` (B,)."""

    t: Tensor
    x: Tensor
    returns: Tensor
    costates: Tensor
    last: Tensor
    noise: Tensor
    cost: Tensor
    factor: Tensor
    h: Tensor

    def chosen(self, rows: Tensor) -> Paths:
        """Some of the paths."""
        return Paths(
            self.t[:, rows], self.x[:, rows], self.returns[:, rows], self.costates[:, rows], self.last[rows],
            self.noise[:, rows], self.cost[:, rows], self.factor[:, rows], self.h[rows],
        )  # fmt: skip

    def flat(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        n = self.t.numel()
        return self.t.reshape(n), self.x.reshape(n, -1), self.returns.reshape(n), self.costates.reshape(n, -1)


class Policy:
    """The control that a network recommends, its gradient kept within what costates have shown."""

    def __init__(self, model: PathModel, value: LiftedValue | None, longest: float = math.inf):
        self.model, self.value, self.longest = model, value, longest

    def slope(self, t: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """W and its gradient; zero before anything is known."""
        if self.value is None:
            return torch.zeros_like(t), torch.zeros_like(x)
        W, p = self.value(t, x)
        return W, p

    def control(self, t: Tensor, x: Tensor, W: Tensor, p: Tensor) -> Tensor:
        if math.isfinite(self.longest):
            p = p * (self.longest / (p.norm(dim=1, keepdim=True) + 1e-12)).clamp(max=1.0)
        return self.model.control(t, x, W, p)

    def __call__(self, t: Tensor, x: Tensor) -> Tensor:
        return self.control(t, x, *self.slope(t, x))


def sample_paths(
    model: PathModel, policy: Policy, t: Tensor, x: Tensor, steps: int, span: Tensor, generator: torch.Generator
) -> Paths:
    """Paths from t (B,), x (B, n) over `span` (B,); what follows the last step is g, or the present W where there is no end."""
    h = span / steps
    made: list[_Made] = []
    with torch.no_grad():
        for _ in range(steps):
            W, p = policy.slope(t, x)
            u = policy.control(t, x, W, p)
            increment = torch.randn(len(x), model.noises, generator=generator, device=x.device) * torch.sqrt(h)[:, None]
            noise = model.shaken(t, x, increment)
            step, later = model.step(t, h, x, u, noise, policy)
            made.append(_Made(t, x, u, later, increment, noise, step.cost, step.factor, (p * noise).sum(-1)))
            t, x = t + h, step.x
    after, costate = _beyond(model, policy, t, x)
    returns, costates = [after] * steps, [costate] * steps
    for k in reversed(range(steps)):
        m = made[k]
        costate = model.costate(m.t, h, m.x, (m.control, m.later), m.increment, (after, costate))
        after = m.cost + m.factor * after - m.martingale
        returns[k], costates[k] = after, costate
    times, states = torch.stack([m.t for m in made]), torch.stack([m.x for m in made])
    noise, cost, factor = (torch.stack([getattr(m, name) for m in made]) for name in ("noise", "cost", "factor"))
    return Paths(times, states, torch.stack(returns), torch.stack(costates), x, noise, cost, factor, h)


@dataclass(frozen=True, slots=True)
class _Made:
    """One step of all paths, as it was made."""

    t: Tensor
    x: Tensor
    control: Tensor
    later: Tensor
    increment: Tensor
    noise: Tensor
    cost: Tensor
    factor: Tensor
    martingale: Tensor


def _beyond(model: PathModel, policy: Policy, t: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Cost after the last step (B,) and its gradient (B, n)."""
    if not math.isfinite(model.end):
        with torch.no_grad():
            return policy.slope(t, x)
    with torch.enable_grad():
        y = x.detach().requires_grad_(True)
        g = model.terminal(t, y)
        slope = torch.autograd.grad(g.sum(), y, allow_unused=True)[0] if g.requires_grad else None
    return g.detach(), torch.zeros_like(x) if slope is None else slope


class Starts:
    """Where paths start: over the region and round it, along its axes and diagonals, where the file's checks ask.

    In many dimensions a uniform law knows nothing but its own thin shell, so directions and lengths are drawn apart.
    """

    def __init__(self, model: PathModel):
        problem = model.problem
        region = region_of(problem)
        self.model = model
        self.centre = torch.tensor(region.mean(1), dtype=torch.float32, device=model.device)
        self.half = torch.tensor(0.5 * (region[:, 1] - region[:, 0]), dtype=torch.float32, device=model.device)
        self.asked = self._asked()

    def _asked(self) -> Tensor:
        problem, rows = self.model.problem, []
        for check in problem.checks:
            row = [number(problem, check.point[s]) if s in check.point else math.nan for s in problem.state_symbols]
            if np.isfinite(row).all():
                rows.append(row)
        return torch.tensor(rows, dtype=torch.float32, device=self.model.device).reshape(-1, self.model.states)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """States (count, n)."""
        n, device = self.model.states, self.model.device
        uniform = 2.0 * torch.rand(count, n, generator=generator, device=device) - 1.0
        signs = torch.sign(torch.randn(count, n, generator=generator, device=device))
        diagonal = torch.sign(torch.randn(count, 1, generator=generator, device=device)).expand(count, n)
        kind = torch.randint(0, 5 if len(self.asked) else 4, (count, 1), generator=generator, device=device)
        direction = torch.where(kind == 0, signs, torch.where(kind == 1, diagonal, uniform)) * self.half
        if len(self.asked):
            which = torch.randint(0, len(self.asked), (count,), generator=generator, device=device)
            direction = torch.where(kind == 4, self.asked[which] - self.centre, direction)
        x = self.centre + direction * torch.rand(count, 1, generator=generator, device=device) * 1.1
        return torch.maximum(torch.minimum(x, self.model.high), self.model.low)

    def times(self, count: int, generator: torch.Generator) -> Tensor:
        """Half of the paths start at 0, the others at any time."""
        if not math.isfinite(self.model.end):
            return torch.zeros(count, device=self.model.device)
        u = torch.rand(count, generator=generator, device=self.model.device)
        return torch.where(u < 0.5, 0.0, (2.0 * u - 1.0) * 0.95 * self.model.end)

    def outside(self, x: Tensor) -> Tensor:
        """Rows too far from the region to be of use."""
        return ((x - self.centre).abs() > (1.0 + TAIL_OF_REGION) * self.half).any(-1) | ~torch.isfinite(x).all(-1)


__all__ = ["Paths", "Policy", "Starts", "sample_paths"]
