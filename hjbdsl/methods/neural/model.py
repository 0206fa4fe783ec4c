"""V as a network bound to an equation: jets, points, and the linear functionals that training fits.

In: program, architecture, parameters. Out: `Point`s for the maximiser, and for a frozen control the rows of policy evaluation

    l_i(V) = V_t + b.p + 1/2 tr(A M) + sum_k rate_k (E V(x + displacement) - V) + sum_s rate_s (V_s - V) - r V = -f,

each of them linear in V.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hjbdsl.methods.neural.extension import extended_jet, extended_value
from hjbdsl.methods.neural.networks import Architecture, Jet, Parameters, network_jet
from hjbdsl.methods.neural.program import NeuralProgram, Point, ValueAt


@dataclass(frozen=True, slots=True)
class Functionals:
    """Coefficients of B linear functionals of V: on the value in every mode (B, S), on the gradient (B, v) and Hessian (B, v, v)
    of mode z in the variables (the clock last), on the values at other points (B, K, n) in mode z with weights (B, K); `constant`
    is what is added, `size` the sum of the sizes of the terms at the V they were made for."""

    t: Tensor
    x: Tensor
    z: Tensor
    on_value: Tensor
    on_gradient: Tensor
    on_hessian: Tensor
    others: Tensor
    on_others: Tensor
    constant: Tensor
    size: Tensor


def blank(architecture: Architecture, t: Tensor, x: Tensor, z: Tensor) -> Functionals:
    """B functionals that are zero, to be filled in."""
    B, n, v, S = len(t), x.shape[1], architecture.variables, architecture.heads
    return Functionals(t, x, z, x.new_zeros(B, S), x.new_zeros(B, v), x.new_zeros(B, v, v), x.new_zeros(B, 0, n),
                       x.new_zeros(B, 0), x.new_zeros(B), x.new_zeros(B))  # fmt: skip


class ValueModel:
    """V(t, x, z) for given parameters."""

    def __init__(self, program: NeuralProgram, architecture: Architecture):
        self.program, self.architecture = program, architecture

    def jet(self, parameters: Parameters, t: Tensor, x: Tensor) -> Jet:
        """The jet of V in every mode."""
        jet = extended_jet(self.architecture, parameters, t, x)
        payoff = self._payoff_jet(t, x, jet) if self.architecture.form in ("added", "multiplied") else None
        return self._formed(jet, t, payoff)

    def _formed(self, jet: Jet, t: Tensor, payoff: Jet | None) -> Jet:
        """V from the jet of scale*N."""
        architecture = self.architecture
        match architecture.form:
            case "shifted":
                return Jet(architecture.offset + jet.value, jet.gradient, jet.hessian)
            case "exponential":
                return jet.exponential(architecture.offset, architecture.sign)
            case "added" if payoff is not None and architecture.scale == 0.0 and architecture.wear == 0.0:
                return payoff
            case "added":
                jet = self._remaining(jet, t)
                return jet if payoff is None else jet.plus(self._worn(payoff, t))
            case "multiplied" if payoff is not None:
                return self._remaining(jet, t).exponential(0.0, 1.0).times(payoff)
        raise ValueError(f"unknown form `{architecture.form}`")

    def value(self, parameters: Parameters, t: Tensor, x: Tensor) -> Tensor:
        """V (B, S) alone."""
        architecture = self.architecture
        value = extended_value(architecture, parameters, t, x)
        left = ((architecture.horizon or 0.0) - t)[:, None]
        match architecture.form:
            case "shifted":
                return architecture.offset + value
            case "exponential":
                return architecture.sign * torch.exp(architecture.offset + value)
            case "added":
                return self._payoff(t, x) / (1.0 + architecture.wear * left) + left * value
            case "multiplied":
                return self._payoff(t, x) * torch.exp(left * value)
        raise ValueError(f"unknown form `{architecture.form}`")

    def _payoff(self, t: Tensor, x: Tensor) -> Tensor:
        modes = range(self.program.modes)
        return torch.stack([self.program.module.terminal(t, x, torch.full_like(t, s, dtype=torch.long)) for s in modes], -1)

    def _payoff_jet(self, t: Tensor, x: Tensor, like: Jet) -> Jet:
        """g with its derivatives in x."""
        n, module = x.shape[-1], self.program.module
        gradient, hessian = torch.zeros_like(like.gradient), torch.zeros_like(like.hessian)
        for s in range(self.program.modes):
            mode = torch.full_like(t, s, dtype=torch.long)
            gradient[:, s, :n] = module.terminal_gradient(t, x, mode)
            hessian[:, s, :n, :n] = module.terminal_hessian(t, x, mode)
        return Jet(self._payoff(t, x), gradient, hessian)

    # ---------------------------------------------------------------------------------------- points

    def point(self, parameters: Parameters, t: Tensor, x: Tensor, z: Tensor) -> Point:
        """V with its derivatives in mode z, the uncontrolled jump differences and the switching term."""
        jet = self.jet(parameters, t, x)
        rows, n = torch.arange(len(t), device=t.device), self.program.states
        V, gradient, hessian = jet.value[rows, z], jet.gradient[rows, z], jet.hessian[rows, z]
        V_t = gradient[:, n] if self.architecture.horizon else torch.zeros_like(V)
        switch = torch.zeros_like(V)
        if self.program.modes > 1:
            rates = self.program.module.mode_rates(t, x, z)[rows, z]
            switch = (rates * (jet.value - V[:, None])).sum(-1)
        jumps = torch.zeros(len(t), self.program.jumps, dtype=x.dtype, device=x.device)
        idle = torch.zeros(len(t), self.program.controls, dtype=x.dtype, device=x.device)
        for k in range(self.program.jumps):
            if not self.program.controlled_jumps[k]:
                jumps[:, k] = self.program.jump_difference(k, self.chosen(parameters), t, x, z, idle, V)
        return Point(V, V_t, gradient[:, :n], hessian[:, :n, :n], jumps, switch)

    def chosen(self, parameters: Parameters) -> ValueAt:
        """V at t, x in mode z as a function."""

        def value(t: Tensor, x: Tensor, z: Tensor) -> Tensor:
            return self.value(parameters, t, x).gather(1, z[:, None])[:, 0]

        return value

    # ---------------------------------------------------------------------------------------- functionals

    def evaluation(self, t: Tensor, x: Tensor, z: Tensor, a: Tensor, at: Point) -> Functionals:
        """The equation of policy evaluation at control a. (B functionals)"""
        program, module, n = self.program, self.program.module, self.program.states
        B, v = len(t), self.architecture.variables
        rows = torch.arange(B, device=t.device)
        on_value = torch.zeros(B, program.modes, dtype=x.dtype, device=x.device)
        on_gradient, on_hessian = x.new_zeros(B, v), x.new_zeros(B, v, v)
        drift, running, rate = module.drift(t, x, z, a), module.running(t, x, z, a), module.discount(t, x, z, a)
        on_gradient[:, :n] = drift
        if self.architecture.horizon:
            on_gradient[:, n] = 1.0
        on_value[rows, z] -= rate
        size = running.abs() + (drift * at.p).abs().sum(-1) + (rate * at.V).abs() + at.V_t.abs() + at.switch.abs()
        if program.noises:
            loading = module.diffusion(t, x, z, a)
            on_hessian[:, :n, :n] = 0.5 * loading @ loading.transpose(-1, -2)
            size = size + (on_hessian[:, :n, :n] * at.M).abs().sum((-1, -2))
        if program.modes > 1:
            rates = module.mode_rates(t, x, z)[rows, z]
            on_value += rates
            on_value[rows, z] -= rates.sum(-1)
        others, weights = [], []
        for k in range(program.jumps):
            intensity = program.rate(k)(t, x, z, a)
            for node, weight in zip(*program.marks(k, x), strict=True):
                place = x + program.move(k, t, x, z, a, node.expand(B))
                gone = program.exited(t, place, z)
                running = running + torch.where(gone, weight * intensity * program.at_exit(t, place, z), 0.0)
                others.append(place)
                weights.append(torch.where(gone, 0.0, weight * intensity))
            on_value[rows, z] -= intensity
            size = size + (intensity * at.jumps[:, k]).abs()
        places = torch.stack(others, 1) if others else x.new_zeros(B, 0, n)
        on_others = torch.stack(weights, 1) if weights else x.new_zeros(B, 0)
        return Functionals(t, x, z, on_value, on_gradient, on_hessian, places, on_others, running, size)

    def apply(self, parameters: Parameters, f: Functionals) -> Tensor:
        """l_i(V) + constant_i, (B,)."""
        jet = self.jet(parameters, f.t, f.x)
        rows = torch.arange(len(f.t), device=f.t.device)
        result = (f.on_value * jet.value).sum(-1) + (f.on_gradient * jet.gradient[rows, f.z]).sum(-1)
        result = result + (f.on_hessian * jet.hessian[rows, f.z]).sum((-1, -2)) + f.constant
        K = f.others.shape[1]
        if K:
            B, _, n = f.others.shape
            values = self.value(parameters, f.t.repeat_interleave(K), f.others.reshape(B * K, n))
            picked = values.gather(1, f.z.repeat_interleave(K)[:, None]).reshape(B, K)
            result = result + (f.on_others * picked).sum(-1)
        return result

    def slopes(self, parameters: Parameters, f: Functionals) -> Tensor:
        """The derivative of every functional in the parameters, (B, P), in the order of the dictionary."""
        S, v = self.architecture.heads, self.architecture.variables
        fields = [f.t, f.x, torch.nn.functional.one_hot(f.z, S).to(f.x), f.on_value, f.on_gradient, f.on_hessian]
        if self.architecture.form == "multiplied":
            blank = Jet(f.x.new_zeros(len(f.t), S), f.x.new_zeros(len(f.t), S, v), f.x.new_zeros(len(f.t), S, v, v))
            payoff = self._payoff_jet(f.t, f.x, blank)
            fields += [payoff.value, payoff.gradient, payoff.hessian]

        def one(theta: Parameters, t: Tensor, x: Tensor, mode: Tensor, *rest: Tensor) -> Tensor:
            payoff = Jet(*(r[None] for r in rest[3:])) if rest[3:] else None
            jet = self._formed(network_jet(self.architecture, theta, t[None], x[None]), t[None], payoff)
            local = (rest[1] * jet.gradient[0]).sum(-1) + (rest[2] * jet.hessian[0]).sum((-1, -2))
            return (rest[0] * jet.value[0]).sum() + (mode * local).sum()

        gradient = torch.func.grad(one)
        derivative = torch.func.vmap(gradient, (None, *(0 for _ in fields)))(parameters, *fields)
        result = torch.cat([derivative[name].reshape(len(f.t), -1) for name in parameters], 1)
        return result + self._slopes_elsewhere(parameters, f) if f.others.shape[1] else result

    def _slopes_elsewhere(self, parameters: Parameters, f: Functionals) -> Tensor:
        """The share of the values at other points."""
        modes = torch.nn.functional.one_hot(f.z, self.architecture.heads).to(f.x)

        def one(theta: Parameters, t: Tensor, mode: Tensor, others: Tensor, weights: Tensor) -> Tensor:
            values = self.value(theta, t.expand(others.shape[0]), others)
            return (weights * (values * mode).sum(-1)).sum()

        derivative = torch.func.vmap(torch.func.grad(one), (None, 0, 0, 0, 0))(parameters, f.t, modes, f.others, f.on_others)
        return torch.cat([derivative[name].reshape(len(f.t), -1) for name in parameters], 1)

    def _remaining(self, jet: Jet, t: Tensor) -> Jet:
        """(T - t) times a jet."""
        left = (self.architecture.horizon or 0.0) - t
        return jet.times(self._of_clock(jet, left, -torch.ones_like(t)))

    def _worn(self, payoff: Jet, t: Tensor) -> Jet:
        """The payoff over 1 + wear*(T - t); its second derivative in time is left out, since no equation has it."""
        kept = 1.0 / (1.0 + self.architecture.wear * ((self.architecture.horizon or 0.0) - t))
        return payoff.times(self._of_clock(payoff, kept, self.architecture.wear * kept * kept))

    def _of_clock(self, like: Jet, value: Tensor, slope: Tensor) -> Jet:
        """A function of time alone, without anything written in place."""
        slopes = torch.cat([slope.new_zeros(*slope.shape, like.gradient.shape[-1] - 1), slope[..., None]], -1)
        return Jet(
            value[:, None].expand_as(like.value), slopes[:, None].expand_as(like.gradient), torch.zeros_like(like.hessian)
        )  # fmt: skip
