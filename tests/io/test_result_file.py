"""Result files: what is written is what is read, against closed forms; damage ends in a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import hjbdsl
from hjbdsl import pipeline, uses
from hjbdsl.errors import UsageError

from .problems import REGIMES, REGULATOR, TIMED

xarray = pytest.importorskip("xarray")
pytest.importorskip("h5py")


def answer(text, path="<text>", overrides=None, variant=None):
    problem = pipeline.loads(text, overrides, variant, path)
    return pipeline.worked_out(problem, pipeline.Request(), cached=False)


@pytest.fixture
def stored(tmp_path):
    def make(text, **options):
        path = str(tmp_path / "result.nc")
        uses.save(answer(text, **options), path)
        return uses.stored(path)

    return make


def evaluate(solution, t, x, mode=0):
    x = np.atleast_2d(np.asarray(x, dtype=float))
    return solution.function.evaluate(np.full(len(x), float(t)), x, np.full(len(x), mode, dtype=np.int64))


def test_the_dataset_is_named_as_the_file_names_things():
    dataset = hjbdsl.loads(REGULATOR).solve().to_xarray()
    assert dataset.V.dims == dataset.a.dims == ("x",)
    assert dataset.x.attrs["long_name"] == "distance [m]"
    assert dataset.a.attrs["latex"] == "a"
    exact = 2 * dataset.x**2
    assert float(abs(dataset.V - exact).max()) < 1e-9
    assert bool((abs(dataset.V - exact) <= dataset.V_error).all())
    assert dataset.attrs["status"] == "proved"
    assert json.loads(str(dataset.hjb_result.values))["schema"] == "hjb.result/1"


def test_read_back_value_policy_and_gradient(stored):
    found = stored(REGULATOR)
    x = np.random.default_rng(0).uniform(-2, 2, 50)
    values = evaluate(found.solution, 0, x[:, None])
    assert values.value == pytest.approx(2 * x**2, abs=1e-9)
    assert values.control[:, 0] == pytest.approx(-2 * x, abs=1e-9)
    assert values.gradient[:, 0] == pytest.approx(4 * x, abs=1e-9)
    assert np.all(np.abs(values.value - 2 * x**2) <= values.error)


def test_beyond_the_table_the_policy_goes_on_and_the_error_is_infinite(stored):
    values = evaluate(stored(REGULATOR).solution, 0, [[50.0]])
    assert values.control[0, 0] == pytest.approx(-100.0)
    assert np.isinf(values.error[0])


def test_time_and_vectors(stored):
    """V = p(t) |x|^2 + c(t) with p = 1: the Riccati equation p' = p^2 - 1 rests at 1, c' = -0.3^2 n."""
    found = stored(TIMED)
    x = np.random.default_rng(1).uniform(-1, 1, (40, 2))
    for t in (0.0, 0.37, 1.0):
        values = evaluate(found.solution, t, x)
        exact = (x**2).sum(axis=1) + 0.09 * 2 * (1 - t)
        assert np.all(np.abs(values.value - exact) <= values.error + 1e-12)
        assert values.value == pytest.approx(exact, abs=1e-6)
        assert values.control == pytest.approx(-x, abs=1e-6)


def test_modes_are_read_back_by_their_labels(stored):
    """Log utility consumes at the rate rho whatever the mode."""
    found = stored(REGIMES)
    assert list(found.table["z"].values) == ["good", "bad"]
    good, bad = (evaluate(found.solution, 0, [[1.3]], mode) for mode in (0, 1))
    assert good.control[0, 0] == pytest.approx(0.06, abs=1e-8)
    between = found.table.V.sel(z="good") - found.table.V.sel(z="bad")  # the same at every x: log utility
    assert good.value[0] - bad.value[0] == pytest.approx(float(between[0]), abs=1e-6)


def test_the_problem_is_made_again_with_its_overrides_variant_and_includes(tmp_path, stored):
    (tmp_path / "shared.hjb").write_text("param q = 9\n", encoding="utf-8")
    text = REGULATOR.replace('param q = 4 "weight of the state", r = 1', 'include "shared.hjb"\nparam r = 1')
    found = stored(text, path=str(tmp_path / "top.hjb"), variant="cheap", overrides={"q": "16"})
    (tmp_path / "shared.hjb").unlink()
    again = uses.stored(str(tmp_path / "result.nc"))
    assert again.equation.problem.source.variant == "cheap"
    assert again.result["parameters"] == found.result["parameters"] == {"q": 16.0, "r": 0.25}


def test_names_of_the_file_win_over_ours(stored):
    text = REGULATOR.replace("state x", "state V_x").replace("*x", "*V_x").replace("dx", "dV_x").replace("region x", "region V_x")
    values = evaluate(stored(text).solution, 0, [[1.5]])
    assert values.value[0] == pytest.approx(4.5)
    assert values.gradient[0, 0] == pytest.approx(6.0)


def test_many_dimensions_are_lines_and_points(stored):
    text = TIMED.replace("R^2", "R^6")
    found = stored(text)
    along = found.table.isel(point=np.flatnonzero(found.table["line"].values == 2))
    assert along.V.values == pytest.approx(along["x[3]"].values ** 2 + 0.09 * 6, abs=1e-6)
    with pytest.raises(UsageError, match=r"\.hjb file"):
        evaluate(found.solution, 0, np.zeros((1, 6)))


def damaged(path: Path, kind: str) -> None:
    content = path.read_bytes()
    match kind:
        case "cut":
            path.write_bytes(content[: len(content) // 2])
        case "text":
            path.write_text("not a result")
        case "empty":
            path.write_bytes(b"")
        case "other":
            xarray.Dataset({"V": ("x", [1.0])}).to_netcdf(path, engine="h5netcdf")
        case "field":
            with xarray.open_dataset(path, engine="h5netcdf") as opened:
                loaded = opened.load()
            loaded.drop_vars("hjb_source").to_netcdf(path, engine="h5netcdf")


@pytest.mark.parametrize("kind", ["cut", "text", "empty", "other", "field"])
def test_damage_is_said_in_a_sentence(tmp_path, kind):
    path = tmp_path / "result.nc"
    uses.save(answer(REGULATOR), str(path))
    damaged(path, kind)
    with pytest.raises(UsageError, match=r"result\.nc"):
        uses.stored(str(path))


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    with pytest.raises(UsageError, match="cannot write"):
        uses.save(answer(REGULATOR), str(tmp_path / "no" / "result.nc"))
    assert list(tmp_path.iterdir()) == []
