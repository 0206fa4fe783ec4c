"""Problems as Gymnasium environments."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import hjbdsl
from hjbdsl.errors import UsageError

pytest.importorskip("gymnasium")
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

GALLERY = Path(__file__).parents[2] / "problems"
UNCONTROLLED = frozenset(
    {"ball_exit", "black_scholes_digital", "cir_bond", "exchange_option", "gambler", "reflected", "vasicek_bond"}
)
NAMES = sorted(path.stem for path in GALLERY.glob("*.hjb"))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in UNCONTROLLED])
def test_every_problem_with_a_controller_passes_the_checker(name: str) -> None:
    environment = hjbdsl.load(str(GALLERY / f"{name}.hjb")).to_gymnasium(0.02)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_env(environment, skip_render_check=True)


@pytest.mark.parametrize("name", sorted(UNCONTROLLED & set(NAMES)))
def test_without_a_controller_there_is_no_environment(name: str) -> None:
    with pytest.raises(UsageError, match="no controller"):
        hjbdsl.load(str(GALLERY / f"{name}.hjb")).to_gymnasium(0.02)


def test_the_optimal_feedback_collects_the_value() -> None:
    text = (
        "state x in R\ncontrol a in R\nnoise W\ndx = a dt + 0.3 dW\nminimize E [ integral(0, 1) (x^2 + 0.5*a^2) dt + x(1)^2 ]\n"
    )
    problem = hjbdsl.loads(text)
    solution = problem.solve(method="closed_form")
    environment = problem.to_gymnasium(0.05)
    returns = []
    for seed in range(40):
        (time, x), info = environment.reset(seed=seed, options={"start": {"t": 0, "x": 0.8}})
        total, factor, over = 0.0, info["discount"], False
        while not over:
            control = solution.policy(t=min(time, 1.0), x=x)["a"]
            (time, x), reward, over, cut, info = environment.step(np.array([control]))
            total, factor = total + factor * reward, factor * info["discount"]
            assert not cut
        returns.append(total)
    value = solution(t=0, x=0.8)
    assert abs(np.mean(returns) + value) < 4 * np.std(returns) / np.sqrt(40) + 0.03 * value


def test_modes_lattice_and_time_are_observed() -> None:
    environment = hjbdsl.load(str(GALLERY / "market_making.hjb")).to_gymnasium(0.05)
    assert isinstance(environment.observation_space, spaces.Box)
    assert environment.observation_space.shape == (4,)
    observation, _ = environment.reset(seed=0)
    assert observation[1] in (-2, -1, 0, 1, 2)
    modes = hjbdsl.load(str(GALLERY / "log_regimes.hjb")).to_gymnasium(0.5)
    seen = set()
    modes.reset(seed=0)
    for _ in range(60):
        observation, *_ = modes.step(np.array([0.0, 0.05]))
        seen.add(observation[1])
    assert seen == {0.0, 1.0}


def test_stopping_is_an_action_that_ends_the_episode() -> None:
    environment = hjbdsl.load(str(GALLERY / "american_put.hjb")).to_gymnasium(0.1)
    assert environment.action_space == spaces.Discrete(2)
    environment.reset(seed=0, options={"start": {"t": 0, "x": 80}})
    _, reward, over, cut, _ = environment.step(1)
    assert (reward, over, cut) == (pytest.approx(20.0), True, False)
    environment.reset(seed=0, options={"start": {"t": 0, "x": 80}})
    for step in range(10):
        _, reward, over, cut, _ = environment.step(0)
        assert over == (step == 9)


def test_an_endless_problem_is_truncated() -> None:
    environment = hjbdsl.load(str(GALLERY / "lqr.hjb")).to_gymnasium(0.1, horizon=1.0)
    environment.reset(seed=0)
    ends = [environment.step(np.array([0.0]))[2:4] for _ in range(10)]
    assert ends == [(False, False)] * 9 + [(False, True)]
