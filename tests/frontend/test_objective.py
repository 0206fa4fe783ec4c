"""The objective in current value: J must be what the file says, for discount factors in every spelling."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import sympy as sp

from hjbdsl.frontend.load import loads_problem
from hjbdsl.model.problem import TIME, ControlProblem
from tests.frontend.lowering import at, lowered, only_mistake, place

HEAD = ("param rho = 0.1, r = 0.05, K = 1, T = 2, c0 = 0.3", "state x in R", "control a in R", "noise W", "dx = a dt + 0.2 dW")


def objective_of(text: str, *rules: str) -> ControlProblem:
    return lowered(*HEAD, *rules, text)


def weight(problem: ControlProblem, moment: float) -> float:
    """D(t) = exp(-integral of the discount), for a discount that depends on t alone."""
    rate = problem.numeric(problem.objective.discount)
    return math.exp(-float(sp.integrate(rate, (TIME, 0, sp.Float(moment)))))


SPELLINGS = {
    "exp(-rho*t)*(x^2 + a^2)": lambda t: math.exp(-0.1 * t),
    "(x^2 + a^2)*exp(-t*rho)": lambda t: math.exp(-0.1 * t),
    "exp(-(rho)*t)*(x^2 + a^2)": lambda t: math.exp(-0.1 * t),
    "exp(-rho*(t))*x^2 + exp(-rho*t)*a^2": lambda t: math.exp(-0.1 * t),
    "(x^2 + a^2)/exp(rho*t)": lambda t: math.exp(-0.1 * t),
    "exp(-2*rho*t)*(x^2 + a^2)": lambda t: math.exp(-0.2 * t),
    "exp(-rho*t)*exp(-r*t)*(x^2 + a^2)": lambda t: math.exp(-0.15 * t),
    "exp(-rho*t^2/2)*(x^2 + a^2)": lambda t: math.exp(-0.05 * t * t),
    "(1 + r)^(-t)*(x^2 + a^2)": lambda t: 1.05**-t,
}


@pytest.mark.parametrize("integrand", SPELLINGS)
def test_discount_and_running_reward_multiply_to_the_integrand(integrand: str) -> None:
    problem = objective_of(f"minimize E integral(0, T) {integrand} dt")
    objective = problem.objective
    assert objective.discount != 0
    assert TIME not in objective.running.free_symbols
    for moment in (0.0, 0.7, 1.9):
        got = weight(problem, moment) * at(problem, objective.running, x=1.3, a=-0.4)
        assert got == pytest.approx(SPELLINGS[integrand](moment) * (1.3**2 + 0.4**2), rel=1e-12)


@pytest.mark.parametrize(
    ("terminal", "paid"),
    [
        ("exp(-rho*T)*x(T)^2", math.exp(-0.2)),
        ("x(T)^2", 1.0),
        ("exp(-r*T)*x(T)^2", math.exp(-0.1)),
        ("x(T)^2/exp(rho*T)", math.exp(-0.2)),
        ("exp(-rho*T)*x(T)^2/2 + exp(-rho*T)*x(T)^2/2", math.exp(-0.2)),
    ],
)
def test_the_terminal_value_keeps_its_weight(terminal: str, paid: float) -> None:
    problem = objective_of(f"minimize E [ integral(0, T) exp(-rho*t)*a^2 dt + {terminal} ]")
    assert problem.objective.terminal is not None
    got = weight(problem, 2.0) * at(problem, problem.objective.terminal, x=1.3)
    assert got == pytest.approx(paid * 1.3**2, rel=1e-12)


@pytest.mark.parametrize(("payoff", "rate"), [("exp(-r*T)*max(x(T) - K, 0)", 0.05), ("exp(-0.05*0.5)*max(x(0.5) - K, 0)", 0.05)])
def test_the_discount_of_a_lone_payoff_is_found(payoff: str, rate: float) -> None:
    problem = objective_of(f"maximize E {payoff}")
    assert float(problem.numeric(problem.objective.discount)) == pytest.approx(rate)
    assert at(problem, problem.objective.terminal, x=1.5) == pytest.approx(0.5)


def test_an_exponential_of_the_state_is_no_discount() -> None:
    problem = objective_of("maximize E [ -exp(-rho*(x(T) - K*T)) ]")
    assert problem.objective.discount == 0
    assert at(problem, problem.objective.terminal, x=1.0) == pytest.approx(-math.exp(0.1))


def test_terms_with_different_rates_keep_the_slowest() -> None:
    problem = objective_of("minimize E integral(0, inf) (exp(-rho*t)*x^2 + exp(-2*rho*t)*a^2) dt")
    assert problem.objective.discount == sp.Symbol("rho", real=True, positive=True)
    for moment in (0.0, 1.0):
        now = problem.objective.running.xreplace({TIME: sp.Float(moment)})
        got = weight(problem, moment) * at(problem, now, x=2.0, a=3.0)
        assert got == pytest.approx(4 * math.exp(-0.1 * moment) + 9 * math.exp(-0.2 * moment))


def test_multiples_and_sums_of_integrals() -> None:
    problem = objective_of("minimize E [ 2*integral(0, T) x^2 dt - integral(0, T) a dt + K*(integral(0, T) a^2 dt + x(T)) ]")
    assert at(problem, problem.objective.running, x=1.5, a=0.5) == pytest.approx(2 * 2.25 - 0.5 + 0.25)
    assert at(problem, problem.objective.terminal, x=1.5) == pytest.approx(1.5)


Formula = Callable[[float], float] | None
RULES: dict[tuple[str, str], tuple[Formula, Formula, Formula, Formula]] = {
    ("exit tau in [0, T] when x <= 0", "maximize E if(tau < T, K, x(tau))"): (lambda x: x, None, lambda x: 1, lambda x: 0),
    ("exit tau in [0, T] when x <= 0", "maximize E exp(-r*T)*max(x(T) - K, 0)"):
        (lambda x: max(x - 1, 0), None, lambda x: 0, lambda x: 0),
    ("exit tau when abs(x) >= 1", "minimize E tau"): (None, None, lambda x: 0, lambda x: 1),
    ("exit tau when abs(x) >= 1", "minimize E [c0*tau + x(tau)^2]"): (None, None, lambda x: x * x, lambda x: 0.3),
    ("stopping tau in [0, T]", "maximize E exp(-r*tau)*max(K - x(tau), 0)"):
        (lambda x: max(1 - x, 0), lambda x: max(1 - x, 0), None, lambda x: 0),
    ("stopping tau in [0, inf]", "maximize E [integral(0, tau) exp(-r*t)*x dt - exp(-r*tau)*K]"):
        (None, lambda x: -1, None, lambda x: x),
    ("stopping tau in [0, T]", "maximize E if(tau < T, K - x(tau), 0)"): (lambda x: 0, lambda x: 1 - x, None, lambda x: 0),
}  # fmt: skip
"""Rule and objective -> terminal, stop and exit value and running reward as functions of x."""


@pytest.mark.parametrize("lines", RULES)
def test_payoffs_go_to_the_way_the_process_ends(lines: tuple[str, str]) -> None:
    problem = objective_of(lines[1], lines[0])
    objective = problem.objective
    found = (objective.terminal, objective.stop_value, objective.exit_value, objective.running)
    for value, formula in zip(found, RULES[lines], strict=True):
        assert (value is None) == (formula is None)
        for x in (-0.6, 0.4, 1.7):
            if value is not None and formula is not None:
                assert at(problem, value, x=x) == pytest.approx(formula(x))


def test_other_forms() -> None:
    average = objective_of("minimize average x^2 + a^2").objective
    assert (average.form, average.end, average.discount) == ("average", sp.oo, 0)
    risk = objective_of("minimize risk(c0) [ integral(0, T) x^2 dt + x(T)^2 ]").objective
    assert (risk.form, str(risk.risk), str(risk.terminal)) == ("risk", "c0", "x**2")
    reach = loads_problem("state x in R\ncontrol a in [-1, 1]\ndx = a dt\nmaximize running_min(0, 2) x - 1").objective
    assert (reach.form, reach.end, str(reach.running)) == ("running_min", 2, "x - 1")
    stated = objective_of("maximize E [ integral(0, T) x dt + x(T) ]", "discount r + c0*x^2").objective
    assert str(stated.discount) == "c0*x**2 + r"
    assert str(stated.terminal) == "x"


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("minimize E [ integral(0, T) x^2 dt + a*x(T) ]", 38, "terminal"),
        ("minimize E [ integral(0, T) x^2 dt + x^2 ]", 38, "x(T)"),
        ("minimize E exp(-rho*t)*x(T)", 21, "`T`"),
        ("minimize E integral(1, T) x^2 dt", 21, "starts at 0"),
        ("minimize E [ integral(0, T) x^2 dt + x(1)^2 ]", 40, "two horizons"),
        ("minimize E integral(0, T) x(T) dt", 29, "inside an integral"),
    ],
)
def test_what_cannot_be_an_objective(text: str, column: int, words: str) -> None:
    found = only_mistake(*HEAD, text)
    assert place(found) == (6, column)
    assert words in found.message + found.help


@pytest.mark.parametrize(
    ("objective", "word"),
    [
        ("minimize average x^2", "average"),
        ("minimize running_max(0, T) x^2", "running_max"),
        ("maximize running_min(0, T) x", "running_min"),
    ],
)
def test_a_discount_is_refused_where_it_has_no_meaning(objective: str, word: str) -> None:
    found = only_mistake("discount 0.1", *HEAD, objective)
    assert found.code == "HJB050"
    assert place(found) == (1, 1)
    assert "not discounted" in found.message
    assert word in found.message + found.help


def test_a_discount_is_refused_under_reversal() -> None:
    lines = ("state y in R", "noise W", "dy = -y dt + dW", "data y(0) ~ normal(0, 1)", "reverse y on [0, 1]", "discount 0.1")
    assert place(only_mistake(*lines)) == (6, 1)


def test_a_stopping_time_must_take_part() -> None:
    assert "tau" in only_mistake(*HEAD, "stopping tau in [0, T]", "maximize E x(T)").message
