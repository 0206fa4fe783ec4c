"""Small smooth networks with exact first and second derivatives in their inputs.

In: an `Architecture` and parameters. Out: the jet of V: value, time derivative, gradient and Hessian in every joint mode, carried
forward through the layers (no reverse pass is needed, and one may still be taken for the derivative in the parameters).

    N(t, x) = W_L tanh(... tanh(W_1 phi(t, x) + b_1) ...) + b_L        one output a joint mode

    V = offset + scale N                  `shifted`
    V = +-exp(offset + scale N)           `exponential`: one sign, many magnitudes
    V = g(x)/(1 + w (T - t)) + (T - t) scale N    `added`: a smooth terminal payoff g, built in; w `wear`
    V = g(x) exp((T - t) scale N)         `multiplied`: the same where g has one sign and many magnitudes

phi scales every state to [-1, 1] over its domain: the logarithm of a state that is positive, sine and cosine of an angle; and the
logarithm of the time that is left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

LAYER = 0.05
"""Part of the horizon before its end that the clock's coordinate magnifies: a terminal payoff may wear off fast."""

Parameters = dict[str, Tensor]
FeatureKind = Literal["line", "logarithm", "angle"]
Form = Literal["shifted", "exponential", "added", "multiplied"]


@dataclass(frozen=True, slots=True)
class Feature:
    """How a state enters: `(s - centre)/width` of s = x, or of log(x - origin); an angle by its sine and cosine."""

    kind: FeatureKind
    centre: float
    width: float
    origin: float = 0.0


@dataclass(frozen=True, slots=True)
class Architecture:
    """`features` one a state; `horizon` T of problems with a clock, else None; `widths` of the hidden layers; `heads`
    joint modes; `form`, `offset`, `scale`, `sign`, `wear`: how V is made of N."""

    features: tuple[Feature, ...]
    horizon: float | None
    widths: tuple[int, ...]
    heads: int
    form: Form = "shifted"
    offset: float = 0.0
    scale: float = 1.0
    sign: float = 1.0
    wear: float = 0.0

    @property
    def inputs(self) -> int:
        return sum(2 if f.kind == "angle" else 1 for f in self.features) + (self.horizon is not None)

    @property
    def variables(self) -> int:
        """States, and the clock last."""
        return len(self.features) + (self.horizon is not None)

    @property
    def size(self) -> int:
        """Number of parameters."""
        sizes = (self.inputs, *self.widths, self.heads)
        return sum(m * (k + 1) for k, m in pairwise(sizes))


@dataclass(frozen=True, slots=True)
class Jet:
    """V (B, S), gradient (B, S, v), Hessian (B, S, v, v) in the variables, the clock last where there is one; S joint modes."""

    value: Tensor
    gradient: Tensor
    hessian: Tensor

    def plus(self, other: Jet) -> Jet:
        return Jet(self.value + other.value, self.gradient + other.gradient, self.hessian + other.hessian)

    def times(self, other: Jet) -> Jet:
        """The product rule up to second order."""
        cross = self.gradient[..., :, None] * other.gradient[..., None, :]
        return Jet(
            self.value * other.value,
            self.gradient * other.value[..., None] + self.value[..., None] * other.gradient,
            self.hessian * other.value[..., None, None] + self.value[..., None, None] * other.hessian
            + cross + cross.transpose(-1, -2),
        )  # fmt: skip

    def exponential(self, offset: float, sign: float) -> Jet:
        """sign*exp(offset + value)."""
        f = sign * torch.exp(offset + self.value)
        return self.through(f, f, f)

    def through(self, f: Tensor, slope: Tensor, curvature: Tensor) -> Jet:
        """The chain rule for f(value), its first and second derivative given."""
        square = self.gradient[..., :, None] * self.gradient[..., None, :]
        return Jet(
            f, slope[..., None] * self.gradient,
            slope[..., None, None] * self.hessian + curvature[..., None, None] * square,
        )  # fmt: skip


def initial_parameters(architecture: Architecture, generator: torch.Generator) -> Parameters:
    """Glorot's normal law for the matrices; first biases spread so that the units bend at different places of the domain."""
    sizes = (architecture.inputs, *architecture.widths, architecture.heads)
    result: Parameters = {}
    for layer, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        spread = math.sqrt(2.0 / (fan_in + fan_out)) if layer else 1.5 / math.sqrt(fan_in)
        result[f"W{layer}"] = spread * torch.randn(fan_out, fan_in, generator=generator, dtype=torch.float64)
        bias = torch.randn(fan_out, generator=generator, dtype=torch.float64)
        result[f"b{layer}"] = bias if layer == 0 else 0.1 * bias
    result[f"W{len(sizes) - 2}"] *= 0.1
    return result


