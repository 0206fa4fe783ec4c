"""Recorded transitions: written, read, learned from; and everything that a file can have wrong with it is said, not thrown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from hjbdsl.errors import UsageError
from hjbdsl.methods.model_free import Lesson, learn, read, write
from hjbdsl.model.problem import ControlProblem
from tests.methods.model_free.problems import Regulator, evaluated, relative

REGULATOR = Regulator()


@pytest.fixture(scope="module")
def problem() -> ControlProblem:
    return REGULATOR.equation().problem


def _arrays(**changes: Any) -> dict[str, Any]:
    data = REGULATOR.data(0.1, 1000, seed=1)
    arrays = {"x": data.x, "a": data.a, "r": data.r, "x_next": data.x_next, **changes}
    return {name: value for name, value in arrays.items() if value is not None}


def _saved(folder: Path, **changes: Any) -> str:
    path = folder / "data.npz"
    np.savez(path, **_arrays(**changes))
    return str(path)


def test_what_is_written_is_read(tmp_path: Path, problem: ControlProblem) -> None:
    data = REGULATOR.data(0.1, 50_000, seed=2)
    path = str(tmp_path / "data.npz")
    write(path, data)
    again = read(path, problem, 0.1)
    assert np.array_equal(again.x, data.x)
    assert np.array_equal(again.x_next, data.x_next)
    x = np.linspace(-2, 2, 21)
    _, control = evaluated(learn(REGULATOR.equation(), Lesson(0.1), data=again).solution, x)
    assert relative(control, -REGULATOR.gain * x) < 0.02


def test_parquet_columns_carry_the_names_of_the_file(tmp_path: Path, problem: ControlProblem) -> None:
    data = REGULATOR.data(0.1, 1000, seed=2)
    columns = {"x": data.x[:, 0], "a": data.a[:, 0], "r": data.r, "x_next": data.x_next[:, 0]}
    path = str(tmp_path / "data.parquet")
    parquet.write_table(pyarrow.table(columns), path)
    assert np.array_equal(read(path, problem, 0.1).x_next, data.x_next)
    parquet.write_table(pyarrow.table({**columns, "r": ["a word"] * 1000}), path)
    with pytest.raises(UsageError, match="`r` does not hold numbers"):
        read(path, problem, 0.1)
    del columns["x_next"]
    parquet.write_table(pyarrow.table(columns), path)
    with pytest.raises(UsageError, match="lacks the columns `x_next`"):
        read(path, problem, 0.1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"r": None}, "lacks `r`; it holds a, x, x_next"),
        ({"x": np.full((1000, 1), np.nan)}, "`x` holds nan in row 0"),
        ({"r": np.ones((1000, 2))}, r"`r` has shape \(1000, 2\)"),
        ({"a": np.ones((999, 1))}, r"`a` has shape \(999, 1\)"),
        ({"a": np.ones((1000, 2))}, "`a` has 2 columns, but the problem has 1 controls"),
        ({"x": np.ones((1000, 3)), "x_next": np.ones((1000, 3))}, "`x` has 3 columns, but the problem has 1 states"),
        ({"mode": np.full(1000, 4)}, "`mode` must be below 1"),
        ({"mode": np.full(1000, 0.5)}, "must hold the numbers of the modes"),
        ({"x": np.array(["one"] * 1000)}, "`x` does not hold numbers"),
        ({"dt": 0.2}, r"was recorded with dt = 0.2; say --dt 0.2"),
        ({"x": np.zeros((0, 1)), "a": np.zeros((0, 1)), "r": np.zeros(0), "x_next": np.zeros((0, 1))}, "no transitions"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, problem: ControlProblem, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read(_saved(tmp_path, **changes), problem, 0.1)


def test_files_that_are_no_data(tmp_path: Path, problem: ControlProblem) -> None:
    for name, content, said in (
        ("no.npz", b"not an archive", "no readable npz"),
        ("no.parquet", b"not a table", "no readable parquet"),
        ("no.csv", b"x,a\n", "npz or .parquet, not `.csv`"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match=said):
            read(str(tmp_path / name), problem, 0.1)
    with pytest.raises(UsageError, match="no file"):
        read(str(tmp_path / "absent.npz"), problem, 0.1)


def test_pickled_objects_are_not_loaded(tmp_path: Path, problem: ControlProblem) -> None:
    with pytest.raises(UsageError, match="plain arrays"):
        read(_saved(tmp_path, x=np.array([object()] * 1000, dtype=object)), problem, 0.1)
