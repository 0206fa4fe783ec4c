"""The page for a person: digits by error, nothing lost, nothing said twice."""

from __future__ import annotations

import copy

import pytest

from hjbdsl.io.text import explanation, report, significant

RESULT = {
    "schema": "hjb.result/1",
    "problem": "toy",
    "title": "A toy",
    "kind": "finite_horizon",
    "method": "closed_form",
    "family": "quadratic",
    "status": "proved",
    "parameters": {"q": 1.0},
    "equation": {
        "objective": {"text": "minimise x^2", "latex": "x^2"},
        "dynamics": [{"text": "dx = a dt", "latex": ""}],
        "pde": {"text": "V_t + min { a V_x } = 0", "latex": ""},
        "maximiser": [{"text": "a* = -V_x", "latex": ""}],
    },
    "formula": {
        "V": {"text": "P x^2", "latex": ""},
        "controls": {"a": {"text": "-P x", "latex": ""}},
        "where": [{"name": "P", "text": "sqrt(q)", "latex": "", "value": 1.0}],
        "conditions": ["q > 0"],
        "condition_values": [1.0],
    },
    "value": [{"at": {"t": 0.0, "x": 1.5}, "V": 2.25, "error": 1e-3, "control": {"a": -1.5}, "gradient": {"x": 3.0}}],
    "evidence": {"kind": "symbolic", "residual": 0.0, "statements": ["second order holds"]},
    "checks": [
        {"name": "V", "line": 9, "passed": True, "max_error": 2e-16, "tol": 1e-6, "samples": 9, "text": "V = x^2"},
        {"name": "a", "line": 10, "passed": False, "max_error": None, "tol": 1e-6, "samples": 9, "text": "a = -x"},
    ],
    "timings": {},
    "warnings": ["mind the step"],
}


@pytest.mark.parametrize(
    ("value", "error", "shown"),
    [
        (-437.4253, 1e-12, "-437.4253"),
        (0.625, 0.0, "0.625"),
        (1.23456789, 1e-2, "1.23"),
        (123456.789, 5.0, "123457"),
        (0.001, 1.0, "0.001"),
        (0.0, 1e-3, "0"),
        (None, None, "-"),
    ],
)
def test_digits_follow_the_error(value, error, shown):
    assert significant(value, error) == shown


@pytest.mark.parametrize(
    "needle",
    ["A toy", "dx = a dt", "finite horizon", "V_t + min { a V_x } = 0", "a* = -V_x", "V = P x^2", "P = sqrt(q) = 1",
     "needs q > 0: 1", "Closed form, proved", "second order holds", "V ✓ 2.0e-16", "✗ line 10", "not a number",
     "warning: mind the step", "3.2 s"],
)  # fmt: skip
def test_everything_is_said(needle):
    assert needle in report(RESULT, 3.2)


def test_the_table_is_aligned():
    result = copy.deepcopy(RESULT)
    result["value"].append({"at": {"t": 0.0, "x": -10}, "V": 1e5, "error": 1.0, "control": {"a": 10.0}, "gradient": {"x": -20.0}})
    lines = report(result, 0).splitlines()
    header = next(i for i, line in enumerate(lines) if line.split() == ["t", "x", "V", "±", "a*"])
    assert len({len(line) for line in lines[header : header + 3]}) == 1


@pytest.mark.parametrize(
    ("entry", "needle"),
    [
        ({"stop": True}, "yes"),
        ({"control": {"a": {"mean": 0.5, "std": 0.25}}}, "0.5 ± 0.25"),
        ({"lower": 2.0, "upper": 2.5, "confidence": 0.99}, "[2, 2.5]"),
        ({"control": {"a": [1.0] * 7}}, "… 7]"),
        ({"V": None, "error": None}, "-"),
        ({"at": {"x": 1.0, "z": "good"}}, "good"),
    ],
)
def test_cells_of_every_kind(entry, needle):
    result = copy.deepcopy(RESULT)
    result["value"][0] |= entry
    assert needle in report(result, 0)


def test_a_zero_but_for_rounding_is_shown_as_zero():
    result = copy.deepcopy(RESULT)
    result["value"].append(result["value"][0] | {"at": {"t": 0.0, "x": 0.0}, "control": {"a": 3e-14}})
    assert "e-14" not in report(result, 0)


def test_an_average_carries_its_error():
    assert "average = 0.13 ± 0.034" in report(RESULT | {"average": 0.1312, "average_error": 0.034}, 0)


def test_long_tables_are_cut_with_a_word():
    assert "60 more points" in report(RESULT | {"value": RESULT["value"] * 100}, 0)


def test_explanation_names_each_method():
    declined = [["merton", "no wealth"], ["linear_quadratic", "the cost is cubic"]]
    text = explanation(
        [
            {"method": "closed_form", "accepted": False, "reason": "nothing", "families": declined},
            {"method": "grid", "accepted": True, "reason": "three levels", "families": []},
        ]
    )
    assert "rejected" in text
    assert "merton: no wealth" in text
    assert "linear_quadratic: the cost is cubic" in text
    assert "taken: three levels" in text
