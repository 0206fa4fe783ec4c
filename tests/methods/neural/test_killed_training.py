"""A training killed without warning, and gone on with by another process: the answer is that of an unbroken run, bit for bit."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

REGULATOR = """
state x in R
control a in R
noise W
dx = (-0.5*x + a) dt + 0.3 dW
maximize E integral(0, inf) exp(-0.1*t)*(-(x^2 + 0.1*a^2)/2) dt
region x in [-2, 2]
solve neural(method = policy_iteration, budget = 600)
"""


def command(problem: Path, checkpoint: Path, *more: str) -> list[str]:
    asked = ["--method", "neural", "--seed", "1", "--at", "x=1", "--json", "--no-cache", "--checkpoint", str(checkpoint), *more]
    return [sys.executable, "-m", "hjbdsl", "solve", str(problem), *asked]


def answer(arguments: list[str]) -> dict[str, Any]:
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=280)
    result = json.loads(done.stdout)
    return {name: result[name] for name in ("status", "value", "evidence", "warnings")}


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_answer(tmp_path: Path) -> None:
    problem, checkpoint = tmp_path / "regulator.hjb", tmp_path / "killed.pt"
    problem.write_text(REGULATOR)
    with subprocess.Popen(command(problem, checkpoint), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as training:
        deadline = time.monotonic() + 250.0
        while not checkpoint.exists() and training.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        training.kill()
    assert training.returncode == -9
    kept = checkpoint.read_bytes()
    resumed = answer(command(problem, checkpoint, "--resume"))
    assert checkpoint.read_bytes() != kept
    assert resumed == answer(command(problem, tmp_path / "whole.pt"))
