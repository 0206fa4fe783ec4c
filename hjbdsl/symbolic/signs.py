"""Which sign an expression has for every state, gradient and Hessian, with the numbers of the parameters put in.

In: a problem and an expression. Out: -1, 0, 1, or None where the sign varies or cannot be told. Never a guess.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from hjbdsl.model.problem import TIME, ControlProblem

_ELAPSED = sp.Dummy("t", nonnegative=True)
_SHORT = 60
_MODES_EXAMINED = 64


def sign_of(problem: ControlProblem, expression: sp.Expr) -> int | None:
    """The strict sign of `expression` in every mode, 0 where it vanishes identically."""
    has_modes = any(p.symbol in expression.free_symbols for p in problem.mode_parameters)
    modes = problem.mode_tuples() if has_modes else problem.mode_tuples()[:1]
    if len(modes) > _MODES_EXAMINED:
        return None
    signs = {_numeric_sign(_clocked(problem, problem.numeric(problem.at_mode(expression, mode)))) for mode in modes}
    return signs.pop() if len(signs) == 1 else None


def _clocked(problem: ControlProblem, expression: sp.Expr) -> sp.Expr:
    """t as a time: not negative, and T - t not negative where the horizon T is finite."""
    if TIME not in expression.free_symbols:
        return expression
    end = problem.numeric(problem.objective.end)
    if end.is_finite is not True:
        return expression.xreplace({TIME: _ELAPSED})
    inside = sp.Dummy("elapsed", nonnegative=True)
    remaining = expression.xreplace({TIME: end * inside / (1 + inside)})
    return sp.factor(sp.together(remaining)) if sp.count_ops(expression) < _SHORT else expression.xreplace({TIME: _ELAPSED})


def _numeric_sign(expression: sp.Expr) -> int | None:
    if expression.is_zero:
        return 0
    if expression.is_positive:
        return 1
    if expression.is_negative:
        return -1
    factored = sp.factor_terms(expression) if expression.is_Add else expression
    if factored.is_Mul:
        product = 1
        for factor in factored.args:
            sign = _numeric_sign(factor) if factor != expression else None
            if sign is None:
                return None
            product *= sign
        return product
    if expression.is_Add and sp.expand(expression) == 0:
        return 0
    return None


def is_weakly(problem: ControlProblem, expression: sp.Expr, sign: int) -> bool:
    """Whether sign*expression >= 0 everywhere is certain."""
    for mode in problem.mode_tuples()[:_MODES_EXAMINED]:
        numeric = problem.numeric(problem.at_mode(expression, mode))
        if not (numeric.is_nonnegative if sign > 0 else numeric.is_nonpositive):
            return False
    return len(problem.mode_tuples()) <= _MODES_EXAMINED


def decide(problem: ControlProblem, relation: sp.Basic) -> sp.Basic:
    """A relation as true or false where its sign is certain; otherwise the relation unchanged."""
    if not isinstance(relation, sp.core.relational.Relational):
        return relation
    difference = relation.lhs - relation.rhs
    if difference.has(sp.oo, -sp.oo, sp.zoo, sp.nan):
        return relation
    sign = sign_of(problem, difference)
    if sign is None:
        return relation
    return sp.true if bool(relation.func(sp.Integer(sign), 0)) else sp.false


def without_certain_factors(problem: ControlProblem, expression: sp.Expr) -> sp.Expr:
    """An expression of the same sign: factors of certain sign left out (their sign kept), and even powers of states."""
    kept: list[sp.Expr] = []
    sign = 1
    for factor in sp.Mul.make_args(sp.factor_terms(expression)):
        known = sign_of(problem, factor)
        if known in (1, -1):
            sign *= known
        elif factor.is_Pow and factor.exp.is_Integer and factor.exp.is_odd:
            kept.append(factor.base)
        elif not (factor.is_Pow and factor.exp.is_even and factor.free_symbols <= set(problem.state_symbols)):
            kept.append(factor)
    return sign * sp.Mul(*kept)


def either(first: sp.Basic, second: sp.Basic) -> sp.Basic:
    """first or second; `a <= b or a < b` is a <= b."""
    alternatives = [*sp.Or.make_args(first), *sp.Or.make_args(second)]
    kept = [c for c in alternatives if not any(c != other and _implies(c, other) for other in alternatives)]
    return sp.Or(*kept)


def both(conditions: Sequence[sp.Basic]) -> sp.Basic:
    """All of them; one that another implies is left out."""
    parts = [c for condition in conditions for c in sp.And.make_args(condition)]
    single = [c for c in parts if not isinstance(c, sp.Or)]
    kept = [c for c in single if not any(c != other and _implies(other, c) for other in single)]
    for choice in parts:
        if isinstance(choice, sp.Or) and not any(_implies(c, option) for c in kept for option in choice.args):
            kept.append(choice)
    return sp.And(*kept)


def on_a_hyperplane(conditions: Sequence[sp.Basic]) -> bool:
    """Whether two of them ask for an equality (a <= 0 and a >= 0): a case that its closed neighbours cover."""
    relations = [c for c in conditions if isinstance(c, (sp.LessThan, sp.GreaterThan))]
    return any(sp.expand(_gap(a) + _gap(b)) == 0 for k, a in enumerate(relations) for b in relations[:k])


def _implies(stronger: sp.Basic, weaker: sp.Basic) -> bool:
    """Whether a single comparison implies another of the same two sides (a < b implies a <= b)."""
    if stronger == weaker:
        return True
    relations = (sp.StrictLessThan, sp.LessThan, sp.StrictGreaterThan, sp.GreaterThan)
    if not (isinstance(stronger, relations) and isinstance(weaker, relations)):
        return False
    if isinstance(weaker, (sp.StrictLessThan, sp.StrictGreaterThan)):
        return isinstance(stronger, (sp.StrictLessThan, sp.StrictGreaterThan)) and _gap(stronger) == _gap(weaker)
    return bool(_gap(stronger) == _gap(weaker))


def _gap(relation: sp.Basic) -> sp.Expr:
    """What a comparison says to be positive (or not negative)."""
    return sp.expand(relation.gts - relation.lts)


def as_interval(condition: sp.Basic) -> sp.Basic:
    """Comparisons of one real quantity with numbers as the one interval that they leave; others unchanged."""
    relations = condition.atoms(sp.core.relational.Relational)
    if len(relations) < 2 or len(condition.free_symbols) != 1:
        return condition
    (symbol,) = condition.free_symbols
    if not all(isinstance(r, sp.Rel) and (r.lhs - r.rhs).is_polynomial(symbol) and sp.degree(r.lhs - r.rhs, symbol) == 1
               for r in relations):  # fmt: skip
        return condition
    region = condition.as_set()
    if not isinstance(region, sp.Interval):
        return condition
    sides = []
    if region.start.is_finite:
        sides.append(symbol > region.start if region.left_open else symbol >= region.start)
    if region.end.is_finite:
        sides.append(symbol < region.end if region.right_open else symbol <= region.end)
    return sp.And(*sides)
