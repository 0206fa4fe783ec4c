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

from hjbdsl.errors import HjbError
from hjbdsl.methods.closed_form.family import Proposal, ill_posed
from hjbdsl.methods.closed_form.one_dimensional.branches import smooth_branches
from hjbdsl.methods.closed_form.one_dimensional.exponents import Characteristic, Term, characteristic
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
    _require_finite_running_value(equation, law, running)
    particular = law.expression(law.particular(running))
    assert problem.objective.stop_value is not None
    for branch in smooth_branches(problem.objective.stop_value, line.state):
        for formula in _candidates(equation, law, branch, particular):
            if _verified(line, law, formula):
                return _proposal(equation, line, law, formula)
    _require_finite_stopping_value(line, law)
    return Rejected("stopping on one side of one boundary is not optimal")


def _require_finite_running_value(equation: HJBEquation, law: Characteristic, running: tuple[Term, ...]) -> None:
    problem = equation.problem
    negative, positive = (float(problem.numeric(root)) for root in law.exponents())
    for term in running:
        p = float(problem.numeric(term.exponent))
        if not negative < p < positive:
            raise _infinite(equation, f"the running reward grows with exponent {p:.6g}, outside ({negative:.6g}, {positive:.6g})")


def _require_finite_stopping_value(line: LineProblem, law: Characteristic) -> None:
    """A payoff that outgrows the fundamental solution at an end can be collected later and later for more and more."""
    equation, problem = line.equation, line.equation.problem
    assert problem.objective.stop_value is not None
    assert line.payoff is not None
    negative, positive = (float(problem.numeric(root)) for root in law.exponents())
    far = np.array([1e9, 1e12]) if law.scale == "power" else np.array([1e3, 2e3])
    for points, limit, side in ((far, positive, 1.0), (1 / far if law.scale == "power" else -far, negative, -1.0)):
        for branch in smooth_branches(problem.objective.stop_value, line.state):
            with np.errstate(all="ignore"):
                there, payoff = compile_expressions((line.state,), (problem.numeric(branch), line.payoff[0]))(points)
            terms = law.terms(branch)
            if terms is None or not np.array_equal(there, payoff):
                continue
            leading = max(terms, key=lambda term: side * float(problem.numeric(term.exponent)), default=None)
            if leading is None:
                continue
            p, c = float(problem.numeric(leading.exponent)), float(problem.numeric(leading.coefficient))
            if side * (p - limit) > 1e-12 and (c > 0) == line.maximise:
                raise _infinite(equation, f"the payoff grows with exponent {p:.6g}, discounting outweighs only up to {limit:.6g}")


def _infinite(equation: HJBEquation, why: str) -> HjbError:
    name = "discount" if "discount" in equation.problem.origins else "objective"
    return ill_posed(
        equation.problem,
        "HJB120",
        name,
        f"the value is not finite: {why}",
        "raise the discount rate, or give the stopping time an end",
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
    boundary = numeric(formula.boundary)
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


def _proposal(equation: HJBEquation, line: LineProblem, law: Characteristic, formula: StoppingFormula) -> Proposal:
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
            f"transversality: beyond {letter.name} only the decaying fundamental solution enters, exponent {exponent:.6g}",
        ),
        accuracy=0.0,
    )
