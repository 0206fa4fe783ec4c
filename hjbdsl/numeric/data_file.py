"""Rows of data from a file: what `data y(0) ~ file "rows.npy"` names.

In: a problem whose law is a `DataFile` (npy, npz, csv, parquet; one row a sample, one column a component of the state).
Out: an array (rows, n) of finite numbers, or `HjbError` (HJB057) at the statement.
"""

from __future__ import annotations

import csv
import os
import zipfile
from typing import Any

import numpy as np

from hjbdsl.errors import Diagnostic, HjbError, Span
from hjbdsl.model.problem import ControlProblem, DataFile
from hjbdsl.model.solution import Array

FEWEST_ROWS = 50
MOST_BYTES = 2_000_000_000


class _Unreadable(ValueError):
    """What is wrong with the file (first argument) and the remedy (second)."""


def read_rows(problem: ControlProblem) -> Array:
    """(rows, n), in the order of the state's components. Raises `HjbError` where the file does not hold such rows."""
    reversal = problem.reversal
    if reversal is None or not isinstance(reversal.law, DataFile):
        raise ValueError("the data of this problem are no file")
    path, name = reversal.law.path, os.path.basename(reversal.law.path)
    columns = tuple(symbol.name for group in problem.states if group.name == reversal.state for symbol in group.symbols)
    try:
        return _checked(_read(path, reversal.state, columns), len(columns), reversal.state)
    except _Unreadable as found:
        message, remedy = found.args
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        first = (str(error).splitlines() or ["damaged"])[0][:120]
        objects = "pickle" in first  # numpy's word for whatever is no array of numbers
        message = "holds no array of numbers, or is damaged" if objects else f"cannot be read: {first}"
        remedy = "give a .npy, .npz, .csv or .parquet file of numbers"
    span = problem.origins.get("data", reversal.span)
    raise HjbError((Diagnostic("HJB057", f"the data file `{name}` {message}", remedy, span, _line(problem, span)),))


def _line(problem: ControlProblem, span: Span) -> str:
    return problem.source.line(span)


def _read(path: str, state: str, columns: tuple[str, ...]) -> Any:
    if os.path.getsize(path) > MOST_BYTES:
        raise _Unreadable(f"holds more than {MOST_BYTES // 10**9} GB", "give a sample of its rows")
    match os.path.splitext(path)[1].lower():
        case ".npy":
            return np.load(path, allow_pickle=False)
        case ".npz":
            return _from_archive(path, state)
        case ".csv":
            return _from_table(path, columns)
        case ".parquet":
            return _from_parquet(path, columns)
        case ending:
            raise _Unreadable(f"ends in `{ending}`", "data are .npy, .npz, .csv or .parquet files")


def _from_archive(path: str, state: str) -> Any:
    with np.load(path, allow_pickle=False) as archive:
        if state in archive.files:
            return archive[state]
        if len(archive.files) == 1:
            return archive[archive.files[0]]
        held = ", ".join(f"`{name}`" for name in archive.files) or "none"
    raise _Unreadable(f"has no array `{state}` (it holds {held})", f"store the rows under the name `{state}`")


def _from_table(path: str, columns: tuple[str, ...]) -> Any:
    """Numbers by row; a first line that is no row of numbers names the columns."""
    with open(path, newline="", encoding="utf-8-sig") as stream:
        lines = [line for line in csv.reader(stream) if line]
    if not lines:
        return np.zeros((0, len(columns)))
    header = lines[0] if not all(_is_number(entry) for entry in lines[0]) else None
    body = lines[1:] if header is not None else lines
    for number, line in enumerate(body, 2 if header is not None else 1):
        if len(line) != len(lines[0]):
            raise _Unreadable(f"has {len(line)} entries in row {number} and {len(lines[0])} in row 1", "give rows of one length")
        for entry in line:
            if not _is_number(entry):
                found = f"`{entry.strip()[:20]}`" if entry.strip() else "an empty entry"
                raise _Unreadable(f"has {found} in row {number}", "give numbers only; a first row may name columns")
    values = np.array([[float(entry) for entry in line] for line in body])
    return _by_name(values, tuple(name.strip() for name in header), columns) if header is not None else values


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _from_parquet(path: str, columns: tuple[str, ...]) -> Any:
    try:
        from pyarrow import parquet  # noqa: PLC0415 (an extra: data)
    except ImportError:
        remedy = "pip install 'hjbdsl[data]', or give a .npy file"
        raise _Unreadable("needs pyarrow, which is not installed", remedy) from None
    table = parquet.ParquetFile(path).read()
    try:
        values = np.column_stack([np.asarray(column.to_numpy(), dtype=float) for column in table.columns])
    except (TypeError, ValueError):
        raise _Unreadable("has columns that are not numbers", "keep the columns of the state only") from None
    return _by_name(values, tuple(table.column_names), columns)


def _by_name(values: Array, names: tuple[str, ...], columns: tuple[str, ...]) -> Array:
    """Columns named as the components (`y[1]`, ...) are taken by name, others in the order of the file."""
    return values[:, [names.index(column) for column in columns]] if set(columns) <= set(names) else values


def _checked(values: Any, size: int, state: str) -> Array:
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiub":
        raise _Unreadable("does not hold real numbers", "store an array of floats")
    if values.ndim == 1 and size == 1:
        values = values[:, None]
    if values.ndim != 2 or values.shape[1] != size:
        shape = " x ".join(map(str, values.shape)) or "a single number"
        wanted = f"`{state}` has {size} component{'s' * (size > 1)}"
        raise _Unreadable(f"is {shape}, but {wanted}", f"one row a sample, one column a component: rows x {size}")
    rows = values.astype(float)
    bad = ~np.isfinite(rows).all(axis=1)
    if bad.any():
        first = int(np.argmax(bad)) + 1
        raise _Unreadable(f"has rows that are not finite numbers: {int(bad.sum())}, the first row {first}", "remove them")
    if len(rows) < max(FEWEST_ROWS, 2 * size):
        raise _Unreadable(
            f"has {len(rows)} rows, too few to learn a law in {size} dimension{'s' * (size > 1)}",
            f"give at least {max(FEWEST_ROWS, 2 * size)}",
        )
    spread = rows.std(axis=0)
    if not np.any(spread > 1e-12 * np.abs(rows).max()):
        raise _Unreadable("holds the same row again and again", "data with no spread have no density")
    return rows
