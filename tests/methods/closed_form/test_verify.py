"""The verifier must refuse what is almost right: wrong roots, constants, controls, policies, derivatives, boundaries."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import sympy as sp

from hjbdsl.methods.closed_form import linear_quadratic
from hjbdsl.methods.closed_form.family import Derivatives, ExactFunction, Proposal
from hjbdsl.methods.closed_form.linear_quadratic.function import StationaryQuadratic
from hjbdsl.methods.closed_form.verify import verify
from hjbdsl.model.solution import Evidence, PointValues, Rejected
from tests.methods.closed_form.solving import equation

REGULATOR = "state x in R\ncontrol a in R\nnoise W\ndx = (-0.5*x + a) dt + 0.3 dW\n"
STATIONARY = REGULATOR + "minimize E integral(0, inf) exp(-0.1*t)*(x^2 + 0.2*a^2) dt\n"
FINITE = REGULATOR + "minimize E [ integral(0, 1) (x^2 + 0.2*a^2) dt + x(1)^2 ]\n"


def proposal(text: str) -> tuple:
    problem = equation(text)
    answer = linear_quadratic.propose(problem)
    assert isinstance(answer, Proposal)
    return problem, answer


def stationary(scale: float = 1.0, level: float = 0.0, gain: float = 1.0) -> Rejected | Evidence:
    problem, answer = proposal(STATIONARY)
    function = answer.function
    value = function.value.copy()
    value[:, 1, 1] *= scale
    value[:, 0, 0] += level
    return verify(problem, replace(answer, function=replace(function, value=value, gain=gain * function.gain), symbolic=None))


def test_the_truth_passes() -> None:
    for text in (STATIONARY, FINITE):
        evidence = verify(*proposal(text))
        assert isinstance(evidence, Evidence)
        assert evidence.statements[0].startswith("residual 0 (symbolic") or "40-digit" in evidence.statements[0]


@pytest.mark.parametrize("changes", [{"scale": 1 + 1e-8}, {"level": 1e-7}, {"gain": 1 + 1e-3}, {"gain": -1.0}])
def test_small_lies_are_refused(changes: dict) -> None:
    answer = stationary(**changes)
    assert isinstance(answer, Rejected)
    assert "residual" in answer.reason


def test_the_other_root_of_the_hamiltonian_is_refused() -> None:
    # maximising where one should minimise: V solves the equation with the stationary control, which is then the worst one
    problem, answer = proposal(STATIONARY)
    flipped = equation(STATIONARY.replace("minimize", "maximize").replace("+ 0.2*a^2", "- 0.2*a^2"))
    assert isinstance(verify(flipped, answer), Rejected)
    worst = equation(STATIONARY.replace("minimize", "maximize").replace("a in R", "a in [-50, 50]"))
    refused = verify(worst, replace(answer, symbolic=None))
    assert isinstance(refused, Rejected)
    assert "another control does better" in refused.reason
    assert isinstance(verify(problem, answer), Evidence)


def test_wrong_terminal_condition() -> None:
    _, answer = proposal(FINITE)
    other = equation(FINITE.replace("+ x(1)^2", "+ 1.1*x(1)^2"))
    refused = verify(other, replace(answer, symbolic=None))
    assert isinstance(refused, Rejected)
    assert "terminal condition" in refused.reason


def test_control_outside_its_set() -> None:
    _, answer = proposal(STATIONARY)
    refused = verify(equation(STATIONARY.replace("a in R", "a in [-0.1, 0.1]")), answer)
    assert isinstance(refused, Rejected)
    assert "leaves its set" in refused.reason


def test_noise_across_a_closed_bound() -> None:
    _, answer = proposal(STATIONARY)
    refused = verify(equation(STATIONARY.replace("x in R", "x >= -1") + "region x in [-1, 2]\n"), answer)
    assert isinstance(refused, Rejected)
    assert "x = -1" in refused.reason


@dataclass(frozen=True, slots=True)
class _Inconsistent(ExactFunction):
    """Claims derivatives of another function than its values."""

    inner: StationaryQuadratic

    def evaluate(self, t, x, mode) -> PointValues:
        point = self.inner.evaluate(t, x, mode)
        return replace(point, value=point.value + np.sin(x[:, 0]))

    def derivatives(self, t, x, mode) -> Derivatives:
        exact = self.inner.derivatives(t, x, mode)
        return replace(exact, value=exact.value + np.sin(x[:, 0]))


def test_derivatives_of_another_function() -> None:
    # V + sin x with the derivatives of V, in an equation where V itself does not appear: only the differences can tell
    text = REGULATOR + "minimize average x^2 + 0.2*a^2\n"
    problem, answer = proposal(text)
    refused = verify(problem, replace(answer, function=_Inconsistent(answer.function), symbolic=None))
    assert isinstance(refused, Rejected)
    assert "derivatives" in refused.reason


def test_wrong_average() -> None:
    problem, answer = proposal(REGULATOR + "minimize average x^2 + 0.2*a^2\n")
    assert isinstance(verify(problem, answer), Evidence)
    assert isinstance(verify(problem, replace(answer, average=answer.average * (1 + 1e-8), symbolic=None)), Rejected)


@pytest.mark.parametrize("sense", ["minimize", "maximize"])
def test_wrong_spread_of_a_random_policy(sense: str) -> None:
    sign = "" if sense == "minimize" else "-"
    text = REGULATOR + f"explore a with temperature 0.3\n{sense} E integral(0, inf) exp(-0.1*t)*({sign}(x^2 + 0.2*a^2)) dt\n"
    problem, answer = proposal(text)
    assert isinstance(verify(problem, answer), Evidence)
    wider = replace(answer.function, spread=answer.function.spread * 1.01)
    refused = verify(problem, replace(answer, function=wider, symbolic=None))
    assert isinstance(refused, Rejected)
    assert "spread" in refused.reason


def test_a_game_is_tested_on_both_sides() -> None:
    text = STATIONARY.replace("control a in R\n", "control a in R\nadversary b in R\n").replace("+ a)", "+ a + 0.5*b)")
    problem, answer = proposal(text.replace("0.2*a^2", "0.2*a^2 - 3*b^2"))
    assert isinstance(verify(problem, answer), Evidence)
    gain = answer.function.gain.copy()
    gain[:, 1] *= 1.001
    refused = verify(problem, replace(answer, function=replace(answer.function, gain=gain), symbolic=None))
    assert isinstance(refused, Rejected)


def test_stopping_inequalities() -> None:
    # perpetual put by hand: V = (K - b) (x/b)^m above b; the obstacle, the inequality below b and the smooth fit are all tested
    text = ("param r = 0.05, s = 0.3, K = 2\nstate x > 0\nnoise W\ndx = r*x dt + s*x dW\nstopping tau in [0, inf]\n"
            "maximize E exp(-r*tau)*max(K - x(tau), 0)\nregion x in [0.5, 4]\n")  # fmt: skip
    problem = equation(text)
    power = -2 * 0.05 / 0.09
    barrier = 2 * power / (power - 1)
    good = verify(problem, Proposal("put", _Put(barrier, power)))
    assert isinstance(good, Evidence), good
    for wrong in (barrier * 1.02, barrier * 0.98):
        assert isinstance(verify(problem, Proposal("put", _Put(wrong, power))), Rejected)


@dataclass(frozen=True, slots=True)
class _Put(ExactFunction):
    barrier: float
    power: float

    def derivatives(self, t, x, mode) -> Derivatives:
        y = x[:, 0]
        stop = y <= self.barrier
        held = (2 - self.barrier) * (y / self.barrier) ** self.power
        value = np.where(stop, 2 - y, held)
        slope = np.where(stop, -1.0, self.power * held / y)
        bend = np.where(stop, 0.0, self.power * (self.power - 1) * held / y**2)
        return Derivatives(value, np.zeros(len(y)), slope[:, None], bend[:, None, None])

    def evaluate(self, t, x, mode) -> PointValues:
        exact = self.derivatives(t, x, mode)
        zeros = np.zeros(len(x))
        return PointValues(exact.value, zeros, exact.gradient, np.empty((len(x), 0)), stop=x[:, 0] <= self.barrier)


def test_a_wrong_formula_does_not_pass_as_symbolic() -> None:
    problem, answer = proposal(STATIONARY)
    (mode,) = answer.symbolic
    x = problem.problem.state_symbols[0]
    wrong = replace(answer, symbolic={mode: answer.symbolic[mode] + sp.Rational(1, 10**6) * x})
    refused = verify(problem, wrong)
    assert isinstance(refused, Rejected) or "symbolic" not in refused.statements[0]
