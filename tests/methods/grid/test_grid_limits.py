"""What ends a solve early: an interrupt, the memory, a tolerance out of reach."""

from __future__ import annotations

import pytest

from hjbdsl import pipeline, progress
from hjbdsl.methods import grid
from hjbdsl.methods.grid import levels, memory
from hjbdsl.model.solution import Rejected
from tests.methods.grid.reflected import WALLS
from tests.methods.grid.test_grid_known_answers import solved


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


def test_progress_names_levels_and_never_falls() -> None:
    heard: list[progress.Progress] = []
    with progress.listening(heard.append):
        solved(WALLS, nx=101)
    stages = [said.stage for said in heard if said.stage.startswith("level")]
    assert stages[0].startswith("level 1, ")
    assert stages[-1].startswith("level 4, ")
    shares = [said.done for said in heard if said.done is not None]
    assert shares == sorted(shares)
