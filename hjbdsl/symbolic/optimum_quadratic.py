"""The maximiser of a quadratic over several controls: the linear solve, and the Karush-Kuhn-Tucker faces of linear constraints.

In: a block whose terms are 1/2 a'Qa + c'a, with inequalities. Out: `BlockOptimum`, one branch an active set.
Source: Boyd, Vandenberghe, Convex Optimization, section 5.5.3.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import sympy as sp
from sympy.polys.matrices import DomainMatrix

from hjbdsl.budget import BudgetExceeded, time_budget
from hjbdsl.model.problem import ControlProblem
from hjbdsl.symbolic.optimum_blocks import Block, BlockOptimum, Branch, Quadratic, collect, slopes
from hjbdsl.symbolic.optimum_constraints import Inequality
from hjbdsl.symbolic.optimum_errors import no_maximum
from hjbdsl.symbolic.signs import decide, on_a_hyperplane, sign_of, without_certain_factors

MOST_FACES = 40
MOST_SYMBOLIC = 3
"""Controls coupled to more others than this have the parameters' numbers (exact) in their quadratic form."""
_SOLVE_SECONDS = 3.0
_FACTORED_OPERATIONS = 150


@dataclass(frozen=True, slots=True)
class _Program:
    problem: ControlProblem
    block: Block
    matrix: sp.Matrix
    linear: tuple[sp.Expr, ...]
    rows: tuple[Inequality, ...]


def maximise_quadratic(
    problem: ControlProblem, block: Block, coefficients: Quadratic, rows: tuple[Inequality, ...], maximised: bool
) -> BlockOptimum:
    size = len(block.controls)
    matrix = sp.zeros(size, size)
    for (i, j), value in coefficients.hessian.items():
        matrix[i, j] = matrix[j, i] = value
    if size > MOST_SYMBOLIC and not matrix.is_diagonal():
        matrix = matrix.applyfunc(problem.numeric)
    linear = tuple(coefficients.linear.get(i, sp.Integer(0)) for i in range(size))
    program = _Program(problem, block, matrix, linear, rows)
    stationarity = slopes(block, coefficients, 1 if maximised else -1)
    negative, needed = negative_definite(problem, matrix, maximised)
    flat = all(entry == 0 for entry in matrix)
    if negative is False and not flat:
        return _indefinite(program, stationarity, maximised)
    if flat and not _bounded(rows, size):
        raise no_maximum(problem, block.controls[0], f"it is linear in `{block.controls[0]}`", maximised)
    try:
        with time_budget(_SOLVE_SECONDS):
            branches = _faces(program, flat, needed, 1 if maximised else -1)
    except BudgetExceeded:
        return BlockOptimum((), stationarity, needed, "the linear system for the controls is too large to solve in symbols")
    if branches is None:
        return BlockOptimum((), stationarity, needed, f"more than {MOST_FACES} faces of the control set")
    return BlockOptimum(tuple(branches), stationarity, needed)


def negative_definite(problem: ControlProblem, matrix: sp.Matrix, maximised: bool) -> tuple[bool | None, tuple[sp.Basic, ...]]:
    """True, False or None (depends on V's derivatives), with the conditions in the reader's sense by Sylvester's criterion."""
    size = matrix.rows
    common, numbers = _common_factor(matrix)
    if common is not None:
        definite = _numeric_definite(numbers)
        sign = sign_of(problem, common)
        if definite == 0 or sign == 0:
            return False, ()
        if sign is not None:
            return sign * definite == -1, ()
        signed = without_certain_factors(problem, common) * (1 if maximised else -1)
        return None, (sp.Lt(signed, 0) if (definite == 1) == maximised else sp.Gt(signed, 0),)
    if size > 6:
        return None, ()
    conditions: list[sp.Basic] = []
    for k in range(1, size + 1):
        minor = sp.factor_terms(sp.expand(matrix[:k, :k].det(method="berkowitz"))) * (-1) ** k
        sign = sign_of(problem, minor)
        if sign in (-1, 0):
            return False, ()
        if sign is None:
            conditions.append(_positive(without_certain_factors(problem, minor)))
    return (True if not conditions else None), tuple(c for c in conditions if c != sp.true)


def _positive(expression: sp.Expr) -> sp.Basic:
    """expression > 0, written without a leading minus; an even power is taken for nonzero."""
    if expression.is_Pow and expression.exp.is_even:
        return sp.true
    return sp.Lt(-expression, 0) if expression.could_extract_minus_sign() else sp.Gt(expression, 0)


