"""Sampling from an unnormalised density as a control problem, by the log-variance loss.

    minimise E [ int_0^T |u|²/2 dt + g(X_T) ],   dX = s (u dt + dW),  X_0 = x0,   g(x) = log N(x; x0, s² T) - log rho(x)

has optimal cost -log Z, Z = int rho, and its optimally controlled X_T has the law rho/Z. Along paths driven by any control v,

    log w = -g(X_T) - int u.(dW + v dt) + 1/2 int |u|² dt

is constant, log Z, exactly where u is optimal: training minimises its variance, with no derivative through the paths, on paths of
the present control and of weakened ones, which keep modes from being forgotten. Under v = u the mean of w is Z: importance
weights correct what training and time steps leave. The control is N(t, x) + a(t) s D log rho(x)-clipped, both parts trained.

In: log rho in torch. Out: `Sampler`: draws with weights, log Z with a confidence interval, or a lower end alone where few paths
carry the weight. A mode of rho that no path meets is in neither.
`time_reversed` needs fewer steps for the same densities, and resolves narrow places that this one's even steps jump over.
(Zhang and Chen, Path Integral Sampler, ICLR 2022; Nüsken and Richter, Partial Differential Equations and Applications 2, 2021.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hjbdsl.errors import SolverError
from hjbdsl.methods.neural.annealing import LogDensity, value_and_slope
from hjbdsl.numeric.importance_weights import LogMean, log_mean
from hjbdsl.numeric.torch_threads import one_thread
from hjbdsl.progress import report

LARGEST_SCORE = 10.0
"""Norm beyond which the density's own score is scaled down, times sqrt(n) and in units of 1/s."""


@dataclass(frozen=True, slots=True)
class SamplerSettings:
    """Time steps, paths a round, rounds, width of the network, learning rate, share of rounds' paths under a weakened control."""

    steps: int = 50
    paths: int = 256
    rounds: int = 400
    width: int = 64
    rate: float = 5e-3
    exploring: float = 0.5


class _Control(nn.Module):
    """u(t, x) (B, n): a network of x, sines of t, plus a multiple of the score that depends on t."""

    def __init__(self, dimension: int, width: int, spread: float, end: float):
        super().__init__()
        self.spread, self.end = spread, end
        self.body = nn.Sequential(
            nn.Linear(dimension + 7, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, dimension)
        )
        self.gate = nn.Sequential(nn.Linear(7, 32), nn.SiLU(), nn.Linear(32, 1))
        for last in (self.body[-1], self.gate[-1]):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, t: Tensor, x: Tensor, score: Tensor) -> Tensor:
        phase = t[:, None] / self.end
        waves = [phase, *(f(k * math.pi * phase) for k in (1.0, 2.0, 4.0) for f in (torch.sin, torch.cos))]
        clock = torch.cat(waves, 1)
        result: Tensor = self.body(torch.cat([clock, x / self.spread], 1)) + self.gate(clock) * score
        return result


class Sampler:
    """A density, its diffusion and the control; `train` once, then `log_z` and `draw`; `evaluations` counts the network's."""

    def __init__(
        self,
        log_density: LogDensity,
        start: Tensor,
        sigma: float,
        end: float = 1.0,
        settings: SamplerSettings | None = None,
        seed: int = 0,
    ):
        self.settings = settings or SamplerSettings()
        self.log_density, self.start, self.sigma, self.end = log_density, start, sigma, end
        torch.manual_seed(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.control = _Control(len(start), self.settings.width, sigma * math.sqrt(end), end)
        self.evaluations = 0

    @one_thread()
    def train(self) -> None:
        """Minimise the variance of log w. Raises `SolverError` where it is no number."""
        settings = self.settings
        optimiser = torch.optim.Adam(self.control.parameters(), lr=settings.rate)
        for done in range(settings.rounds):
            for group in optimiser.param_groups:
                group["lr"] = settings.rate * 0.5 * (1.0 + math.cos(math.pi * done / settings.rounds)) + 1e-6
            weaken = torch.ones(settings.paths)
            exploring = round(settings.exploring * settings.paths)
            weaken[:exploring] = torch.rand(exploring, generator=self.generator)
            t, x, score, control, increments = self._paths(settings.paths, weaken)
            u = self.control(t.flatten(), x[:-1].flatten(0, 1), score.flatten(0, 1)).reshape(score.shape)
            self.evaluations += 2 * t.numel()
            log_w = self._log_weight(x[-1], u, control, increments)
            loss = log_w.clamp(min=float(log_w.detach().quantile(0.02))).var()
            if not math.isfinite(float(loss.detach())):
                raise SolverError(f"the variance of the log weights is no number after {done} rounds")
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.control.parameters(), 1.0)
            optimiser.step()
            if done % 10 == 0:
                report("log-variance", done / settings.rounds, variance=float(loss.detach()))

    def log_z(self, paths: int = 65_536) -> LogMean:
        """Z as the mean weight; an upper end only where the tail of the weights allows one."""
        return log_mean(self.draw(paths)[1].numpy())

    @one_thread()
    def draw(self, paths: int) -> tuple[Tensor, Tensor]:
        """States (paths, n) and their log weights (paths,), in float64."""
        states, weights = [], []
        for count in [min(4096, paths - done) for done in range(0, paths, 4096)]:
            _, x, _, control, increments = self._paths(count, torch.ones(count))
            states.append(x[-1].double())
            weights.append(self._log_weight(x[-1], control, control, increments).double())
        return torch.cat(states), torch.cat(weights)

    def _paths(self, count: int, weaken: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Times (K, B), states (K + 1, B, n), scores, controls that drove, Brownian increments (K, B, n)."""
        steps, n = self.settings.steps, len(self.start)
        h = self.end / steps
        x = self.start.expand(count, n)
        states, scores, controls, increments = [x], [], [], []
        with torch.no_grad():
            for k in range(steps):
                score = self._score(x)
                v = self.control(torch.full((count,), k * h), x, score) * weaken[:, None]
                dW = torch.randn(count, n, generator=self.generator) * math.sqrt(h)
                x = x + self.sigma * (v * h + dW)
                states.append(x)
                scores.append(score)
                controls.append(v)
                increments.append(dW)
        self.evaluations += count * steps
        times = (torch.arange(steps) * h)[:, None].expand(steps, count)
        return times, torch.stack(states), torch.stack(scores), torch.stack(controls), torch.stack(increments)

    def _score(self, x: Tensor) -> Tensor:
        """s D log rho, shortened where it is steep."""
        slope = self.sigma * value_and_slope(self.log_density, x)[1]
        most = LARGEST_SCORE * math.sqrt(len(self.start))
        return slope * (most / (slope.norm(dim=1, keepdim=True) + 1e-12)).clamp(max=1.0)

    def _log_weight(self, last: Tensor, u: Tensor, v: Tensor, increments: Tensor) -> Tensor:
        """log w (B,); the sums over steps are exact for the discrete chain, so the mean of w is Z for any number of steps."""
        h = self.end / self.settings.steps
        n, variance = len(self.start), self.sigma**2 * self.end
        prior = -0.5 * ((last - self.start) ** 2).sum(-1) / variance - 0.5 * n * math.log(2.0 * math.pi * variance)
        return self.log_density(last) - prior - (u * (increments + v * h)).sum((0, 2)) + 0.5 * h * (u**2).sum((0, 2))


__all__ = ["LogDensity", "Sampler", "SamplerSettings"]
