"""A network beyond the box that it is trained on: its tangent at the nearest point of the box.

In: an architecture, parameters, points anywhere. Out: the jet, or the value alone. In scaled coordinates s, with P the nearest
point of [-1, 1]^n and d = s - P,

    N(s) = N(P) + DN(P).d,

which is once continuously differentiable: a multiple of log x, or a power of x, goes on as it is. A tanh network by itself goes
on in any way it likes, and paths and jumps leave the box. What the tangent misses of the equation is simulated like the rest.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hjbdsl.methods.neural.networks import Architecture, Jet, Parameters, hidden, network_jet

_STEP = 1e-3
"""Inwards, in scaled coordinates, for the one third derivative that is needed."""


def nearest(architecture: Architecture, x: Tensor) -> Tensor:
    """The nearest point of the box, (B, n)."""
    columns = []
    for i, feature in enumerate(architecture.features):
        match feature.kind:
            case "angle":
                columns.append(x[..., i])
            case "line":
                columns.append(x[..., i].clamp(feature.centre - feature.width, feature.centre + feature.width))
            case "logarithm":
                low, high = (torch.tensor(feature.centre + sign * feature.width, dtype=x.dtype).exp() for sign in (-1.0, 1.0))
                columns.append(x[..., i].clamp(feature.origin + float(low), feature.origin + float(high)))
            case _:
                raise ValueError(f"unknown feature `{feature.kind}`")
    return torch.stack(columns, -1)


def extended_value(architecture: Architecture, parameters: Parameters, t: Tensor, x: Tensor) -> Tensor:
    """scale*N alone, (B, S)."""
    if architecture.scale == 0.0:
        return x.new_zeros(len(t), architecture.heads)
    inner = nearest(architecture, x)
    return hidden(architecture, parameters, t, inner, _beyond(architecture, x, inner))


def extended_jet(architecture: Architecture, parameters: Parameters, t: Tensor, x: Tensor) -> Jet:
    """The jet of scale*N. t (B,), x (B, n)."""
    if architecture.scale == 0.0:
        B, S, v = len(t), architecture.heads, architecture.variables
        return Jet(x.new_zeros(B, S), x.new_zeros(B, S, v), x.new_zeros(B, S, v, v))
    inner = nearest(architecture, x)
    jet = network_jet(architecture, parameters, t, inner)
    out = inner != x
    rows = torch.nonzero(out.any(-1))[:, 0]
    if not len(rows):
        return jet
    here = Jet(jet.value[rows], jet.gradient[rows], jet.hessian[rows])
    t, x, inner, out = t[rows], x[rows], inner[rows], out[rows]
    d = _beyond(architecture, x, inner)
    turned = None
    if x.shape[1] > 1:
        length = d.norm(dim=-1, keepdim=True)
        within = _moved(architecture, inner, -_STEP * d / length)
        before = network_jet(architecture, parameters, t, within).hessian
        turned = (here.hessian - before) * (length / _STEP)[..., None, None]
    there = _continued(architecture, here, x, inner, out, d, turned)
    pieces = zip((jet.value, jet.gradient, jet.hessian), (there.value, there.gradient, there.hessian), strict=True)
    return Jet(*(whole.index_copy(0, rows, part) for whole, part in pieces))


def _continued(
    architecture: Architecture, jet: Jet, x: Tensor, inner: Tensor, out: Tensor, d: Tensor, turned: Tensor | None
) -> Jet:
    """The jet at x from that at the nearest point; `turned` is how the Hessian changes along d, (B, S, v, v)."""
    first, second = _derivatives(architecture, x)
    at_edge, _ = _derivatives(architecture, inner)
    clocks = jet.gradient.shape[-1] - x.shape[1]

    def over_variables(states: Tensor, clock: float) -> Tensor:
        return torch.cat([states, states.new_full((len(states), clocks), clock)], 1)[:, None, :]

    step = over_variables(d / at_edge, 0.0)
    stretch = over_variables(torch.where(out, first / at_edge, 1.0), 1.0)
    bend = over_variables(torch.where(out, second / at_edge, 0.0), 0.0)
    outer = over_variables(out.to(x), 0.0)
    value = jet.value + (jet.gradient * step).sum(-1)
    along = torch.einsum("bsij,bsj->bsi", jet.hessian, step.expand_as(jet.gradient))
    gradient = jet.gradient * stretch + (1.0 - outer) * along
    both_out = outer[..., :, None] * outer[..., None, :]
    hessian = (1.0 - both_out) * jet.hessian * stretch[..., :, None] * stretch[..., None, :]
    if turned is not None:
        both_in = (1.0 - outer)[..., :, None] * (1.0 - outer)[..., None, :]
        hessian = hessian + both_in * turned
    return Jet(value, gradient, hessian + torch.diag_embed(jet.gradient * bend))


def _beyond(architecture: Architecture, x: Tensor, inner: Tensor) -> Tensor:
    """d in scaled coordinates (B, n): 0 within the box."""
    columns = []
    for i, feature in enumerate(architecture.features):
        y, p = x[..., i], inner[..., i]
        if feature.kind == "logarithm":
            columns.append(torch.log((y - feature.origin) / (p - feature.origin)) / feature.width)
        else:
            columns.append((y - p) / feature.width)
    return torch.stack(columns, -1)


def _moved(architecture: Architecture, x: Tensor, step: Tensor) -> Tensor:
    """x moved by a step in scaled coordinates."""
    columns = []
    for i, feature in enumerate(architecture.features):
        y, s = x[..., i], step[..., i]
        if feature.kind == "logarithm":
            columns.append(feature.origin + (y - feature.origin) * torch.exp(feature.width * s))
        else:
            columns.append(y + feature.width * s)
    return torch.stack(columns, -1)


def _derivatives(architecture: Architecture, x: Tensor) -> tuple[Tensor, Tensor]:
    """First and second derivative of each scaled coordinate in its state, (B, n) each; 1 and 0 for an angle."""
    first, second = [], []
    for i, feature in enumerate(architecture.features):
        match feature.kind:
            case "logarithm":
                y = x[..., i] - feature.origin
                first.append(1.0 / (feature.width * y))
                second.append(-1.0 / (feature.width * y * y))
            case "line":
                first.append(torch.full_like(x[..., i], 1.0 / feature.width))
                second.append(torch.zeros_like(x[..., i]))
            case _:
                first.append(torch.ones_like(x[..., i]))
                second.append(torch.zeros_like(x[..., i]))
    return torch.stack(first, -1), torch.stack(second, -1)


__all__ = ["extended_jet", "extended_value", "nearest"]
