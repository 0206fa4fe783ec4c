"""Every program of `examples/` runs, and prints what its last lines promise."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    environment = {**os.environ, "HJBDSL_CACHE": str(tmp_path_factory.mktemp("cache"))}
    outputs = {}
    for program in EXAMPLES:
        run = subprocess.run(
            [sys.executable, str(program)], capture_output=True, text=True, env=environment, timeout=240, check=False
        )
        assert run.returncode == 0, f"{program.name}: {run.stderr}"
        outputs[program.stem] = run.stdout
    return outputs


def test_every_example_is_listed() -> None:
    listed = (EXAMPLES[0].parent / "README.md").read_text(encoding="utf-8")
    assert all(f"`{program.name}`" in listed for program in EXAMPLES)


def test_blackboard_solves_the_fishery(printed: dict[str, str]) -> None:
    # h = psi*x with psi = (rho - (1 - gamma)*(g - gamma*sigma^2/2))/gamma
    psi = (0.07 + 0.5 * (0.04 - 1.5 * 0.04 / 2)) / 1.5
    harvest = float(re.search(r"x = 1.0: .*harvest ([\d.]+)", printed["blackboard"])[1])  # type: ignore[index]
    assert harvest == pytest.approx(psi, abs=1e-6)


def test_risk_aversion_ends_in_a_diagnostic(printed: dict[str, str]) -> None:
    assert "0.8333" in printed["risk_aversion"]  # (mu - r)/(gamma*sigma^2) at gamma = 1.5
    assert re.search(r"error\[HJB\d+\]", printed["risk_aversion"])


def test_the_simulated_policy_attains_the_value(printed: dict[str, str]) -> None:
    lines = printed["simulate_policy"].splitlines()
    value = float(lines[0].split("=")[1])
    costs = [tuple(map(float, re.findall(r"[\d.]+", line.split(":")[1]))) for line in lines[1:]]
    assert abs(costs[0][0] - value) < costs[0][1] + 2e-3  # and the bias of 400 time steps
    assert all(cost - band > value for cost, band in costs[1:])


def test_samples_follow_the_data(printed: dict[str, str]) -> None:
    share = float(re.search(r"left bump ([\d.]+)", printed["score_is_control"])[1])  # type: ignore[index]
    assert share == pytest.approx(0.3, abs=0.02)
