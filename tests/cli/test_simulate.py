"""`hjb simulate` and `hjb verify` as a user meets them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Hjb

NOISY = """\
problem noisy "a noisy regulator"
param q = 1, c = 0.5, s = 0.4, rho = 0.5
state x in R
control a in R
noise W
dx = a dt + s dW
minimize E integral(0, inf) exp(-rho*t)*(q*x^2 + c*a^2) dt
region x in [-1, 1]
"""
CRASH = """\
problem crash
state x > 0
control w in [0, 2]
noise W
jump N rate 0.1
dx = (0.02 + 0.07*w)*x dt + 0.2*w*x dW - 0.3*w*x dN
maximize E log(x(1))
region x in [0.5, 2]
"""


@pytest.fixture
def noisy(tmp_path: Path) -> str:
    (tmp_path / "noisy.hjb").write_text(NOISY)
    (tmp_path / "crash.hjb").write_text(CRASH)
    return "noisy.hjb"


def test_the_page_says_what_was_earned_and_what_v_is(hjb: Hjb, noisy: str) -> None:
    run = hjb("simulate", noisy, "--paths", "100", "--dt", "0.1", "--from", "x=0.5")
    assert run.status == 0
    for words in (
        "a noisy regulator",
        "100 paths from x = 0.5",
        "realised cost",
        "worth of the policy",
        "✓ V is what its policy earns",
    ):
        assert words in run.out


def test_the_object_is_stable(hjb: Hjb, noisy: str) -> None:
    first, second = (hjb("simulate", noisy, "--paths", "50", "--dt", "0.1", "--seed", "7", "--json").json for _ in range(2))
    assert first.pop("seconds") >= 0
    second.pop("seconds")
    assert first == second
    assert first["schema"] == "hjb.simulation/1"
    assert first["from"] == {"x": 0.0}
    assert first["verdict"] == "agrees"
    assert abs(first["V"] - first["value_of_policy"]["mean"]) < 0.05
    other = hjb("simulate", noisy, "--paths", "50", "--dt", "0.1", "--seed", "8", "--json").json
    assert other["realised"] != first["realised"]


def test_paths_are_written(hjb: Hjb, noisy: str, tmp_path: Path) -> None:
    assert hjb("simulate", noisy, "--paths", "20", "--dt", "0.25", "--horizon", "5", "-o", "paths.npz").status == 0
    with np.load(tmp_path / "paths.npz") as table:
        assert table["x"].shape == table["a"].shape == table["cumulative_reward"].shape == (20, 21)
        assert table["t"][-1] == pytest.approx(5)
        assert (np.diff(table["cumulative_reward"], axis=1) >= 0).all()
    parquet = pytest.importorskip("pyarrow.parquet")
    assert hjb("simulate", "crash.hjb", "--paths", "20", "--dt", "0.1", "-o", "paths.parquet").status == 0
    assert set(parquet.read_table(tmp_path / "paths.parquet").column_names) == {
        "path", "t", "x", "w", "cumulative_reward", "ended", "end_time"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--paths", "0"), "--paths wants"),
        (("--dt", "-1"), "--dt wants"),
        (("--from", "y=1"), "not a state"),
        (("-o", "paths.txt"), "paths are written as"),
        (("--horizon", "nan"), "--horizon wants"),
    ],
)
def test_a_wrong_option_is_explained(hjb: Hjb, noisy: str, arguments: tuple[str, ...], words: str) -> None:
    run = hjb("simulate", noisy, *arguments)
    assert run.status == 2
    assert words in run.err


def test_verify_brackets_the_value(hjb: Hjb, noisy: str) -> None:
    run = hjb("verify", noisy, "--paths", "100", "--dt", "0.1", "--at", "x=0.5", "--at", "x=-1", "--json")
    assert run.status == 0
    found = run.json
    assert found["verdict"] == "holds"
    assert [point["at"]["x"] for point in found["points"]] == [0.5, -1.0]
    for point in found["points"]:
        assert point["lower"] <= point["V"] * (1 + 1e-9) <= point["upper"] * (1 + 1e-8)
    assert found["residual"]["largest"] < 1e-8


def test_verify_tells_it_on_a_page(hjb: Hjb, noisy: str) -> None:
    run = hjb("verify", "crash.hjb", "--paths", "50", "--dt", "0.1")
    assert run.status == 0
    for words in ("equation: fails by", "its policy, simulated", "bracket", "✓ V holds"):
        assert words in run.out
