"""The command line as a user meets it: a process, its streams and its exit status."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hjbdsl.cli.main import main

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
def hjb(tmp_path: Path, shelf: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Hjb:
    """`hjb("solve", "file.hjb")` in a folder of its own, inside this process: the libraries are loaded once for all tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HJBDSL_CACHE", str(shelf))

    def run(*arguments: str, given: str | bytes = "", **environment: str) -> Run:
        content = given.encode() if isinstance(given, str) else given
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
            for name, value in environment.items():
                patched.setenv(name, value)
            capfdbinary.readouterr()
            with pytest.raises(SystemExit) as left:
                main(arguments)
        out, err = capfdbinary.readouterr()
        return _checked(Run(int(left.value.code or 0), out.decode(), err.decode()))

    return run


@pytest.fixture
def hjb_process(tmp_path: Path, shelf: Path) -> Hjb:
    """The same, as a process of its own."""

    def run(*arguments: str, given: str | bytes = "", **environment: str) -> Run:
        done = subprocess.run(
            [sys.executable, "-m", "hjbdsl", *arguments],
            input=given.encode() if isinstance(given, str) else given,
            capture_output=True, cwd=tmp_path, timeout=120, check=False,
            env={**os.environ, "HJBDSL_CACHE": str(shelf), "PYTHONPATH": str(ROOT), **environment},
        )  # fmt: skip
        return _checked(Run(done.returncode, done.stdout.decode(), done.stderr.decode()))

    return run


def _checked(result: Run) -> Run:
    """No run may end in a traceback."""
    assert "Traceback" not in result.out + result.err, result.err
    return result


@pytest.fixture
def regulator(tmp_path: Path) -> str:
    (tmp_path / "regulator.hjb").write_text(REGULATOR)
    return "regulator.hjb"
