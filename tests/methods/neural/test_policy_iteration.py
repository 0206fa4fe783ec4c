"""Policy iteration against closed forms, its parts against finite differences, its practice (seeds, checkpoints)."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hjbdsl.errors import UsageError  # noqa: E402
from hjbdsl.methods import grid  # noqa: E402
from hjbdsl.methods.neural import policy_iteration, policy_learning  # noqa: E402
from hjbdsl.methods.neural.checkpoint import read_checkpoint, write_checkpoint  # noqa: E402
from hjbdsl.methods.neural.improvement import Improvement  # noqa: E402
from hjbdsl.methods.neural.learner import LearningRequest  # noqa: E402
from hjbdsl.methods.neural.model import ValueModel  # noqa: E402
from hjbdsl.methods.neural.networks import Architecture, initial_parameters  # noqa: E402
from hjbdsl.methods.neural.program import NeuralProgram  # noqa: E402
from hjbdsl.methods.neural.sampling import domain_of  # noqa: E402
from hjbdsl.model.solution import Accepted, Rejected  # noqa: E402
from hjbdsl.pipeline import derive, load, loads  # noqa: E402

PROBLEMS = Path(__file__).parents[3] / "problems"
REGULATOR = """
param alpha = -0.5, beta = 1, q = 1, r_a = 0.1, sigma = 0.3, rho = 0.1
state x in R
control a in R
noise W
dx = (alpha*x + beta*a) dt + sigma dW
maximize E integral(0, inf) exp(-rho*t)*(-(q*x^2 + r_a*a^2)/2) dt
region x in [-2, 2]
"""

JUMPS_AND_MODES = """
mode z in {calm, busy}
rate calm -> busy = 0.5, busy -> calm = 1
param m(z) = {calm: 0.2, busy: -0.4}
state x in R, y > 0
control a in [-1, 2]
noise W, B
dW dB = 0.4 dt
jump N rate 0.3*(1 + x^2) mark J ~ normal(0.1, 0.04)
dx = (a + m(z)*x) dt + 0.3 dW + J dN
dy = 0.1*y dt + 0.2*y dB
minimize E [ integral(0, 1) exp(-0.1*t)*(x^2 + a^2/2 + y) dt + exp(-0.1)*x(1)^2*y(1) ]
region x in [-1, 1], y in [0.5, 2]
"""


EXIT = """
param sigma = 0.5, right = 0.6
state x in R
control a in R
noise W
dx = a dt + sigma dW
exit tau when x <= 0 or x >= 1
minimize E [ integral(0, tau) a^2/2 dt + if(x(tau) < 0.5, 0, right) ]
region x in [0, 1]
"""

ANGLE = """
state th in circle
control u in [-2, 2]
noise W
dth = (sin(th) + u) dt + 0.4 dW
minimize E integral(0, inf) exp(-t)*(1 - cos(th) + 0.2*u^2) dt
"""

IMPLICIT = """
state x in R, y in R
control u in [-2, 2], v in [-2, 2]
noise W, B
dx = (u - 0.4*x + 0.3*y) dt + 0.4 dW
dy = (v - 0.6*y) dt + 0.3 dB
minimize E integral(0, inf) exp(-0.7*t)*(x^2 + y^2 + u^2 + v^2 + 0.3*(u^4 + v^4) + 0.5*u*v) dt
region x in [-1, 1], y in [-1, 1]
"""


@pytest.fixture(scope="module")
def model() -> tuple[ValueModel, dict]:
    program = NeuralProgram(derive(loads(JUMPS_AND_MODES)))
    features = domain_of(program).features
    architecture = Architecture(features, 1.0, (7, 7), 2, "added", 0.0, 0.5)
    return ValueModel(program, architecture), initial_parameters(architecture, torch.Generator().manual_seed(3))


def places(count: int, seed: int = 0) -> tuple:
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand(count, 3, generator=generator, dtype=torch.float64)
    x = torch.stack([2.0 * uniform[:, 0] - 1.0, 0.5 + uniform[:, 1]], -1)
    return 0.9 * uniform[:, 2], x, torch.arange(count) % 2


def test_derivatives_are_those_of_the_values(model: tuple) -> None:
    value, parameters = model
    t, x, _ = places(6)
    jet = value.jet(parameters, t, x)
    h = 1e-5
    for i, move in enumerate(torch.eye(2, dtype=torch.float64)):
        difference = (value.value(parameters, t, x + h * move) - value.value(parameters, t, x - h * move)) / (2 * h)
        assert torch.allclose(jet.gradient[..., i], difference, atol=1e-8)
        slopes = (value.jet(parameters, t, x + h * move).gradient - value.jet(parameters, t, x - h * move).gradient) / (2 * h)
        assert torch.allclose(jet.hessian[..., i, :], slopes, atol=1e-7)
    later = (value.value(parameters, t + h, x) - value.value(parameters, t - h, x)) / (2 * h)
    assert torch.allclose(jet.gradient[..., 2], later, atol=1e-8)


def test_the_terminal_condition_is_built_in(model: tuple) -> None:
    value, parameters = model
    _, x, _ = places(5)
    end = torch.ones(5, dtype=torch.float64)
    assert torch.allclose(value.value(parameters, end, x)[:, 1], x[:, 0] ** 2 * x[:, 1])


def test_functionals_are_the_equation_and_their_slopes_its_derivative(model: tuple) -> None:
    value, parameters = model
    t, x, z = places(6, 1)
    at = value.point(parameters, t, x, z)
    a = torch.full((6, 1), 0.3, dtype=torch.float64)
    functionals = value.evaluation(t, x, z, a, at)
    assert torch.allclose(value.apply(parameters, functionals), value.program.defect(t, x, z, a, at), atol=1e-12)
    slopes, place = value.slopes(parameters, functionals), 0
    for name, weight in parameters.items():
        moved = [
            {**parameters, name: weight + sign * 1e-6 * (torch.arange(weight.numel()) == 1).reshape(weight.shape)}
            for sign in (1, -1)
        ]
        difference = (value.apply(moved[0], functionals) - value.apply(moved[1], functionals)) / 2e-6
        assert torch.allclose(slopes[:, place + 1], difference, atol=1e-7)
        place += weight.numel()


def test_correlated_noise_has_the_covariance_of_the_equation(model: tuple) -> None:
    value, _ = model
    t, x, z = places(4)
    loading = value.program.module.diffusion(t, x, z, torch.zeros(4, 1, dtype=torch.float64))
    covariance = loading @ loading.transpose(-1, -2)
    expected = torch.stack([torch.tensor([[0.09, 0.024 * float(y)], [0.024 * float(y), 0.04 * float(y) ** 2]]) for y in x[:, 1]])
    assert torch.allclose(covariance, expected.double(), atol=1e-12)


def exact(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    p = 0.1 * (-1.1 + math.sqrt(1.1**2 + 40.0)) / 2.0
    return -p * x**2 / 2 - 0.09 * p / 0.2, -p * x / 0.1


@pytest.mark.slow
def test_scalar_regulator_is_bracketed_and_within_its_band(tmp_path: Path) -> None:
    answer = policy_learning.propose(derive(loads(REGULATOR)), LearningRequest(seed=1))
    assert isinstance(answer, Accepted)
    x = np.linspace(-2, 2, 81)
    found = answer.solution.function.evaluate(0 * x, x[:, None], np.zeros(81, dtype=np.int64))
    value, control = exact(x)
    assert answer.solution.status == "bracketed"
    assert np.linalg.norm(found.value - value) < 3e-3 * np.linalg.norm(value)
    assert np.linalg.norm(found.control[:, 0] - control) < 5e-3 * np.linalg.norm(control)
    assert np.all(np.abs(found.value - value) <= found.error)


@pytest.mark.slow
def test_resumed_training_ends_where_an_unbroken_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_iteration, "ROUNDS", 4)
    equation, path = derive(loads(REGULATOR)), str(tmp_path / "training.pt")
    whole = policy_learning.propose(equation, LearningRequest(seed=2))
    monkeypatch.setattr(policy_iteration, "ROUNDS", 2)
    policy_learning.propose(equation, LearningRequest(seed=2, checkpoint=path))
    monkeypatch.setattr(policy_iteration, "ROUNDS", 4)
    resumed = policy_learning.propose(equation, LearningRequest(seed=2, checkpoint=path, resume=True))
    assert isinstance(whole, Accepted)
    assert isinstance(resumed, Accepted)
    for name, values in whole.solution.function.parameters.items():
        assert np.array_equal(values, resumed.solution.function.parameters[name])


def test_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "kept.pt")
    write_checkpoint(path, "one", {"w": torch.ones(2), "kept": {"low": np.float64(0.1), "widths": (np.int64(7), 7)}})
    found = read_checkpoint(path, "one")
    assert torch.equal(found["w"], torch.ones(2))
    assert found["kept"] == {"low": 0.1, "widths": (7, 7)}
    with pytest.raises(UsageError):
        read_checkpoint(path, "another")
    Path(path).write_bytes(b"no checkpoint")
    with pytest.raises(UsageError):
        read_checkpoint(path, "one")
    assert read_checkpoint(str(tmp_path / "absent.pt"), "one") is None


def test_what_is_not_taken_is_refused_with_a_reason() -> None:
    stopping = loads(
        "state x > 0\nnoise W\nstopping tau in [0, inf)\ndx = 0.02*x dt + 0.2*x dW\n"
        "maximize E exp(-0.05*tau)*max(1 - x(tau), 0)\n"
    )
    answer = policy_learning.propose(derive(stopping), LearningRequest())
    assert isinstance(answer, Rejected)
    assert "free boundary" in answer.reason


TOGETHER = """
import sys
from hjbdsl.methods.neural.learner import LearningRequest
from hjbdsl.methods.neural import policy_iteration, policy_learning
from hjbdsl.pipeline import derive, loads
import numpy as np, os
policy_iteration.ROUNDS = 5
answer = policy_learning.propose(derive(loads(open(sys.argv[1]).read())), LearningRequest(seed=3))
if os.environ.get("RANK", "0") == "0":
    values = answer.solution.function.evaluate(np.zeros(5), np.linspace(-2, 2, 5)[:, None], np.zeros(5, dtype=np.int64))
    np.save(sys.argv[2], values.value)
