"""Slopes and traces written out, against automatic differentiation."""

from __future__ import annotations

import torch

from hjbdsl.methods.neural.lifted_value import LiftedValue
from hjbdsl.methods.neural.perceptron import Perceptron
from tests.methods.neural.path_problems import model_of

BENT = """
state   x in R^3
control u in R^3
noise   W in R^3
param S : R^(3,3) = [[0.3, 0.1, 0], [0, 0.4, 0], [0, 0, 0.5]]
dx = (u - x) dt + S dW
minimize E [ integral(0, 2) (|u|^2 + (1 + t)*sin(x[1])*x[2]^2) dt + log(1 + |x(2)|^2) + x(2)[1]*x(2)[3] ]
"""


def awake(module: torch.nn.Module) -> None:
    """Parameters that are not zero."""
    generator = torch.Generator().manual_seed(3)
    for parameter in module.parameters():
        parameter.data = 0.5 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)


def test_the_slope_and_the_second_derivatives_of_the_perceptron() -> None:
    network = Perceptron(5, 8).double()
    awake(network)
    z = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    value, slope = network(z)
    (automatic,) = torch.autograd.grad(value.sum(), z)
    assert torch.allclose(slope, automatic)
    directions = torch.randn(6, 3, 5, dtype=torch.float64)
    hessians = torch.stack([torch.autograd.functional.hessian(lambda y: network(y[None])[0][0], row) for row in z.detach()])
    expected = torch.einsum("bpi,bij,bpj->b", directions, hessians, directions)
    assert torch.allclose(network.trace_along(z, directions @ network.first.weight.T), expected)


def test_every_derivative_of_the_lifted_value() -> None:
    model = model_of(BENT)
    value = LiftedValue(model, 8)
    awake(value)
    value.fit_scales(torch.zeros(50), 1.5 * torch.randn(50, 3), torch.randn(50))
    t, x = 2.0 * torch.rand(5), torch.randn(5, 3)
    full = value.complete(t, x)
    S = model.loading_matrix
    assert S is not None
    for i in range(5):

        def at(y: torch.Tensor) -> torch.Tensor:
            clock, state = y[:1], y[None, 1:]
            own = torch.stack(value._own(clock, state), -1)
            features = torch.cat([(2 * clock / 2.0 - 1)[:, None], (state - value.centre) / value.spread,
                                  (own - value.function_centre) / value.function_spread], 1)  # fmt: skip
            rest = (2.0 - clock) / 2.0
            k = torch.exp(value.decay)
            return (own[:, 0] / (1 + k * rest) + value.scale * rest * value.network(features)[0])[0]

        point = torch.cat([t[i : i + 1], x[i]])
        gradient = torch.autograd.functional.jacobian(at, point)
        hessian = torch.autograd.functional.hessian(at, point)[1:, 1:]
        assert torch.allclose(full.W[i], at(point), rtol=1e-4, atol=1e-4)
        assert torch.allclose(full.slope[i], gradient[1:], rtol=1e-3, atol=1e-3)
        assert torch.allclose(full.W_t[i], gradient[0], rtol=1e-3, atol=1e-3)
        assert torch.allclose(full.diffusion[i], 0.5 * torch.trace(S.T @ hessian @ S), rtol=1e-3, atol=1e-3)


def test_new_scales_leave_the_function_as_it_was() -> None:
    value = LiftedValue(model_of(BENT), 8)
    awake(value)
    value.fit_scales(torch.zeros(50), torch.randn(50, 3), torch.randn(50))
    t, x = torch.rand(9), torch.randn(9, 3)
    before = value(t, x)[0]
    value.refit_scales(torch.ones(50), 3.0 + 0.2 * torch.randn(50, 3), 5.0 * torch.randn(50))
    assert torch.allclose(before, value(t, x)[0], rtol=1e-3, atol=1e-3)


def test_the_terminal_condition_holds_whatever_the_network_says() -> None:
    model = model_of(BENT)
    value = LiftedValue(model, 8)
    awake(value)
    end, x = torch.full((7,), 2.0), torch.randn(7, 3)
    assert torch.allclose(value(end, x)[0], model.terminal(end, x), atol=1e-5)
