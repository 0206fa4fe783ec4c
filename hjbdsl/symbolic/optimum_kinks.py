"""The maximiser over one control where H has kinks |a - k| (a fuel cost): smooth on each side, then compared.

In: a block with one control. Out: `BlockOptimum`.
"""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from hjbdsl.model.problem import Bounds, ControlProblem
from hjbdsl.symbolic.expansion import multiplied_out
from hjbdsl.symbolic.optimum_blocks import Block, BlockOptimum, Branch
from hjbdsl.symbolic.optimum_finite import best_cases
from hjbdsl.symbolic.optimum_line import maximise_on_line


def has_kinks(block: Block) -> bool:
    """Whether |.| of a linear function of the control occurs."""
    return bool(_kinks(block))


def _kinks(block: Block) -> list[tuple[sp.Abs, sp.Expr, sp.Expr]]:
    """(|scale*a + offset|, scale, offset) for the absolute values of linear functions of the control."""
    (control,) = block.controls
    kinks = []
    for term in sorted(block.objective.atoms(sp.Abs), key=sp.default_sort_key):
        inside = term.args[0]
        if control in inside.free_symbols and inside.is_polynomial(control) and sp.degree(inside, control) == 1:
            scale, offset = sp.Poly(inside, control).all_coeffs()
            kinks.append((term, scale, offset))
    return kinks


def maximise_with_kinks(problem: ControlProblem, block: Block, maximised: bool) -> BlockOptimum:
    """One kink is handled; several leave the optimum to be found numerically."""
    (control,), (bounds,) = block.controls, block.bounds
    kinks = _kinks(block)
    stationarity = {control: (1 if maximised else -1) * sp.diff(block.objective, control)}
    if len(kinks) != 1 or not kinks[0][1].is_real or not (kinks[0][1].is_positive or kinks[0][1].is_negative):
        return BlockOptimum((), stationarity, (), f"the Hamiltonian has several kinks in {control}")
    ((term, scale, offset),) = kinks
    corner = -offset / scale
    if not (_certain(corner - bounds.lower) and _certain(bounds.upper - corner)):
        return BlockOptimum(
            (), stationarity, (), f"the kink of the Hamiltonian in {control} is not certain to lie within its bounds"
        )
    cases: list[Branch] = []
    needed: tuple[sp.Basic, ...] = ()
    right = Bounds(corner, bounds.upper, False, bounds.upper_open)
    left = Bounds(bounds.lower, corner, bounds.lower_open, False)
    for side, sign in ((right, 1), (left, -1)):
        smooth = block.objective.xreplace({term: sign * (1 if scale.is_positive else -1) * term.args[0]})
        terms = tuple(t for t in multiplied_out(smooth, {control}) if control in t.free_symbols)
        inner = maximise_on_line(problem, Block(block.controls, terms, (side,), ()), maximised)
        if inner.reason:
            return inner
        needed += inner.second_order
        at_kink = {control: corner}
        named = [replace(b, name=f"{control} at the kink") if b.controls == at_kink else b for b in inner.branches]
        cases += [branch for branch in named if branch.controls not in [case.controls for case in cases]]
    return BlockOptimum(tuple(best_cases(problem, block, cases)), stationarity, tuple(dict.fromkeys(needed)))


def _certain(length: sp.Expr) -> bool:
    return length == sp.oo or bool(length.is_nonnegative)
