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


def test_an_answer_is_kept_and_an_option_makes_another(learn: object) -> None:
    asked = (LQR, "--dt", "0.1", "--steps", "6000", "--json")
    first, again, other = (json.loads(learn(*asked, *more).out) for more in ((), (), ("--seed", "1")))  # type: ignore[operator]
    assert (first["cached"], again["cached"], other["cached"]) == (False, True, False)
    assert first["value"] == again["value"]
    assert first["value"] != other["value"]


def test_recorded_data_that_changed_is_read_again(learn: object, tmp_path: Path) -> None:
    path, random = tmp_path / "data.npz", np.random.default_rng(0)
    x, a = random.uniform(-2, 2, (4000, 1)), random.normal(0, 3, (4000, 1))
    said = []
    for noise in (0.1, 0.1, 0.2):
        after = x + (a - 0.5 * x) * 0.1 + noise * np.random.default_rng(1).normal(size=x.shape)
        np.savez(path, x=x, a=a, r=-(x**2 + 0.1 * a**2)[:, 0] / 2, x_next=after)
        said.append(json.loads(learn(LQR, "--dt", "0.1", "--data", str(path), "--json").out))  # type: ignore[operator]
    assert [result["cached"] for result in said] == [False, True, False]
    assert said[0]["value"][0]["error"] < said[2]["value"][0]["error"]
