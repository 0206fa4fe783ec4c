"""`hjb learn` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import ROOT, Run

LQR = str(ROOT / "problems" / "lqr.hjb")


@pytest.fixture
def learn(hjb: object) -> object:
    return lambda *arguments: hjb("learn", *arguments)  # type: ignore[operator]


def test_one_object_with_the_learned_policy_beside_the_model(learn: object) -> None:
    run: Run = learn(LQR, "--dt", "0.1", "--steps", "20000", "--json")  # type: ignore[operator]
    assert run.status == 0, run.err
    result = json.loads(run.out)
    assert result["schema"] == "hjb.lesson/1"
    assert result["model"]["method"] == "closed_form"
    assert set(result["errors"]) == {"V", "a"}
    for entry in result["value"]:
        assert abs(entry["V"] - entry["model"]["V"]) < 0.05
        assert entry["lower"] < entry["V"] < entry["upper"]
        assert entry["confidence"] == 0.99


def test_text_names_the_class_the_data_and_the_errors(learn: object) -> None:
    run: Run = learn(LQR, "--dt", "0.1", "--steps", "20000", "--off-policy")  # type: ignore[operator]
    assert run.status == 0, run.err
    for word in ("Learned from transitions", "degree 2", "temperature 0", "V learned", "V model", "beside the model"):
        assert word in run.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--dt", "0"), "--dt wants a positive number"),
        (("--dt", "0.1", "--algorithm", "sarsa"), "there is no algorithm `sarsa`"),
        (("--dt", "0.1", "--data", "absent.npz"), "there is no file `absent.npz`"),
        (("--dt", "0.1", "--env", "NoSuchThing-v0"), "there is no environment `NoSuchThing-v0`"),
        (("--dt", "0.1", "--env", "a", "--data", "b"), "not from both"),
        (("--dt", "0.1", "--env", "json:loads"), "there is no environment `json:loads`"),
        (("--dt", "0.1", "--env", "collections:OrderedDict"), "is no Gymnasium environment"),
        (("--dt", "0.1", "--around", "a=[1,2]"), "is no control"),
        (("--dt", "0.1", "--around", "b=1"), "`b` is no control"),
        (("--dt", "0.1", "--steps", "1"), "--steps wants"),
    ],
)
def test_usage(learn: object, options: tuple[str, ...], said: str) -> None:
    run: Run = learn(LQR, *options)  # type: ignore[operator]
    assert run.status == 2
    assert said in run.err
    assert "Traceback" not in run.err


def test_too_little_data_is_a_failure_with_a_remedy(learn: object, tmp_path: Path) -> None:
    path = tmp_path / "few.npz"
    np.savez(path, x=np.ones((50, 1)), a=np.ones((50, 1)), r=np.ones(50), x_next=np.ones((50, 1)))
    run: Run = learn(LQR, "--dt", "0.1", "--data", str(path))  # type: ignore[operator]
    assert run.status == 5
    assert "more varied data" in run.err
