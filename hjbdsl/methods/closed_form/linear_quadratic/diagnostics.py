"""Linear-quadratic problems without an answer, in words that name the symbol and the remedy.

In: what the Riccati solvers raised. Out: `HjbError`s, or a reason where another method may still succeed.
"""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from hjbdsl.budget import BudgetExceeded, time_budget
from hjbdsl.errors import HjbError
from hjbdsl.methods.closed_form.family import ill_posed
from hjbdsl.methods.closed_form.linear_quadratic.arrays import TimeArray
from hjbdsl.methods.closed_form.linear_quadratic.coefficients import LinearQuadratic
from hjbdsl.methods.closed_form.linear_quadratic.failures import Escape, Infinite, Undecided
from hjbdsl.methods.closed_form.linear_quadratic.riccati import NoSaddle
from hjbdsl.methods.closed_form.linear_quadratic.riccati_algebraic import solve_stationary
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Rejected

_REMEDY_SECONDS = 3.0
"""The threshold of the discount is a courtesy; it may not take longer."""


def no_optimum(problem: ControlProblem, player: str) -> Rejected:
    """The Hamiltonian is not strictly convex in the controls: a bound decides (another method's), or nothing does."""
    groups = problem.controls if player == "control" else problem.adversaries
    if any(b.lower != -sp.oo or b.upper != sp.oo for g in groups for b in g.bounds) or problem.constraints:
        return Rejected(f"the Hamiltonian is not strictly convex in {_names(groups)}: the optimum lies on a bound")
    sense = "maximum" if (problem.objective.sense == "maximize") == (player == "control") else "minimum"
    raise ill_posed(
        problem,
        "HJB114",
        groups[0].name,
        f"the Hamiltonian has no {sense} over `{_names(groups)}`",
        f"bound it, as in `control {groups[0].name} in [-1, 1]`, or add a quadratic cost on every component of it",
    )


def _names(groups: tuple) -> str:
    return ", ".join(group.name for group in groups)


def escaped(problem: ControlProblem, horizon: float, error: Escape) -> HjbError:
    """The Riccati equation escapes within the horizon."""
    name, advice = _who(problem)
    remaining = error.remaining
    message = (
        f"the value is infinite: the Riccati equation escapes at time-to-go {remaining:.6g}, "
        f"so for every t < {horizon - remaining:.6g} of the horizon {horizon:.6g}"
    )
    return ill_posed(problem, "HJB121", name, message, f"shorten the horizon below {remaining:.6g}{advice}")


def _who(problem: ControlProblem) -> tuple[str, str]:
    """The declaration to point at, and what else helps."""
    if problem.objective.risk is not None:
        name = _parameter(problem, problem.objective.risk)
        return name or "objective", ", or lower the risk-sensitivity theta" if name is None else f", or lower `{name}`"
    if problem.adversaries:
        group = problem.adversaries[0].name
        return group, f", or raise the cost on `{group}`"
    return "objective", ", or make the running cost bounded below"


def _parameter(problem: ControlProblem, expression: sp.Basic) -> str | None:
    names = sorted(str(s) for s in sp.sympify(expression).free_symbols if str(s) in problem.origins)
    return names[0] if names else None


def value_infinite(problem: ControlProblem, quadratic: LinearQuadratic, error: Infinite) -> HjbError:
    """No finite value over an infinite horizon."""
    discount = sp.sympify(problem.objective.discount)
    name = _parameter(problem, discount)
    if name is None and (problem.adversaries or problem.objective.risk is not None):
        name, _ = _who(problem)
    what = f"the value is infinite: {error.what}"
    if discount != 0:
        rate = float(problem.numeric(problem.at_mode(discount, problem.mode_tuples()[0])))
        least = _least_within_budget(quadratic, rate)
        shown = f"{rate:g}" if discount.is_Number else f"{discount} = {rate:g}"
        what += f"; the discount rate {shown} is too small" if not problem.modes else "; the discount is too small"
        remedy = f"raise the discount rate above {least:.4g}" if least is not None else "raise the discount rate"
        return ill_posed(problem, "HJB120", name or "objective", what, f"{remedy}, or let a control reach every unstable state")
    remedy = "discount the costs with exp(-rho*t), use `average`, or let a control reach every unstable state"
    return ill_posed(problem, "HJB120", name or "objective", what, remedy)


def _least_within_budget(quadratic: LinearQuadratic, rate: float) -> float | None:
    try:
        with time_budget(_REMEDY_SECONDS):
            return _least_discount(quadratic, rate)
    except BudgetExceeded:
        return None


def _least_discount(quadratic: LinearQuadratic, rate: float) -> float | None:
    """The smallest addition to the discount that gives a finite value, by bisection; None for wide problems."""
    if quadratic.states * len(quadratic.modes) > 4:
        return None

    def finite(extra: float) -> bool:
        modes = tuple(replace(m, discount=TimeArray(m.discount.base + extra, (), None)) for m in quadratic.modes)
        try:
            solve_stationary(replace(quadratic, modes=modes), False)
        except (Infinite, Undecided, NoSaddle):
            return False
        return True

    low, high = 0.0, max(1.0, 2 * abs(rate))
    for _ in range(8):
        if finite(high):
            break
        low, high = high, 3 * high
    else:
        return None
    for _ in range(10):
        middle = (low + high) / 2
        low, high = (low, middle) if finite(middle) else (middle, high)
    return rate + high
