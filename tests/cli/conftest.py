"""The command line as a user meets it: a process, its streams and its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
REGULATOR = """\
problem regulator "a scalar regulator"
param q = 4, r = 1
state x in R
control a in R
dx = a dt
minimize integral(0, inf) (q*x^2 + r*a^2) dt
region x in [-2, 2]
check V = sqrt(q*r)*x^2
check a = -sqrt(q/r)*x
variant cheap: r = 0.25
"""


@dataclass(frozen=True)
class Run:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


Hjb = Callable[..., Run]


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shelf")


@pytest.fixture
def hjb(tmp_path: Path, shelf: Path) -> Hjb:
    """`hjb("solve", "file.hjb")` in a folder of its own; no run may end in a traceback."""

    def run(*arguments: str, given: str | bytes = "", **environment: str) -> Run:
        done = subprocess.run(
            [sys.executable, "-m", "hjbdsl", *arguments],
            input=given.encode() if isinstance(given, str) else given,
            capture_output=True, cwd=tmp_path, timeout=120, check=False,
            env={**os.environ, "HJBDSL_CACHE": str(shelf), "PYTHONPATH": str(ROOT), **environment},
        )  # fmt: skip
        result = Run(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in result.out + result.err, result.err
        return result

    return run


@pytest.fixture
def regulator(tmp_path: Path) -> str:
    (tmp_path / "regulator.hjb").write_text(REGULATOR)
    return "regulator.hjb"
