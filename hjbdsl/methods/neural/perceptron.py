"""A two-layer perceptron whose slope and second-order trace are written out: no graph of a graph is needed to train on them.

In: features (batch, n). Out: value, slope, and second derivatives along directions. With `a = W1 z + b1`, `h = phi(a)`,
`c = W2 h + b2`, N = w3.phi(c) + w0.z + const and phi = silu, the chain rule gives

    slope   W1' (phi'(a) * W2' (phi'(c) * w3)) + w0
    D²N     W1' (diag(phi''(a) * W2'(phi'(c) * w3)) + J' diag(phi''(c) * w3) J) W1,      J = W2 diag(phi'(a)).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Perceptron(nn.Module):
    """z (batch, inputs) -> N (batch,); starts at zero, so that what it is added to is the first guess."""

    def __init__(self, inputs: int, width: int):
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.second = nn.Linear(width, width)
        self.last = nn.Parameter(torch.zeros(width))
        self.straight = nn.Parameter(torch.zeros(inputs))
        self.constant = nn.Parameter(torch.zeros(()))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Value (batch,) and slope (batch, inputs)."""
        hidden, first = _silu(self.first(z))
        outer, second = _silu(self.second(hidden))
        value = outer @ self.last + z @ self.straight + self.constant
        back = ((second * self.last) @ self.second.weight) * first
        return value, back @ self.first.weight + self.straight

    def trace_along(self, z: Tensor, tangents: Tensor) -> Tensor:
        """sum_p d_p' D²N d_p (batch,) for directions given by `tangents` = W1 d_p (batch, P, width)."""
        a = self.first(z)
        hidden, first = _silu(a)
        c = self.second(hidden)
        _, second = _silu(c)
        inner = (second * self.last) @ self.second.weight * _curvature(a)
        moved = (first[:, None, :] * tangents) @ self.second.weight.T
        return ((tangents**2).sum(1) * inner).sum(-1) + ((moved**2).sum(1) * (_curvature(c) * self.last)).sum(-1)


def _silu(a: Tensor) -> tuple[Tensor, Tensor]:
    """a * sigmoid(a) and its derivative."""
    gate = torch.sigmoid(a)
    value = a * gate
    return value, gate + value * (1.0 - gate)


def _curvature(a: Tensor) -> Tensor:
    """Second derivative of silu: s(1 - s)(2 + a(1 - 2s))."""
    gate = torch.sigmoid(a)
    return gate * (1.0 - gate) * (2.0 + a * (1.0 - 2.0 * gate))
