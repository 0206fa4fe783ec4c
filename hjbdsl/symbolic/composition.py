"""The pieces of an equation put side by side, before they are written down.

In: `ControlProblem`. Out: `Composition`, what every later room of this stage reads. Under `reverse` the problem composed is the
reverse-time control problem; everything else is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp

from hjbdsl.model.equation import GibbsPolicy, Obstacle, Optimum
from hjbdsl.model.problem import ControlProblem
from hjbdsl.symbolic.derivatives import control_set, gradient_symbols, hessian_symbols, jump_difference_symbols
from hjbdsl.symbolic.hamiltonian import Hamiltonian, hamiltonian
from hjbdsl.symbolic.horizon import is_stationary
from hjbdsl.symbolic.letters import ready_for_print
from hjbdsl.symbolic.obstacle import obstacle_of
from hjbdsl.symbolic.optimum import optimise, optimise_softly
from hjbdsl.symbolic.optimum_blocks import BlockOptimum
from hjbdsl.symbolic.reduction import reduced_by_blocks, reduced_hamiltonian
from hjbdsl.symbolic.terms.drift_diffusion import covariance
from hjbdsl.symbolic.transform import reversed_problem
from hjbdsl.symbolic.writing import Writer, writer_for


@dataclass(frozen=True, slots=True)
class Composition:
    """`problem` is the control problem whose equation this is (the reverse-time one under `reverse`); `covariance` is its A."""

    problem: ControlProblem
    covariance: Mapping[tuple[int, int], sp.Expr]
    gradient: tuple[sp.Symbol, ...]
    hessian: Mapping[tuple[int, int], sp.Symbol]
    differences: tuple[sp.Symbol, ...]
    hamiltonian: Hamiltonian
    optimum: Optimum
    blocks: tuple[BlockOptimum, ...]
    policy: GibbsPolicy | None
    reduced: sp.Expr | None
    obstacle: Obstacle | None
    stationary: bool
    writer: Writer


def working_problem(problem: ControlProblem) -> ControlProblem:
    """The control problem itself, or the reverse-time one."""
    return ready_for_print(problem if problem.reversal is None else reversed_problem(problem, covariance(problem)))


def _reduced(problem: ControlProblem, full: Hamiltonian, optimum: Optimum, blocks: tuple[BlockOptimum, ...]) -> sp.Expr:
    """The Hamiltonian at the first candidate, from the blocks' values where nothing but local terms is controlled."""
    first = optimum.candidates[0]
    local = set(full.controlled) <= set(full.terms)
    short = reduced_by_blocks(full.terms, control_set(problem), blocks, first) if local else None
    return short if short is not None else reduced_hamiltonian(full.expression, first)


def compose(problem: ControlProblem) -> Composition:
    working = working_problem(problem)
    entries = covariance(working)
    gradient, hessian = gradient_symbols(working), hessian_symbols(entries)
    differences = jump_difference_symbols(working)
    full = hamiltonian(working, entries, gradient, hessian, differences)
    obstacle = obstacle_of(working)
    stationary = is_stationary(working)
    soft = optimise_softly(working, full)
    policy: GibbsPolicy | None = None
    reduced: sp.Expr | None = None
    if soft is not None:
        optimum, blocks, policy, reduced = soft.optimum, soft.blocks, soft.policy, soft.reduced
    else:
        optimum, blocks = optimise(working, full)
        if optimum.status == "none":
            reduced = full.expression
        elif optimum.candidates:
            reduced = _reduced(working, full, optimum, blocks)
    writer = writer_for(working, stationary, gradient, hessian, differences)
    return Composition(
        working, entries, gradient, hessian, differences, full, optimum, blocks, policy, reduced, obstacle, stationary, writer
    )
