"""`hjb doctor`: what is installed, and whether it works here."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from hjbdsl.cli.options import AS_JSON
from hjbdsl.io import store

_CORE = ("sympy", "numpy", "scipy", "numba", "lark", "click", "rich", "jinja2")
_EXTRAS = (
    ("torch", "neural"), ("matplotlib", "plot"), ("xarray", "plot"), ("h5netcdf", "plot"), ("h5py", "plot"), ("pyarrow", "data"),
    ("gymnasium", "gym"),
)  # fmt: skip
_EXIT_BROKEN = 5


@click.command()
@AS_JSON
def run(
    as_json: bool,
) -> int:
    """Versions of everything that hjb runs on, and a small problem solved from end to end."""
    rows = [("python", True, platform.python_version()), ("hjbdsl", True, _version("hjbdsl"))]
    rows += [_library(name) for name in _CORE]
    for name, extra in _EXTRAS:
        version = _version(name)
        rows.append((name, True, version if version else f"not installed; pip install 'hjbdsl[{extra}]' brings it"))
    rows += [_tried("cache", _cache), _tried("gallery", _gallery), _tried("solve", _solve)]
    tool = shutil.which("pdflatex") or shutil.which("tectonic")
    rows.append(("TeX", True, tool or "not installed; only needed to compile `hjb derive --format latex`"))
    works = all(fine for _, fine, _ in rows)
    if as_json:
        click.echo(json.dumps({"ok": works, "parts": [{"name": n, "ok": f, "detail": d} for n, f, d in rows]}))
    else:
        for name, fine, detail in rows:
            click.echo(f"{'ok  ' if fine else 'FAIL'}  {name:<11} {detail}")
    return 0 if works else _EXIT_BROKEN


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _library(name: str) -> tuple[str, bool, str]:
    return _tried(name, lambda: (import_module(name), _version(name))[1])


def _tried(name: str, attempt: Callable[[], str]) -> tuple[str, bool, str]:
    try:
        return name, True, attempt()
    except Exception as error:  # whatever is broken is what is reported
        return name, False, f"{type(error).__name__}: {error}".splitlines()[0]


def _cache() -> str:
    folder = store.directory()
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{folder} cannot be written; set HJBDSL_CACHE to a folder that can")
    return str(folder)


def _gallery() -> str:
    folder = Path(sys.modules["hjbdsl"].__file__ or "").parent / "gallery"
    count = len(list(folder.glob("*.hjb")))
    if not count:
        raise FileNotFoundError(f"no problems in {folder}")
    return f"{count} problems"


def _solve() -> str:
    from hjbdsl import pipeline  # noqa: PLC0415 (what is tried may be what is broken)

    started = time.perf_counter()
    text = "param q = 4\nstate x in R\ncontrol a in R\ndx = a dt\nminimize integral(0, inf) (q*x^2 + a^2) dt\n"
    result: dict[str, Any] = pipeline.answer(pipeline.loads(text), pipeline.Request(), [{"x": 1.0}], cached=False)
    value = result["value"][0]["V"]
    if abs(value - 2) > 1e-9:
        raise ArithmeticError(f"V(1) of a regulator came out as {value}, it is 2")
    return f"V = 2 of a regulator found in {time.perf_counter() - started:.1f} s"