"""


@pytest.mark.slow
def test_two_processes_agree_with_one_and_with_the_closed_form(tmp_path: Path) -> None:
    problem, script = tmp_path / "regulator.hjb", tmp_path / "together.py"
    problem.write_text(REGULATOR)
    script.write_text(TOGETHER)
    alone, both = str(tmp_path / "alone.npy"), str(tmp_path / "both.npy")
    subprocess.run([sys.executable, str(script), str(problem), alone], check=True, timeout=250)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    subprocess.run([*torchrun, str(script), str(problem), both], check=True, timeout=250)
    value, _ = exact(np.linspace(-2, 2, 5))
    assert np.allclose(np.load(alone), value, rtol=0.02)
    assert np.allclose(np.load(both), value, rtol=0.02)


@pytest.mark.slow
def test_exit_costs_against_the_logarithmic_closed_form() -> None:
    equation = derive(loads(EXIT))
    answer = policy_learning.propose(equation, LearningRequest())
    assert isinstance(answer, Accepted)
    x = np.linspace(0.02, 0.98, 41)
    found = answer.solution.function.evaluate(0 * x, x[:, None], np.zeros(41, dtype=np.int64))
    # exp(-V/sigma^2) is linear between the ends, by the transformation of Hopf and Cole
    ends = np.exp(-np.array([0.0, 0.6]) / 0.25)
    value = -0.25 * np.log(ends[0] + (ends[1] - ends[0]) * x)
    assert np.all(np.abs(found.value - value) <= found.error)
    assert np.max(np.abs(found.value - value)) < 5e-3


@pytest.mark.slow
def test_log_utility_in_two_modes_against_the_closed_form() -> None:
    answer = policy_learning.propose(derive(load(str(PROBLEMS / "log_regimes.hjb"))), LearningRequest())
    assert isinstance(answer, Accepted)
    assert answer.solution.status == "bracketed"
    x, mode = np.tile(np.linspace(0.5, 3.0, 21), 2), np.repeat([0, 1], 21)
    found = answer.solution.function.evaluate(0 * x, x[:, None], mode)
    rho, up, down, r = 0.06, 0.4, 0.9, 0.02
    gains = np.array([np.log(rho) - 1 + (r + (m - r) ** 2 / (2 * s**2)) / rho for m, s in ((0.10, 0.16), (0.01, 0.28))])
    shift = np.linalg.solve(np.array([[rho + up, -up], [-down, rho + down]]), gains)
    value = np.log(x) / rho + shift[mode]
    assert np.all(np.abs(found.value - value) <= found.error)
    assert np.linalg.norm(found.value - value) < 3e-3 * np.linalg.norm(value)


@pytest.mark.slow
@pytest.mark.parametrize("text", [ANGLE, IMPLICIT], ids=["on a circle", "controls without a formula"])
def test_what_has_no_closed_form_against_the_grid(text: str) -> None:
    equation = derive(loads(text))
    on_grid, learned = grid.solve(equation), policy_learning.propose(equation, LearningRequest(seed=0))
    assert isinstance(on_grid, Accepted)
    assert isinstance(learned, Accepted)
    assert learned.solution.status == "bracketed"
    states = len(equation.problem.state_symbols)
    x = np.random.default_rng(2).uniform(-1.0, 1.0, (200, states))
    at = (np.zeros(200), x, np.zeros(200, np.int64))
    one, other = (found.solution.function.evaluate(*at) for found in (on_grid, learned))
    assert np.mean(np.abs(one.value - other.value) <= one.error + other.error) >= 0.95
    assert np.max(other.error) < 0.01 * np.ptp(one.value)
    assert np.max(np.abs(one.control - other.control)) < 0.01


def test_a_value_without_a_maximiser_solves_nothing() -> None:
    """A constant V leaves nothing of the equation, but where V'' = 0 no control is best."""
    text = (
        "state x > 0\ncontrol w in R\nnoise W\ndx = (0.02 + 0.05*w)*x dt + 0.2*w*x dW\n"
        "maximize E [integral(0, 1) 0*x dt - 1/x(1)]\nregion x in [0.5, 2]\n"
    )
    program = NeuralProgram(derive(loads(text)))
    architecture = Architecture(domain_of(program).features, 1.0, (3,), 1, "shifted", 0.0, 0.0)
    value = ValueModel(program, architecture)
    parameters = initial_parameters(architecture, torch.Generator().manual_seed(0))
    policy = Improvement(program, value, torch.zeros(1, 2, dtype=torch.float64))
    t, x = torch.zeros(4, dtype=torch.float64), torch.linspace(0.5, 2.0, 4, dtype=torch.float64)[:, None]
    z = torch.zeros(4, dtype=torch.long)
    assert not bool(policy.exists(t, x, z, value.point(parameters, t, x, z)).any())


def test_a_jump_beyond_the_exit_is_paid_by_the_exit() -> None:
    text = (
        "state x in R\nnoise W\njump N rate 2\ndx = 0.1 dW + 3 dN\nexit tau when x <= -1 or x >= 1\n"
        "evaluate E [ integral(0, tau) 1 dt + 5*x(tau) ]\nregion x in [-1, 1]\n"
    )
    program = NeuralProgram(derive(loads(text)))
    architecture = Architecture(domain_of(program).features, None, (3,), 1)
    value = ValueModel(program, architecture)
    parameters = initial_parameters(architecture, torch.Generator().manual_seed(0))
    t, x, z = torch.zeros(3, dtype=torch.float64), torch.tensor([[-0.5], [0.0], [0.5]]).double(), torch.zeros(3, dtype=torch.long)
    at = value.point(parameters, t, x, z)
    a = torch.zeros(3, 0, dtype=torch.float64)
    assert torch.allclose(at.jumps[:, 0], 5.0 * (x[:, 0] + 3.0) - at.V)
    functionals = value.evaluation(t, x, z, a, at)
    assert torch.allclose(value.apply(parameters, functionals), program.defect(t, x, z, a, at), atol=1e-12)
