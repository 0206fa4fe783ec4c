"""Negative discounting up to the first exit: finite up to the principal eigenvalue (known by hand), a diagnostic beyond it."""

import numpy as np
import pytest

from hjbdsl.errors import HjbError
from hjbdsl.methods import closed_form
from hjbdsl.model.solution import Rejected
from tests.methods.closed_form.solving import equation, point, solved

LINE = """
param c = {c}
state x in R
noise W
dx = {drift} dt + {noise} dW
exit tau when {exit}
evaluate E {paid}
region x in [{low}, {high}]
"""
CONTROLLED = """
param c = {c}
state x in R
control u in [-1, 1]
noise W
dx = u dt + 1 dW
exit tau when |x| >= 1
{sense} E exp(c*tau)
region x in [-1, 1]
"""
BALL = """
param n = {n}, c = {c}
state X in R^n
noise W in R^n
dX = 1 dW
exit tau when |X| >= 1
evaluate E exp(c*tau)
region X in [-0.3, 0.3]
"""


def infinite(text):
    with pytest.raises(HjbError) as raised:
        closed_form.solve(equation(text))
    assert [d.code for d in raised.value.diagnostics] == ["HJB120"]
    return raised.value.diagnostics[0]


@pytest.mark.parametrize("rate", [0.5, 1.2, 1.23])
def test_exponential_moment_of_the_exit_time_below_the_eigenvalue(rate):
    text = LINE.format(c=rate, drift=0, noise=1, exit="|x| >= 1", paid="exp(c*tau)", low=-1, high=1)
    value, _ = point(solved(text, "one-dimensional"), 0.3)
    k = np.sqrt(2 * rate)
    assert value == pytest.approx(np.cos(0.3 * k) / np.cos(k), rel=1e-9)


@pytest.mark.parametrize("rate", [1.2338, 1.3, 4.0, 11.2, 30.0])
def test_beyond_the_eigenvalue_there_is_no_value(rate):
    found = infinite(LINE.format(c=rate, drift=0, noise=1, exit="|x| >= 1", paid="exp(c*tau)", low=-1, high=1))
    assert "discount" in found.message
    assert found.source_line.startswith("param c")


def test_running_payments_count_as_well():
    infinite(LINE.format(c=1.3, drift=0, noise=1, exit="|x| >= 1", paid="integral(0, tau) exp(c*t)*(1 + x) dt", low=-1, high=1))


def test_a_drift_to_one_exit_on_the_half_line():
    # E exp(c tau) of Brownian motion with drift -1 to 0: finite up to c = 1/2
    infinite(LINE.format(c=0.6, drift=-1, noise=1, exit="x <= 0", paid="exp(c*tau)", low=0, high=3))


def test_a_maximiser_who_can_wait_inside_gains_without_bound():
    # drift -sign(x) has the principal eigenvalue 1/2 exactly (tanh k = k only at 0)
    infinite(CONTROLLED.format(c=0.6, sense="maximize"))
    value, _ = point(solved(CONTROLLED.format(c=0.4, sense="maximize"), "one-dimensional"), 0.0)
    k = np.sqrt(0.2)
    assert value == pytest.approx(np.exp(-1) / (np.cosh(k) - np.sinh(k) / k), rel=1e-9)


def test_a_minimiser_drives_out():
    value, _ = point(solved(CONTROLLED.format(c=1.3, sense="minimize"), "one-dimensional"), 0.0)
    w = np.sqrt(1.6)
    assert value == pytest.approx(np.e / (np.cos(w) + np.sin(w) / w), rel=1e-9)


def test_a_minimiser_who_cannot_drive_out_gets_no_number():
    text = CONTROLLED.replace("[-1, 1]\nnoise", "[-0.1, 0.1]\nnoise").format(c=2.0, sense="minimize")
    assert isinstance(closed_form.solve(equation(text)), Rejected)


def test_ball_in_three_dimensions():
    # E exp(c tau) = sin(k r)/(r sin k), k = sqrt(2 c), up to c = pi^2/2
    value, _ = point(solved(BALL.format(n=3, c=4.5), "radial"), [0.2, 0.1, 0.2])
    assert value == pytest.approx(np.sin(0.3 * 3.0) / (0.3 * np.sin(3.0)), rel=1e-8)
    infinite(BALL.format(n=3, c=5.0))


@pytest.mark.parametrize("running", ["abs(z)^3 + u^2", "1 + abs(z)^3 + u^2"])
@pytest.mark.parametrize("controls", ["R", "[-5, 5]"])
def test_a_cost_that_grows_for_ever_gets_no_number(running, controls):
    # e^(0.03 t) times a cost that no policy brings down to 0; the equation has a solution, negative at z = 0
    text = f"""
state z in R
control u in {controls}
noise W
dz = (u - 0.02*z) dt + 0.36 dW
minimize E integral(0, inf) exp(0.03*t)*({running}) dt
region z in [-4, 4]
"""
    answer = closed_form.solve(equation(text))
    assert isinstance(answer, Rejected)
    assert "the discount rate is negative" in answer.reason


def test_a_payment_that_grows_for_ever_is_infinite():
    infinite("""
state z in R
noise W
dz = -z dt + 0.5 dW
evaluate E integral(0, inf) exp(0.03*t)*(1 + cos(z)) dt
region z in [-2, 2]
""")
