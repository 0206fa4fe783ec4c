"""The Hamiltonian before optimisation, term by term, and what of it depends on the controls.

In: a problem with its derivative symbols. Out: `Hamiltonian`: `terms` sum to f + b.p + 1/2 tr(A M) (+ theta/2 p'A p under
risk); `controlled` adds what else the choice of a control changes: a controlled discount -r(a) V, a controlled jump rate
lambda(a) E[V(x + d) - V]. What cannot be written with local symbols is named in `nonlocal_reason`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp

from hjbdsl.model.equation import VALUE
from hjbdsl.model.problem import ControlProblem
from hjbdsl.symbolic.derivatives import control_set, depends
from hjbdsl.symbolic.terms.drift_diffusion import diffusion_terms, drift_terms, gradient_square
from hjbdsl.symbolic.transform import risk_weight


@dataclass(frozen=True, slots=True)
class Hamiltonian:
    """nonlocal_controls: controls inside a jump's displacement or a mode's rate, with the reason."""

    terms: tuple[sp.Expr, ...]
    controlled: tuple[sp.Expr, ...]
    nonlocal_controls: Mapping[sp.Symbol, str]

    @property
    def expression(self) -> sp.Expr:
        return sp.Add(*self.terms)


def hamiltonian(
    problem: ControlProblem,
    covariance: Mapping[tuple[int, int], sp.Expr],
    gradient: tuple[sp.Symbol, ...],
    hessian: Mapping[tuple[int, int], sp.Symbol],
    differences: tuple[sp.Symbol, ...],
) -> Hamiltonian:
    """Compose the terms. Reachability problems have no running reward in H: their `running` is the obstacle."""
    terms = [] if problem.objective.form in ("running_min", "running_max") else [problem.objective.running]
    terms += drift_terms(problem, gradient)
    terms += diffusion_terms(covariance, hessian)
    weight = risk_weight(problem)
    if weight is not None:
        terms += [weight / 2 * square for square in gradient_square(covariance, gradient)]
    controls = control_set(problem)
    controlled = [term for term in terms if depends(term, controls)]
    if depends(problem.objective.discount, controls):
        controlled.append(-problem.objective.discount * VALUE)
    nonlocal_controls: dict[sp.Symbol, str] = {}
    for jump, difference in zip(problem.jumps, differences, strict=True):
        moved = {a for d in jump.displacement.values() for a in d.free_symbols & controls}
        rated = jump.rate.free_symbols & controls
        if moved:
            for a in moved | rated:
                nonlocal_controls[a] = f"{a} moves the state at a jump of {jump.name}, so V itself decides"
        elif rated:
            controlled.append(jump.rate * difference)
    for chain in problem.modes:
        for rate in chain.rates.values():
            for a in rate.free_symbols & controls:
                nonlocal_controls[a] = f"{a} sets a rate of the modes {chain.name}, so V of the other mode decides"
    return Hamiltonian(tuple(t for t in terms if t != 0), tuple(controlled), nonlocal_controls)
