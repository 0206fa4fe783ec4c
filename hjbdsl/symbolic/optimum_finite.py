"""The maximiser over a finite set: H compared at every point, the other controls of the block chosen at each."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import sympy as sp

from hjbdsl.model.problem import ControlProblem
from hjbdsl.symbolic.optimum_blocks import Block, BlockOptimum, Branch
from hjbdsl.symbolic.optimum_constraints import relations
from hjbdsl.symbolic.signs import as_interval, both, decide, either, without_certain_factors

MOST_POINTS = 32


def maximise_on_finite_set(
    problem: ControlProblem, block: Block, maximised: bool, rest: Callable[[Block], BlockOptimum]
) -> BlockOptimum:
    """`rest` optimises the block that is left once the finite components are fixed."""
    discrete = [k for k, b in enumerate(block.bounds) if b.is_finite_set]
    continuous = [k for k in range(len(block.controls)) if k not in discrete]
    grids = [block.bounds[k].points for k in discrete]
    points = list(itertools.product(*grids))
    stationarity = {block.controls[k]: (1 if maximised else -1) * sp.diff(block.objective, block.controls[k]) for k in continuous}
    if len(points) > MOST_POINTS:
        return BlockOptimum((), stationarity, (), f"a finite control set of {len(points)} points is searched, not written out")
    cases: list[Branch] = []
    needed: tuple[sp.Basic, ...] = ()
    for point in points:
        fixed = {block.controls[k]: v for k, v in zip(discrete, point, strict=True)}
        if not _allowed(problem, block, fixed):
            continue
        label = ", ".join(f"{a} = {v}" for a, v in fixed.items())
        inner = (
            rest(_restricted(block, fixed, continuous)) if continuous else BlockOptimum((Branch("point", "", {}, sp.true),), {})
        )
        if inner.reason:
            return BlockOptimum((), stationarity, (), inner.reason)
        needed += inner.second_order
        for branch in inner.branches:
            name = f"{label}, {branch.name}" if branch.name else label
            cases.append(Branch("point", name, {**fixed, **branch.controls}, branch.where))
    return BlockOptimum(tuple(best_cases(problem, block, cases)), stationarity, tuple(dict.fromkeys(needed)))


def _allowed(problem: ControlProblem, block: Block, fixed: dict[sp.Symbol, sp.Expr]) -> bool:
    return not any(
        decide(problem, relation.xreplace(fixed)) == sp.false
        for constraint in block.constraints
        for relation in relations(constraint.condition)
    )


def _restricted(block: Block, fixed: dict[sp.Symbol, sp.Expr], continuous: list[int]) -> Block:
    controls = tuple(block.controls[k] for k in continuous)
    objective = sp.expand(block.objective.xreplace(fixed))
    terms = tuple(t for t in sp.Add.make_args(objective) if not t.free_symbols.isdisjoint(controls))
    return Block(controls, terms, tuple(block.bounds[k] for k in continuous), ())


def best_cases(problem: ControlProblem, block: Block, cases: list[Branch]) -> list[Branch]:
    """Each case where it is feasible and its H is at least the others' (the first of equals wins)."""
    values = [block.objective.xreplace(case.controls) for case in cases]
    result: list[Branch] = []
    for k, case in enumerate(cases):
        conditions: list[sp.Basic] = [case.where]
        for j, other in enumerate(cases):
            if j == k or other.controls == case.controls:
                continue
            gap = sp.factor_terms(sp.expand(values[k] - values[j]))
            better = (sp.Ge if k < j else sp.Gt)(without_certain_factors(problem, gap), 0)
            conditions.append(either(sp.Not(other.where), decide(problem, better)))
        where = as_interval(both(conditions))
        if where != sp.false:
            result.append(Branch(case.kind, case.name, case.controls, where))
    return result
