"""Recognition: which equations are ordinary differential equations in one continuous state, and their coefficients.

In: the HJB equation. Out: a `LineProblem` with the parameters' exact numbers put in, or the reason why it is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp

from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import TIME, Bounds
from hjbdsl.model.solution import Rejected


@dataclass(frozen=True, slots=True)
class LineProblem:
    """One stationary equation on an interval, by joint mode. Expressions hold the state, the controls and numbers only.

    state        the symbol x;  bounds: its declared interval;  low, high: the region as floats
    drift        mode -> b(x, a);  variance: mode -> A(x, a) = sigma^2;  running: mode -> f(x, a);  discount: mode ->
    r(x, a) rates        (mode, other mode) -> intensity (x)
    payoff       mode -> what stopping pays, None without a stopping rule
    exit_value   mode -> what the first exit pays, None without an exit rule;  exit_when: its condition
    maximise     whether the controller maximises
    centre       the state is a radius: at 0 lies no boundary but the centre, where V_x = 0
    """

    equation: HJBEquation
    state: sp.Symbol
    bounds: Bounds
    low: float
    high: float
    modes: tuple[tuple[int, ...], ...]
    drift: tuple[sp.Expr, ...]
    variance: tuple[sp.Expr, ...]
    running: tuple[sp.Expr, ...]
    discount: tuple[sp.Expr, ...]
    rates: Mapping[tuple[int, int], sp.Expr]
    payoff: tuple[sp.Expr, ...] | None
    exit_value: tuple[sp.Expr, ...] | None
    exit_when: sp.Basic | None
    maximise: bool
    centre: bool = False

    @property
    def controls(self) -> tuple[sp.Symbol, ...]:
        """Controls, then adversaries."""
        return self.equation.problem.control_symbols + self.equation.problem.adversary_symbols


def recognise(equation: HJBEquation) -> LineProblem | Rejected:
    """The line problem behind `equation`. Stationary, one continuous state, no jumps, a soft optimum or risk
    sensitivity excluded.
    """
    problem = equation.problem
    if problem.dimension != 1 or problem.lattice_states:
        return Rejected("the state is not one real number")
    if problem.state_bounds[0].periodic:
        return Rejected("the state lives on a circle")
    if (reason := unsuitable(equation)) is not None:
        return Rejected(reason)
    modes = problem.mode_tuples()

    def by_mode(expression: sp.Basic) -> tuple[sp.Expr, ...]:
        return tuple(problem.numeric(problem.at_mode(expression, mode)) for mode in modes)

    objective = problem.objective
    low, high = problem.region[0]
    bounds = problem.state_bounds[0]
    return LineProblem(
        equation=equation,
        state=problem.state_symbols[0],
        bounds=Bounds(problem.numeric(bounds.lower), problem.numeric(bounds.upper), bounds.lower_open, bounds.upper_open),
        low=float(problem.numeric(low)),
        high=float(problem.numeric(high)),
        modes=modes,
        drift=by_mode(problem.drift[0]),
        variance=by_mode(equation.covariance.get((0, 0), sp.S.Zero)),
        running=by_mode(objective.running),
        discount=by_mode(objective.discount),
        rates=_mode_rates(equation, modes),
        payoff=by_mode(objective.stop_value) if objective.stop_value is not None else None,
        exit_value=by_mode(objective.exit_value or sp.S.Zero) if problem.exit is not None else None,
        exit_when=problem.numeric(problem.exit.condition) if problem.exit is not None else None,
        maximise=objective.sense != "minimize",
    )


def unsuitable(equation: HJBEquation) -> str | None:
    """Why a problem, in however many dimensions, is no stationary diffusion with a plain expectation; None where it is
    one.
    """
    problem = equation.problem
    if not equation.stationary:
        return "the value depends on time"
    if problem.jumps:
        return "the state jumps"
    if equation.entropy is not None or problem.exploration is not None:
        return "the policy is random (entropy-regularised)"
    if problem.objective.form not in ("expectation", "average"):
        return f"the objective is {problem.objective.form}, not an expectation"
    if any(set(problem.control_symbols) & rate.free_symbols for chain in problem.modes for rate in chain.rates.values()):
        return "the controls set the rates between modes"
    if problem.reversal is not None:
        return "the problem is a time reversal"
    pieces = [*problem.drift, problem.objective.running, problem.objective.discount, *equation.covariance.values()]
    if any(TIME in piece.free_symbols for piece in pieces):
        return "the coefficients depend on time"
    if any(constraint.role == "state" for constraint in problem.constraints):
        return "a joint constraint binds the state"
    return None


def _mode_rates(equation: HJBEquation, modes: tuple[tuple[int, ...], ...]) -> dict[tuple[int, int], sp.Expr]:
    """Intensities between joint modes: one chain moves at a time."""
    problem = equation.problem
    rates: dict[tuple[int, int], sp.Expr] = {}
    for i, here in enumerate(modes):
        for j, there in enumerate(modes):
            moved = [c for c in range(len(here)) if here[c] != there[c]]
            if len(moved) == 1:
                rate = problem.modes[moved[0]].rates.get((here[moved[0]], there[moved[0]]), sp.S.Zero)
                rate = problem.numeric(problem.at_mode(rate, here))
                if rate != 0:
                    rates[i, j] = rate
    return rates
