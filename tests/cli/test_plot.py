"""`hjb solve -o result.nc` and `hjb plot`: files come out, mistakes are said."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("h5py")

PNG = b"\x89PNG"


def test_a_result_is_drawn(hjb, regulator):
    assert hjb("solve", regulator, "-o", "result.nc", "--quiet").status == 0
    run = hjb("plot", "result.nc", "-o", "fig.png")
    assert (run.status, run.out.strip()) == (0, "fig.png")
    assert Path("fig.png").read_bytes().startswith(PNG)


def test_a_file_is_solved_and_drawn(hjb, regulator):
    run = hjb("plot", regulator, "--set", "q=9", "--what", "value")
    assert (run.status, run.out.strip()) == (0, "regulator.png")
    assert Path("regulator.png").exists()


def test_vector_formats(hjb, regulator):
    for name in ("fig.svg", "fig.pdf"):
        assert hjb("plot", regulator, "-o", name).status == 0
        assert Path(name).stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--what", "shape"), "value, policy, paths"),
        (("-o", "fig.gif"), "png, svg or pdf"),
        (("--what", "density"), "nothing to draw of density"),
        (("--what", ","), "--what is empty"),
    ],
)
def test_mistakes_are_usage(hjb, regulator, arguments, words):
    run = hjb("plot", regulator, *arguments)
    assert run.status == 2
    assert words in run.err


def test_a_result_has_its_parameters_already(hjb, regulator):
    hjb("solve", regulator, "-o", "result.nc", "--quiet")
    run = hjb("plot", "result.nc", "--set", "q=9")
    assert run.status == 2
    assert "has its answer already" in run.err


def test_a_damaged_result_is_said(hjb, regulator):
    hjb("solve", regulator, "-o", "result.nc", "--quiet")
    Path("cut.nc").write_bytes(Path("result.nc").read_bytes()[:900])
    run = hjb("plot", "cut.nc")
    assert run.status == 2
    assert "`cut.nc` is damaged" in run.err


def test_without_the_extra_the_remedy_is_named(hjb, regulator, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "h5py" else found(name, *rest))
    run = hjb("solve", regulator, "-o", "result.nc")
    assert run.status == 2
    assert "pip install 'hjbdsl[plot]'" in run.err


def test_results_end_in_nc_or_json(hjb, regulator):
    run = hjb("solve", regulator, "-o", "result.txt")
    assert run.status == 2
    assert ".nc or .json" in run.err
