"""Games: the Isaacs condition, and the saddle point of the Hamiltonian.

In: a problem with an adversary. Out: an `Optimum` whose candidates hold both players, or HJB115 where the order of play matters.
Separable Hamiltonians and concave-convex ones (Sion's minimax theorem) are proved; the rest is compared on a grid of controls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import sympy as sp

from hjbdsl.model.equation import Optimum
from hjbdsl.model.problem import ControlProblem
from hjbdsl.symbolic.derivatives import depends
from hjbdsl.symbolic.hamiltonian import Hamiltonian
from hjbdsl.symbolic.optimum_blocks import BlockOptimum, Branch, cut, expanded_terms, quadratic
from hjbdsl.symbolic.optimum_errors import no_saddle_point
from hjbdsl.symbolic.optimum_minimax import order_of_play_gap
from hjbdsl.symbolic.optimum_quadratic import negative_definite, solve_stationary

Optimise = Callable[[ControlProblem, Hamiltonian, Sequence[sp.Symbol], bool], list[BlockOptimum]]
Assemble = Callable[[ControlProblem, Sequence[BlockOptimum], str | None], Optimum]


def optimise_game(problem: ControlProblem, hamiltonian: Hamiltonian, optimise: Optimise, assemble: Assemble) -> Optimum:
    maximised = problem.objective.sense == "maximize"
    ours, theirs = frozenset(problem.control_symbols), frozenset(problem.adversary_symbols)
    terms = expanded_terms(hamiltonian.controlled, ours | theirs)
    mixed = [t for t in terms if depends(t, ours) and depends(t, theirs)]
    linked = any(not c.condition.free_symbols.isdisjoint(ours) and not c.condition.free_symbols.isdisjoint(theirs)
                 for c in problem.constraints)  # fmt: skip
    if not mixed and not linked:
        optima = [
            *optimise(problem, hamiltonian, problem.control_symbols, maximised),
            *optimise(problem, hamiltonian, problem.adversary_symbols, not maximised),
        ]
        return assemble(problem, optima, "the Hamiltonian is a sum of a function of the control and one of the adversary")
    saddle = _quadratic_saddle(problem, hamiltonian, terms, maximised)
    if saddle is not None:
        return assemble(problem, saddle, "the Hamiltonian is concave in the maximiser's and convex in the minimiser's controls")
    gap = order_of_play_gap(problem, terms, maximised)
    if gap:
        raise no_saddle_point(problem, problem.adversary_symbols[0], gap)
    optima = optimise(problem, replace(hamiltonian, controlled=tuple(t for t in terms if depends(t, ours))),
                      problem.control_symbols, maximised)  # fmt: skip
    stationarity = {a: s for o in optima for a, s in o.stationarity.items()}
    checked = "max min and min max agree on a grid of controls at sampled states and gradients (checked, not proved)"
    return Optimum("implicit", (), stationarity, (), checked, "the controls of the two players are multiplied in the Hamiltonian")


def _quadratic_saddle(
    problem: ControlProblem, hamiltonian: Hamiltonian, terms: Sequence[sp.Expr], maximised: bool
) -> list[BlockOptimum] | None:
    """The joint stationary point of every block, where both curvatures have their sign and nothing is bounded."""
    if hamiltonian.nonlocal_controls:
        return None
    symbols = (*problem.control_symbols, *problem.adversary_symbols)
    ours = set(problem.control_symbols)
    optima: list[BlockOptimum] = []
    for block in cut(problem, terms, symbols, 1):
        coefficients = quadratic(block)
        if coefficients is None or block.constraints or any(b.lower != -sp.oo or b.upper != sp.oo for b in block.bounds):
            return None
        size = len(block.controls)
        matrix = sp.zeros(size, size)
        for (i, j), value in coefficients.hessian.items():
            matrix[i, j] = matrix[j, i] = value
        needed: tuple[sp.Basic, ...] = ()
        for mine in (True, False):
            index = [k for k, a in enumerate(block.controls) if (a in ours) == mine]
            if index:
                sign = 1 if mine == maximised else -1
                definite, conditions = negative_definite(problem, sign * matrix.extract(index, index), sign == 1)
                if definite is False:
                    return None
                needed += conditions
        point = solve_stationary(matrix, tuple(coefficients.linear.get(k, sp.Integer(0)) for k in range(size)))
        if point is None:
            return None
        controls = dict(zip(block.controls, point, strict=True))
        slopes = {a: sp.diff(block.objective, a) for a in block.controls}
        optima.append(BlockOptimum((Branch("interior", "interior", controls, sp.And(*needed)),), slopes, needed))
    return optima
