"""Policy evaluation by Feynman-Kac Monte Carlo with a bootstrapped tail.

In: model, policy, starting points. Out: targets for the value and for a directional derivative of V at each of them.

Dynkin's formula turns the return of a policy over a segment, bootstrapped with V_k at its end, into

    E[ int_0^h D f ds + D_h V_k(X_h) ]  =  V_k(x) + E int_0^h D (d_t V_k + f + L^a V_k - r V_k) ds,      D = exp(-int r),

which is Monte Carlo with the martingales int D grad V_k . S dW (and those of jumps and switches) as control variates: the noise,
and with it the bias of the time step, vanish as the equation's defect does. At an exit D (payoff - V_k) is added. Outside the
domain V_k is not trained but continued (`extension`): the identity holds for any V_k that is once continuously differentiable.

Where V_k = +-exp(N), D V_k(X) has many magnitudes along a path, and a few paths decide its mean. There the paths run under the
measure whose density is the martingale part of D V_k(X) (Doob's transform: their drift gains S S' grad log V_k), and

    J(x)/V_k(x) - 1  =  E int_0^h exp( -int (f - defect)/V_k ) defect/V_k ds :

what is earned now, relative to V_k, takes the place of the discount rate.

Paths are antithetic; derivatives are central differences of paths under the same noise (pathwise derivatives, Glasserman, *Monte
Carlo Methods in Financial Engineering*, section 7.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from hjbdsl.methods.neural.model import ValueModel
from hjbdsl.methods.neural.networks import Parameters
from hjbdsl.methods.neural.program import NeuralProgram, Point
from hjbdsl.methods.neural.sampling import Domain
from hjbdsl.numeric.state_space import number

Policy = Callable[[Parameters, Tensor, Tensor, Tensor, Point], Tensor]
"""control(parameters, t, x, z, point) -> (B, m)."""


@dataclass(frozen=True, slots=True)
class Segment:
    """`length` in time, `steps` of integration."""

    length: float
    steps: int


@dataclass(frozen=True, slots=True)
class Targets:
    """At N starting points: the value and the derivative along `direction` (N, n), with their standard errors; `left`, the share
    of V that the end of the segment stands for; (N,) each."""

    value: Tensor
    error: Tensor
    slope: Tensor
    slope_error: Tensor
    direction: Tensor
    left: Tensor


@dataclass(frozen=True, slots=True)
class Returns:
    """At each of N points: the return of the policy with V_k at its end, its standard error, E int D |defect| ds, and
    `left`, what an error of V_k counts for at the end: E of the discount factor of paths that still run, and of D |V_k(X)|/|V_k|
    where V_k = +-exp(N), whose errors are relative."""

    value: Tensor
    error: Tensor
    defect: Tensor
    left: Tensor


@dataclass(frozen=True, slots=True)
class Noise:
    """The random numbers of one step: normal (B, noises), and uniform for jumps (B, J), their marks (B, J) and modes (B,)."""

    normal: Tensor
    jump: Tensor
    mark: Tensor
    switch: Tensor


class Rollout:
    """Controlled paths from many points together."""

    def __init__(self, model: ValueModel, domain: Domain, policy: Policy, generator: torch.Generator):
        self.model, self.program, self.domain, self.policy = model, model.program, domain, policy
        self.generator = generator
        self.logarithm = torch.tensor([f.kind == "logarithm" for f in domain.features])
        self.origin = torch.tensor([f.origin for f in domain.features], dtype=torch.float64)
        self.walls = _walls(self.program)
        self.relative = model.architecture.form == "exponential"
        self.tilted = self.relative and self.program.noises > 0 and not self.program.jumps and self.program.modes == 1

    def targets(self, parameters: Parameters, t: Tensor, x: Tensor, z: Tensor, segment: Segment, paths: int) -> Targets:
        """`paths` antithetic pairs from every point and from its two neighbours along a random direction."""
        N, n = x.shape
        direction = torch.randn(N, n, generator=self.generator, dtype=x.dtype).to(x.device)
        direction = direction / direction.norm(dim=-1, keepdim=True) * self.unit(x)
        step = 1e-2
        starts = [x, x + step * direction, x - step * direction]
        at_once = torch.cat(starts).repeat(2 * paths, 1)
        many = (t.repeat(6 * paths), at_once, z.repeat(6 * paths))
        corrections, _, remaining = self._corrections(parameters, *many, segment, paths)
        shaped = corrections.reshape(2, paths, 3, N).mean(0).transpose(0, 1)
        values = [self.model.chosen(parameters)(t, start, z) for start in starts]
        steepness = (shaped[1] - shaped[2]) / (2.0 * step)
        slope = (values[1] - values[2]) / (2.0 * step) + steepness.mean(0)
        left = remaining.reshape(2 * paths, 3, N)[:, 0].mean(0)
        value, error = values[0] + shaped[0].mean(0), _standard_error(shaped[0])
        return Targets(value, error, slope, _standard_error(steepness), direction, left)

    def returns(self, parameters: Parameters, t: Tensor, x: Tensor, z: Tensor, segment: Segment, paths: int) -> Returns:
        """The return of the policy over the segment by `paths` antithetic pairs."""
        many = (t.repeat(2 * paths), x.repeat(2 * paths, 1), z.repeat(2 * paths))
        corrections, defects, left = self._corrections(parameters, *many, segment, paths)
        shaped = corrections.reshape(2, paths, len(t)).mean(0)
        value = self.model.chosen(parameters)(t, x, z) + shaped.mean(0)
        defect, remaining = (sums.reshape(2 * paths, len(t)).mean(0) for sums in (defects, left))
        return Returns(value, _standard_error(shaped), defect, remaining)

    def visited(self, parameters: Parameters, t: Tensor, x: Tensor, z: Tensor, segment: Segment) -> tuple[Tensor, Tensor]:
        """Where a path from each point goes, in scaled coordinates (steps, B, n); what an error there counts for (steps, B)."""
        span, alive = torch.full_like(t, segment.length / segment.steps), ~self.program.exited(t, x, z)
        counts, places, weights = torch.ones_like(t), [], []
        for _ in range(segment.steps):
            a, _, rate, _, pull = self._rates(parameters, t, x, z)
            step = torch.minimum(span, (self.program.horizon - t).clamp(min=0.0))
            y, z, _ = self._moved(t, x, z, a, step, self._noise(len(x), len(x) // 2, x), pull)
            t, x = t + step, torch.where(alive[:, None], y, x)
            alive = alive & ~self.program.exited(t, x, z) & torch.isfinite(x).all(-1)
            counts = torch.where(alive, counts * torch.exp(-step * rate), 0.0)
            places.append(self.domain.scaled(x))
            weights.append(step * counts)
        return torch.stack(places), torch.stack(weights)

    def unit(self, x: Tensor) -> Tensor:
        """The length of a scaled unit in each state at x."""
        columns = []
        for i, feature in enumerate(self.domain.features):
            width = (
                feature.width * (x[:, i] - feature.origin)
                if feature.kind == "logarithm"
                else torch.full_like(x[:, i], feature.width)
            )
            columns.append(width)
        return torch.stack(columns, -1)

    def _noise(self, count: int, paths: int, like: Tensor) -> Noise:
        """The same numbers for every starting point: the error of the targets is then a smooth function of the point, which does
        not spoil curvatures. The second half are mirror images of the first."""
        program, g = self.program, self.generator
        each = count // (2 * paths)

        def drawn(function: Callable[..., Tensor], width: int) -> Tensor:
            return function(paths, width, generator=g, dtype=torch.float64).to(like.device)

        normal, uniforms = drawn(torch.randn, program.noises), drawn(torch.rand, 2 * program.jumps + 1)
        normal = torch.cat([normal, -normal]).repeat_interleave(each, 0)
        uniforms = torch.cat([uniforms, 1.0 - uniforms]).repeat_interleave(each, 0)
        J = program.jumps
        return Noise(normal, uniforms[:, :J], uniforms[:, J : 2 * J], uniforms[:, 2 * J])

    def _corrections(
        self, parameters: Parameters, t: Tensor, x: Tensor, z: Tensor, segment: Segment, paths: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """int D defect ds along a path from each point, by the trapezoid rule, with what exits add; int D |defect| ds; what an
        error at the end of a path that still runs counts for. (B,) each"""
        h = segment.length / segment.steps
        discounting = torch.ones_like(t)
        alive = ~self.program.exited(t, x, z)
        a, before, rate, value, pull = self._rates(parameters, t, x, z)
        first = value
        total, size = torch.zeros_like(t), torch.zeros_like(t)
        for _ in range(segment.steps):
            span = torch.full_like(t, h)
            if math.isfinite(self.program.horizon):
                span = torch.minimum(span, (self.program.horizon - t).clamp(min=0.0))
            y, mode, leapt = self._moved(t, x, z, a, span, self._noise(len(x), paths, x), pull)
            s, y, mode = t + span, torch.where(alive[:, None], y, x), torch.where(alive, mode, z)
            gone = alive & self.program.exited(s, y, mode)
            if bool(gone.any()):
                y = torch.where((gone & ~leapt)[:, None], self._met(s, x, y, mode), y)
            a, after, following, value, pull = self._rates(parameters, s, y, mode)
            factor = torch.exp(-0.5 * span * (rate + following))
            share = torch.where(alive, 0.5 * span * discounting, 0.0)
            total = total + share * (before + factor * after)
            size = size + share * (before.abs() + factor * after.abs())
            discounting = torch.where(alive, discounting * factor, discounting)
            if bool(gone.any()):
                surplus = self.program.at_exit(s, y, mode) - value
                total = total + torch.where(gone, discounting * (surplus / value if self.tilted else surplus), 0.0)
            alive = alive & ~gone
            t, x, z, before, rate = s, y, mode, after, following
            if not bool(alive.any()):
                break
        left = torch.where(alive, discounting, 0.0)
        if self.tilted:
            return first * total, first.abs() * size, left
        return total, size, left * (value / first).abs() if self.relative else left

    def _rates(self, parameters: Parameters, t: Tensor, x: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        """The control, the equation's defect under it, the discount rate, V, what the change of measure adds to the drift."""
        program = self.program
        at = self.model.point(parameters, t, x, z)
        a = self.policy(parameters, t, x, z, at)
        defect = program.defect(t, x, z, a, at)
        for k in range(program.jumps):
            if program.controlled_jumps[k]:
                difference = program.jump_difference(k, self.model.chosen(parameters), t, x, z, a, at.V)
                defect = defect + program.rate(k)(t, x, z, a) * difference
        if not self.tilted:
            return a, defect, program.module.discount(t, x, z, a), at.V, torch.zeros_like(x)
        loading = program.module.diffusion(t, x, z, a)
        pull = torch.einsum("bik,bjk,bj->bi", loading, loading, at.p / at.V[:, None])
        return a, defect / at.V, (program.module.running(t, x, z, a) - defect) / at.V, at.V, pull

    def _met(self, t: Tensor, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        """The first point of the exit on the way from x to y, by bisection."""
        inner, outer = x, y
        for _ in range(30):
            middle = 0.5 * (inner + outer)
            left = self.program.exited(t, middle, z)[:, None]
            inner, outer = torch.where(left, inner, middle), torch.where(left, middle, outer)
        return outer

    def _moved(
        self, t: Tensor, x: Tensor, z: Tensor, a: Tensor, span: Tensor, noise: Noise, pull: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One Euler step, in the logarithm of positive states (exact there for geometric motion), then jumps and switches:
        states, modes, which rows jumped."""
        module = self.program.module
        drift, root = module.drift(t, x, z, a) + pull, torch.sqrt(span)[:, None]
        moved = x + span[:, None] * drift
        push = module.noise(t, x, z, a, noise.normal * root) if self.program.noises else torch.zeros_like(x)
        moved = moved + push
        if bool(self.logarithm.any()):
            level = x - self.origin
            variance = torch.zeros_like(x)
            if self.program.noises:
                variance = module.diffusion(t, x, z, a).square().sum(-1)
            exponent = (drift / level - 0.5 * variance / level.square()) * span[:, None] + push / level
            moved = torch.where(self.logarithm, self.origin + level * torch.exp(torch.clamp(exponent, -50.0, 50.0)), moved)
        leapt = torch.zeros_like(z, dtype=torch.bool)
        for k in range(self.program.jumps):
            hit = noise.jump[:, k] < 1.0 - torch.exp(-self.program.rate(k)(t, x, z, a) * span)
            nodes, weights = self.program.marks(k, x)
            index = torch.searchsorted(torch.cumsum(weights, 0).contiguous(), noise.mark[:, k].contiguous()).clamp(
                max=len(nodes) - 1
            )
            leap = self.program.move(k, t, x, z, a, nodes[index])
            moved, leapt = torch.where(hit[:, None], moved + leap, moved), leapt | hit
        moved = self.domain.kept_near(moved)
        for i, low, high in self.walls:
            moved[:, i] = _reflected(moved[:, i], low, high)
        mode = z
        if self.program.modes > 1:
            rows = torch.arange(len(t), device=t.device)
            rates = module.mode_rates(t, x, z)[rows, z]
            chance = torch.cumsum(rates * span[:, None], 1)
            leaving = noise.switch < 1.0 - torch.exp(-chance[:, -1])
            scaled = noise.switch / (1.0 - torch.exp(-chance[:, -1])).clamp(min=1e-300) * chance[:, -1]
            target = (chance <= scaled[:, None]).sum(1).clamp(max=self.program.modes - 1)
            mode = torch.where(leaving, target, z)
        return moved, mode, leapt


def _standard_error(samples: Tensor) -> Tensor:
    """Of the mean over the first axis; a single sample stands for its own error."""
    return samples.std(0) / math.sqrt(len(samples)) if len(samples) > 1 else samples[0].abs()


def _walls(program: NeuralProgram) -> list[tuple[int, float, float]]:
    """(state, lower wall, upper wall) of the states that reflect."""
    result = []
    for i in range(program.states):
        kept = [c for c in program.equation.boundaries if c.state == i and c.kind in ("reflect", "slope")]
        ends = {c.side: number(program.problem, c.location) for c in kept}
        if ends:
            result.append((i, ends.get("lower", -math.inf), ends.get("upper", math.inf)))
    return result


def _reflected(y: Tensor, low: float, high: float) -> Tensor:
    y = torch.where(y < low, 2.0 * low - y, y) if math.isfinite(low) else y
    return torch.where(y > high, 2.0 * high - y, y) if math.isfinite(high) else y
