"""Problems in R^n that do not change under rotation about the origin: one dimension, the radius, is left.

In: the equation. Out: V(x) = v(|x|), v solved by the one-dimensional room. With rho = |x|, e = x/rho: grad V = v' e
and Hess V = v'' e e' + (v'/rho)(I - e e'), so that isotropic noise adds the drift (n - 1) A/(2 rho). That the
Hamiltonian of a radial function is itself radial is checked at random directions, not read off the spelling. At the
centre v' = 0 and Hess V = v''(0) I.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.family import Derivatives, ExactFunction, Proposal
from hjbdsl.methods.closed_form.one_dimensional.compiled import compiled
from hjbdsl.methods.closed_form.one_dimensional.guard import guarded
from hjbdsl.methods.closed_form.one_dimensional.line import LineProblem, unsuitable
from hjbdsl.methods.closed_form.one_dimensional.line_function import LineFunction
from hjbdsl.methods.closed_form.symmetry.reduced import solve_reduced
from hjbdsl.methods.closed_form.symmetry.space_law import SpaceLaw, space_law
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import Bounds
from hjbdsl.model.solution import Array, PointValues, Rejected

FAMILY = "radial symmetry: boundary-value problem in the radius"
_DIRECTIONS = 24
_CENTRE = 1e-7
"""Below this radius (relative to the region) the derivatives are those of the centre."""


def propose_radial(equation: HJBEquation) -> Proposal | Rejected:
    """Stationary problems in two or more dimensions with rotational symmetry: exit from a ball or its outside, an
    annulus, all of R^n.
    """
    problem = equation.problem
    if problem.dimension < 2 or problem.lattice_states:
        return Rejected("there are not two or more real states")
    if (reason := unsuitable(equation)) is not None:
        return Rejected(reason)
    if problem.modes:
        return Rejected("modes in several dimensions")
    if any(b.lower != -sp.oo or b.upper != sp.oo or b.periodic for b in problem.state_bounds):
        return Rejected("the states are bounded one by one")
    if equation.optimum.status not in ("symbolic", "none"):
        return Rejected("the maximiser is not explicit")
    if problem.boundaries:
        return Rejected("a boundary statement fixes one coordinate")
    space = space_law(equation)
    if not _is_radial(equation, space):
        return Rejected("the problem changes under rotation about the origin")
    line = _on_a_ray(equation)
    proposal = solve_reduced(line)
    if isinstance(proposal, Rejected):
        return proposal
    assert isinstance(proposal.function, LineFunction)
    note = f"V depends on |x| alone: the Hamiltonian of a radial function is radial at {_DIRECTIONS} random directions"
    function = RadialFunction(proposal.function, space, line.high)
    return replace(proposal, family=FAMILY, function=function, statements=(note, *proposal.statements))


def _frame(x: Array, slope: Array, curvature: Array) -> tuple[Array, Array]:
    """Gradient (k, n) and Hessian (k, n, n) of v(|x|) at x (k, n) from v', v''."""
    radius = np.linalg.norm(x, axis=1)
    unit = x / radius[:, None]
    across = slope / radius
    outer = unit[:, :, None] * unit[:, None, :]
    return slope[:, None] * unit, across[:, None, None] * np.eye(x.shape[1]) + (curvature - across)[:, None, None] * outer


def _is_radial(equation: HJBEquation, space: SpaceLaw) -> bool:
    """Same optimal Hamiltonian, exit set, exit value and payoff at random points and on the first axis at the same
    radius.
    """
    problem = equation.problem
    random = np.random.default_rng(7)
    n = problem.dimension
    reach = max(abs(float(problem.numeric(bound))) for row in problem.region for bound in row) or 1.0
    direction = random.standard_normal((_DIRECTIONS, n))
    radius = reach * random.uniform(0.05, 1.4, _DIRECTIONS)
    turned = radius[:, None] * direction / np.linalg.norm(direction, axis=1)[:, None]
    axis = radius[:, None] * np.eye(n)[0]
    value, slope, curvature = random.standard_normal((3, _DIRECTIONS))
    here = space.optimise(turned, value, *_frame(turned, slope, curvature))[1]
    there = space.optimise(axis, value, *_frame(axis, slope, curvature))[1]
    comparable = np.isfinite(here) & np.isfinite(there)
    if comparable.sum() < _DIRECTIONS // 4 or not np.array_equal(np.isfinite(here), np.isfinite(there)):
        return False
    same = np.allclose(here[comparable], there[comparable], rtol=1e-9, atol=1e-9)
    outcomes: list[sp.Basic] = [e for e in (problem.objective.exit_value, problem.objective.stop_value) if e is not None]
    if problem.exit is not None:
        outcomes.append(sp.Piecewise((sp.S.One, problem.exit.condition), (sp.S.Zero, True)))
    numeric = tuple(problem.numeric(e) for e in outcomes)
    values = zip(
        compiled(problem.state_symbols, numeric)(*turned.T), compiled(problem.state_symbols, numeric)(*axis.T), strict=True
    )
    return bool(same) and all(np.allclose(a, b, rtol=1e-9, atol=1e-9) for a, b in values)


