"""`hjb solve`: the object of the contract, the statuses, the shelf."""

from __future__ import annotations

import json

import pytest

from .conftest import REGULATOR

TIMED = "state x in R\ncontrol a in R\ndx = a dt\nminimize integral(0, T) (x^2 + a^2) dt\nparam T = 1\nregion x in [-1, 1]\n"


def without_clock(result):
    return {name: value for name, value in result.items() if name not in ("timings", "cached")}


def test_the_object_has_the_contract_fields(hjb, regulator):
    run = hjb("solve", regulator, "--json", "--at", "x=1.5")
    assert run.status == 0
    result = run.json
    assert result["schema"] == "hjb.result/1"
    assert (result["problem"], result["kind"], result["method"]) == ("regulator", "infinite_horizon", "closed_form")
    assert result["status"] == "proved"
    assert result["parameters"] == {"q": 4.0, "r": 1.0}
    assert set(result["timings"]) >= {"parse", "derive", "generate", "compile", "solve"}
    assert [c["name"] for c in result["checks"]] == ["V", "a"]
    assert all(c["passed"] and c["max_error"] <= c["tol"] for c in result["checks"])
    assert [c["line"] for c in result["checks"]] == [8, 9]
    assert result["evidence"]["kind"] == "symbolic"
    assert {"text", "latex"} == set(result["formula"]["V"])


def test_values_are_those_of_the_closed_form(hjb, regulator):
    (entry,) = hjb("solve", regulator, "--json", "--at", "x=1.5").json["value"]
    assert entry["at"] == {"x": 1.5}
    assert entry["V"] == pytest.approx(2 * 1.5**2, abs=1e-9)
    assert entry["control"]["a"] == pytest.approx(-2 * 1.5, abs=1e-9)
    assert entry["gradient"]["x"] == pytest.approx(4 * 1.5, abs=1e-9)
    assert 0 <= entry["error"] < 1e-6


def test_without_points_the_centre_and_corners(hjb, regulator):
    places = [entry["at"]["x"] for entry in hjb("solve", regulator, "--json").json["value"]]
    assert places == [-2, 0, 2]


def test_a_finite_horizon_states_its_time(hjb, tmp_path):
    (tmp_path / "timed.hjb").write_text(TIMED)
    result = hjb("solve", "timed.hjb", "--json", "--at", "t=0.5,x=1", "--at", "x=1").json
    assert [entry["at"]["t"] for entry in result["value"]] == [0.5, 0.0]


@pytest.mark.parametrize(
    ("extra", "gain"),
    [(("--set", "q=9"), 3.0), (("--variant", "cheap"), 1.0), (("--set", "q=1/4"), 0.5), (("--set", "r = 16"), 8.0)],
)
def test_overrides_and_variants(hjb, regulator, extra, gain):
    run = hjb("solve", regulator, "--json", "--at", "x=1", *extra)
    assert run.status == 0, run.err
    assert run.json["value"][0]["V"] == pytest.approx(gain)


def test_the_text_says_what_matters(hjb, regulator):
    run = hjb("solve", regulator)
    assert run.status == 0
    for needle in ("a scalar regulator", "HJB", "proved", "✓"):
        assert needle in run.out
    assert "\x1b" not in run.out


def test_explain_names_the_methods(hjb, regulator):
    assert hjb("solve", regulator, "--json", "--explain").json["explain"][0]["method"] == "closed_form"
    assert "Methods" in hjb("solve", regulator, "--explain").out
    assert "explain" not in hjb("solve", regulator, "--json").json


def test_a_failed_check_is_status_1(hjb, tmp_path):
    (tmp_path / "wrong.hjb").write_text(REGULATOR.replace("check V = sqrt(q*r)*x^2", "check V = 1.001*sqrt(q*r)*x^2"))
    run = hjb("solve", "wrong.hjb", "--json")
    assert run.status == 1
    assert [c["passed"] for c in run.json["checks"]] == [False, True]
    assert run.json["checks"][0]["max_error"] == pytest.approx(0.008)
    text = hjb("solve", "wrong.hjb")
    assert text.status == 1
    assert "✗" in text.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("--at", "y=1"), ("--at", "x=1,y=2"), ("--at", "x"), ("--at", ""), ("--at", "x=[1,2]"), ("--at", "x=one"),
        ("--at", "x=1,x=2"), ("--method", "magic"), ("--set", "gamma"), ("--tol", "-1"), ("--tol", "much"), ("--seed", "x"),
        ("-o", "out.xyz"), ("--nope",),
    ],
)  # fmt: skip
def test_misuse_is_status_2_with_a_word(hjb, regulator, arguments):
    run = hjb("solve", regulator, *arguments)
    assert run.status == 2
    assert run.err.strip()
    assert run.out == ""


def test_misuse_is_an_object_where_objects_are_asked_for(hjb, regulator):
    run = hjb("solve", regulator, "--json", "--at", "y=1")
    assert (run.status, run.json["ok"], run.json["status"]) == (2, False, 2)
    assert "y" in run.json["error"]


