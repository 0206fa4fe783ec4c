"""Perpetual optimal stopping of geometric and arithmetic Brownian motion: a closed formula with a free boundary by
smooth fit.

In: the equation. Out: V = G where stopping is optimal, V = P + A u beyond, u the decaying one of the two fundamental
solutions, P the discounted value of the running reward; x_s solves h(x) = u (G - P)' - u' (G - P) = 0 (smooth fit,
McKean 1965; Peskir and Shiryaev, Optimal Stopping and Free-Boundary Problems, IV.9). A candidate is accepted when the
verification theorem's inequalities hold: V is at least the payoff everywhere, and f + L G - r G <= 0 where V = G
(reversed under `minimize`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import mpmath
import numpy as np
import sympy as sp

from hjbdsl.methods.closed_form.family import Proposal
from hjbdsl.methods.closed_form.one_dimensional.asymptotics import Distant, distant_payoff, require_finite_running_value
from hjbdsl.methods.closed_form.one_dimensional.branches import smooth_branches
from hjbdsl.methods.closed_form.one_dimensional.exponents import Characteristic, characteristic
from hjbdsl.methods.closed_form.one_dimensional.formula_function import Piece, PieceFormula
from hjbdsl.methods.closed_form.one_dimensional.line import LineProblem, recognise
from hjbdsl.methods.closed_form.one_dimensional.notation import fresh_symbol, notation
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Array, Formula, Rejected
from hjbdsl.numeric.compile import compile_expressions

Side = Literal["below", "above"]
FAMILY = "one-dimensional: perpetual stopping, smooth fit"


@dataclass(frozen=True, slots=True)
class StoppingFormula:
    """Stop on the `side` of `boundary`, where the payoff is `branch`; beyond, V = `particular` + A u, u with `exponent`.

    `boundary` is in symbols (a decimal number where it solves no explicit equation)."""

    side: Side
    branch: sp.Expr
    particular: sp.Expr
    exponent: sp.Expr
    boundary: sp.Expr
    explicit: bool


def propose_perpetual_stopping(equation: HJBEquation) -> Proposal | Rejected:
    """A formula for `stopping tau in [0, inf]` of an uncontrolled one-dimensional Brownian motion with power-type
    (exponential) payoffs.
    """
    problem = equation.problem
    if problem.stopping is None:
        return Rejected("there is no stopping time")
    line = recognise(equation)
    if isinstance(line, Rejected):
        return line
    if line.controls or problem.modes or problem.exit is not None or problem.boundaries:
        return Rejected("besides stopping there are controls, modes, an exit or a boundary")
    covariance = equation.covariance.get((0, 0), sp.S.Zero)
    law = characteristic(line.state, problem.drift[0], covariance, problem.objective.discount)
    if law is None:
        return Rejected("neither geometric nor arithmetic Brownian motion with a constant discount rate")
    if law.scale == "exponential" and not (line.bounds.lower == -sp.oo and line.bounds.upper == sp.oo):
        return Rejected("an arithmetic Brownian motion leaves the half-line")
    if law.scale == "power" and line.bounds.upper != sp.oo:
        return Rejected("a geometric Brownian motion leaves the interval")
    discount = float(problem.numeric(law.discount))
    if discount <= 0:
        return Rejected("the discount rate is not positive")
    running = law.terms(problem.objective.running)
    if running is None:
        return Rejected("the running reward is no sum of powers (exponentials)")
    require_finite_running_value(equation, law, running)
    particular = law.expression(law.particular(running))
    distant = distant_payoff(line, law)
    particular += distant.limit
    assert problem.objective.stop_value is not None
    for branch in smooth_branches(problem.objective.stop_value, line.state):
        for formula in _candidates(equation, law, branch, particular):
            if _verified(line, law, formula):
                return _proposal(equation, line, law, formula, distant)
    if distant.limit != 0 and _never_stopped(line, law, particular):
        return _waiting_proposal(line, particular, distant)
    return Rejected("stopping on one side of one boundary is not optimal")


def _never_stopped(line: LineProblem, law: Characteristic, value: sp.Expr) -> bool:
    """Whether `value`, what waiting for ever gives, is at least the payoff everywhere."""
    assert line.payoff is not None
    grid = _wide_grid(line, law, (line.low + line.high) / 2)
    waiting, payoff = compile_expressions((line.state,), (line.equation.problem.numeric(value), line.payoff[0]))(grid)
    sign = 1.0 if line.maximise else -1.0
    return bool(np.all(sign * (waiting - payoff) >= -1e-11 * (1 + np.abs(payoff))))


def _waiting_proposal(line: LineProblem, value: sp.Expr, distant: Distant) -> Proposal:
    numeric = line.equation.problem.numeric(value)
    return Proposal(
        family="one-dimensional: perpetual stopping, best never to stop",
        function=PieceFormula(line.state, (), (Piece(numeric, False),)),
        symbolic={(): value},
        controls={(): {}},
        formula=Formula({"V": notation(value)}, {}, ()),
        statements=(
            distant.statement,
            "V is nowhere worse than the payoff (wide grid) and e^(-r t) V(X_t) loses nothing on average",
        ),
        warnings=(distant.warning,),
    )


def _candidates(equation: HJBEquation, law: Characteristic, branch: sp.Expr, particular: sp.Expr) -> list[StoppingFormula]:
    """Every smooth-fit solution with `branch` as the payoff, on either side, whatever the inequalities say."""
    x = law.state
    surplus = sp.expand(branch - particular)
    result: list[StoppingFormula] = []
    sides: tuple[tuple[Side, sp.Expr], ...] = (("below", law.exponents()[0]), ("above", law.exponents()[1]))
    for side, exponent in sides:
        # u (G - P)' - u' (G - P) over u, times x on the power scale
        if law.scale == "power":
            fit = sp.expand(x * sp.diff(surplus, x) - exponent * surplus)
        else:
            fit = sp.expand(sp.diff(surplus, x) - exponent * surplus)
        for boundary, explicit in _roots(fit, law, equation):
            result.append(StoppingFormula(side, branch, particular, exponent, boundary, explicit))
    return result


def _roots(fit: sp.Expr, law: Characteristic, equation: HJBEquation) -> list[tuple[sp.Expr, bool]]:
    terms = law.terms(fit)
    problem = equation.problem
    if terms is not None and len(terms) == 2:
        first, second = terms
        if first.degree == second.degree == 0:
            ratio = sp.simplify(-first.coefficient / second.coefficient)
            if float(problem.numeric(ratio)) <= 0:
                return []
            gap = sp.simplify(second.exponent - first.exponent)
            root = ratio ** (1 / gap) if law.scale == "power" else sp.log(ratio) / gap
            return [(sp.simplify(root), True)]
        if {first.degree, second.degree} == {0, 1} and first.exponent == second.exponent == 0:
            slope, constant = (first, second) if first.degree == 1 else (second, first)
            return [(sp.simplify(-constant.coefficient / slope.coefficient), True)]
    return [(root, False) for root in _numeric_roots(problem.numeric(fit), law)]


def _numeric_roots(fit: sp.Expr, law: Characteristic) -> list[sp.Expr]:
    """Sign changes on a wide grid, polished to 30 digits."""
    x = law.state
    grid = np.geomspace(1e-8, 1e8, 3201) if law.scale == "power" else np.sinh(np.linspace(-9, 9, 3601))
    (sampled,) = compile_expressions((x,), (fit,))(grid)
    side = np.where(np.isfinite(sampled), np.sign(sampled), 0.0)
    changes = np.flatnonzero(side[:-1] * side[1:] < 0)
    roots = []
    with mpmath.workdps(40):
        function = sp.lambdify(x, fit, modules="mpmath")
        for i in changes[:8]:
            root = mpmath.findroot(function, (mpmath.mpf(grid[i]), mpmath.mpf(grid[i + 1])), solver="anderson", tol=1e-60)
            roots.append(sp.Float(str(root), 35))
    return roots


def _pieces(line: LineProblem, law: Characteristic, formula: StoppingFormula) -> PieceFormula:
    """The candidate with numbers in, as pieces left and right of the boundary."""
    numeric = line.equation.problem.numeric
    x = law.state
    boundary = sp.N(numeric(formula.boundary), 35)
    surplus = numeric(formula.branch - formula.particular).xreplace({x: boundary})
    decay = (
        (x / boundary) ** numeric(formula.exponent)
        if law.scale == "power"
        else sp.exp(numeric(formula.exponent) * (x - boundary))
    )
    stop, go = Piece(numeric(formula.branch), True), Piece(numeric(formula.particular) + sp.N(surplus, 35) * decay, False)
    pieces = (stop, go) if formula.side == "below" else (go, stop)
    return PieceFormula(x, (float(boundary),), pieces)


def _verified(line: LineProblem, law: Characteristic, formula: StoppingFormula) -> bool:
    """The verification theorem's inequalities, on a grid that reaches far beyond the region and the boundary."""
    boundary = float(line.equation.problem.numeric(formula.boundary))
    grid = _wide_grid(line, law, boundary)
    candidate = _pieces(line, law, formula)
    assert line.payoff is not None
    sign = 1.0 if line.maximise else -1.0
    numeric_branch = line.equation.problem.numeric(formula.branch)
    x = line.state
    generator = (
        line.running[0]
        + line.drift[0] * sp.diff(numeric_branch, x)
        + line.variance[0] * sp.diff(numeric_branch, x, 2) / 2
        - line.discount[0] * numeric_branch
    )
    payoff, branch, drift = compile_expressions((x,), (line.payoff[0], numeric_branch, generator))(grid)
    value = candidate.derivatives(np.zeros_like(grid), grid[:, None], np.zeros(len(grid), dtype=np.int64)).value
    stopped = grid <= boundary if formula.side == "below" else grid >= boundary
    scale = 1e-11 * (1 + np.abs(payoff))
    dominates = bool(np.all(sign * (value - payoff) >= -scale))
    same_payoff = bool(np.all(np.abs(branch - payoff)[stopped] <= scale[stopped]))
    no_regret = bool(np.all(sign * drift[stopped] <= 1e-11 * (1 + np.abs(drift[stopped]))))
    return dominates and same_payoff and no_regret


