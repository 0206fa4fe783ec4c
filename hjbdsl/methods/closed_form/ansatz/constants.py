"""Additive constants in the rewards, taken out before matching and put back after: u(c) = (c^(1-gamma) - 1)/(1-gamma).

In: an equation and the constants found in its running and terminal reward. Out: the equation without them, and their own value,
the solution of level' = r level - f_0, level(T) = g_0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import sympy as sp

from hjbdsl.methods.closed_form.ansatz.homogeneity import Scaling, euler
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import TIME
from hjbdsl.model.solution import Array


@dataclass(frozen=True, slots=True)
class Level:
    """f_0 paid a unit of time and g_0 at `end` (infinite: never), discounted at the rate `discount`."""

    running: float
    terminal: float
    discount: float
    end: float

    def at(self, t: Array) -> tuple[Array, Array]:
        """The value of the constants at times t and its derivative in t."""
        if not np.isfinite(self.end):
            return np.full(t.shape, self.running / self.discount), np.zeros(t.shape)
        to_go = self.end - t
        factor = np.exp(-self.discount * to_go)
        annuity = -np.expm1(-self.discount * to_go) / self.discount if self.discount != 0 else to_go
        value = self.running * annuity + self.terminal * factor
        return value, self.discount * value - self.running

    def expression(self) -> sp.Expr:
        """The same for the eye, its numbers to 8 digits."""
        if not np.isfinite(self.end):
            return _eight_digits(self.running / self.discount)
        running, terminal, rate, end = (_eight_digits(v) for v in (self.running, self.terminal, self.discount, self.end))
        if rate == 0:
            return running * (end - TIME) + terminal
        factor = sp.exp(-rate * (end - TIME))
        return running / rate * (1 - factor) + terminal * factor


NO_LEVEL = Level(0.0, 0.0, 1.0, np.inf)


def _eight_digits(number: float) -> sp.Expr:
    return sp.Rational(f"{number:.8g}")


def without_constants(equation: HJBEquation, scaling: Scaling) -> tuple[HJBEquation, Level]:
    """Raises `ValueError` where the discount rate is no constant, or not positive without an end.

    What is left of a reward is written as Euler's operator on it over the degree, equal to reward - constant but free of the
    cancellation between two large numbers.
    """
    problem = equation.problem
    running, terminal = (problem.numeric(c) for c in (scaling.running_constant, scaling.terminal_constant))
    if running == 0 and terminal == 0:
        return equation, NO_LEVEL
    objective = problem.objective
    rate, end = problem.numeric(objective.discount), problem.numeric(objective.end)
    if not rate.is_number:
        raise ValueError("a reward has an additive constant and the discount rate is not constant")
    if not end.is_finite and rate <= 0:
        raise ValueError("a constant reward without discounting has no finite value")
    moving = {problem.state_symbols[scaling.state]: 1, **{a: s for a, s in scaling.weights.items() if s}}
    kept = replace(
        objective,
        running=euler(objective.running, moving) / scaling.degree,
        terminal=None if objective.terminal is None else euler(objective.terminal, moving) / scaling.degree,
    )
    hamiltonian = equation.hamiltonian - objective.running + kept.running
    level = Level(float(running), float(terminal), float(rate), float(end))
    return replace(equation, problem=replace(problem, objective=kept), hamiltonian=hamiltonian), level
