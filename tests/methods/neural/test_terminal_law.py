"""The end of an optimally controlled path: its density against closed forms, its draws against the density."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import integrate
from scipy.linalg import expm
from scipy.stats import multivariate_normal

from hjbdsl.errors import NoMethodError, UsageError
from hjbdsl.frontend.load import loads_problem
from hjbdsl.methods import closed_form
from hjbdsl.methods.neural.terminal_law import TerminalLaw, terminal_law
from hjbdsl.model.samples import SampleRequest
from hjbdsl.model.solution import Accepted, Rejected
from hjbdsl.pipeline import derive
from hjbdsl.uses import sample

PULLED = """param k = 0.7, T = 1.5
state x in R
control u in R
noise W
dx = (sin(t) - k*(1 + t)*x + 2*(1 + t)*u) dt + 0.8*(1 + t) dW
{objective}
"""
COUPLED = """state X in R^2
control u in R^2
noise W, B
dW dB = 0.5 dt
param L : R^(2,2) = [[1, 0], [0.5, sqrt(0.75)]]
let g(X) = (X[1]^2 - 1)^2 + |X|^2/4
dX = ([X[2], -X[1] - X[2]] + L*u) dt + [1, 0] dW + [0, 1] dB
minimize E [ integral(0, 1) 3*|u|^2/2 dt + g(X(1)) ]
"""
WELLS = """param s = 2
state x in R^2
control u in R^2
noise W in R^2
let rho(x) = 2*exp(-|x - [1.5, 0]|^2/0.4)/(0.4*pi) + exp(-|x - [-1.5, 1]|^2/0.2)/(0.2*pi)
let g(x) = -|x|^2/(2*s^2) - log(2*pi*s^2) - log(rho(x))
dx = s*u dt + s dW
minimize E [ integral(0, 1) |u|^2/2 dt + g(x(1)) ]
region x in [-3, 3]
"""


def law_of(text: str, *start: float) -> TerminalLaw:
    law = terminal_law(derive(loads_problem(text)), np.array(start))
    assert isinstance(law, TerminalLaw), law
    return law


def value(text: str, *start: float) -> float:
    reply = closed_form.solve(derive(loads_problem(text)))
    assert isinstance(reply, Accepted), reply
    return float(reply.solution.function.evaluate(np.zeros(1), np.array([start]), np.zeros(1, dtype=np.int64)).value[0])


@pytest.mark.parametrize(
    ("objective", "start"),
    [
        ("minimize E [ integral(0, T) 1.6*u^2/2 dt + (x(T)^2 - 1)^2 ]", 0.4),
        ("maximize E [ integral(0, T) -u^2 dt - abs(x(T) - 1) ]", -0.3),
        ("minimize E [ integral(0, T) 5*u^2 dt + log(1 + x(T)^2) ]", 1.0),
    ],
)
def test_the_integral_of_the_density_is_the_value(objective: str, start: float) -> None:
    text = PULLED.format(objective=objective)
    law = law_of(text, start)
    z = np.linspace(-9.0, 9.0, 20_001)
    density = np.exp(law.log_density(torch.as_tensor(z[:, None])).numpy())
    assert np.log(integrate.simpson(density, x=z)) / law.exponent == pytest.approx(value(text, start), rel=1e-6)


def test_correlated_noises_and_coupled_states() -> None:
    law = law_of(COUPLED, 0.5, -0.2)
    drift, noise = np.array([[0.0, 1.0], [-1.0, -1.0]]), np.array([[1.0, 0.5], [0.5, 1.0]])
    mean = expm(drift) @ [0.5, -0.2]
    covariance, _ = integrate.quad_vec(lambda s: expm(drift * s) @ noise @ expm(drift * s).T, 0.0, 1.0)
    assert law.exponent == pytest.approx(-1 / 3)
    z = np.random.default_rng(0).standard_normal((20, 2))
    x = law.places(z)
    cost = (x[:, 0] ** 2 - 1) ** 2 + (x**2).sum(axis=1) / 4
    expected = multivariate_normal(mean, covariance).logpdf(x) - cost / 3 + np.linalg.slogdet(law.factor)[1]
    assert law.log_density(torch.as_tensor(z)).numpy() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("dx = s*u dt", "dx = s*[x[1]*u[1], u[2]] dt", "depends on"),
        ("dx = s*u dt", "dx = (s*u - |x|^2*x) dt", "not linear"),
        ("s*u dt + s dW", "s*u dt + s*(1 + t) dW", "changes with time"),
        ("control u in R^2", "control u in [-1, 1]^2", "bounded"),
        ("|u|^2/2 dt", "|u|^2/2 + |x|^2 dt", "not a square of the control"),
        ("|u|^2/2 dt", "|u|^4/2 dt", "not a square of the control"),
        ("|u|^2/2 dt", "u[1]^2 + u[2]^2/2 dt", "do not enter the same way"),
    ],
)
def test_other_problems_are_refused_with_the_reason(old: str, new: str, words: str) -> None:
    reply = terminal_law(derive(loads_problem(WELLS.replace(old, new))), np.zeros(2))
    assert isinstance(reply, Rejected)
    assert words in reply.reason


def test_what_is_asked_of_it() -> None:
    problem = loads_problem(WELLS)
    for request in (SampleRequest(10, "em"), SampleRequest(10, tilt="x[1]"), SampleRequest(10, likelihood=True)):
        with pytest.raises(UsageError):
            sample(problem, request)
    with pytest.raises(UsageError, match="t = 0"):
        sample(problem, SampleRequest(10, start={"t": 0.5, "x": [0.0, 0.0]}))
    with pytest.raises(NoMethodError, match="bounded"):
        sample(loads_problem(WELLS.replace("control u in R^2", "control u in [-1, 1]^2")), SampleRequest(10))
    reversed_problem = loads_problem("state y in R\nnoise W\ndy = -y dt + dW\ndata y(0) ~ normal(0, 1)\nreverse y on [0, 1]")
    with pytest.raises(UsageError, match="--from"):
        sample(reversed_problem, SampleRequest(10, start={"y": 0.0}))


@pytest.mark.slow
def test_a_gaussian_off_the_start_by_the_log_variance_loss() -> None:
    text = WELLS.replace("s = 2", "s = 1").replace("- log(rho(x))", "+ 2*|x - [1, 1]|^2")
    drawn = sample(loads_problem(text), SampleRequest(2000, "path_integral", 20))
    found = drawn.described["log_normaliser"]
    assert found["lower"] <= np.log(np.pi / 2) <= found["upper"]
    assert found["upper"] - found["lower"] < 0.05
    assert drawn.rows.mean(axis=0) == pytest.approx([1.0, 1.0], abs=0.05)


@pytest.mark.slow
def test_two_wells_are_drawn_with_their_weights() -> None:
    """log Z = log 3 whatever the start; two thirds of the mass are in the right well."""
    drawn = sample(loads_problem(WELLS), SampleRequest(4000, start={"x": [0.0, 0.0]}))
    found = drawn.described["log_normaliser"]
    assert found["lower"] - 2e-3 <= np.log(3.0) <= found["upper"] + 2e-3
    assert found["upper"] - found["lower"] < 0.1
    right = drawn.rows[:, 0] > 0
    assert np.mean(right) == pytest.approx(2 / 3, abs=0.04)
    assert drawn.rows[right].mean(axis=0) == pytest.approx([1.5, 0.0], abs=0.05)
    assert drawn.rows[~right].var(axis=0) == pytest.approx([0.1, 0.1], abs=0.02)
    assert drawn.described["value"]["V"] == pytest.approx(-np.log(3.0), abs=0.05)
