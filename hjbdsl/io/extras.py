"""Side room: libraries that come with an extra, asked for before the work begins.

In: names of libraries. Out: nothing, or `UsageError` with the line that brings them.
"""

from __future__ import annotations

import importlib.util

from hjbdsl.errors import UsageError

TABLES = ("xarray", "h5netcdf", "h5py")
PICTURES = ("matplotlib", "xarray")


def require(libraries: tuple[str, ...], purpose: str) -> None:
    """`purpose` in words, as in "result files"; all of them come with the extra `plot`."""
    missing = [name for name in libraries if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"{purpose} need {' and '.join(missing)}: pip install 'hjbdsl[plot]'")
