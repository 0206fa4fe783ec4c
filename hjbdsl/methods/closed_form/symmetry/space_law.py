"""The optimum of an equation in all its states, which a solution of the reduced equation is turned back through."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from hjbdsl.methods.closed_form.one_dimensional.compiled import compiled
from hjbdsl.methods.closed_form.one_dimensional.policy import best_candidate
from hjbdsl.model.equation import VALUE, HJBEquation
from hjbdsl.model.solution import Array


@dataclass(frozen=True, slots=True)
class SpaceLaw:
    """The optimum in R^n, numbers put in. `arguments`: x (n), V, the gradient (n), the Hessian's symbols in the order
    of `pairs`.
    """

    arguments: tuple[sp.Symbol, ...]
    pairs: tuple[tuple[int, int], ...]
    controls: tuple[sp.Symbol, ...]
    candidates: tuple[tuple[tuple[sp.Expr, ...], sp.Basic], ...]
    hamiltonian: sp.Expr
    sign: int

    def optimise(self, x: Array, value: Array, gradient: Array, hessian: Array) -> tuple[Array, Array]:
        """Controls (k, m) and the Hamiltonian (k,) at x (k, n)."""
        points = (*x.T, value, *gradient.T, *(hessian[:, i, j] for i, j in self.pairs))
        controls, _ = best_candidate(self.arguments, self.controls, self.candidates, self.hamiltonian, self.sign, points)
        return controls, compiled((*self.arguments, *self.controls), (self.hamiltonian,))(*points, *controls.T)[0]


def space_law(equation: HJBEquation) -> SpaceLaw:
    """The law of the whole equation."""
    problem = equation.problem
    controls = problem.control_symbols + problem.adversary_symbols
    n = problem.dimension
    pairs = tuple(sorted(equation.covariance))
    hessian = [equation.hessian[pair] for pair in pairs]
    objective = problem.objective
    generator = sum(b * p for b, p in zip(problem.drift, equation.gradient, strict=True))
    for (i, j), entry in equation.covariance.items():
        generator += entry * equation.hessian[i, j] * (sp.Rational(1, 2) if i == j else 1)
    hamiltonian = problem.numeric(objective.running + generator - objective.discount * VALUE)
    candidates = tuple(
        (tuple(problem.numeric(c.controls[a]) for a in controls), problem.numeric(c.where))
        for c in (equation.optimum.candidates if controls else ())
    )
    sign = 0 if problem.adversary_symbols else (1 if equation.maximise else -1)
    arguments = (*problem.state_symbols, VALUE, *equation.gradient[:n], *hessian)
    return SpaceLaw(arguments, pairs, controls, candidates, hamiltonian, sign)
