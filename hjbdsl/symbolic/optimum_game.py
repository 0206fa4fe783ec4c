"""Games: the Isaacs condition, and the saddle point of the Hamiltonian.

In: a problem with an adversary. Out: block optima that hold both players, and why the order of play does not matter; else HJB115.
Separable Hamiltonians and concave-convex ones (Sion's minimax theorem) are proved, the rest compared on a grid of controls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sympy as sp

from hjbdsl.model.problem import ControlProblem
from hjbdsl.symbolic.derivatives import depends
from hjbdsl.symbolic.hamiltonian import Hamiltonian
from hjbdsl.symbolic.optimum_blocks import BlockOptimum, Branch, cut, expanded_terms, quadratic
from hjbdsl.symbolic.optimum_errors import no_saddle_point
from hjbdsl.symbolic.optimum_minimax import order_of_play_gap
from hjbdsl.symbolic.optimum_quadratic import half_product, negative_definite, solve_stationary
from hjbdsl.symbolic.signs import is_weakly

Optimise = Callable[[ControlProblem, Hamiltonian, Sequence[sp.Symbol], bool], list[BlockOptimum]]


def optimise_game(problem: ControlProblem, hamiltonian: Hamiltonian, optimise: Optimise) -> tuple[list[BlockOptimum], str]:
    """The blocks' optima, both players in them, and the reason for max min = min max. Raises HJB115."""
    maximised = problem.objective.sense == "maximize"
    ours, theirs = frozenset(problem.control_symbols), frozenset(problem.adversary_symbols)
    terms = expanded_terms(hamiltonian.controlled, ours | theirs)
    mixed = [t for t in terms if depends(t, ours) and depends(t, theirs)]
    if not mixed and not _linked(problem, ours, theirs):
        optima = [
            *optimise(problem, hamiltonian, problem.control_symbols, maximised),
            *optimise(problem, hamiltonian, problem.adversary_symbols, not maximised),
        ]
        return optima, "the Hamiltonian is a sum of a function of the control and one of the adversary"
    saddle = _quadratic_saddle(problem, hamiltonian, terms, maximised)
    if saddle is not None:
        return saddle, "the Hamiltonian is concave in the maximiser's and convex in the minimiser's controls"
    slopes = {
        a: sp.Add(*(sp.diff(t, a) for t in terms if a in t.free_symbols))
        for a in (*sorted_by_name(ours), *sorted_by_name(theirs))
    }
    reason = "the controls of the two players are multiplied in the Hamiltonian"
    if _bilinear_on_boxes(problem, terms, ours, theirs, maximised):
        proved = "the Hamiltonian is concave in the maximiser's and convex in the minimiser's controls, on compact boxes (Sion)"
        return [BlockOptimum((), slopes, (), reason)], proved
    gap = order_of_play_gap(problem, terms, maximised)
    if gap:
        raise no_saddle_point(problem, problem.adversary_symbols[0], gap)
    checked = "max min and min max agree on a grid of controls at sampled states and gradients (checked, not proved)"
    return [BlockOptimum((), slopes, (), reason)], checked


def sorted_by_name(symbols: frozenset[sp.Symbol]) -> list[sp.Symbol]:
    return sorted(symbols, key=lambda s: s.name)


def _linked(problem: ControlProblem, ours: frozenset[sp.Symbol], theirs: frozenset[sp.Symbol]) -> bool:
    return any(depends(c.condition, ours) and depends(c.condition, theirs) for c in problem.constraints)


def _bilinear_on_boxes(
    problem: ControlProblem,
    terms: Sequence[sp.Expr],
    ours: frozenset[sp.Symbol],
    theirs: frozenset[sp.Symbol],
    maximised: bool,
) -> bool:
    """Whether each player's own second derivatives have the sign that Sion's theorem asks for, on finite intervals."""
    total = sp.Add(*terms)
    for group in (*problem.controls, *problem.adversaries):
        for symbol, bounds in zip(group.symbols, group.bounds, strict=True):
            if bounds.is_finite_set or bounds.lower == -sp.oo or bounds.upper == sp.oo:
                return False
            own = ours if symbol in ours else theirs
            slope = sp.diff(total, symbol)
            if any(sp.diff(slope, other) != 0 for other in own if other != symbol):
                return False
            wanted = -1 if (symbol in ours) == maximised else 1
            if not is_weakly(problem, sp.expand(sp.diff(slope, symbol)), wanted):
                return False
    return not problem.constraints


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
        linear = tuple(coefficients.linear.get(k, sp.Integer(0)) for k in range(size))
        point = solve_stationary(matrix, linear)
        if point is None:
            return None
        controls = dict(zip(block.controls, point, strict=True))
        slopes = {a: sp.diff(block.objective, a) for a in block.controls}
        value = half_product(linear, point)
        optima.append(BlockOptimum((Branch("interior", "interior", controls, sp.And(*needed), value),), slopes, needed))
    return optima
