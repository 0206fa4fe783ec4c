"""`--at`: text to names and numbers, and a word where it is none."""

from __future__ import annotations

import pytest

from hjbdsl.cli.points import parse_point
from hjbdsl.errors import UsageError


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("x=1", {"x": 1.0}),
        (" t = 0 , x = -1.5e-3 ", {"t": 0.0, "x": -1.5e-3}),
        ("X=[1, 0],z=good", {"X": [1.0, 0.0], "z": "good"}),
        ("x=1/3", {"x": 1 / 3}),
        ("x=.5,y=2.", {"x": 0.5, "y": 2.0}),
        ("ψ=+1", {"ψ": 1.0}),
        ("X=[]", {"X": []}),
    ],
)
def test_points(text, point):
    assert parse_point(text) == point


@pytest.mark.parametrize(
    "text",
    ["", " ", "x", "x=", "=1", "x=1,,y=2", "x=1;y=2", "x=[1", "x=[[1]]", "x=1/0", "x=__import__('os')", "x=1,x=1", "x=1 2",
     "x=[1,]", "x=2**3", "x=1e", "9=1", "x=[a]"],
)  # fmt: skip
def test_what_is_no_point_is_refused(text):
    with pytest.raises(UsageError):
        parse_point(text)


def test_a_megabyte_is_refused_at_once():
    with pytest.raises(UsageError, match="longer"):
        parse_point("x=" + "1" * 1_000_000)
