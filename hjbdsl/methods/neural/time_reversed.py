"""Sampling from an unnormalised density as the time reversal of noising it.

y of law rho/Z is noised, x_s = y + s z, along levels that fall from s_0, where it is nearly Gaussian, to a last one, from which y
itself is drawn. Run the other way this is the control problem whose value is -log p_s and whose optimal control is the score;
here with finite steps, x' given x Gaussian with learned mean and variance. Whatever they are,

    w = rho(y) prod B(x_k | x_k+1) / (p(x_0) prod F(x_k+1 | x_k)),

F the learned steps and B the noising ones, has mean Z along paths of F, exactly; log w is constant, log Z, where F reverses B.

Learned by maximal likelihood of F on noised draws (the mean of -log w along noised paths, which punishes what F leaves out),
first of draws by tempering, then of the sampler's own, weighted and moved. Neither need be exact for w to have mean Z. Levels are
geometric, so that narrow and wide places are resolved alike.

In: log rho in torch, a Gaussian about its mass. Out: `TimeReversedSampler`: weighted draws, log Z with an interval; with draws of
rho/Z from elsewhere, log Z from paths both ways.
(Berner, Richter, Ullrich, TMLR 2024; Vargas, Grathwohl, Doucet, ICLR 2023; for the likelihood of steps Ho, Jain, Abbeel, NeurIPS
2020.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from hjbdsl.errors import SolverError
from hjbdsl.methods.neural.annealing import Annealing, AnnealingSettings, LogDensity, value_and_slope
from hjbdsl.methods.neural.denoising_kernel import Denoised, DenoisingKernel
from hjbdsl.numeric.importance_weights import LogMean, log_mean
from hjbdsl.numeric.torch_threads import one_thread
from hjbdsl.numeric.two_sided import TwoSided, two_sided
from hjbdsl.progress import report

_AT_ONCE = 4096
_FARTHEST, _TOP, _BOTTOM = 0.999, 2.0, 0.5
"""Quantile of the draws' distances that is called far; highest level in units of it; lowest in units of 1/|D log rho|."""
_MOVES = 30
_WIDER = 0.9
"""Power of rho of which some draws are learned from too: where rho is small F must not be smaller."""
_CUT = 0.01
"""Share of the draws whose weights count as the least of them: a few would else be all that is learned from."""


@dataclass(frozen=True, slots=True)
class ReversalSettings:
    """`levels` of noise; `rounds` of `draws`, each learned from in `steps` of Adam on `batch` of them, in half as many before the
    last."""

    levels: int = 64
    rounds: int = 2
    steps: int = 4000
    batch: int = 256
    draws: int = 4096
    width: int = 128
    layers: int = 2
    rate: float = 3e-3
    annealing: AnnealingSettings = field(default_factory=AnnealingSettings)


