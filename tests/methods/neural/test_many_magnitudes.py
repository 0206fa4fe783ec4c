"""Values of many magnitudes: paths under the changed measure, log|V| continued straight, a domain as wide as the paths."""

import math
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hjbdsl.methods.neural import policy_learning  # noqa: E402
from hjbdsl.methods.neural.conditions import STRAIGHT, tangent_groups  # noqa: E402
from hjbdsl.methods.neural.feynman_kac import Rollout, Segment  # noqa: E402
from hjbdsl.methods.neural.learner import LearningRequest  # noqa: E402
from hjbdsl.methods.neural.model import ValueModel  # noqa: E402
from hjbdsl.methods.neural.networks import Architecture, initial_parameters  # noqa: E402
from hjbdsl.methods.neural.program import NeuralProgram  # noqa: E402
from hjbdsl.methods.neural.sampling import domain_of, widened  # noqa: E402
from hjbdsl.model.solution import Accepted  # noqa: E402
from hjbdsl.pipeline import derive, load, loads  # noqa: E402

PROBLEMS = Path(__file__).parents[3] / "problems"
TWO = """
state x > 0, y in R
control c in [0.1, 0.3]
noise W, B
dW dB = 0.5 dt
dx = (0.05 - c)*x dt + 0.3*x dW
dy = -0.2*y dt + 0.4 dB
maximize E integral(0, inf) exp(-0.2*t)*sqrt(c*x)*(2 + sin(y)) dt
region x in [0.5, 2], y in [-1, 1]
"""


def two(seed: int) -> tuple[ValueModel, dict]:
    program = NeuralProgram(derive(loads(TWO)))
    architecture = Architecture(domain_of(program).features, None, (6, 6), 1, "exponential", 0.4, 0.7)
    return ValueModel(program, architecture), initial_parameters(architecture, torch.Generator().manual_seed(seed))


@pytest.mark.slow
def test_the_continuation_is_asked_to_be_straight_in_the_logarithm() -> None:
    model, parameters = two(3)
    domain = domain_of(model.program)
    groups = tangent_groups(model, domain, parameters, torch.Generator().manual_seed(0))
    assert len(groups) == 4
    for number, group in enumerate(groups):
        i, x = number // 2, group.functionals.x
        assert torch.all(group.weights == STRAIGHT)

        def logarithm(step: float, weights: dict, i: int = i, x: torch.Tensor = x) -> torch.Tensor:
            scaled = domain.scaled(x)
            scaled[:, i] += step
            return model.value(weights, torch.zeros(len(x), dtype=torch.float64), domain.points(scaled))[:, 0].abs().log()

        def bend(weights: dict, i: int = i, inwards: float = -1.0 if number % 2 else 1.0) -> torch.Tensor:
            h = 1e-4  # beyond the end the value is continued already: one-sided differences of second order
            values = [logarithm(k * inwards * h, weights, i) for k in range(4)]
            return (2.0 * values[0] - 5.0 * values[1] + 4.0 * values[2] - values[3]) / h**2

        assert torch.allclose(model.apply(parameters, group.functionals), bend(parameters), atol=1e-3)
        slopes = model.slopes(parameters, group.functionals)
        moved = [{**parameters, "b1": parameters["b1"] + sign * 1e-3} for sign in (1, -1)]
        place = sum(parameters[name].numel() for name in ("W0", "b0", "W1"))
        change = slopes[:, place : place + parameters["b1"].numel()].sum(1)
        assert torch.allclose(change, (bend(moved[0]) - bend(moved[1])) / 2e-3, atol=2e-3)


@pytest.mark.slow
def test_the_changed_measure_gives_the_same_returns() -> None:
    model, parameters = two(5)
    domain, z = domain_of(model.program), torch.zeros(3, dtype=torch.long)
    t, x = torch.zeros(3, dtype=torch.float64), torch.tensor([[0.7, 0.0], [1.0, 0.5], [1.6, -0.4]], dtype=torch.float64)

    def policy(_parameters: dict, t: torch.Tensor, _x: torch.Tensor, _z: torch.Tensor, _at: object) -> torch.Tensor:
        return torch.full((len(t), 1), 0.2, dtype=torch.float64)

    found = {}
    for tilted in (True, False):
        rollout = Rollout(model, domain, policy, torch.Generator().manual_seed(1))
        assert rollout.tilted
        rollout.tilted = tilted
        found[tilted] = rollout.returns(parameters, t, x, z, Segment(4.0, 80), 2000)
    apart = (found[True].value - found[False].value).abs()
    assert torch.all(apart < 3.0 * (found[True].error + found[False].error))
    assert torch.all((found[True].value - 1.0).abs() > 100.0 * found[True].error)
    assert torch.allclose(found[True].left, found[False].left, rtol=0.05)


def test_a_wider_domain_keeps_its_region_and_its_angles() -> None:
    domain = domain_of(NeuralProgram(derive(loads(TWO))))
    wide = widened(domain, torch.tensor([-1.0, -3.0]).double(), torch.tensor([2.0, 1.0]).double())
    expected = domain.points(torch.tensor([[-1.0, -3.0], [2.0, 1.0]], dtype=torch.float64))
    assert torch.allclose(torch.stack([wide.low, wide.high]), expected)
    assert torch.equal(wide.inner_low, domain.inner_low)


@pytest.mark.slow
def test_exponential_utility_whose_wealth_wanders_far_against_the_closed_form() -> None:
    """Merton's formulas; the uncontrolled equation has faster growing solutions, and wealth leaves the region within a year."""
    answer = policy_learning.propose(derive(load(str(PROBLEMS / "cara_consumption.hjb"))), LearningRequest())
    assert isinstance(answer, Accepted)
    assert answer.solution.status == "bracketed"
    x = np.linspace(-1.0, 3.0, 21)
    found = answer.solution.function.evaluate(0 * x, x[:, None], np.zeros(21, dtype=np.int64))
    r, rho, theta, eta = 0.03, 0.05, 0.2, 2.0
    m = (r - rho - theta**2 / 2) / r
    value = -np.exp(m - eta * r * x) / (eta * r)
    assert np.all(np.abs(found.value - value) <= found.error)
    assert np.max(np.abs(found.value / value - 1.0)) < 3e-3
    assert np.allclose(found.control[:, 0], 0.04 / (eta * r * 0.04), rtol=5e-3)
    assert np.allclose(found.control[:, 1], r * x - m / eta, rtol=5e-3)
    assert math.isclose(found.confidence, 0.99)