def _on_a_ray(equation: HJBEquation) -> LineProblem:
    """The problem on the first axis, x = rho e_1, as a problem in rho >= 0."""
    problem = equation.problem
    n = problem.dimension
    rho = sp.Symbol("rho", positive=True)
    ray = {s: (rho if i == 0 else sp.S.Zero) for i, s in enumerate(problem.state_symbols)}
    slope, curvature = equation.gradient[0], equation.hessian.get((0, 0), sp.Dummy("unused", real=True))
    on_axis = dict(ray)
    on_axis |= {p: (slope if i == 0 else sp.S.Zero) for i, p in enumerate(equation.gradient)}
    for (i, j), symbol in equation.hessian.items():
        on_axis[symbol] = curvature if i == j == 0 else (slope / rho if i == j else sp.S.Zero)

    def restricted(expression: sp.Basic, table: dict[sp.Symbol, sp.Expr] = ray) -> sp.Basic:
        # subs simplifies what becomes of sqrt(rho^2 + 0^2); xreplace would leave it
        return problem.numeric(expression).subs(table, simultaneous=True)

    across = sum(equation.covariance.get((i, i), sp.S.Zero) for i in range(1, n))
    candidates = tuple(
        replace(c, controls={a: restricted(e, on_axis) for a, e in c.controls.items()}, where=restricted(c.where, on_axis))
        for c in equation.optimum.candidates
    )
    objective = problem.objective
    regions = [[abs(float(problem.numeric(b))) for b in row] for row in problem.region]
    flat = replace(
        equation,
        gradient=(slope,),
        hessian={(0, 0): curvature},
        optimum=replace(equation.optimum, candidates=candidates),
    )
    return LineProblem(
        equation=flat,
        state=rho,
        bounds=Bounds(sp.S.Zero, sp.oo, lower_open=False),
        low=0.0,
        high=float(np.sqrt(sum(max(row) ** 2 for row in regions))),
        modes=((),),
        drift=(restricted(problem.drift[0]) + restricted(across) / (2 * rho),),
        variance=(restricted(equation.covariance.get((0, 0), sp.S.Zero)),),
        running=(restricted(objective.running),),
        discount=(restricted(objective.discount),),
        rates={},
        payoff=(restricted(objective.stop_value),) if objective.stop_value is not None else None,
        exit_value=(restricted(objective.exit_value or sp.S.Zero),) if problem.exit is not None else None,
        exit_when=restricted(problem.exit.condition) if problem.exit is not None else None,
        maximise=objective.sense != "minimize",
        centre=True,
    )


@dataclass(frozen=True, slots=True)
class RadialFunction(ExactFunction):
    """v(|x|) with its derivatives turned to x. `reach`: the region's largest radius."""

    radial: LineFunction
    space: SpaceLaw
    reach: float

    def derivatives(self, t: Array, x: Array, mode: NDArray) -> Derivatives:
        x, radius = self._off_centre(np.asarray(x, dtype=np.float64))
        found = self.radial.derivatives(t, radius[:, None], mode)
        gradient, hessian = _frame(x, found.gradient[:, 0], found.hessian[:, 0, 0])
        centre = radius <= _CENTRE * self.reach
        gradient[centre] = 0.0
        hessian[centre] = found.hessian[centre, 0, 0][:, None, None] * np.eye(x.shape[1])
        return Derivatives(found.value, np.zeros(len(x)), gradient, hessian)

    def evaluate(self, t: Array, x: Array, mode: NDArray[np.int64]) -> PointValues:
        moved, radius = self._off_centre(np.asarray(x, dtype=np.float64))
        found = self.radial.evaluate(t, radius[:, None], mode)
        exact = self.derivatives(t, x, mode)
        # at the centre the direction of a control is free; it is taken along the nudge
        turned, hessian = _frame(moved, found.gradient[:, 0], self.radial.derivatives(t, radius[:, None], mode).hessian[:, 0, 0])
        controls, _ = self.space.optimise(moved, found.value, turned, hessian)
        return PointValues(found.value, found.error, exact.gradient, controls, stop=found.stop)

    def _off_centre(self, x: Array) -> tuple[Array, Array]:
        """x with the points at the centre nudged along the first axis, and |x|."""
        radius = np.linalg.norm(x, axis=1)
        nudged = x.copy()
        small = radius <= _CENTRE * self.reach
        nudged[small] = _CENTRE * self.reach * np.eye(x.shape[1])[0]
        return nudged, np.where(small, _CENTRE * self.reach, radius)


propose = guarded(60.0, propose_radial)
