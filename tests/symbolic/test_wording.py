"""What a reader sees: numbers as written, letters that do not clash, clips, ends that follow from the domain."""

from __future__ import annotations

import pytest

from hjbdsl.errors import HjbError
from hjbdsl.frontend.load import loads_problem
from hjbdsl.symbolic.account import account
from hjbdsl.symbolic.derive import derive
from hjbdsl.symbolic.render import as_text

STORAGE = """problem storage
state w in R
control u in [-2, 2]
noise W
dw = 1500*u dt + 3 dW
minimize E integral(0, inf) exp(-0.5*t)*(w^2 + 0.5*u^2) dt
"""
SEASON = """problem season
param h = 5, s = 0.3, c = 1, T = 1
state x in R
control u in R
noise W
dx = u dt + s dW
minimize E [ integral(0, T) (h*(x - cos(2*t))^2 + c*u^2) dt + x(T)^2 ]
"""
CAPACITY = """problem capacity
param B = 3
state x > 0
control u in [-2, 2]
noise W
exit tau in [0, 2] when x >= B
dx = u*x dt + 0.3*x dW
minimize E [ integral(0, tau) (x + u^2) dt + x(tau) ]
"""


def entries(source):
    told = account(derive(loads_problem(source)))
    return {entry.key: [formula.text for formula in entry.formulas] for entry in told.entries}, told.boundaries


def test_a_decimal_of_the_file_stays_one():
    text = as_text(derive(loads_problem(STORAGE)), steps=True)
    assert "0.5 V = min over u of" in text
    assert "e^(-0.5 s)" in text
    assert "]/0.5" in text
    assert "1/2" not in text


def test_a_denominator_of_two_factors_is_bracketed():
    found, _ = entries(STORAGE.replace("exp(-0.5*t)", "exp(-2*rho*t)").replace("state w", "param rho = 0.1\nstate w"))
    assert found["q_function"][0].endswith("]/(2 ρ)")


def test_a_bounded_quadratic_control_is_a_clip():
    found, _ = entries(STORAGE)
    assert found["maximiser"] == ["u* = max(-2, min(2, -1500 V'))"]
    assert "750 V' ≥ 1" in found["reduced"][0]


@pytest.mark.parametrize(("bounds", "clip"), [("u >= 0", "max(0, -1500 V')"), ("u <= 4", "min(4, -1500 V')")])
def test_half_lines_are_clips(bounds, clip):
    found, _ = entries(STORAGE.replace("u in [-2, 2]", bounds))
    assert found["maximiser"] == [f"u* = {clip}"]


def test_our_letters_give_way_to_those_of_the_file():
    text = as_text(derive(loads_problem(SEASON)), steps=True)
    assert "∫_t^T (h (x - cos(2 v))² + c u²) dv + x(T)²" in text
    assert "o(δ)" in text
    assert "o(h)" not in text
    assert "one step δ" in text


def test_what_is_paid_at_the_end_has_its_time():
    source = SEASON.replace("x(T)^2", "c*log(1 + x(T)^2)")
    assert entries(source)[0]["value"][0].endswith("+ c log(1 + x(T)²) ]")


def test_an_absorbing_end_lies_in_the_domain():
    _, boundaries = entries(CAPACITY)
    ends = {line.where.text: line.condition.kind for line in boundaries}
    assert ends == {"x = 0": "natural", "x = B": "absorbing"}


def test_an_absorbing_end_below_on_a_half_line():
    _, boundaries = entries(CAPACITY.replace("x >= B", "x <= 0.5"))
    ends = {line.where.text: line.condition.kind for line in boundaries}
    assert ends == {"x = ½": "absorbing", "x → ∞": "growth"}


def test_both_ends_of_a_distance():
    _, boundaries = entries(CAPACITY.replace("x > 0", "x in R").replace("x >= B", "|x| >= B"))
    assert [line.where.text for line in boundaries] == ["x = -B", "x = B"]


def test_a_game_is_not_the_largest_value():
    source = SEASON.replace("control u in R", "control u in R\nadversary b in [-1, 1]").replace("dx = u dt", "dx = (u + b) dt")
    assert "the value of the game" in derive(loads_problem(source)).steps[0].explanation


@pytest.mark.filterwarnings("error")
def test_a_game_without_a_reward_at_the_end_of_an_interval_is_compared_elsewhere():
    # nothing is defined at k = 0; who moves first matters, by (w - h)^2
    source = """problem saver
state x > 0
control w in [0, 1.5], k > 0
adversary h in [0, 0.15]
noise W
dx = (0.05 + h*w - k)*x dt + 0.2*w*x dW
maximize E integral(0, inf) exp(-0.05*t)*((k*x)^(-2)/(-2) + 100*(w - 10*h)^2) dt
"""
    with pytest.raises(HjbError, match="Hamiltonian's range"):
        derive(loads_problem(source))


def test_a_vector_is_paid_for_at_the_end():
    source = SEASON.replace("x in R", "x in R^2").replace("u in R", "u in R^2").replace("noise W", "noise W in R^2")
    source = source.replace("h*(x - cos(2*t))^2 + c*u^2", "h*|x|^2 + c*|u|^2").replace("x(T)^2", "|x(T)|^2")
    assert entries(source)[0]["value"][0].endswith("+ |x(T)|² ]")
