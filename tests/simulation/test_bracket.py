"""A bracket holds the truth, and refutes what is false."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import numpy as np
import pytest
from numpy.typing import NDArray

import hjbdsl
from hjbdsl.model.solution import Array, PointValues, ValueFunction
from hjbdsl.simulation.bracket import bracket
from hjbdsl.simulation.trial import Settings
from tests.simulation.processes import many

GALLERY = Path(__file__).parents[2] / "problems"
FINE = Settings(paths=200, dt=0.04, horizon=30, seed=1, record=64)
QUICK = Settings(paths=200, dt=0.1, horizon=20, seed=1, record=64)


@final
@dataclass(frozen=True)
class Distorted(ValueFunction):
    """V times `factor`, plus `shift`; its gradient and control to match `factor` and `gain`."""

    function: ValueFunction
    factor: float = 1.0
    shift: float = 0.0
    gain: float = 1.0

    def evaluate(self, t: Array, x: Array, mode: NDArray[np.int64]) -> PointValues:
        at = self.function.evaluate(t, x, mode)
        return replace(
            at, value=self.factor * at.value + self.shift, gradient=self.factor * at.gradient, control=self.gain * at.control
        )


def _solved(name: str) -> hjbdsl.Solution:
    return hjbdsl.load(str(GALLERY / f"{name}.hjb")).solve(method="closed_form")


@pytest.mark.parametrize(("name", "x"), [("lqr", 1.0), ("merton", 1.5), ("average_harvest", 0.2)])
def test_a_proved_value_lies_in_its_bracket(name: str, x: float) -> None:
    solution = _solved(name)
    found = bracket(solution.equation, solution.solved, many(1, x), QUICK)
    assert found.holds
    assert found.excess is not None
    assert found.excess.residual < 1e-4
    assert found.lower <= found.trial.claimed * (1 + 1e-9) + 1e-9
    assert np.isfinite([found.lower, found.upper]).all()
    assert found.upper - found.lower < 0.4 * abs(found.trial.claimed)


def test_without_a_controller_the_simulation_bounds_both_sides() -> None:
    solution = _solved("gambler")
    found = bracket(solution.equation, solution.solved, many(1, 0.5), QUICK)
    assert found.lower < solution(x=0.5) < found.upper
    assert found.holds


def test_a_game_is_bounded_by_its_equation() -> None:
    solution = _solved("pursuit_lq")
    found = bracket(solution.equation, solution.solved, many(1, 0.5), QUICK)
    assert found.holds
    assert found.upper - found.lower < 1e-2 * solution(t=0, x=0.5)


def test_an_inflated_value_is_refuted() -> None:
    solution = _solved("lqr")
    liar = replace(solution.solved, function=Distorted(solution.solved.function, shift=0.1))
    found = bracket(solution.equation, liar, many(1, 1.0), FINE)
    assert found.trial.verdict == "earns less"
    assert not found.holds


def test_a_modest_value_is_refuted_by_its_own_policy() -> None:
    solution = _solved("lqr")
    liar = replace(solution.solved, function=Distorted(solution.solved.function, shift=-0.1))
    found = bracket(solution.equation, liar, many(1, 1.0), FINE)
    assert found.trial.verdict == "earns more"
    assert not found.holds


def test_a_poor_policy_with_its_own_value_leaves_room_above() -> None:
    """The upper end must still hold the optimum: V is what a lazy policy earns, and the equation says that more is to be had."""
    solution = _solved("lqr")
    lazy = replace(solution.solved, function=Distorted(solution.solved.function, factor=1.15))
    found = bracket(solution.equation, lazy, many(1, 1.0), QUICK)
    assert found.upper >= solution(x=1.0)
    assert found.lower <= solution(x=1.0)
