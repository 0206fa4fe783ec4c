"""Linear-quadratic problems without an answer end in a diagnostic; those outside the family in a reason. Never a number."""

from __future__ import annotations

import numpy as np
import pytest

from hjbdsl.errors import HjbError
from hjbdsl.methods.closed_form import linear_quadratic
from hjbdsl.methods.closed_form.family import Proposal
from hjbdsl.model.solution import Rejected
from tests.methods.closed_form.solving import equation, point, solved

HEAD = "state x in R\ncontrol a in R\nnoise W\n"


def diagnostic(text: str):
    with pytest.raises(HjbError) as caught:
        linear_quadratic.propose(equation(text))
    return caught.value.diagnostics[0]


def reason(text: str) -> str:
    answer = linear_quadratic.propose(equation(text))
    assert isinstance(answer, Rejected)
    return answer.reason


def test_discount_too_small_for_an_uncontrolled_state() -> None:
    found = diagnostic("param alpha = 0.3, s = 0.2, rho = 0.5\nstate x in R\nnoise W\ndx = alpha*x dt + s*x dW\n"
                       "evaluate E integral(0, inf) exp(-rho*t)*x^2 dt\n")  # fmt: skip
    assert found.code == "HJB120"
    assert "rho" in found.message
    assert found.span.line == 1
    # E x^2 grows at rate 2 alpha + s^2 = 0.64
    assert "0.64" in found.help


def test_the_threshold_is_where_it_is_said_to_be() -> None:
    solution = solved("param alpha = 0.3, s = 0.2, rho = 0.65\nstate x in R\nnoise W\ndx = alpha*x dt + s*x dW\n"
                      "evaluate E integral(0, inf) exp(-rho*t)*x^2 dt\n")  # fmt: skip
    assert point(solution, 1.0)[0] == pytest.approx(1 / 0.01, rel=1e-9)


def test_constant_costs_without_discount() -> None:
    found = diagnostic(HEAD + "dx = (-x + a) dt + 0.3 dW\nminimize E integral(0, inf) (x^2 + a^2) dt\n")
    assert "infinite" in found.message
    assert "average" in found.help or "discount" in found.help


def test_risk_sensitive_breakdown_names_the_time() -> None:
    # uncontrolled: P' = 2 theta s^2 P^2 from 1, so 1/(2 theta s^2) is the escape time
    found = diagnostic("param theta = 2, s = 0.5\nstate x in R\nnoise W\ndx = s dW\nminimize risk(theta) [ x(3)^2 ]\n")
    assert found.code == "HJB121"
    assert "theta" in found.help
    assert "1" in found.message
    assert solved("param theta = 2, s = 0.5\nstate x in R\nnoise W\ndx = s dW\nminimize risk(theta) [ x(0.9)^2 ]\n")


def test_game_escape_names_the_adversary() -> None:
    # P' = 1 + P^2 (b^2/m - 1/r) with b^2/m - 1/r = 1: P = tan s escapes at pi/2
    found = diagnostic("state x in R\ncontrol a in R\nadversary b in R\ndx = (a + 2*b) dt\n"
                       "minimize integral(0, 3) (x^2 + 0.5*a^2 - 4/3*b^2) dt\n")  # fmt: skip
    assert found.code == "HJB121"
    assert "1.5708" in found.message or "1.57" in found.help


def test_maximising_a_convex_reward() -> None:
    # maximise x^2 - r a^2: P' = 1 + P^2/r escapes at sqrt(r) pi/2
    found = diagnostic(HEAD + "dx = a dt + 0.1 dW\nmaximize E integral(0, 5) (x^2 - a^2) dt\n")
    assert found.code == "HJB121"
    value, _ = point(solved(HEAD + "dx = a dt\nmaximize E integral(0, 1) (x^2 - a^2) dt\n"), 1.0)
    assert value == pytest.approx(np.tan(1.0), rel=1e-9)


@pytest.mark.parametrize("end", ["integral(0, 5)", "integral(0, inf) exp(-0.1*t)*"])
def test_an_escape_without_bounds_says_nothing_of_the_bounded_problem(end: str) -> None:
    answer = linear_quadratic.propose(
        equation(HEAD.replace("a in R", "a in [-1, 1]") + f"dx = a dt + 0.1 dW\nmaximize E {end} (x^2 - a^2) dt\n")
    )
    assert isinstance(answer, Rejected)


