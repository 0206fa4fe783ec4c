"""The cost-to-go as a network that meets the terminal condition exactly, with its gradient and second-order term.

    finite horizon    W(t, x) = g(x)/(1 + k (T - t)/T) + s (T - t)/T N(z),   z = (2t/T-1, (x - m)/d, [g], [l], [|y|²])
    stationary        W(x)    = s N(z),                                      z = ((x - m)/d, [l], [|y|²])

[f] = (f - m_f)/d_f. g is the terminal cost, l the running cost without effort, y the place in the region: functions are features
of the network, which may use them or not. In many states noise makes of a cost a function of squares, whatever it was, and a
cost that is sharp somewhere says little there. In: `PathModel`. Out: W (B,), its gradient (B, n); with `complete` also W_t and
1/2 tr(S S' D²W).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hjbdsl.methods.neural.path_model import PathModel
from hjbdsl.methods.neural.perceptron import Perceptron
from hjbdsl.numeric.state_space import region_of

PROBES = 8
"""Directions of the second-order trace where it is not exact; with at most this many noises it always is."""


@dataclass(frozen=True, slots=True)
class Jet:
    """Values (B, k) and gradients (B, k, n) of the functions at a batch of points; free of what is trained."""

    values: Tensor
    slopes: Tensor

    def rows(self, index: Tensor) -> Jet:
        return Jet(self.values[index], self.slopes[index])


@dataclass(frozen=True, slots=True)
class Complete:
    """W, W_t, gradient, and 1/2 tr(S S' D²W) at a batch of points."""

    W: Tensor
    W_t: Tensor
    slope: Tensor
    diffusion: Tensor


class LiftedValue(nn.Module):
    """`functions` counts those among the features: the terminal cost first, where there is an end."""

    def __init__(self, model: PathModel, width: int):
        super().__init__()
        self.model = model
        self.finite = math.isfinite(model.end)
        self.functions = int(self.finite) + int(model.costly_states) + 1
        self.network = Perceptron(int(self.finite) + model.states + self.functions, width)
        self.decay = nn.Parameter(torch.tensor(-1.0))
        low, high = torch.tensor(region_of(model.problem), dtype=torch.float32).unbind(1)
        self.register_buffer("middle", 0.5 * (low + high))
        self.register_buffer("reach", 0.5 * (high - low))
        self.register_buffer("centre", torch.zeros(model.states))
        self.register_buffer("spread", torch.ones(model.states))
        self.register_buffer("function_centre", torch.zeros(self.functions))
        self.register_buffer("function_spread", torch.ones(self.functions))
        self.register_buffer("scale", torch.ones(()))

    def fit_scales(self, t: Tensor, x: Tensor, returns: Tensor) -> None:
        """Centres and spreads from states visited (B, n) and the costs that followed (B,)."""
        values = self.jet(t, x).values
        self.centre.copy_(x.mean(0))
        self.spread.copy_(x.std(0) + 1e-3 * x.std() + 1e-6)
        self.function_centre.copy_(values.mean(0))
        self.function_spread.copy_(values.std(0) + 1e-6 * (1.0 + values.abs().mean(0)))
        rest = returns - values[:, 0] if self.finite else returns
        self.scale.copy_(torch.sqrt((rest**2).mean()) + 1e-9)

    def refit_scales(self, t: Tensor, x: Tensor, returns: Tensor) -> None:
        """New centres and spreads for the states that are visited now; the function stays what it was."""
        centre, spread = self._scaling()
        before = self.scale.clone()
        self.fit_scales(t, x, returns)
        new_centre, new_spread = self._scaling()
        with torch.no_grad():
            # z_old = (z_new * spread_new + centre_new - centre_old) / spread_old
            ratio, shift = new_spread / spread, (new_centre - centre) / spread
            first, network = self.network.first, self.network
            first.bias += first.weight @ shift
            first.weight *= ratio
            network.constant += network.straight @ shift
            network.straight *= ratio
            for part in (network.last, network.straight, network.constant):
                part.mul_(before / self.scale)

    def _scaling(self) -> tuple[Tensor, Tensor]:
        """Centre and spread of every feature."""
        time = self.centre.new_zeros(int(self.finite))
        return torch.cat([time, self.centre, self.function_centre]), torch.cat([time + 1.0, self.spread, self.function_spread])

    def jet(self, t: Tensor, x: Tensor) -> Jet:
        """The functions at x."""
        with torch.enable_grad():
            y = x.detach().requires_grad_(True)
            found = self._own(t, y)
            slopes = [torch.autograd.grad(f.sum(), y, retain_graph=True, allow_unused=True)[0] for f in found]
        rows = [torch.zeros_like(x) if s is None else s for s in slopes]
        return Jet(torch.stack([f.detach() for f in found], -1), torch.stack(rows, 1))

    def _own(self, t: Tensor, x: Tensor) -> list[Tensor]:
        found = [self.model.terminal(t, x)] if self.finite else []
        if self.model.costly_states:
            with torch.no_grad():
                idle = self.model.control(t, x, torch.zeros_like(t), torch.zeros_like(x))
            found.append(self.model.running(t, x, idle))
        return [*found, ((x - self.middle) / self.reach).square().mean(-1)]

    def forward(self, t: Tensor, x: Tensor, jet: Jet | None = None) -> tuple[Tensor, Tensor]:
        """W (B,) and its gradient (B, n)."""
        jet = self.jet(t, x) if jet is None else jet
        value, slope = self.network(self._features(t, x, jet))
        return self._lifted(t, jet, value, self._pulled_back(slope, jet))

    def complete(self, t: Tensor, x: Tensor, jet: Jet | None = None) -> Complete:
        """W with every derivative of the equation. The second-order term is exact in at most `PROBES` noises, and else estimated
        without bias from as many random directions, each row its own."""
        jet = self.jet(t, x) if jet is None else jet
        features = self._features(t, x, jet)
        value, slope = self.network(features)
        W, gradient = self._lifted(t, jet, value, self._pulled_back(slope, jet))
        directions = self._directions(t, x)
        own = self._own_traces(t, x, directions)
        trace = self.network.trace_along(features, self._tangents(jet, directions))
        first = int(self.finite) + self.model.states
        weights = slope[:, first:] / self.function_spread
        trace = trace + (weights * own).sum(-1)
        if not self.finite:
            return Complete(W, torch.zeros_like(t), gradient, 0.5 * self.scale * trace)
        end, decay = self.model.end, self._decay()
        left, kept = self.scale * (end - t) / end, 1.0 / (1.0 + decay * (end - t) / end)
        in_time = slope[:, 0] * 2.0 / end + (weights * self._own_rates(t, x)).sum(-1)
        W_t = left * in_time - self.scale / end * value + decay / end * kept**2 * jet.values[:, 0]
        return Complete(W, W_t, gradient, 0.5 * (kept * own[:, 0] + left * trace))

    # ------------------------------------------------------------------------------------------ parts

    def _features(self, t: Tensor, x: Tensor, jet: Jet) -> Tensor:
        parts = [(2.0 * t / self.model.end - 1.0)[:, None]] if self.finite else []
        parts.append((x - self.centre) / self.spread)
        parts.append((jet.values - self.function_centre) / self.function_spread)
        return torch.cat(parts, 1)

    def _pulled_back(self, slope: Tensor, jet: Jet) -> Tensor:
        """Slope in the features -> gradient in x."""
        first = int(self.finite)
        direct = slope[:, first : first + self.model.states] / self.spread
        weights = slope[:, first + self.model.states :] / self.function_spread
        return direct + torch.einsum("bk,bkn->bn", weights, jet.slopes)

    def _lifted(self, t: Tensor, jet: Jet, value: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        if not self.finite:
            return self.scale * value, self.scale * gradient
        rest = (self.model.end - t) / self.model.end
        left, kept = self.scale * rest, 1.0 / (1.0 + self._decay() * rest)
        return kept * jet.values[:, 0] + left * value, kept[:, None] * jet.slopes[:, 0] + left[:, None] * gradient

    def _decay(self) -> Tensor:
        """k: how fast control and noise wear the terminal cost down."""
        return torch.exp(self.decay)

    def _directions(self, t: Tensor, x: Tensor) -> Tensor:
        """(B, P, n): the columns of S, or random combinations of them whose mean square is S S'. Each row has its own: an error
        that all rows shared would not average out."""
        count, diagonal = self.model.noises, self.model.loading_diagonal
        if count <= PROBES:
            basis = torch.eye(count, device=x.device, dtype=x.dtype)
            return torch.stack([self.model.shaken(t, x, row.expand(len(x), -1)) for row in basis], 1)
        signs = torch.randint(0, 2, (len(x), PROBES, count), device=x.device).to(x.dtype) * 2.0 - 1.0
        signs = signs / math.sqrt(PROBES)
        if diagonal is not None:
            return signs * diagonal
        return torch.stack([self.model.shaken(t, x, signs[:, k]) for k in range(PROBES)], 1)

    def _tangents(self, jet: Jet, directions: Tensor) -> Tensor:
        """What the first layer makes of directions of the state: (B, P, width)."""
        weight, first = self.network.first.weight, int(self.finite)
        states = weight[:, first : first + self.model.states] / self.spread
        own = weight[:, first + self.model.states :] / self.function_spread
        return directions @ states.T + (directions @ jet.slopes.transpose(1, 2)) @ own.T

    def _own_traces(self, t: Tensor, x: Tensor, directions: Tensor) -> Tensor:
        """sum_p d_p' D²f d_p (B, k) of the functions."""
        total = x.new_zeros((len(x), self.functions))
        with torch.enable_grad():
            y = x.detach().requires_grad_(True)
            for k, f in enumerate(self._own(t, y)):
                (slope,) = torch.autograd.grad(f.sum(), y, create_graph=True, allow_unused=True)
                if slope is None or not slope.requires_grad:
                    continue
                for r in range(directions.shape[1]):
                    along = directions[:, r]
                    (bent,) = torch.autograd.grad((slope * along).sum(), y, retain_graph=True, allow_unused=True)
                    if bent is not None:
                        total[:, k] += (bent * along).sum(-1)
        return total.detach()

    def _own_rates(self, t: Tensor, x: Tensor) -> Tensor:
        """Derivatives in time (B, k) of the functions: g has none."""
        rates = x.new_zeros((len(x), self.functions))
        with torch.enable_grad():
            s = t.detach().requires_grad_(True)
            for k, f in enumerate(self._own(s, x.detach())[1:], start=1):
                if f.requires_grad:
                    (rate,) = torch.autograd.grad(f.sum(), s, allow_unused=True)
                    rates[:, k] = 0.0 if rate is None else rate
        return rates


__all__ = ["Complete", "Jet", "LiftedValue"]
