"""Coefficients that jump, such as `indicator(x > c)`: averaged over the cell of each node, so that a jump between nodes is felt
where it is. At nodes alone it lies up to half a cell away, and nested levels that share the nearest node do not tell.

In: a recast equation. Out: what averaging adds to each coefficient, in the states and the widths of the cells. A condition
`e > 0` holds in the share 1/2 + e/w of a cell, w the variation of e across it (Pooley, Vetzal and Forsyth, J. Computational
Finance 6, 2003, do the same to terminal values). Where the noise jumps, V'' does: what is averaged is the equation divided by the
variance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sympy as sp
from sympy.core.relational import Relational

from hjbdsl.model.equation import HJBEquation

_LEAST = sp.Float(1e-200)
_MOST_PIECES = 16
Widths = Mapping[sp.Symbol, sp.Symbol]


@dataclass(frozen=True, slots=True)
class Averaged:
    """What averaging adds to the running reward, the discount rate, the drift on each axis and, in one state, the variance.
    `missed`: something jumps that is not averaged, since a control or a condition without width decides, or a variance in several
    states."""

    added: tuple[sp.Expr, ...]
    missed: bool

    @property
    def jumps(self) -> bool:
        return any(expression != 0 for expression in self.added)


def may_jump(expression: sp.Basic) -> bool:
    """Whether an expression may be discontinuous."""
    return bool(expression.atoms(sp.Piecewise, sp.sign))


def carries_jumps(equation: HJBEquation) -> bool:
    """Whether V itself may jump: what is paid at the end does, and along some axis no noise smooths it."""
    objective, axes = equation.problem.objective, equation.problem.continuous_states
    extremum = objective.form in ("running_min", "running_max")
    paid = objective.running if extremum else objective.terminal
    noisy = all((i, i) in equation.covariance for i in axes)
    return not (equation.stationary or noisy or paid is None) and may_jump(paid)


def averaging(equation: HJBEquation, chosen: Iterable[sp.Symbol], widths: Widths) -> Averaged:
    """Only across axes with noise, along which V is smooth, and only in terms without the `chosen` symbols. `widths`: of a cell,
    by continuous state."""
    problem, axes = equation.problem, equation.problem.continuous_states
    paid = problem.objective.form in ("expectation", "average")
    rates = [problem.objective.running if paid else sp.S.Zero]
    rates.append(sp.S.Zero if problem.objective.form == "average" else problem.objective.discount)
    rates += [problem.drift[axis] for axis in axes]
    noisy = {problem.state_symbols[i] for i in axes if (i, i) in equation.covariance}
    cells = _Cells(widths, noisy, frozenset(chosen))
    variances = [sp.sympify(variance) for variance in equation.covariance.values()]
    weight: sp.Expr = sp.S.One
    missed, turned = False, sp.S.Zero
    if noisy and any(cells.jumps(variance) for variance in variances):
        inverse = cells.mean(1 / variances[0]) if len(axes) == 1 and len(variances) == 1 else None
        missed = inverse is None
        if inverse is not None:
            weight, turned = variances[0], 1 / inverse - variances[0]
    added = []
    for rate in rates:
        total = sp.S.Zero
        for term in sp.Add.make_args(sp.expand_mul(sp.sympify(rate), deep=False)):
            if not noisy or not cells.jumps(term):
                continue
            mean = cells.mean(term / weight)
            missed = missed or mean is None
            if mean is not None:
                total += mean * (weight + turned) - term
        added.append(total)
    return Averaged((*added, turned), missed)


@dataclass(frozen=True, slots=True)
class _Cells:
    widths: Widths
    noisy: set[sp.Symbol]
    chosen: frozenset[sp.Symbol]

    def jumps(self, term: sp.Expr) -> bool:
        """Whether a term may jump where a state with noise moves."""
        conditions = [condition for atom in term.atoms(sp.Piecewise) for _, condition in atom.args]
        conditions += list(term.atoms(sp.sign))
        return any(not condition.free_symbols.isdisjoint(self.noisy) for condition in conditions)

    def mean(self, term: sp.Expr) -> sp.Expr | None:
        """Over a cell; None where it is not known."""
        if not term.free_symbols.isdisjoint(self.chosen):
            return None
        signs = {sign: sp.Piecewise((1, sign.args[0] > 0), (-1, True)) for sign in term.atoms(sp.sign)}
        pieces = sp.piecewise_fold(term.xreplace(signs))
        if not isinstance(pieces, sp.Piecewise) or len(pieces.args) > _MOST_PIECES:
            return None
        rest = sp.S.Zero
        for amount, condition in reversed(pieces.args):
            share = self.share(condition)
            if share is None or amount.has(sp.Piecewise, sp.zoo, sp.oo, sp.nan):
                return None
            # where the condition holds nowhere in the cell, its amount need not have a value
            rest = sp.Piecewise((amount * share + rest * (1 - share), share > 0), (rest, True)) if share != 1 else amount
        return rest

    def share(self, condition: sp.Basic) -> sp.Expr | None:
        """Of the cell in which a condition holds; None where it is not known."""
        if condition in (sp.true, sp.false):
            return sp.Integer(condition == sp.true)
        if isinstance(condition, sp.And | sp.Or | sp.Not):
            every = [self.share(part) for part in condition.args]
            parts = [part for part in every if part is not None]
            if len(parts) < len(every):
                return None
            if isinstance(condition, sp.And):
                return sp.Mul(*parts)
            return 1 - parts[0] if isinstance(condition, sp.Not) else 1 - sp.Mul(*(1 - part for part in parts))
        if condition.free_symbols.isdisjoint(self.widths):
            return sp.Piecewise((1, condition), (0, True))
        if not isinstance(condition, Relational) or isinstance(condition, sp.Eq | sp.Ne):
            return None
        excess = condition.gts - condition.lts
        moving = excess.free_symbols & self.widths.keys()
        slopes = [sp.diff(excess, state) for state in moving]
        if any(slope.has(sp.Heaviside, sp.DiracDelta, sp.Derivative, sp.Piecewise) for slope in slopes):
            return None
        width = sum(sp.Abs(slope) * self.widths[state] for state, slope in zip(moving, slopes, strict=True))
        return sp.Min(1, sp.Max(0, sp.Rational(1, 2) + excess / sp.Max(width, _LEAST)))
