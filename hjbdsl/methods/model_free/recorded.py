"""Recorded transitions: npz files with the arrays x, a, r, x_next (and t, mode, mode_next, done, payoff), parquet files with
columns by name.

In: a path, and the problem whose states and controls name the columns. Out: `Transitions`. Anything wrong with the file is a
`UsageError`."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hjbdsl.errors import UsageError
from hjbdsl.methods.model_free.transitions import Transitions, transitions
from hjbdsl.model.problem import ControlProblem, VariableGroup
from hjbdsl.model.solution import Array
from hjbdsl.numeric.state_space import inside

REQUIRED = ("x", "a", "r", "x_next")
OPTIONAL = ("t", "mode", "mode_next", "done", "payoff")


def read(path: str, problem: ControlProblem, dt: float, mean_reward: bool = False) -> Transitions:
    """The transitions of a file, held against the problem: as many components, states inside their domains."""
    if not Path(path).is_file():
        raise UsageError(f"there is no file `{path}`")
    match Path(path).suffix:
        case ".npz":
            arrays = _from_npz(path)
        case ".parquet" | ".pq":
            arrays = _from_parquet(path, problem)
        case suffix:
            raise UsageError(f"`{path}`: recorded data is .npz or .parquet, not `{suffix}`")
    missing = [name for name in REQUIRED if name not in arrays]
    if missing:
        held = ", ".join(sorted(arrays)) or "nothing"
        raise UsageError(f"`{path}` lacks {', '.join(f'`{name}`' for name in missing)}; it holds {held}")
    known = {name: arrays[name] for name in OPTIONAL if name in arrays}
    step = _step(path, arrays, dt)
    try:
        data = transitions(
            step, *(np.asarray(arrays[name]) for name in REQUIRED), **known, reward="mean" if mean_reward else "rate"
        )
    except UsageError as error:
        raise UsageError(f"`{path}`: {error}") from None
    _fits(path, problem, data)
    return data


def write(path: str, data: Transitions) -> None:
    """Save transitions as an npz file that `read` takes."""
    names = (*REQUIRED, *OPTIONAL)
    np.savez_compressed(path, dt=data.dt, **{name: getattr(data, name) for name in names})


def _from_npz(path: str) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(f"`{path}` is no readable npz file of plain arrays: {str(error).splitlines()[0]}") from None


def _from_parquet(path: str, problem: ControlProblem) -> dict[str, Any]:
    """Columns named as in the file (`x`, or `X[1]`, `X[2]`), the next state with `_next` after the name: `x_next`,
    `X_next[1]`."""
    from pyarrow import ArrowException, parquet  # noqa: PLC0415 (an extra, and slow to import)

    try:
        table = parquet.read_table(path)
    except (ArrowException, OSError) as error:
        raise UsageError(f"`{path}` is no readable parquet file: {str(error).splitlines()[0]}") from None
    columns = {name: table.column(name) for name in table.column_names}
    wanted = {
        "x": [n for g in problem.states for n in _names(g, "")],
        "a": [n for g in problem.controls for n in _names(g, "")],
        "x_next": [n for g in problem.states for n in _names(g, "_next")],
    }
    lacking = [name for names in wanted.values() for name in names if name not in columns] + ["r"] * ("r" not in columns)
    if lacking:
        held = ", ".join(sorted(columns)) or "none"
        raise UsageError(f"`{path}` lacks the columns {', '.join(f'`{n}`' for n in lacking)}; it has {held}")
    arrays = {name: _stacked(path, columns, names) for name, names in wanted.items()}
    for name in ("r", "dt", *OPTIONAL):
        if name in columns and name not in wanted["x"]:
            arrays[name] = _stacked(path, columns, [name])[:, 0]
    return arrays


def _names(group: VariableGroup, suffix: str) -> list[str]:
    return [f"{group.name}{suffix}[{i + 1}]" for i in range(len(group.symbols))] if group.shape else [f"{group.name}{suffix}"]


def _stacked(path: str, columns: Mapping[str, Any], names: Sequence[str]) -> Array:
    result = []
    for name in names:
        try:
            result.append(np.asarray(columns[name].to_numpy(), dtype=float))
        except (TypeError, ValueError):
            raise UsageError(f"`{path}`: the column `{name}` does not hold numbers") from None
    return np.stack(result, axis=1) if result else np.zeros((0, 0))


def _step(path: str, arrays: Mapping[str, Any], dt: float) -> float:
    """The step of the data: the file's own `dt`, where it has one, must be the one asked for."""
    if "dt" not in arrays:
        return dt
    own = np.unique(np.asarray(arrays["dt"], dtype=float))
    if np.any(np.abs(own - dt) > 1e-9 * dt):
        raise UsageError(f"`{path}` was recorded with dt = {own[0]:g}; say --dt {own[0]:g}")
    return dt


def _fits(path: str, problem: ControlProblem, data: Transitions) -> None:
    n, m = problem.dimension, len(problem.control_symbols)
    for name, table, wanted, what in (
        ("x", data.x, n, "states"),
        ("x_next", data.x_next, n, "states"),
        ("a", data.a, m, "controls"),
    ):
        if table.shape[1] != wanted:
            raise UsageError(f"`{path}`: `{name}` has {table.shape[1]} columns, but the problem has {wanted} {what}")
    bad = np.flatnonzero(~inside(problem, data.x))
    if bad.size:
        values = ", ".join(f"{s} = {v:g}" for s, v in zip(problem.state_symbols, data.x[bad[0]], strict=True))
        raise UsageError(f"`{path}`: row {bad[0]} has {values}, outside the state space of the problem")
    modes = len(problem.mode_tuples())
    if max(data.mode.max(), data.mode_next.max()) >= modes:
        raise UsageError(f"`{path}`: `mode` must be below {modes}, the number of modes of the problem")
