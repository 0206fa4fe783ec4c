"""The optimisation inside the equation: its maximiser over the control set, block by block, and the cases assembled.

In: a problem and its Hamiltonian. Out: `Optimum`. Each shape of block has its file: one control on a line, quadratic with linear
constraints, ball, finite set, game, and the Gibbs policy under `explore`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import sympy as sp

from hjbdsl.budget import BudgetExceeded, time_budget
from hjbdsl.model.equation import Candidate, Optimum
from hjbdsl.model.problem import Bounds, ControlProblem
from hjbdsl.symbolic.derivatives import control_set
from hjbdsl.symbolic.hamiltonian import Hamiltonian
from hjbdsl.symbolic.optimum_ball import maximise_on_ball
from hjbdsl.symbolic.optimum_blocks import (
    Block,
    BlockOptimum,
    Branch,
    common_indicator,
    cut,
    expanded_terms,
    quadratic,
    without_factor,
)
from hjbdsl.symbolic.optimum_constraints import Inequality, ball, inequalities
from hjbdsl.symbolic.optimum_finite import maximise_on_finite_set
from hjbdsl.symbolic.optimum_game import optimise_game
from hjbdsl.symbolic.optimum_gibbs import SoftOptimum, soften
from hjbdsl.symbolic.optimum_kinks import has_kinks, maximise_with_kinks
from hjbdsl.symbolic.optimum_line import maximise_on_line
from hjbdsl.symbolic.optimum_quadratic import maximise_quadratic
from hjbdsl.symbolic.optimum_system import maximise_smooth

MOST_CANDIDATES = 27
_BLOCK_SECONDS = 6.0


def optimise(problem: ControlProblem, hamiltonian: Hamiltonian) -> tuple[Optimum, tuple[BlockOptimum, ...]]:
    """The optimum over controls (and adversary), and the blocks it was put together from. Raises HJB114, HJB115."""
    if not control_set(problem):
        return Optimum("none", (), {}, ()), ()
    maximised = problem.objective.sense == "maximize"
    if problem.adversary_symbols:
        optima, isaacs = optimise_game(problem, hamiltonian, block_optima)
    else:
        optima, isaacs = block_optima(problem, hamiltonian, problem.control_symbols, maximised), None
    return assemble(problem, optima, isaacs), tuple(optima)


def optimise_softly(problem: ControlProblem, hamiltonian: Hamiltonian) -> SoftOptimum | None:
    """The soft optimum under `explore`; None without it."""
    if problem.exploration is None:
        return None
    maximised = problem.objective.sense == "maximize"
    return soften(problem, hamiltonian, problem.exploration, lambda block: _within_budget(problem, block, maximised), assemble)


def block_optima(
    problem: ControlProblem, hamiltonian: Hamiltonian, symbols: Sequence[sp.Symbol], maximised: bool
) -> list[BlockOptimum]:
    """One answer a block of `symbols`; the other players' components are held as given."""
    terms = expanded_terms(hamiltonian.controlled, frozenset(symbols))
    optima: list[BlockOptimum] = []
    sense = 1 if maximised else -1
    for block in cut(problem, terms, symbols, sense):
        reasons = [hamiltonian.nonlocal_controls[a] for a in block.controls if a in hamiltonian.nonlocal_controls]
        if reasons:
            optima.append(BlockOptimum((), {}, (), reasons[0]))
        else:
            optima.append(replace(_within_budget(problem, block, maximised), share=sense * block.objective))
    return optima


def _within_budget(problem: ControlProblem, block: Block, maximised: bool) -> BlockOptimum:
    try:
        with time_budget(_BLOCK_SECONDS):
            return maximise_block(problem, block, maximised)
    except BudgetExceeded:
        return BlockOptimum((), {}, (), f"the symbolic maximiser took longer than {_BLOCK_SECONDS:g} s")


def maximise_block(problem: ControlProblem, block: Block, maximised: bool) -> BlockOptimum:
    """Dispatch on the shape of the block, a factor such as `indicator(q > 0)` in front of all of it left out."""
    factor = common_indicator(problem, block)
    if factor is not None:
        inner = maximise_block(problem, without_factor(block, factor), maximised)
        branches = tuple(replace(b, value=factor * b.value if b.value is not None else None) for b in inner.branches)
        slopes = {a: factor * slope for a, slope in inner.stationarity.items()}
        return BlockOptimum(branches, slopes, inner.second_order, inner.reason)
    if any(b.is_finite_set for b in block.bounds):
        return maximise_on_finite_set(problem, block, maximised, lambda rest: maximise_block(problem, rest, maximised))
    if len(block.controls) == 1:
        folded = _folded(block)
        if folded is not None and has_kinks(folded):
            return maximise_with_kinks(problem, folded, maximised)
        if folded is not None:
            return maximise_on_line(problem, folded, maximised)
    coefficients = quadratic(block)
    sphere = ball(block)
    if coefficients is not None and sphere is not None:
        return maximise_on_ball(problem, block, coefficients, sphere, maximised)
    rows = inequalities(block)
    if coefficients is not None and rows is not None:
        return maximise_quadratic(problem, block, coefficients, rows, maximised)
    return maximise_smooth(problem, block, rows, maximised)


