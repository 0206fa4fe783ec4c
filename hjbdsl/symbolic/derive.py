"""Stage 3: the HJB equation of a problem, composed along independent axes.

In: `ControlProblem`. Out: `HJBEquation`. Horizon x generator terms x optimum x obstacle x boundary: no branch for a kind.
Raises `HjbError`: HJB114 no maximum, HJB115 no saddle point, HJB116 risk with a varying discount, HJB117 noisy running extremum,
HJB118 time reversal of correlated noises.
"""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from hjbdsl.model.equation import Candidate, HJBEquation
from hjbdsl.model.problem import ControlProblem, Notation
from hjbdsl.symbolic.boundary import boundaries
from hjbdsl.symbolic.composition import Composition, compose
from hjbdsl.symbolic.definitions import optimal_hamiltonian_name
from hjbdsl.symbolic.derivatives import control_set
from hjbdsl.symbolic.equation_text import (
    advantage_notation,
    equation_notation,
    hamiltonian_notation,
    nonlocal_pieces,
    optimised,
    q_function_notation,
)
from hjbdsl.symbolic.expansion import separated
from hjbdsl.symbolic.kind import kind_of
from hjbdsl.symbolic.maximiser_text import assumed, case_notation, maximiser_notation
from hjbdsl.symbolic.optimum_blocks import BlockOptimum, Branch
from hjbdsl.symbolic.reduction import reduced_hamiltonian
from hjbdsl.symbolic.steps import tell
from hjbdsl.symbolic.vectors import summed
from hjbdsl.symbolic.writing import Writer, join

_MOST_CASES = 4


def derive(problem: ControlProblem) -> HJBEquation:
    """The equation of `problem` with its derivation."""
    parts = compose(problem)
    writer = parts.writer
    inner = hamiltonian_notation(parts.problem, writer, parts.covariance)
    payoff = writer.write(parts.obstacle.payoff) if parts.obstacle else None
    ends = boundaries(parts.problem, parts.covariance)
    pde = equation_notation(parts.problem, writer, optimised(parts.problem, writer, inner), payoff)
    reduced = reduced_notation(parts, payoff)
    maximiser = maximiser_notation(parts.problem, writer, parts.blocks, parts.gradient, parts.hessian)
    q_function = q_function_notation(parts.problem, writer, inner)
    advantage = advantage_notation(parts.problem, writer, inner)
    equation = HJBEquation(
        problem=problem,
        kind=kind_of(problem),
        stationary=parts.stationary,
        covariance=parts.covariance,
        gradient=parts.gradient,
        hessian=parts.hessian,
        hamiltonian=parts.hamiltonian.expression,
        optimum=parts.optimum,
        reduced=parts.reduced,
        entropy=problem.exploration.temperature if problem.exploration else None,
        obstacle=parts.obstacle,
        boundaries=ends,
        pde=pde,
        reduced_pde=reduced,
        maximiser=maximiser,
        q_function=q_function,
        advantage=advantage,
        steps=(),
        policy=parts.policy,
        jump_differences=parts.differences,
    )
    return replace(equation, steps=tell(equation, parts))


def reduced_notation(parts: Composition, payoff: Notation | None) -> Notation | None:
    """The PDE with the maximiser put in, vector sums as vectors.

    None where the optimum is implicit, nothing was chosen, or the cases are too many to write side by side.
    """
    if parts.reduced is None or parts.optimum.status == "none":
        return None
    writer = parts.writer
    local: list[Notation] | None
    if writer.vector:
        if len(parts.optimum.candidates) > 1:
            return None
        inner = summed(writer, parts.reduced, parts.gradient, parts.hessian)
        local = [inner or optimal_hamiltonian_name(parts.problem, writer, parts.covariance)]
    else:
        local = reduced_cases(parts)
    if local is None:
        return None
    controls = parts.optimum.candidates[0].controls if parts.optimum.candidates else {}
    return equation_notation(parts.problem, writer, join(local + nonlocal_pieces(parts.problem, writer, controls)), payoff)


def reduced_cases(parts: Composition) -> list[Notation] | None:
    """The reduced Hamiltonian; with several cases, what is free of the controls and then each block by itself."""
    writer = parts.writer
    shares = [block.share for block in parts.blocks]
    if len(parts.optimum.candidates) == 1:
        return [writer.write(sp.sympify(parts.reduced))]
    local = set(parts.hamiltonian.controlled) <= set(parts.hamiltonian.terms)
    if parts.policy is not None or not local or any(share is None for share in shares):
        return None
    if any(len(block.branches) > _MOST_CASES for block in parts.blocks):
        return None
    controls = control_set(parts.problem)
    free = [part for term in parts.hamiltonian.terms for part in separated(term, controls)[0]]
    settled = [_at_branch(block, block.branches[0]) for block in parts.blocks if len(block.branches) == 1]
    common = sp.Add(*free, *settled)
    pieces = [writer.write(common)] if common != 0 else []
    return pieces + [_block_cases(writer, block) for block in parts.blocks if len(block.branches) > 1]


def _at_branch(block: BlockOptimum, branch: Branch) -> sp.Expr:
    """The block's share of H at one of its branches."""
    if branch.value is not None:
        return branch.value
    assert block.share is not None
    return reduced_hamiltonian(block.share, Candidate(branch.name, branch.controls, branch.where))


def _block_cases(writer: Writer, block: BlockOptimum) -> Notation:
    """One expression where every branch gives the same (`w |y V_x - x V_y|`), else the cases in braces."""
    values = {branch.value for branch in block.branches}
    if len(values) == 1 and None not in values:
        return writer.write(sp.sympify(values.pop()))
    return case_notation(writer, [(_at_branch(block, b), assumed(b.where, block.second_order)) for b in block.branches])
