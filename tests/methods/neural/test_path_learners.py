"""Learners on paths against Riccati equations, and the practice of a run: seeds, snapshots, refusals."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from hjbdsl.errors import UsageError
from hjbdsl.methods.neural import log_variance, martingale, path_training, residual
from hjbdsl.methods.neural.checkpoint import write_checkpoint
from hjbdsl.methods.neural.learner import LearningRequest
from hjbdsl.methods.neural.path_training import Fit, Training, schedule_of, train
from hjbdsl.model.solution import Accepted, PointValues, Rejected, Solution
from tests.methods.neural.path_problems import DISCOUNTED, EFFORT, FINITE, equation_of, model_of, riccati

SHORT = {"rounds": 12.0, "paths": 256.0, "width": 32.0}
POINTS = np.array([[0.0, 0, 0, 0], [0.8, 0.8, 0.8, 0.8], [0.5, -0.5, 0.5, -0.5]])


def learned(module, text: str, rounds: float = 12.0) -> Solution:
    answer = module.propose(equation_of(text), LearningRequest(options={**SHORT, "rounds": rounds}))
    assert isinstance(answer, Accepted)
    return answer.solution


def at(solution: Solution, x: np.ndarray = POINTS) -> PointValues:
    return solution.function.evaluate(np.zeros(len(x)), x, np.zeros(len(x), dtype=np.int64))


@pytest.mark.slow
@pytest.mark.parametrize("module", [martingale, log_variance, residual])
def test_each_learner_brackets_the_riccati_value(module) -> None:
    P, constant = riccati(EFFORT, 1.0, 0.7 * np.eye(4))
    exact = np.einsum("ki,ij,kj->k", POINTS, P, POINTS) + constant
    found = at(learned(module, FINITE, 25.0))
    assert np.all(np.abs(found.value - exact) <= found.error)
    assert np.all(found.error < 0.02 * (0.3 + exact))
    assert np.allclose(found.gradient[1:], 2.0 * POINTS[1:] @ P, atol=0.2)
    assert np.allclose(found.control[1:], -POINTS[1:] @ P @ np.linalg.inv(EFFORT), atol=0.15)


@pytest.mark.slow
def test_without_end_and_with_the_other_sign() -> None:
    P, constant = riccati(np.eye(4), 60.0, np.zeros((4, 4)), 0.4)
    exact = -np.einsum("ki,ij,kj->k", POINTS, P, POINTS) - constant
    solution = learned(martingale, DISCOUNTED, 40.0)
    found = at(solution)
    assert solution.status == "bracketed"
    assert np.all(np.abs(found.value - exact) <= found.error)
    assert np.all(found.error < 0.05 * np.abs(exact))
    assert np.allclose(found.gradient, -2.0 * POINTS @ P, atol=0.3)


@pytest.mark.slow
def test_a_driver_that_is_cubic_in_the_value() -> None:
    # V_t + V'' + ... + V - V³ = 0 as the minimum over a of 2a³ - (3a² - 1) V; reference: differences along the radius
    text = """
state x in R^6
control a in [0, 1]
noise W in R^6
dx = sqrt(2) dW
discount 3*a^2 - 1
minimize E [ integral(0, 0.3) 2*a^3 dt + 1/(2 + 0.4*|x(0.3)|^2) ]
"""
    found = at(learned(martingale, text), np.array([np.zeros(6), 0.8 * np.ones(6)]))
    exact = np.array([0.39753919, 0.28857806])
    assert np.all(np.abs(found.value - exact) <= found.error)
    assert np.all(found.error < 0.01)


def test_a_run_that_was_cut_off_goes_on_to_the_same_numbers(tmp_path) -> None:
    model = model_of(FINITE)
    schedule = schedule_of(model, {"rounds": 6.0, "paths": 32.0, "steps": 4.0}, 1.0)
    whole = train(Training(model, schedule, Fit(points=martingale.loss), 5, 8))
    path = str(tmp_path / "run.pt")
    first = Training(model, schedule, Fit(points=martingale.loss), 5, 8)
    first.begin()
    for _ in range(3):
        first.advance()
    write_checkpoint(path, "a run", first.snapshot())
    second = Training(model, schedule, Fit(points=martingale.loss), 99, 8)
    resumed = train(second, path, resume=True, owner="a run")
    for name, tensor in whole.value.state_dict().items():
        assert torch.equal(tensor, resumed.value.state_dict()[name]), name


def test_a_run_of_another_seed_or_learner_is_not_gone_on_with(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(path_training, "KEPT_EVERY", 1)
    options = {"rounds": 1.0, "paths": 32.0, "steps": 4.0, "width": 8.0}
    request = LearningRequest(seed=1, checkpoint=str(tmp_path / "run.pt"), resume=True, options=options)
    assert isinstance(martingale.propose(equation_of(FINITE), request), Accepted)
    for module, seed in ((martingale, 2), (residual, 1)):
        with pytest.raises(UsageError, match="another problem, seed"):
            module.propose(equation_of(FINITE), replace(request, seed=seed))


def test_a_seed_gives_the_same_answer() -> None:
    options = {"rounds": 1.0, "paths": 32.0, "steps": 4.0, "width": 8.0}
    values = []
    for seed in (1, 1, 2):
        answer = martingale.propose(equation_of(FINITE), LearningRequest(seed=seed, options=options))
        assert isinstance(answer, Accepted)
        function = replace(answer.solution.function, plan=replace(answer.solution.function.plan, steps=4, paths=16))
        found = at(replace(answer.solution, function=function))
        values.append(np.concatenate([found.value, found.error]))
    assert np.array_equal(values[0], values[1])
    assert not np.array_equal(values[0], values[2])


def test_seeds_repeat_and_differ() -> None:
    model = model_of(FINITE)
    schedule = schedule_of(model, {"rounds": 2.0, "paths": 32.0, "steps": 4.0}, 1.0)
    runs = [train(Training(model, schedule, Fit(points=martingale.loss), seed, 8)).value.network.last for seed in (1, 1, 2)]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


@pytest.mark.slow
def test_the_answer_pickles() -> None:
    options = {"rounds": 1.0, "paths": 32.0, "steps": 4.0, "width": 8.0}
    answer = martingale.propose(equation_of(FINITE), LearningRequest(options=options))
    assert isinstance(answer, Accepted)
    function = replace(answer.solution.function, plan=replace(answer.solution.function.plan, steps=4, paths=16))
    many = np.tile(POINTS, (20, 1))
    first = at(replace(answer.solution, function=function), many)
    again = at(replace(answer.solution, function=pickle.loads(pickle.dumps(function))), many)
    assert np.array_equal(first.value, again.value)
    assert np.all(np.isfinite(first.error))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (FINITE.replace("0.5 dW", "diag(u) dW"), "control enters the noise"),
        (
            FINITE.replace("in R^4\ncontrol", "in R^4\nadversary v in [-1, 1]\ncontrol").replace("+ u)", "+ u + v*ones(4))"),
            "two players",
        ),
    ],
)
def test_what_is_refused(text: str, why: str) -> None:
    answer = martingale.propose(equation_of(text), LearningRequest())
    assert isinstance(answer, Rejected)
    assert why in answer.reason