def _common_factor(matrix: sp.Matrix) -> tuple[sp.Expr | None, sp.Matrix]:
    """matrix = factor * numbers, where it has that form."""
    entries = [e for e in matrix if e != 0]
    if not entries:
        return None, matrix
    number, factor = sp.factor_terms(entries[0]).as_coeff_Mul()
    if number == 0:
        return None, matrix
    numbers = matrix if factor == 1 else matrix.applyfunc(lambda e: sp.cancel(e / factor) if e != 0 else e)
    return (factor, numbers) if all(e.is_number for e in numbers) else (None, matrix)


def _numeric_definite(numbers: sp.Matrix) -> int:
    """1 positive definite, -1 negative definite, 0 neither (exact, by the pivots of elimination)."""
    pivots = _pivots(numbers)
    if pivots is None:
        return 0
    if all(p > 0 for p in pivots):
        return 1
    return -1 if all(p < 0 for p in pivots) else 0


def _pivots(numbers: sp.Matrix) -> list[sp.Expr] | None:
    rows = [[sp.QQ(e.p, e.q) for e in numbers.row(i)] for i in range(numbers.rows)] if _rational(numbers) else numbers.tolist()
    pivots = []
    for k in range(len(rows)):
        pivot = rows[k][k]
        if pivot == 0:
            return None
        pivots.append(pivot)
        for i in range(k + 1, len(rows)):
            if rows[i][k] != 0:
                ratio = rows[i][k] / pivot
                rows[i] = [a - ratio * b for a, b in zip(rows[i], rows[k], strict=True)]
    return pivots


def _bounded(rows: tuple[Inequality, ...], size: int) -> bool:
    """Whether bounds or simplex-like rows close every direction: numeric normals that positively span the space."""
    positive: set[int] = set()
    negative: set[int] = set()
    for row in rows:
        for k, value in row.normal.items():
            if len(row.normal) == 1:
                (positive if value.is_positive else negative).add(k)
    for row in rows:
        if len(row.normal) > 1:
            for target, opposite, sense in ((positive, negative, True), (negative, positive, False)):
                if all((value.is_positive if sense else value.is_negative) and k in opposite for k, value in row.normal.items()):
                    target.update(row.normal)
    return positive >= set(range(size)) and negative >= set(range(size))


def _faces(program: _Program, flat: bool, needed: tuple[sp.Basic, ...], sense: int) -> list[Branch] | None:
    """One branch an active set: stationary on it, multipliers nonnegative, the other constraints satisfied."""
    size = len(program.linear)
    sizes = [size] if flat else range(min(size, len(program.rows)) + 1)
    sets = [s for k in sizes for s in itertools.combinations(range(len(program.rows)), k)]
    if len(sets) > 4 * MOST_FACES:
        return None
    branches: list[Branch] = []
    for active in sets:
        branch = _face(program, active, needed, sense)
        if branch is not None and branch.where != sp.false:
            branches.append(branch)
    return branches if len(branches) <= MOST_FACES else None


def _face(program: _Program, active: tuple[int, ...], needed: tuple[sp.Basic, ...], sense: int) -> Branch | None:
    solved = _stationary_on(program, active)
    if solved is None:
        return None
    point, multipliers = solved
    conditions: list[sp.Basic] = []
    for multiplier in multipliers:
        conditions.append(decide(program.problem, sp.Ge(_cleared(program, multiplier, needed), 0)))
    for k, row in enumerate(program.rows):
        if k in active:
            if row.opened:
                return None
            continue
        slack = _cleared(program, row.limit - sp.Add(*(c * point[i] for i, c in row.normal.items())), needed)
        conditions.append(decide(program.problem, sp.Gt(slack, 0) if row.opened else sp.Ge(slack, 0)))
    if sp.false in conditions or on_a_hyperplane(conditions):
        return None
    where = sp.And(*needed, *conditions)
    name = " and ".join(program.rows[k].name for k in active) or "interior"
    kind = "interior" if not active else "face" if len(active) < len(point) else "vertex"
    value = sense * half_product(program.linear, point) if not active else None
    return Branch(kind, name, dict(zip(program.block.controls, point, strict=True)), where, value)


def _cleared(program: _Program, expression: sp.Expr, needed: tuple[sp.Basic, ...]) -> sp.Expr:
    """An expression of the same sign without denominators, where the second-order condition tells theirs."""
    signed = {c.lhs: c for c in needed if isinstance(c, (sp.Lt, sp.Gt)) and c.lhs.is_Symbol and c.rhs == 0}
    there, back = {}, {}
    for symbol, condition in signed.items():
        positive = sp.Dummy(symbol.name, positive=True)
        sign = -1 if isinstance(condition, sp.Lt) else 1
        there[symbol], back[positive] = sign * positive, sign * symbol
    if sp.count_ops(expression) > _FACTORED_OPERATIONS:
        return expression
    joined = sp.together(sp.expand(expression).xreplace(there))
    return sp.expand(without_certain_factors(program.problem, joined).xreplace(back))