def test_the_remedy_for_a_missing_state_shows_the_whole_point(hjb, tmp_path):
    (tmp_path / "timed.hjb").write_text(TIMED)
    assert '"t=0,x=1"' in hjb("solve", "timed.hjb", "--at", "t=0").err


def test_no_method_is_status_4_with_reasons(hjb, tmp_path):
    text = (
        "state x in R, y in R\ncontrol a in [-1, 1]\nnoise W\ndx = sin(y) dt\ndy = a*x dt + dW\n"
        "minimize E integral(0, 1) exp(x)*sin(x*y) dt\n"
    )
    (tmp_path / "hard.hjb").write_text(text)
    run = hjb("solve", "hard.hjb", "--method", "closed_form")
    assert run.status == 4, run.err
    assert "closed_form" in run.err
    as_json = hjb("solve", "hard.hjb", "--method", "closed_form", "--json")
    assert as_json.status == 4
    assert "closed_form" in as_json.json["reasons"]


def test_a_wrong_file_is_status_3(hjb, tmp_path):
    (tmp_path / "bad.hjb").write_text(REGULATOR.replace("q*x^2", "qq*x^2"))
    run = hjb("solve", "bad.hjb")
    assert run.status == 3
    assert "qq" in run.err
    assert "bad.hjb:6:" in run.err
    assert hjb("solve", "bad.hjb", "--json").json["diagnostics"][0]["line"] == 6


def test_the_shelf_gives_the_same_answer(hjb, regulator, tmp_path):
    fresh = str(tmp_path / "fresh")
    arguments = ("solve", regulator, "--json", "--at", "x=0.7")
    first = hjb(*arguments, HJBDSL_CACHE=fresh).json
    second = hjb(*arguments, HJBDSL_CACHE=fresh).json
    without = hjb(*arguments, "--no-cache", HJBDSL_CACHE=fresh).json
    assert (first["cached"], second["cached"], without["cached"]) == (False, True, False)
    assert without_clock(first) == without_clock(second) == without_clock(without)


def test_the_shelf_sees_every_change(hjb, regulator, tmp_path):
    at = ("--json", "--at", "x=1")
    assert hjb("solve", regulator, *at).json["value"][0]["V"] == pytest.approx(2)
    (tmp_path / regulator).write_text(REGULATOR.replace("q = 4", "q = 25"))
    assert hjb("solve", regulator, *at).json["value"][0]["V"] == pytest.approx(5)


def test_a_change_in_an_included_file_is_seen(hjb, tmp_path):
    (tmp_path / "numbers.hjb").write_text("param q = 4, r = 1\n")
    (tmp_path / "main.hjb").write_text(REGULATOR.replace("param q = 4, r = 1", 'include "numbers.hjb"'))
    at = ("solve", "main.hjb", "--json", "--at", "x=1")
    assert hjb(*at).json["value"][0]["V"] == pytest.approx(2)
    (tmp_path / "numbers.hjb").write_text("param q = 9, r = 1\n")
    assert hjb(*at).json["value"][0]["V"] == pytest.approx(3)


def test_a_damaged_shelf_is_made_anew(hjb, regulator, tmp_path):
    fresh = tmp_path / "fresh"
    first = hjb("solve", regulator, "--json", HJBDSL_CACHE=str(fresh)).json
    for entry in fresh.rglob("*.*"):
        entry.write_bytes(b"\x00 damaged")
    again = hjb("solve", regulator, "--json", HJBDSL_CACHE=str(fresh)).json
    assert without_clock(first) == without_clock(again)


def test_results_go_to_a_file(hjb, regulator, tmp_path):
    assert hjb("solve", regulator, "-o", "out.json").status == 0
    assert json.loads((tmp_path / "out.json").read_text())["schema"] == "hjb.result/1"


def test_standard_input(hjb):
    run = hjb("solve", "-", "--json", given=REGULATOR)
    assert run.status == 0
    assert run.json["problem"] == "regulator"


def test_a_tolerance_that_is_missed_is_status_1(hjb, regulator):
    assert hjb("solve", regulator, "--tol", "1e-6").status == 0
    missed = hjb("solve", regulator, "--tol", "1e-300", "--at", "x=1", "--json")
    assert missed.status == 1
    assert any("tolerance" in warning for warning in missed.json["warnings"])


def test_a_formula_over_modes_is_one_formula_by_cases(hjb, tmp_path):
    path = tmp_path / "modes.hjb"
    path.write_text(
        "mode z in {low_rate, high}\nrate low_rate -> high = 1, high -> low_rate = 2\nparam s(z) = {low_rate: 0.1, high: 0.5}\n"
        "state x in R\ncontrol u in R\nnoise W\ndx = u dt + s(z) dW\nminimize E integral(0, inf) exp(-t)*(x^2 + u^2) dt\n"
    )
    formula = hjb("solve", str(path), "--json").json["formula"]
    assert formula["V"]["text"].count("if z = ") == 2
    assert r"\text{low\_rate}" in formula["V"]["latex"]
    assert set(formula["V"]["by_mode"]) == {"low_rate", "high"}
    assert "by_mode" not in formula["controls"]["u"], "the noise alone depends on the mode"
    assert "V[high] = " in hjb("solve", str(path)).out
