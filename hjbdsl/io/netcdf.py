"""Last stage: result files on disk (NetCDF-4 through h5netcdf), and back.

In: a Dataset of `io.dataset` and a path. Out: the file, written whole or not at all; `StoredResult` from a file. Only numbers and
text are read: the problem is made again from its own text by the front end.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hjbdsl.errors import HjbError, UsageError
from hjbdsl.frontend.load import loads_problem
from hjbdsl.io.dataset import RESULT, SCHEMA, SOURCE
from hjbdsl.io.extras import TABLES, require
from hjbdsl.io.table_function import SinglePoints, TableFunction
from hjbdsl.io.variables import TABLE
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Evidence, Solution, ValueFunction

if TYPE_CHECKING:
    from xarray import Dataset

_COMPRESSED_FROM = 10_000
_SIGNATURE = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class StoredResult:
    """A result file: the problem made again, the object that `hjb solve --json` printed, the tables."""

    problem: ControlProblem
    result: Mapping[str, Any]
    dataset: Dataset

    def function(self) -> ValueFunction:
        """V and the policy by interpolation. For more than four continuous states there is no such thing: evaluating it raises
        `UsageError`."""
        return TableFunction.of(self.problem, self.dataset) if self.dataset.attrs["layout"] == "tensor" else SinglePoints()

    def solution(self) -> Solution:
        """The solution as it was stored; its formula stands in `result`."""
        result, evidence = self.result, dict(self.result["evidence"])
        kind, residual, statements = (evidence.pop(name) for name in ("kind", "residual", "statements"))
        numbers = {name: float(value) for name, value in evidence.items() if isinstance(value, int | float)}
        worth = Evidence(kind, float("nan") if residual is None else float(residual), tuple(statements), numbers)
        arrays = self.dataset.data_vars.values()
        tables = {str(array.attrs["of"]): array.values for array in arrays if array.attrs.get("role") == TABLE}
        return Solution(
            result["method"], result["family"], result["status"], self.function(), worth,
            average=result.get("average"), average_error=result.get("average_error"), warnings=tuple(result["warnings"]),
            tables=tables,
        )  # fmt: skip


def write_dataset(dataset: Dataset, path: str) -> None:
    """Write the file at once: a reader finds the old one or the new one. Raises `UsageError` where it cannot be written."""
    require(TABLES, "result files")
    encoding = {
        name: {"zlib": True, "complevel": 4}
        for name, variable in dataset.data_vars.items()
        if variable.size >= _COMPRESSED_FROM and variable.dtype.kind in "fi"
    }
    target = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
        os.close(handle)
        try:
            dataset.to_netcdf(temporary, engine="h5netcdf", encoding=encoding)
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, target)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write `{path}`: {error.strerror or error}") from error


def read_result(path: str) -> StoredResult:
    """The result that `hjb solve -o` wrote. Raises `UsageError` where the file is missing, damaged or no result file."""
    require(TABLES, "result files")
    import xarray  # noqa: PLC0415 (an extra, slow to load)

    _look_at(path)
    try:
        with xarray.open_dataset(path, engine="h5netcdf", decode_times=False) as opened:
            dataset = opened.load()
    except Exception as error:  # the libraries below raise anything on a damaged file
        reason = (str(error).splitlines() or [""])[0][:120]
        raise UsageError(f"`{path}` is damaged: {reason}") from error
    if dataset.attrs.get("schema") != SCHEMA:
        raise UsageError(
            f"`{path}` is not a result of hjb: it lacks the schema {SCHEMA}; `hjb solve FILE -o result.nc` writes one"
        )
    try:
        result, source = (json.loads(str(dataset[name].values[()])) for name in (RESULT, SOURCE))
        problem = _problem(source)
        return StoredResult(problem, result, dataset)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"`{path}` is damaged: {type(error).__name__}: {error}") from error
    except HjbError as error:
        raise UsageError(f"`{path}` holds a problem that this version cannot read:\n{error}") from error


def is_result(path: str) -> bool:
    """Whether the file is NetCDF-4 by its first bytes."""
    try:
        with open(path, "rb") as stream:
            return stream.read(len(_SIGNATURE)) == _SIGNATURE
    except OSError:
        return False


def _look_at(path: str) -> None:
    if not Path(path).is_file():
        raise UsageError(f"there is no file `{path}`; `hjb solve FILE -o result.nc` writes one")
    if not is_result(path):
        raise UsageError(f"`{path}` is not a result file (NetCDF-4); `hjb solve FILE -o result.nc` writes one")


def _problem(source: Mapping[str, Any]) -> ControlProblem:
    path, files = str(source["path"]), {str(name): str(text) for name, text in source["files"].items()}
    overrides = {str(name): str(text) for name, text in source["overrides"].items()}
    return loads_problem(files[path], path, overrides, source["variant"], files)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