def half_product(linear: tuple[sp.Expr, ...], point: list[sp.Expr]) -> sp.Expr:
    """1/2 c.a*, the value of 1/2 a'Qa + c.a at its stationary point a*."""
    total = sp.Add(*(c * a for c, a in zip(linear, point, strict=True) if c != 0))
    return sp.factor(total) / 2 if sp.count_ops(total) < _FACTORED_OPERATIONS else total / 2


def _stationary_on(program: _Program, active: tuple[int, ...]) -> tuple[list[sp.Expr], list[sp.Expr]] | None:
    """Solve Q a + c = A' lambda, A a = b for the rows in `active`; None where the system is singular."""
    size, count = len(program.linear), len(active)
    if count == 0:
        point = solve_stationary(program.matrix, program.linear)
        return None if point is None else (point, [])
    system = sp.zeros(size + count, size + count)
    system[:size, :size] = program.matrix
    right = sp.zeros(size + count, 1)
    right[:size, 0] = sp.Matrix([-c for c in program.linear])
    for k, index in enumerate(active):
        row = program.rows[index]
        for i, value in row.normal.items():
            system[i, size + k] = -value
            system[size + k, i] = value
        right[size + k, 0] = row.limit
    if sp.simplify(system.det(method="berkowitz")) == 0:
        return None
    solution = [collect(sp.cancel(e)) for e in system.LUsolve(right)]
    return solution[:size], solution[size:]


def _rational(numbers: sp.Matrix) -> bool:
    return all(e.is_Rational for e in numbers)


def _solve_numbers(numbers: sp.Matrix, linear: tuple[sp.Expr, ...]) -> list[sp.Expr]:
    """-numbers^-1 linear, the right side as numbers times monomials, so that nothing is multiplied out twice."""
    rows = [c.as_coefficients_dict() for c in linear]
    monomials = list(dict.fromkeys(m for row in rows for m in row if m != 0))
    if not monomials:
        return [sp.Integer(0) for _ in linear]
    right = sp.Matrix(len(rows), len(monomials), lambda i, j: rows[i].get(monomials[j], 0))
    if _rational(numbers) and _rational(right):
        domain = DomainMatrix.from_Matrix(numbers).convert_to(sp.QQ), DomainMatrix.from_Matrix(right).convert_to(sp.QQ)
        solution = domain[0].lu_solve(domain[1]).to_Matrix()
    else:
        solution = numbers.LUsolve(right)
    return [-sp.Add(*(solution[i, j] * m for j, m in enumerate(monomials))) for i in range(len(rows))]


def solve_stationary(matrix: sp.Matrix, linear: tuple[sp.Expr, ...]) -> list[sp.Expr] | None:
    """a = -Q^{-1} c; None where Q is singular. Exact rational arithmetic where Q is a scalar times numbers."""
    if matrix.is_diagonal():
        if any(matrix[i, i] == 0 for i in range(matrix.rows)):
            return None
        return [-c / matrix[i, i] for i, c in enumerate(linear)]
    common, numbers = _common_factor(matrix)
    if common is not None:
        if _pivots(numbers) is None and numbers.det() == 0:
            return None
        return [collect(a) / common for a in _solve_numbers(numbers, linear)]
    determinant = sp.factor_terms(sp.expand(matrix.det(method="berkowitz")))
    if determinant == 0:
        return None
    adjugate = matrix.adjugate()
    return [
        -sp.factor_terms(sp.expand(sp.Add(*(adjugate[i, j] * c for j, c in enumerate(linear))))) / determinant
        for i in range(matrix.rows)
    ]


def _indefinite(program: _Program, stationarity: dict[sp.Symbol, sp.Expr], maximised: bool) -> BlockOptimum:
    """Q is not negative definite for any V: in an unbounded direction the supremum is infinite."""
    size = len(program.linear)
    if not _bounded(program.rows, size):
        for i, control in enumerate(program.block.controls):
            free = not any(i in row.normal for row in program.rows)
            sign = sign_of(program.problem, program.matrix[i, i])
            if free and (sign == 1 or (sign == 0 and (program.linear[i] != 0 or any(program.matrix[i, :])))):
                shape = "linear" if sign == 0 else "convex" if maximised else "concave"
                raise no_maximum(program.problem, control, f"it is {shape} in `{control}`", maximised)
        if not program.rows:
            control = program.block.controls[0]
            raise no_maximum(program.problem, control, "its Hessian in the controls is not definite", maximised)
    return BlockOptimum((), stationarity, (), "the Hessian of H in the controls is not definite on this control set")