def network_jet(architecture: Architecture, parameters: Parameters, t: Tensor, x: Tensor) -> Jet:
    """The jet of scale*N. t (B,), x (B, n)."""
    jet = _feature_jet(architecture, t, x)
    layers = len(architecture.widths) + 1
    for layer in range(layers):
        weight, bias = parameters[f"W{layer}"], parameters[f"b{layer}"]
        jet = Jet(
            jet.value @ weight.T + bias,
            torch.einsum("hk,bki->bhi", weight, jet.gradient),
            torch.einsum("hk,bkij->bhij", weight, jet.hessian),
        )
        if layer < layers - 1:
            s = torch.tanh(jet.value)
            slope = 1.0 - s * s
            jet = jet.through(s, slope, -2.0 * s * slope)
    return Jet(architecture.scale * jet.value, architecture.scale * jet.gradient, architecture.scale * jet.hessian)


def hidden(architecture: Architecture, parameters: Parameters, t: Tensor, x: Tensor, step: Tensor) -> Tensor:
    """scale*(N + DN.d) alone, (B, S), for a step d (B, n) in the scaled coordinates of the states (angles do not move)."""
    pieces = _features(architecture, t, x)
    h = torch.stack([value for _, values, _, _ in pieces for value in values], -1)
    zero = torch.zeros_like(h[..., 0])
    states = len(architecture.features)
    columns = [step[..., i] if i < states and len(values) == 1 else zero for i, values, _, _ in pieces for _ in values]
    along = torch.stack(columns, -1)
    layers = len(architecture.widths) + 1
    for layer in range(layers):
        h, along = h @ parameters[f"W{layer}"].T + parameters[f"b{layer}"], along @ parameters[f"W{layer}"].T
        if layer < layers - 1:
            h = torch.tanh(h)
            along = (1.0 - h * h) * along
    return architecture.scale * (h + along)


_Pieces = tuple[int, list[Tensor], list[Tensor], list[Tensor]]


def _features(architecture: Architecture, t: Tensor, x: Tensor) -> list[_Pieces]:
    """(variable, values, first and second derivatives in it) of every feature."""
    result: list[_Pieces] = []
    for i, feature in enumerate(architecture.features):
        s, unit = x[:, i], torch.ones_like(t)
        match feature.kind:
            case "line":
                result.append((i, [(s - feature.centre) / feature.width], [unit / feature.width], [0.0 * unit]))
            case "logarithm":
                y = s - feature.origin
                result.append((
                    i, [(torch.log(y) - feature.centre) / feature.width], [1.0 / (feature.width * y)],
                    [-1.0 / (feature.width * y * y)],
                ))  # fmt: skip
            case "angle":
                sine, cosine = torch.sin(s), torch.cos(s)
                result.append((i, [sine, cosine], [cosine, -sine], [-sine, -cosine]))
            case _:
                raise ValueError(f"unknown feature `{feature.kind}`")
    if architecture.horizon is not None:
        short, length = clock_scales(architecture.horizon)
        left = short + architecture.horizon - t
        s = 1.0 - 2.0 * torch.log(left / short) / length
        result.append((len(architecture.features), [s], [2.0 / (length * left)], [2.0 / (length * left * left)]))
    return result


def clock_scales(horizon: float) -> tuple[float, float]:
    """tau and L of the clock's coordinate s = 1 - 2 log(1 + (T - t)/tau)/L, which is -1 at 0 and 1 at T."""
    short = LAYER * horizon
    return short, math.log1p(horizon / short)


def _feature_jet(architecture: Architecture, t: Tensor, x: Tensor) -> Jet:
    pieces = _features(architecture, t, x)
    values = torch.stack([v for _, vs, _, _ in pieces for v in vs], -1)
    count, v = values.shape[-1], architecture.variables
    places = torch.zeros(count, v, dtype=x.dtype, device=x.device)
    row = 0
    for variable, vs, _, _ in pieces:
        for _ in vs:
            places[row, variable] = 1.0
            row += 1
    first = torch.stack([d for _, _, ds, _ in pieces for d in ds], -1)
    second = torch.stack([d for _, _, _, ds in pieces for d in ds], -1)
    outer = places[:, :, None] * places[:, None, :]
    return Jet(values, first[..., None] * places, second[..., None, None] * outer)
