"""Long formulas on several lines: nothing is lost, lines fit, and a break stands between summands."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hjbdsl.symbolic.folding import folded

LONG = "∂_t V + max over u of { " + " + ".join(f"a{i} (x - b{i}) V_x" for i in range(12)) + " } = 0"


def test_a_short_line_stays_one():
    assert folded("V = x", "  ", "    ") == ["  V = x"]


def test_a_long_equation_is_broken_before_a_sign_outside_brackets():
    lines = folded(LONG, "HJB  ", "       ", width=60)
    assert len(lines) > 3
    assert all(line.startswith("       + a") for line in lines[1:])
    assert all(line.count("(") == line.count(")") for line in lines)


def test_absolute_values_stay_whole():
    text = "min( " + "c V_x + " * 6 + "w |x V_y - y V_x + V_z + V_t| - w |V_z|, g) = 0"
    assert all(line.count("|") % 2 == 0 for line in folded(text, "", "  ", width=64))


@given(st.text(alphabet="ab +-=(){}[],|", max_size=400), st.integers(40, 120))
def test_nothing_is_lost(text, width):
    text = " ".join(text.split())
    lines = folded(text, "  ", "    ", width)
    assert " ".join(" ".join(lines).split()).replace(" ", "") == text.replace(" ", "")
    assert all(len(line) <= width or " " not in line[35:].strip() for line in lines)
