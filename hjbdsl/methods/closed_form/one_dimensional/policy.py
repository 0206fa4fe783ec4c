"""The optimiser of the Hamiltonian at a point: the equation's candidates, compared by the Hamiltonian they give.

In: a line problem. Out: by mode, functions from (x, V, V_x, V_xx) to controls, and from (x, controls) to coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.one_dimensional.compiled import compiled
from hjbdsl.methods.closed_form.one_dimensional.line import LineProblem
from hjbdsl.methods.closed_form.one_dimensional.search import Search, corners
from hjbdsl.model.equation import VALUE
from hjbdsl.model.solution import Array


@dataclass(frozen=True, slots=True)
class Law:
    """One mode's expressions with numbers in: plain data, compiled on demand.

    arguments    (x, V, V_x, V_xx);  controls: the control symbols
    candidates   for each: the controls' expressions, then the condition (all in `arguments`)
    coefficients b, A, f, r in (x, controls);  sign: +1 where the controller maximises, -1 where he minimises, 0 in a game
    search       instead of candidates, where no formula gives the maximiser
    """

    arguments: tuple[sp.Symbol, ...]
    controls: tuple[sp.Symbol, ...]
    candidates: tuple[tuple[tuple[sp.Expr, ...], sp.Basic], ...]
    coefficients: tuple[sp.Expr, sp.Expr, sp.Expr, sp.Expr]
    sign: int
    search: Search | None = None

    def coefficients_at(self, x: Array, controls: Array) -> tuple[Array, Array, Array, Array]:
        """b, A, f, r at k points; `controls` (k, m)."""
        return compiled((self.arguments[0], *self.controls), self.coefficients)(x, *controls.T)  # type: ignore[return-value]

    def optimise(self, x: Array, value: Array, slope: Array, curvature: Array) -> tuple[Array, NDArray[np.int64]]:
        """Controls (k, m) and the index of the candidate taken; NaN and -1 where none is valid."""
        if self.search is not None:
            return self.search.optimise((x, value, slope, curvature))
        hamiltonian = _hamiltonian(self.arguments, self.coefficients)
        return best_candidate(
            self.arguments, self.controls, self.candidates, hamiltonian, self.sign, (x, value, slope, curvature)
        )


@lru_cache(maxsize=64)
def _hamiltonian(arguments: tuple[sp.Symbol, ...], coefficients: tuple[sp.Expr, ...]) -> sp.Expr:
    """f + b V_x + A V_xx/2 - r V."""
    drift, variance, running, discount = coefficients
    _, value, slope, curvature = arguments
    return running + drift * slope + variance * curvature / 2 - discount * value


def best_candidate(
    arguments: tuple[sp.Symbol, ...],
    controls: tuple[sp.Symbol, ...],
    candidates: tuple[tuple[tuple[sp.Expr, ...], sp.Basic], ...],
    hamiltonian: sp.Expr,
    sign: int,
    points: tuple[Array, ...],
) -> tuple[Array, NDArray[np.int64]]:
    """At k points (one array (k,) an argument): the controls (k, m) of the valid candidate with the best Hamiltonian,
    and its index.

    In a game (`sign` 0) the first valid candidate is the saddle point. NaN and -1 where no candidate is valid."""
    count = len(points[0])
    best = np.full((count, len(controls)), np.nan)
    taken = np.full(count, -1, dtype=np.int64)
    if not controls:
        return best, np.zeros(count, dtype=np.int64)
    score = np.full(count, -np.inf)
    for index, (formulas, condition) in enumerate(candidates):
        *law, valid = compiled(arguments, (*formulas, condition))(*points)
        merit = compiled((*arguments, *controls), (hamiltonian,))(*points, *law)[0]
        usable = (valid > 0.5) & np.isfinite(law).all(axis=0) & np.isfinite(merit)
        merit = sign * merit if sign else np.full(count, -float(index))
        better = usable & ((taken < 0) | (merit > score))
        best[better], taken[better], score[better] = np.stack(law, axis=1)[better], index, merit[better]
    return best, taken


def laws(line: LineProblem) -> tuple[Law, ...] | str:
    """One law a mode, or the reason why the optimum is not explicit."""
    equation = line.equation
    problem = equation.problem
    controls = line.controls
    implicit = bool(controls) and equation.optimum.status != "symbolic"
    if implicit and (len(controls) > 1 or problem.adversary_symbols or problem.constraints or problem.dimension > 1):
        return f"the maximiser is not explicit ({equation.optimum.reason or equation.optimum.status})"
    slope = equation.gradient[0]
    curvature = equation.hessian.get((0, 0), sp.Dummy("unused", real=True))
    arguments = (line.state, VALUE, slope, curvature)
    sign = 0 if problem.adversary_symbols else (1 if line.maximise else -1)
    result = []
    for k, mode in enumerate(line.modes):
        candidates = tuple(
            (
                tuple(problem.numeric(problem.at_mode(c.controls[a], mode)) for a in controls),
                problem.numeric(problem.at_mode(c.where, mode)),
            )
            for c in equation.optimum.candidates
            if controls and not implicit
        )
        free = set().union(*(e.free_symbols for formulas, where in candidates for e in (*formulas, where)))
        if not free <= set(arguments):
            return f"the maximiser depends on {', '.join(sorted(map(str, free - set(arguments))))}"
        coefficients = (line.drift[k], line.variance[k], line.running[k], line.discount[k])
        search = _search(line, arguments, coefficients, mode) if implicit else None
        result.append(Law(arguments, controls, candidates, coefficients, sign, search))
    return tuple(result)


def _search(
    line: LineProblem, arguments: tuple[sp.Symbol, ...], coefficients: tuple[sp.Expr, ...], mode: tuple[int, ...]
) -> Search | None:
    """The numerical maximiser over the one control's interval."""
    problem = line.equation.problem
    bounds = problem.controls[0].bounds[0]
    lower, upper = (problem.numeric(problem.at_mode(bound, mode)) for bound in (bounds.lower, bounds.upper))
    hamiltonian = _hamiltonian(arguments, coefficients)
    control = line.controls[0]
    places = tuple(sorted({p for part in coefficients for p in corners(part, control)}))
    return Search(arguments, control, lower, upper, hamiltonian, 1 if line.maximise else -1, places)