def test_no_optimum() -> None:
    with pytest.raises(HjbError):
        linear_quadratic.propose(equation(HEAD + "dx = (x + a) dt + 0.1 dW\nminimize E integral(0, 1) (x^2 - a^2) dt\n"))


NOISY = "dx = a dt + 0.1 dW\n"
FINITE = "minimize E integral(0, 1) (x^2 + a^2) dt\n"
REASONS = [
    (HEAD + "dx = a*x dt + 0.1 dW\n" + FINITE, "linear"),
    (HEAD + NOISY + FINITE.replace("x^2", "x^4"), "quadratic"),
    (HEAD + "dx = a dt + sqrt(x^2 + 1) dW\n" + FINITE, "linear"),
    (HEAD + NOISY + "minimize E integral(0, inf) exp(-t)*(x^2 + (2 + sin(t))*a^2) dt\n", "stationary"),
    (HEAD + NOISY + "exit tau when |x| >= 1\nminimize E integral(0, tau) (x^2 + a^2) dt\n", "exit"),
    (HEAD.replace("x in R", "x > 0") + NOISY + FINITE + "region x in [0.1, 1]\n", "bound"),
    (HEAD.replace("a in R", "a in [-5, 5]") + NOISY + FINITE, "bound"),
    ("state x in circle\ncontrol a in R\ndx = a dt\nminimize integral(0, 1) (x^2 + a^2) dt\n", "circle"),
]


@pytest.mark.parametrize(("text", "words"), REASONS, ids=[str(i) for i in range(len(REASONS))])
def test_reasons(text: str, words: str) -> None:
    assert words in reason(text)


def test_bounds_that_never_bind() -> None:
    base = "state x in R, y in R\ncontrol a in [-{m}, {m}]\ndx = (0.3*x - y + a) dt\ndy = (x - 0.4*y) dt\n"
    goal = "minimize integral(0, {end}) exp(-0.2*t)*(x^2 + y^2 + 0.5*a^2) dt\nregion x in [-1, 1], y in [-0.5, 0.5]\n"
    for end in ("inf", "2"):
        free = solved((base + goal).format(m="inf", end=end).replace("[-inf, inf]", "R"))
        wide = solved((base + goal).format(m="20", end=end))
        assert point(wide, [0.7, 0.2])[0] == pytest.approx(point(free, [0.7, 0.2])[0], rel=1e-9)
        corners = [abs(point(free, [sx, sy])[1][0]) for sx in (-1, 1) for sy in (-0.5, 0.5)]
        tight = linear_quadratic.propose(equation((base + goal).format(m=f"{0.98 * max(corners):.4f}", end=end)))
        assert isinstance(tight, Rejected)
        assert "reaches the bound" in tight.reason


def test_a_bound_met_later_on_the_path_counts() -> None:
    # the oscillator swings: the control grows after the start, beyond what it is anywhere in the region
    text = ("state x in R, y in R\ncontrol a in [-{m}, {m}]\ndx = 3*y dt\ndy = (-3*x + a) dt\n"
            "minimize integral(0, inf) exp(-0.1*t)*(x^2 + y^2 + a^2) dt\nregion x in [0.9, 1], y in [-0.1, 0.1]\n")  # fmt: skip
    free = solved(text.format(m="50"))
    at_start = max(abs(point(free, [x, y])[1][0]) for x in (0.9, 1.0) for y in (-0.1, 0.1))
    answer = linear_quadratic.propose(equation(text.format(m=f"{1.2 * at_start:.4f}")))
    assert isinstance(answer, Rejected)


def test_geometric_state_on_a_half_line_needs_no_boundary() -> None:
    text = HEAD.replace("x in R", "x > 0") + "dx = (0.1*x + a) dt + 0.2*x dW\n"
    goal = "minimize E integral(0, inf) exp(-0.5*t)*(x^2 + a^2) dt\nregion x in [0.1, 2]\n"
    assert isinstance(linear_quadratic.propose(equation(text + goal)), Proposal)