def _wide_grid(line: LineProblem, law: Characteristic, boundary: float) -> Array:
    if law.scale == "power":
        low, high = min(max(line.low, 1e-12), boundary), max(line.high, boundary)
        return np.unique(np.concatenate([np.geomspace(low * 1e-6, high * 1e6, 4001), np.linspace(low / 2, 2 * high, 2001)]))
    reach = 1.0 / float(np.sqrt(float(line.discount[0]) / float(line.variance[0])))
    low, high = min(line.low, boundary), max(line.high, boundary)
    return np.unique(
        np.concatenate([np.linspace(low - 20 * reach, high + 20 * reach, 4001), np.linspace(low - 1, high + 1, 2001)])
    )


def _proposal(
    equation: HJBEquation, line: LineProblem, law: Characteristic, formula: StoppingFormula, distant: Distant
) -> Proposal:
    problem = equation.problem
    x = law.state
    letter = fresh_symbol(problem, f"{x.name}_s", positive=law.scale == "power")
    decay_letter = fresh_symbol(problem, "beta")
    surplus = (formula.branch - formula.particular).xreplace({x: letter})
    scale = (x / letter) ** decay_letter if law.scale == "power" else sp.exp(decay_letter * (x - letter))
    continued = formula.particular + surplus * scale
    stop_when = x <= letter if formula.side == "below" else x >= letter
    shown = sp.Piecewise((formula.branch, stop_when), (continued, True))
    symbolic = shown.xreplace({letter: formula.boundary, decay_letter: formula.exponent})
    boundary, exponent = (float(problem.numeric(e)) for e in (formula.boundary, formula.exponent))
    where = (
        (notation(letter), notation(formula.boundary if formula.explicit else sp.Float(boundary, 12)), boundary),
        (notation(decay_letter), notation(formula.exponent), exponent),
    )
    comparison = "at least" if line.maximise else "at most"
    return Proposal(
        family=FAMILY,
        function=_pieces(line, law, formula),
        symbolic={(): symbolic},
        controls={(): {}},
        formula=Formula({"V": notation(shown)}, {}, where),
        statements=(
            f"smooth fit at {letter.name} = {boundary:.12g}: V and V' are continuous there"
            + ("" if formula.explicit else " (a root of the smooth-fit equation, polished to 35 digits)"),
            f"V is {comparison} the payoff everywhere and stopping is never regretted (variational inequality on a wide grid)",
            f"transversality: beyond {letter.name} only the decaying fundamental solution enters, exponent {exponent:.6g}"
            + (" (besides what waiting for ever gives)" if distant.limit != 0 else ""),
            *((distant.statement,) if distant.limit != 0 else ()),
        ),
        warnings=(distant.warning,) if distant.limit != 0 else (),
        accuracy=0.0,
    )
