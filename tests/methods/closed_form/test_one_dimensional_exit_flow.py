"""Deterministic exits against integrals of the eikonal equation and least times counted by hand."""

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.optimize import brentq

from hjbdsl.frontend.load import loads_problem
from hjbdsl.methods.closed_form.family import Proposal
from hjbdsl.methods.closed_form.one_dimensional import propose_exit_flow
from hjbdsl.methods.closed_form.verify import verify
from hjbdsl.model.solution import Evidence, Rejected
from hjbdsl.symbolic.derive import derive


def solve(text):
    equation = derive(loads_problem(text))
    proposal = propose_exit_flow(equation)
    assert isinstance(proposal, Proposal), proposal
    assert isinstance(verify(equation, proposal), Evidence)
    return proposal


def values(proposal, points):
    points = np.asarray(points, dtype=float)
    return proposal.function.evaluate(np.zeros(len(points)), points[:, None], np.zeros(len(points), dtype=int))


def test_least_time_out_of_an_interval_with_unequal_speeds():
    proposal = solve("""
state x in R
control a in [-2, 1]
dx = a dt
exit tau when x <= -1 or x >= 2
minimize tau
region x in [-1, 2]
""")
    x = np.linspace(-0.95, 1.95, 30)
    np.testing.assert_allclose(values(proposal, x).value, np.minimum((x + 1) / 2, 2 - x), atol=1e-11)


def test_effort_on_a_half_line():
    proposal = solve("""
state x in R
control a in R
dx = a dt
exit tau when x <= 0
minimize integral(0, tau) (0.5 + x^2 + a^2/2) dt
region x in [0, 3]
""")
    # eikonal: V'^2/2 = 1/2 + x^2
    x = np.array([0.2, 1.0, 2.9])
    expected = [quad(lambda s: np.sqrt(1 + 2 * s * s), 0, end, epsabs=1e-13)[0] for end in x]
    found = values(proposal, x)
    np.testing.assert_allclose(found.value, expected, atol=1e-11)
    np.testing.assert_allclose(found.control[:, 0], -np.sqrt(1 + 2 * x**2), atol=1e-10)


def test_discounted_race_between_two_exits():
    proposal = solve("""
state x in R
control a in [-2, 1]
dx = (0.3*x + a) dt
exit tau when x <= -1 or x >= 2
minimize integral(0, tau) exp(-0.1*t)*(1 + x^2 + 0.2*a^2) dt + exp(-0.1*tau)*if(x(tau) > 0, 0.5, 0)
region x in [-1, 2]
""")

    def cost(start, a, end, paid):
        time = np.log((0.3 * end + a) / (0.3 * start + a)) / 0.3
        path = solve_ivp(
            lambda t, y: [0.3 * y[0] + a, np.exp(-0.1 * t) * (1 + y[0] ** 2 + 0.2 * a * a)],
            (0, time),
            [start, 0.0],
            rtol=1e-11,
            atol=1e-12,
        )
        return path.y[1, -1] + np.exp(-0.1 * time) * paid

    # full speed is optimal either way: waiting costs at least 1, speed at most 0.8
    for x in (-0.8, 0.3, 1.1, 1.5, 1.9):
        expected = min(cost(x, -2.0, -1.0, 0.0), cost(x, 1.0, 2.0, 0.5))
        assert values(proposal, [x]).value[0] == pytest.approx(expected, abs=1e-9)
    kink = brentq(lambda x: cost(x, -2.0, -1.0, 0.0) - cost(x, 1.0, 2.0, 0.5), 0.5, 1.9)
    np.testing.assert_allclose(values(proposal, [kink - 1e-3, kink + 1e-3]).control[:, 0], [-2, 1])


@pytest.mark.parametrize(
    "body",
    [
        "control a in [-1, 1]\ndx = (2 + a) dt\nexit tau when |x| >= 1\nminimize tau",
        "control a in [-1, 1]\ndx = a dt\nexit tau when |x| >= 1\nminimize integral(0, tau) x^2 dt",
        "control a in [-1, 1]\ndx = a dt\nexit tau when |x| >= 1\nminimize integral(0, tau) 0.1 dt + if(x(tau) > 0, 5, 0)",
        "control a in [-1, 1]\nnoise W\ndx = a dt + dW\nexit tau when |x| >= 1\nminimize E tau",
    ],
)
def test_declines_where_it_is_not_certain(body):
    assert isinstance(propose_exit_flow(derive(loads_problem(f"state x in R\n{body}\nregion x in [-1, 1]\n"))), Rejected)
