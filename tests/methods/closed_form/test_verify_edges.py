"""Where states rest, stop and leave: right answers with kinks, square roots and steep layers pass, their near misses do not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from hjbdsl.methods import closed_form
from hjbdsl.methods.closed_form import linear_quadratic
from hjbdsl.methods.closed_form.family import Derivatives, ExactFunction, Proposal
from hjbdsl.methods.closed_form.one_dimensional import propose_first_order
from hjbdsl.methods.closed_form.symmetry import radial
from hjbdsl.methods.closed_form.verify import verify
from hjbdsl.model.solution import Accepted, Evidence, PointValues, Rejected
from tests.methods.closed_form.solving import equation

SAVING = """
param rho = 0.06, r = 0.03
state a >= {bound}
control c >= 0
da = (r*a + 1 - c) dt
maximize E integral(0, inf) exp(-rho*t)*(-1/c) dt
region a in [{bound}, 3]
"""


def test_a_binding_limit_is_reached_like_a_square_root() -> None:
    problem = equation(SAVING.format(bound=0))
    answer = propose_first_order(problem)
    assert isinstance(answer, Proposal)
    assert isinstance(verify(problem, answer), Evidence)
    # the answer of another limit lets the path run across this one
    nearer = equation(SAVING.format(bound=0.5))
    refused = verify(nearer, replace(answer, symbolic=None))
    assert isinstance(refused, Rejected)
    assert "a = 1/2: the drift points across it" in refused.reason


@dataclass(frozen=True, slots=True)
class _HeldAtTheBound(ExactFunction):
    """The free answer, its control mended on the bound itself so that the state rests there."""

    inner: ExactFunction
    bound: float
    rest: float

    def evaluate(self, t, x, mode) -> PointValues:
        point = self.inner.evaluate(t, x, mode)
        return replace(point, control=np.where(x <= self.bound, self.rest, point.control))

    def derivatives(self, t, x, mode) -> Derivatives:
        return self.inner.derivatives(t, x, mode)


def test_a_control_mended_on_the_bound_alone() -> None:
    text = ("state x {}\ncontrol a in R\ndx = (-0.5*x + a) dt\n"
            "minimize integral(0, inf) exp(-0.1*t)*(x^2 + a^2) dt\nregion x in [0.5, 2]\n")  # fmt: skip
    answer = linear_quadratic.propose(equation(text.format("in R")))
    assert isinstance(answer, Proposal)
    held = replace(answer, function=_HeldAtTheBound(answer.function, 0.5, 0.25), symbolic=None)
    refused = verify(equation(text.format(">= 0.5")), held)
    assert isinstance(refused, Rejected)
    assert "the drift points across it" in refused.reason


@dataclass(frozen=True, slots=True)
class _Stopped(ExactFunction):
    """scale * x^power on the running side of `edge`, the payoff (value, slope) on the other."""

    edge: float
    power: float
    scale: float
    below: bool
    payoff: tuple[float, float]

    def derivatives(self, t, x, mode) -> Derivatives:
        y = x[:, 0]
        stop = self._stop(y)
        level, slope = self.payoff
        held = self.scale * y**self.power
        value = np.where(stop, level + slope * y, held)
        first = np.where(stop, slope, self.power * held / y)
        second = np.where(stop, 0.0, self.power * (self.power - 1) * held / y**2)
        return Derivatives(value, np.zeros(len(y)), first[:, None], second[:, None, None])

    def evaluate(self, t, x, mode) -> PointValues:
        exact = self.derivatives(t, x, mode)
        return PointValues(exact.value, np.zeros(len(x)), exact.gradient, np.empty((len(x), 0)), stop=self._stop(x[:, 0]))

    def _stop(self, y):
        return y <= self.edge if self.below else y >= self.edge


def capped(edge: float, sense: str, cap: float = 3.0, growth: float = 0.08) -> Evidence | Rejected:
    """Reward min(x, cap), or its negative as a cost, with growth above the discount rate: wait up to the cap."""
    sign = 1 if sense == "maximize" else -1
    problem = equation(f"state x > 0\nnoise W\ndx = {growth}*x dt + 0.3*x dW\nstopping tau in [0, inf]\n"
                       f"{sense} E exp(-0.05*tau)*({sign}*min(x(tau), {cap}))\nregion x in [1, 8]\n")  # fmt: skip
    half = 0.5 - growth / 0.09
    power = half + np.sqrt(half**2 + 0.1 / 0.09)
    return verify(problem, Proposal("capped", _Stopped(edge, power, sign * cap * edge**-power, False, (sign * cap, 0.0))))


@pytest.mark.parametrize("sense", ["maximize", "minimize"])
def test_a_kink_of_the_payoff_may_hold_the_edge(sense) -> None:
    assert isinstance(capped(3.0, sense), Evidence)
    for edge in (2.95, 3.0 - 1e-5, 3.0 + 1e-5, 3.05):
        assert isinstance(capped(edge, sense), Rejected), edge


def test_a_kink_that_bends_upwards_is_no_edge() -> None:
    # V = max(2 - x, 0) meets every inequality off its kink, and is too small: waiting at 2 is worth something
    text = ("state x > 0\nnoise W\ndx = 0.05*x dt + 0.3*x dW\nstopping tau in [0, inf]\n"
            "maximize E exp(-0.05*tau)*max(2 - x(tau), 0)\nregion x in [0.5, 4]\n")  # fmt: skip
    refused = verify(equation(text), Proposal("put", _Stopped(2.0, 1.0, 0.0, True, (2.0, -1.0))))
    assert isinstance(refused, Rejected)
    assert "smooth fit" in refused.reason


ANNULUS = """
state x in R^2
noise W in R^2
dx = {}dW
exit tau when |x| <= 0.5 or |x| >= 2
evaluate E if(|x(tau)| < 1, 1, 0)
region x in [-1.4, 1.4]
"""


def test_laplace_has_one_term() -> None:
    answer = radial.propose(equation(ANNULUS.format("")))
    assert isinstance(answer, Proposal)
    assert isinstance(verify(equation(ANNULUS.format("")), answer), Evidence)
    refused = verify(equation(ANNULUS.format("0.00000001*x dt + ")), answer)
    assert isinstance(refused, Rejected)
    assert "residual" in refused.reason


@pytest.mark.parametrize(("low", "high"), [(0, 1), (100, 101), (-0.001, 0.002)])
def test_a_straight_line_without_drift(low, high) -> None:
    text = (f"state x in R\nnoise W\ndx = dW\nexit tau when x <= {low} or x >= {high}\n"
            f"evaluate E if(x(tau) < {(low + high) / 2}, 0, 1)\nregion x in [{low}, {high}]\n")  # fmt: skip
    answer = closed_form.solve(equation(text))
    assert isinstance(answer, Accepted), answer.reason
    at = np.linspace(low, high, 7)
    found = answer.solution.function.evaluate(np.zeros(7), at[:, None], np.zeros(7, dtype=int)).value
    np.testing.assert_allclose(found[1:-1], (at[1:-1] - low) / (high - low), atol=1e-9)


@pytest.mark.parametrize("sigma", [0.5, 0.25])
def test_a_steep_layer_at_the_exit(sigma) -> None:
    answer = closed_form.solve(
        equation(f"""
state x in R^3
control u in R^3
subject to |u| <= 1
noise W in R^3
dx = u dt + {sigma} dW
exit tau when |x| >= 1
maximize E integral(0, tau) 1 dt
""")
    )
    assert isinstance(answer, Accepted), answer.reason
