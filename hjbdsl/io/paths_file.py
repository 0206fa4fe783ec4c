"""Recorded paths as a file: `.npz` (arrays by name), `.nc` (a labelled dataset) or `.parquet` (one row a path and time).

In: equation, paths, a name. Out: the file, written at once.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from hjbdsl.errors import UsageError
from hjbdsl.io.extras import TABLES, require
from hjbdsl.io.netcdf import write_dataset
from hjbdsl.io.trial import arrays
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Array
from hjbdsl.simulation import Paths

ENDINGS = (".npz", ".nc", ".parquet")


def ready_to_write(path: str) -> None:
    """Raises `UsageError` for another ending or a missing library, before anything is worked out."""
    if not path.endswith(ENDINGS):
        raise UsageError(f"paths are written as {', '.join(ENDINGS)}; give -o a name with such an ending")
    if path.endswith(".nc"):
        require(TABLES, "result files")
    if path.endswith(".parquet"):
        require(("pyarrow",), "parquet files")


def write_paths(equation: HJBEquation, paths: Paths, path: str) -> None:
    """Write the paths. Raises `UsageError` where the file cannot be written."""
    columns = arrays(equation, paths)
    if path.endswith(".nc"):
        write_dataset(_dataset(columns), path)
        return
    target = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=target.suffix)
        os.close(handle)
        try:
            if path.endswith(".npz"):
                np.savez_compressed(temporary, **columns)  # type: ignore[arg-type]
            else:
                _write_parquet(columns, temporary)
            os.replace(temporary, target)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write `{path}`: {error.strerror or error}") from error


def _dataset(columns: dict[str, Array]) -> Any:
    import xarray  # noqa: PLC0415 (an extra, slow to load)

    variables: dict[str, Any] = {}
    for name, values in columns.items():
        if name != "t":
            component = (f"{name}_component",) if values.ndim == 3 else ()
            variables[name] = (("path", "t")[: min(values.ndim, 2)] + component, values)
    return xarray.Dataset(variables, {"t": (("t",), columns["t"])}, {"schema": "hjb.paths/1"})


def _write_parquet(columns: dict[str, Array], path: str) -> None:
    import pyarrow  # noqa: PLC0415 (an extra, slow to load)
    from pyarrow import parquet  # noqa: PLC0415

    count, times = columns["cumulative_reward"].shape
    table: dict[str, Array] = {"path": np.repeat(np.arange(count), times), "t": np.tile(columns["t"], count)}
    for name, values in columns.items():
        if name == "t":
            continue
        if values.ndim == 1:
            table[name] = np.repeat(values, times)
        elif values.ndim == 2:
            table[name] = values.ravel()
        else:
            table |= {f"{name}[{i + 1}]": values[:, :, i].ravel() for i in range(values.shape[2])}
    parquet.write_table(pyarrow.table(table), path)