class TimeReversedSampler:
    """`train` once, then `draw`, `log_z`, `log_z_both_ways`; `evaluations` counts the network's, `slopes` those of rho with its
    gradient, a state each."""

    def __init__(
        self,
        log_density: LogDensity,
        start: Tensor,
        spread: float,
        settings: ReversalSettings | None = None,
        seed: int = 0,
    ):
        self.settings = settings or ReversalSettings()
        self.log_density, self.start, self.spread, self.seed = log_density, start, spread, seed
        self.generator = torch.Generator().manual_seed(seed)
        self.evaluations = self.slopes = 0
        self._levels, self._deviation = torch.zeros(0), torch.zeros(0)
        self._kernel: DenoisingKernel | None = None

    @one_thread()
    def train(self) -> None:
        """Raises `SolverError` where the likelihood is no number."""
        tempering = Annealing(self.log_density, self.start, self.spread, self.settings.annealing, self.generator)
        tempered = states = tempering.run()
        for number in range(self.settings.rounds):
            if number > 0:
                states = tempering.moved(torch.cat([tempered, self._chosen(*self.draw(self.settings.draws))]), 1.0, _MOVES)
            last = number + 1 == self.settings.rounds
            self._fit(
                self._widened(states, tempering), self.settings.steps if last else max(1, self.settings.steps // 2), number + 1
            )
        self.slopes += tempering.evaluations

    def log_z(self, paths: int = 65_536) -> LogMean:
        """Z as the mean weight of paths; an upper end only where the tail of the weights allows one."""
        return log_mean(self.draw(paths)[1].numpy())

    def log_z_both_ways(self, states: Tensor, paths: int = 65_536) -> TwoSided:
        """From paths of the sampler and noised paths of `states` (k, n), independent draws of rho/Z from elsewhere."""
        return two_sided(self.draw(paths)[1].numpy(), self.reversed(states).numpy())

    @one_thread()
    def draw(self, paths: int) -> tuple[Tensor, Tensor]:
        """States (paths, n) and their log weights (paths,), in float64."""
        parts = [self._forward(min(_AT_ONCE, paths - done)) for done in range(0, paths, _AT_ONCE)]
        return torch.cat([x.double() for x, _ in parts]), torch.cat([w for _, w in parts])

    def reversed(self, states: Tensor) -> Tensor:
        """log w (k,) of the noised paths of `states` (k, n)."""
        return torch.cat([self._backward(part) for part in states.float().split(_AT_ONCE)])

    def _widened(self, states: Tensor, tempering: Annealing) -> Tensor:
        """`states`, a quarter of them moved under rho^(9/10)."""
        chosen = torch.randperm(len(states), generator=self.generator)
        some, rest = states[chosen].split([len(states) // 4, len(states) - len(states) // 4])
        return torch.cat([tempering.moved(some, _WIDER, _MOVES), rest])

    def _fit(self, states: Tensor, steps: int, number: int) -> None:
        """Levels anew and kernel further, from states (k, n), in float32."""
        settings = self.settings
        self._set_levels(states)
        torch.manual_seed(self.seed)
        if self._kernel is None:
            centre, scale = states.mean(0), float(states.var(0).mean().sqrt())
            self._kernel = DenoisingKernel(centre, scale, settings.width, settings.layers)
        optimiser = torch.optim.Adam(self._kernel.parameters(), lr=settings.rate)
        for done in range(steps):
            for group in optimiser.param_groups:
                rise = min(1.0, (done + 1) / 100)
                group["lr"] = settings.rate * rise * (0.5 + 0.5 * math.cos(math.pi * done / steps)) + 1e-6
            loss = self._unlikelihood(states[torch.randint(len(states), (settings.batch,), generator=self.generator)])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self._kernel.parameters(), 1.0)
            optimiser.step()
            if done % 100 == 0:
                found = float(loss.detach())
                if not math.isfinite(found):
                    raise SolverError(f"the likelihood of the noised draws is no number after {done} steps")
                report(f"reversing the noise, round {number} of {settings.rounds}", done / steps, loss=found)

    def _set_levels(self, states: Tensor) -> None:
        away = (states - states.mean(0)).abs().flatten()
        far = float(away.kthvalue(max(1, round(_FARTHEST * len(away)))).values)
        _, slope = value_and_slope(self.log_density, states)
        self.slopes += len(states)
        near = min(1.0 / math.sqrt(float((slope**2).mean()) + 1e-300), far)
        ends = math.log(_TOP * far), math.log(_BOTTOM * near)
        self._levels = torch.cat([torch.exp(torch.linspace(*ends, self.settings.levels)), torch.zeros(1)])
        self._deviation = torch.sqrt(states.var(0) + self._levels[0] ** 2)

    def _unlikelihood(self, y: Tensor) -> Tensor:
        """-log F(x' | x) of one random step for every y, averaged over x' given x and y, up to a constant."""
        index = torch.randint(self.settings.levels, (len(y), 1), generator=self.generator)
        level, lower = self._levels[index], self._levels[index + 1]
        x = y + level * torch.randn(y.shape, generator=self.generator)
        found, ratio = self._denoised(x, level), (lower / level) ** 2
        _, variance = found.step(x, level, lower)
        left, whole = lower**2 * (1.0 - ratio), (1.0 - ratio) ** 2
        unit = left + whole * level**2
        return 0.5 * ((left + whole * (y - found.mean) ** 2) / variance + torch.log(variance / unit)).sum(1).mean()

    def _denoised(self, x: Tensor, level: Tensor) -> Denoised:
        if self._kernel is None:
            raise SolverError("the sampler has not been trained")
        _, slope = value_and_slope(self.log_density, x)
        self.evaluations += len(x)
        self.slopes += len(x)
        denoised: Denoised = self._kernel(x, level, slope)
        return denoised

    def _step(self, x: Tensor, level: Tensor, lower: Tensor) -> tuple[Tensor, Tensor]:
        return self._denoised(x, level.expand(len(x), 1)).step(x, level, lower)

    def _forward(self, count: int) -> tuple[Tensor, Tensor]:
        """States (count, n) and log w (count,); the powers of 2 pi cancel but for those of the first law."""
        with torch.no_grad():
            z = self._normal((count, len(self.start)))
            x = self._middle + self._deviation * z
            log_w = self._first_unlikelihood(z)
            for level, lower in self._pairs():
                mean, variance = self._step(x, level, lower)
                z = self._normal(x.shape)
                after = mean + torch.sqrt(variance) * z
                log_w = log_w + self._gained((x - after) ** 2 / (level**2 - lower**2), z**2, variance / (level**2 - lower**2))
                x = after
            return x, log_w + torch.nan_to_num(self.log_density(x).double(), -math.inf)

    def _backward(self, x: Tensor) -> Tensor:
        """log w of paths that are noised upwards from x."""
        with torch.no_grad():
            log_w = self.log_density(x).double()
            for level, lower in reversed(self._pairs()):
                z = self._normal(x.shape)
                before = x + torch.sqrt(level**2 - lower**2) * z
                mean, variance = self._step(before, level, lower)
                log_w = log_w + self._gained(z**2, (x - mean) ** 2 / variance, variance / (level**2 - lower**2))
                x = before
            return log_w + self._first_unlikelihood((x - self._middle) / self._deviation)

    @staticmethod
    def _gained(noised: Tensor, learned: Tensor, ratio: Tensor) -> Tensor:
        """log B - log F of a step, from the squares in both exponents and the ratio of the variances."""
        return 0.5 * (learned - noised + torch.log(ratio)).double().sum(1)

    def _first_unlikelihood(self, z: Tensor) -> Tensor:
        """-log p(x_0)."""
        constant = 0.5 * math.log(2.0 * math.pi)
        return (0.5 * z**2 + torch.log(self._deviation) + constant).double().sum(1)

    @property
    def _middle(self) -> Tensor:
        if self._kernel is None:
            raise SolverError("the sampler has not been trained")
        return self._kernel.centre

    def _pairs(self) -> list[tuple[Tensor, Tensor]]:
        return list(zip(self._levels[:-1], self._levels[1:], strict=True))

    def _normal(self, shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=self.generator)

    def _chosen(self, states: Tensor, log_w: Tensor) -> Tensor:
        """As many draws with the weights' frequencies, the largest weights cut."""
        cut = log_w.topk(max(1, round(_CUT * len(log_w)))).values[-1]
        weights = torch.softmax(torch.minimum(log_w, cut), 0)
        return states[torch.multinomial(weights, len(states), replacement=True, generator=self.generator)].float()


__all__ = ["ReversalSettings", "TimeReversedSampler"]