def _folded(block: Block) -> Block | None:
    """A single control whose joint constraints are folded into its bounds; None where they are not linear."""
    if not block.constraints:
        return block
    rows = inequalities(Block(block.controls, (), (Bounds(-sp.oo, sp.oo),), block.constraints))
    if rows is None or any(not (row.normal[0].is_positive or row.normal[0].is_negative) for row in rows if row.normal):
        return None
    bounds = block.bounds[0]
    lower, upper, lower_open, upper_open = bounds.lower, bounds.upper, bounds.lower_open, bounds.upper_open
    for row in rows:
        lower, upper, lower_open, upper_open = _tightened(row, lower, upper, lower_open, upper_open)
    return Block(block.controls, block.terms, (Bounds(lower, upper, lower_open, upper_open),), ())


def _tightened(
    row: Inequality, lower: sp.Expr, upper: sp.Expr, lower_open: bool, upper_open: bool
) -> tuple[sp.Expr, sp.Expr, bool, bool]:
    limit = row.limit / row.normal[0]
    if row.normal[0].is_positive:
        tighter = sp.Min(upper, limit)
        return lower, tighter, lower_open, row.opened if tighter == limit else upper_open
    tighter = sp.Max(lower, limit)
    return tighter, upper, row.opened if tighter == limit else lower_open, upper_open


def assemble(problem: ControlProblem, optima: Sequence[BlockOptimum], isaacs: str | None = None) -> Optimum:
    """Every combination of the blocks' branches; where there are too many, the interior one and one with the cases inside."""
    stationarity = {a: slope for optimum in optima for a, slope in optimum.stationarity.items()}
    second_order = tuple(dict.fromkeys(c for optimum in optima for c in optimum.second_order if c != sp.true))
    reasons = [o.reason for o in optima if o.reason]
    if reasons:
        return Optimum("implicit", (), stationarity, second_order, isaacs, "; ".join(dict.fromkeys(reasons)))
    count = 1
    for optimum in optima:
        count *= max(1, len(optimum.branches))
    if count <= MOST_CANDIDATES:
        candidates = tuple(_joined(problem, branches) for branches in itertools.product(*(o.branches for o in optima)))
        candidates = tuple(c for c in candidates if c.where != sp.false)
    else:
        interior = _joined(problem, tuple(o.branches[0] for o in optima))
        merged = {a: value for o in optima for a, value in _merged(o).items()}
        candidates = (interior, Candidate("case by case", _ordered(problem, merged), sp.Not(interior.where)))
    return Optimum("symbolic", candidates, stationarity, second_order, isaacs)


def _joined(problem: ControlProblem, branches: Sequence[Branch]) -> Candidate:
    controls = {a: value for branch in branches for a, value in branch.controls.items()}
    names = list(dict.fromkeys(b.name for b in branches if b.name != "interior"))
    where = sp.And(*(b.where for b in branches if b.where != sp.true))
    return Candidate("; ".join(names) or "interior", _ordered(problem, controls), where)


def _merged(optimum: BlockOptimum) -> dict[sp.Symbol, sp.Expr]:
    """The cases of one block as one expression a control: a clip where they are interior, lower, upper, else a case split."""
    if len(optimum.branches) == 1:
        return optimum.branches[0].controls
    by_kind = {b.kind: b for b in optimum.branches}
    first = optimum.branches[0]
    if not optimum.second_order and set(by_kind) == {"interior", "lower", "upper"} and len(first.controls) == 1:
        (control,) = first.controls
        low, high = by_kind["lower"].controls[control], by_kind["upper"].controls[control]
        return {control: sp.Max(low, sp.Min(high, first.controls[control]))}
    merged: dict[sp.Symbol, sp.Expr] = {}
    for control in first.controls:
        pairs = [(b.controls[control], b.where) for b in optimum.branches]
        merged[control] = sp.Piecewise(*pairs[:-1], (pairs[-1][0], True))
    return merged


def _ordered(problem: ControlProblem, controls: dict[sp.Symbol, sp.Expr]) -> dict[sp.Symbol, sp.Expr]:
    order = (*problem.control_symbols, *problem.adversary_symbols)
    return {a: controls[a] for a in order if a in controls}
