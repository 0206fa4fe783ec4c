"""What ends a solve early: an interrupt, the memory, a tolerance out of reach."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from hjbdsl import pipeline, progress
from hjbdsl.errors import SolverError
from hjbdsl.methods import grid
from hjbdsl.methods.grid import evolution, levels, memory
from hjbdsl.model.solution import Rejected
from tests.methods.grid.reflected import WALLS
from tests.methods.grid.test_grid_known_answers import solved
from tests.methods.grid.test_standalone import TARGET


def interrupt_at(monkeypatch: pytest.MonkeyPatch, multiple: int) -> None:
    solve_level = levels.Runner.level

    def interrupted(self: levels.Runner, axes: object, asked: int, start: object) -> object:
        if asked == multiple:
            raise KeyboardInterrupt
        return solve_level(self, axes, asked, start)  # type: ignore[arg-type]

    monkeypatch.setattr(levels.Runner, "level", interrupted)


def test_an_interrupt_after_two_levels_leaves_their_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_at(monkeypatch, 8)
    solution = solved(WALLS, nx=101)
    assert solution.status == "not_converged"
    assert "interrupted" in solution.warnings[0]
    assert pipeline.interrupted(solution.warnings)


def test_an_interrupt_before_that_is_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_at(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        solved(WALLS, nx=101)


def test_a_level_that_does_not_fit_is_refused_before_it_is_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free", lambda: 10_000)
    answer = grid.solve(pipeline.derive(pipeline.loads(WALLS)))
    assert isinstance(answer, Rejected)
    assert "GB of memory" in answer.reason


def test_a_finer_level_that_does_not_fit_leaves_the_coarser_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = memory.needed
    monkeypatch.setattr(memory, "free", lambda: 10**9)
    monkeypatch.setattr(memory, "needed", lambda module, shape, slices: 10**10 if shape[0] > 60 else whole(module, shape, slices))
    solution = solved(WALLS, nx=101)
    assert "49 nodes" in solution.family


def test_a_tolerance_out_of_reach_is_missed_openly() -> None:
    answer = grid.solve(pipeline.derive(pipeline.loads(WALLS)), {"nx": 25}, 1e-14)
    assert answer.solution.evidence.numbers["band"] > 1e-14


def test_ends_that_seem_to_matter_on_the_coarsest_level_do_not_stop_refinement() -> None:
    text = """problem stream
state x > 0
noise W
jump N rate 0.5 mark J ~ {-0.2: 0.7, 0.15: 0.3}
dx = 0.02*x dt + 0.2*x dW + x*J dN
evaluate E integral(0, inf) exp(-0.1*t)*x^2 dt
region x in [0.5, 2]
"""
    solution = grid.solve(pipeline.derive(pipeline.loads(text)), {}, 2e-3).solution
    rate = 0.1 - 2.0 * 0.02 - 0.2**2 - 0.5 * (0.7 * (0.8**2 - 1.0) + 0.3 * (1.15**2 - 1.0))  # E x^2 falls at it, discounted
    x = np.array([[0.5], [1.0], [2.0]])
    found = solution.function.evaluate(np.zeros(3), x, np.zeros(3, dtype=np.int64))
    assert np.all(found.error < 2e-3)
    assert np.all(np.abs(found.value - x[:, 0] ** 2 / rate) <= found.error)


def test_progress_names_levels_and_never_falls() -> None:
    heard: list[progress.Progress] = []
    with progress.listening(heard.append):
        solved(WALLS, nx=101)
    stages = [said.stage for said in heard if said.stage.startswith("level")]
    assert stages[0].startswith("level 1, ")
    assert stages[-1].startswith("level 4, ")
    shares = [said.done for said in heard if said.done is not None]
    assert shares == sorted(shares)


@pytest.mark.slow
def test_a_target_of_one_point_is_told_to_be_thin() -> None:
    """The least time to rest at the origin: first-order rows meet a point by chance, and the levels settle too slowly."""
    solution = solved(TARGET, nx=41)
    assert solution.status == "not_converged"
    assert "a small ball" in solution.warnings[0]


def test_a_first_step_that_waits_for_the_compiler_is_no_sign_of_a_slow_march(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([40.0, 40.1, 40.2, 44.9])
    monkeypatch.setattr(evolution.time, "thread_time", lambda: next(times))
    march = SimpleNamespace(first=None, deadline=45.0)
    for done in (0.2, 0.25, 0.3):
        evolution.March.go_on(march, done)  # type: ignore[arg-type]
    with pytest.raises(SolverError, match="out of time"):
        evolution.March.go_on(march, 0.32)  # type: ignore[arg-type]  at this pace the rest takes 28 s
