"""Hopf-Lax minima against brute force over the end point, and sums of independent parts against their parts."""

from __future__ import annotations

import numpy as np
import pytest

from hjbdsl.frontend.load import loads_problem
from hjbdsl.methods import closed_form
from hjbdsl.methods.closed_form.expectation.hopf_lax import propose
from hjbdsl.model.solution import Accepted, Rejected
from hjbdsl.symbolic.derive import derive
from tests.methods.closed_form.expectation_problems import at, proposed, proved

LINE = """problem line
param T = 1.5, c = 0.8
state x in R
control u in {control}
dx = (0.3 + c*u) dt
{sense} [ integral(0, T) {running} dt + {end} ]
region x in [-2, 2]
"""
BALL = """problem ball
param T = 1.5, n = 3
state x in R^n
control u in R^n
{constraint}
dx = u dt
minimize [ integral(0, T) {running} dt + {end} ]
region x in [-2, 2]
"""


@pytest.mark.parametrize(
    ("control", "sense", "running", "end", "cost", "payoff", "limits"),
    [
        ("R", "minimize", "u^2/2", "abs(x(T))", lambda u: u**2 / 2, np.abs, (-20, 20)),
        ("R", "minimize", "u^2", "min((x(T) - 1)^2, (x(T) + 1)^2)", lambda u: u**2,
         lambda y: np.minimum((y - 1) ** 2, (y + 1) ** 2), (-20, 20)),
        ("[-1, 1]", "minimize", "0", "cos(3*x(T))", lambda u: 0 * u, lambda y: np.cos(3 * y), (-1, 1)),
        ("[-1, 2]", "maximize", "-abs(u)", "-x(T)^2", np.abs, lambda y: y**2, (-1, 2)),
        ("R", "minimize", "u^4/4 + u", "sin(2*x(T))", lambda u: u**4 / 4 + u, lambda y: np.sin(2 * y), (-20, 20)),
        ("[0, inf)", "minimize", "exp(u) + exp(-u)", "x(T)^2", lambda u: np.exp(u) + np.exp(-u), lambda y: y**2, (0, 20)),
    ],
)  # fmt: skip
def test_one_state_against_brute_force(control, sense, running, end, cost, payoff, limits):
    if control == "[0, inf)":
        text = LINE.replace("in {control}", ">= 0").format(sense=sense, running=running, end=end)
    else:
        text = LINE.format(control=control, sense=sense, running=running, end=end)
    solution = proved(propose, text)
    sign = 1 if sense == "minimize" else -1
    u = np.linspace(*limits, 2_000_001)
    for t, x in ((0.0, -1.7), (0.4, 0.2), (1.2, 1.1)):
        exact = sign * np.min((1.5 - t) * cost(u) + payoff(x + (1.5 - t) * (0.3 + 0.8 * u)))
        point = at(solution, t, [[x]])
        assert sign * point.value[0] <= sign * exact + 1e-12
        assert point.value[0] == pytest.approx(exact, abs=2e-5)  # the step of the brute force, at kinks


def test_the_moreau_envelope_of_the_norm():
    solution = proved(propose, BALL.format(constraint="", running="|u|^2/2", end="|x(T)|"))
    for x in ([1.0, 1.0, 1.0], [0.3, 0.2, 0.4]):
        r, tau = np.linalg.norm(x), 1.5
        exact = r - tau / 2 if r > tau else r**2 / (2 * tau)
        point = at(solution, 0.0, x)
        assert point.value[0] == pytest.approx(exact, abs=1e-12)
        assert np.allclose(point.control, -np.array(x) / max(r, tau), atol=1e-12)


def test_a_speed_limit_in_three_dimensions():
    solution = proved(propose, BALL.format(constraint="subject to |u| <= 0.7", running="0", end="|x(T) - [1, 0, 0.5]|^2"))
    x = np.array([-1.0, 1.0, 0.2])
    left = np.linalg.norm(x - [1, 0, 0.5]) - 0.7 * 1.1
    assert at(solution, 0.4, x).value[0] == pytest.approx(left**2, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (LINE.format(control="R", sense="minimize", running="cos(u) + u^4/50", end="x(T)^2"), "convex"),
        (LINE.format(control="R", sense="minimize", running="u^2 + x^2", end="x(T)^2"), "more than the control"),
        (LINE.format(control="R", sense="minimize", running="u^2", end="x(T)^2").replace("(0.3 +", "(x +"), "no constant"),
    ],
)
def test_what_jensen_does_not_cover_is_declined(text, reason):
    answer = proposed(propose, text)
    assert isinstance(answer, Rejected)
    assert reason in answer.reason


def _solved(text):
    answer = closed_form.solve(derive(loads_problem(text)))
    assert isinstance(answer, Accepted), answer
    return answer.solution


def test_a_sum_of_unlike_parts_is_the_sum_of_their_values():
    head = "param rho = 0.4\nnoise W, B\n"
    first = "dx = (0.1*x + a) dt + 0.5 dW\n"
    second = "dy = (-y + 0.3*b) dt + 0.2 dB\n"
    both = _solved(
        "problem both\n" + head + "state x in R, y in R\ncontrol a in [-1, 1], b in R\ndW dB = 0.3 dt\n" + first + second
        + "minimize E integral(0, inf) exp(-rho*t)*(x^2 + 0.3*a^2 + 2*y^2 + b^2) dt\nregion x in [-1, 1], y in [-1, 1]\n"
    )  # fmt: skip
    one = _solved(
        "problem one\n" + head + "state x in R\ncontrol a in [-1, 1]\n" + first
        + "minimize E integral(0, inf) exp(-rho*t)*(x^2 + 0.3*a^2) dt\nregion x in [-1, 1]\n"
    )  # fmt: skip
    # 0.4 P = 2 - 2 P - 0.09 P^2, c = 0.04 P/0.4
    p = (-2.4 + np.sqrt(2.4**2 + 4 * 0.09 * 2)) / (2 * 0.09)
    x, y = 0.7, -0.5
    point = at(both, 0.0, [[x, y]])
    assert point.value[0] == pytest.approx(at(one, 0.0, [[x]]).value[0] + p * y**2 + 0.04 * p / 0.4, abs=1e-8)
    assert point.control[0] == pytest.approx([at(one, 0.0, [[x]]).control[0, 0], -0.3 * p * y], abs=1e-7)


def test_equal_parts_are_solved_once_and_added():
    solution = _solved("""problem norms
param T = 1.5, n = 6
state x in R^n
control u in R^n
dx = u dt
minimize [ integral(0, T) |u|^2/2 dt + sum(abs(x(T)[i]) for i in 1..n) ]
region x in [-2, 2]
""")
    x = np.array([2.0, 0.2, -0.4, 1.0, -1.8, 0.0])
    exact = np.where(np.abs(x) > 1.5, np.abs(x) - 0.75, x**2 / 3).sum()
    assert at(solution, 0.0, x).value[0] == pytest.approx(exact, abs=1e-11)
    assert "6 independent parts" in solution.family
