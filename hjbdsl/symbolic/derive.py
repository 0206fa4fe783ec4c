"""Stage 3: the HJB equation of a problem, composed along independent axes.

In: `ControlProblem`. Out: `HJBEquation`. Horizon x generator terms x optimum x obstacle x boundary: no branch for a kind.
Raises `HjbError`: HJB114 no maximum, HJB115 no saddle point, HJB116 risk with a varying discount, HJB117 noisy running extremum.
"""

from __future__ import annotations

import sympy as sp

from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import ControlProblem, Notation
from hjbdsl.symbolic.boundary import boundaries
from hjbdsl.symbolic.derivatives import gradient_symbols, hessian_symbols, jump_difference_symbols
from hjbdsl.symbolic.equation_text import (
    advantage_notation,
    equation_notation,
    hamiltonian_notation,
    optimiser_word,
    q_function_notation,
)
from hjbdsl.symbolic.hamiltonian import hamiltonian
from hjbdsl.symbolic.horizon import is_stationary
from hjbdsl.symbolic.kind import kind_of
from hjbdsl.symbolic.obstacle import obstacle_of
from hjbdsl.symbolic.optimum import optimise, optimise_softly
from hjbdsl.symbolic.reduction import reduced_hamiltonian
from hjbdsl.symbolic.terms.drift_diffusion import covariance
from hjbdsl.symbolic.writing import writer_for


def derive(problem: ControlProblem) -> HJBEquation:
    """The equation of `problem` with its derivation."""
    entries = covariance(problem)
    gradient = gradient_symbols(problem)
    hessian = hessian_symbols(entries)
    differences = jump_difference_symbols(problem)
    full = hamiltonian(problem, entries, gradient, hessian, differences)
    obstacle = obstacle_of(problem)
    stationary = is_stationary(problem)
    soft = optimise_softly(problem, full)
    optimum = soft.optimum if soft else optimise(problem, full)
    writer = writer_for(problem, stationary, gradient, hessian, differences)
    inner = hamiltonian_notation(problem, writer, entries)
    payoff = writer.write(obstacle.payoff) if obstacle else None
    reduced = None
    if soft is not None:
        reduced = soft.reduced
    elif optimum.status == "none":
        reduced = full.expression
    elif optimum.candidates:
        reduced = reduced_hamiltonian(full.expression, optimum.candidates[0])
    maximiser = tuple(
        Notation(f"{writer.text(a)}* = {writer.text(v)}", f"{writer.latex(a)}^* = {writer.latex(v)}")
        for candidate in optimum.candidates[:1]
        for a, v in candidate.controls.items()
    )
    return HJBEquation(
        problem=problem,
        kind=kind_of(problem),
        stationary=stationary,
        covariance=entries,
        gradient=gradient,
        hessian=hessian,
        hamiltonian=full.expression,
        optimum=optimum,
        reduced=reduced,
        entropy=problem.exploration.temperature if problem.exploration else None,
        obstacle=obstacle,
        boundaries=boundaries(problem, entries),
        pde=equation_notation(problem, writer, inner, optimiser_word(problem), payoff),
        reduced_pde=equation_notation(problem, writer, writer.write(sp.sympify(reduced)), None, payoff)
        if reduced is not None
        else None,
        maximiser=maximiser,
        q_function=q_function_notation(problem, writer, inner),
        advantage=advantage_notation(problem, writer, inner),
        steps=(),
        policy=soft.policy if soft else None,
        jump_differences=differences,
    )
