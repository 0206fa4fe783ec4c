"""A network beyond its box: derivatives against differences, no corner at the edge, powers and logarithms go on as they are."""

import math

import pytest

torch = pytest.importorskip("torch")

from hjbdsl.methods.neural.extension import extended_jet, extended_value, nearest  # noqa: E402
from hjbdsl.methods.neural.improvement import _peak  # noqa: E402
from hjbdsl.methods.neural.networks import Architecture, Feature, initial_parameters  # noqa: E402

FEATURES = (Feature("line", 0.3, 1.2), Feature("logarithm", 0.1, 0.7, 0.2), Feature("angle", 0.0, 1.0))


@pytest.mark.slow
def test_derivatives_beyond_the_box_are_those_of_the_values() -> None:
    architecture = Architecture(FEATURES, 1.0, (7, 7), 2, scale=0.7)
    generator = torch.Generator().manual_seed(1)
    parameters = initial_parameters(architecture, generator)
    uniform = torch.rand(40, 4, generator=generator, dtype=torch.float64)
    t, x = uniform[:, 3], uniform[:, :3] * torch.tensor([8.0, 6.0, 3.0]) + torch.tensor([-4.0, 0.21, -1.5])
    x = x.double()
    assert int((nearest(architecture, x) != x).any(-1).sum()) > 20
    jet = extended_jet(architecture, parameters, t, x)
    h = 1e-5
    for i, move in enumerate(torch.eye(3, dtype=torch.float64)):
        ahead, behind = (extended_value(architecture, parameters, t, x + sign * h * move) for sign in (1, -1))
        assert torch.allclose(jet.gradient[..., i], (ahead - behind) / (2 * h), atol=1e-7)
        ahead, behind = (extended_jet(architecture, parameters, t, x + sign * h * move).gradient for sign in (1, -1))
        assert torch.allclose(jet.hessian[..., i, :3], ((ahead - behind) / (2 * h))[..., :3], atol=1e-3)
    later, earlier = (extended_value(architecture, parameters, t + sign * h, x) for sign in (1, -1))
    assert torch.allclose(jet.gradient[..., 3], (later - earlier) / (2 * h), atol=1e-7)


def test_a_power_goes_on_as_a_power() -> None:
    architecture = Architecture((Feature("logarithm", 0.0, 1.0),), None, (8,), 1)
    parameters = initial_parameters(architecture, torch.Generator().manual_seed(0))
    edge, far = math.e, 40.0
    x = torch.tensor([[edge], [far]], dtype=torch.float64)
    jet = extended_jet(architecture, parameters, 0.0 * x[:, 0], x)
    slope = float(jet.gradient[0, 0, 0]) * edge
    assert float(jet.value[1, 0] - jet.value[0, 0]) == pytest.approx(slope * math.log(far / edge), rel=1e-12)
    assert float(jet.gradient[1, 0, 0]) == pytest.approx(slope / far, rel=1e-12)
    assert float(jet.hessian[1, 0, 0, 0]) == pytest.approx(-slope / far**2, rel=1e-12)


def test_parabolas_find_the_peak_also_at_an_end() -> None:
    at = torch.linspace(-3.0, 3.0, 50, dtype=torch.float64)
    trials = torch.linspace(-2.0, 2.0, 17, dtype=torch.float64).expand(50, -1)

    def worth(a: torch.Tensor) -> torch.Tensor:
        return torch.cos(a - at) - 0.01 * (a - at) ** 4

    values = torch.stack([worth(trials[:, k]) for k in range(trials.shape[1])], 1)
    best, _ = _peak(worth, trials, values)
    assert torch.allclose(best, at.clamp(-2.0, 2.0), atol=1e-3)
