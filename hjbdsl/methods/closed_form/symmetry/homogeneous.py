"""Problems in two states that keep their form when both states grow together: V(x, y) = y^p v(x/y), one dimension is left.

In: the equation. Out: V from v, solved by the one-dimensional room in z = x/y. With V_x = y^(p - 1) v', V_y = y^(p - 1) (p v -
z v') and so on, the equation at y = 1 is that of a process with the drift b_x - z b_y + (p - 1) (A_xy - z A_yy), the variance
A_xx - 2 z A_xy + z^2 A_yy and the discount rate r - p b_y - p (p - 1) A_yy/2 (y^p taken as the numeraire). The degree p is read
off what is paid, or is the power that the Hamiltonian scales by; that it does is checked at random points, not read off the
spelling. (McDonald and Siegel, The value of waiting to invest, Quarterly Journal of Economics 101, 1986; Merton 1971.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy.optimize import brentq

from hjbdsl.methods.closed_form.family import Derivatives, ExactFunction, Proposal
from hjbdsl.methods.closed_form.one_dimensional.compiled import compiled
from hjbdsl.methods.closed_form.one_dimensional.guard import guarded
from hjbdsl.methods.closed_form.one_dimensional.line import LineProblem, unsuitable
from hjbdsl.methods.closed_form.one_dimensional.line_function import LineFunction
from hjbdsl.methods.closed_form.one_dimensional.notation import fresh_symbol
from hjbdsl.methods.closed_form.symmetry.reduced import solve_reduced
from hjbdsl.methods.closed_form.symmetry.space_law import SpaceLaw, space_law
from hjbdsl.model.equation import VALUE, HJBEquation
from hjbdsl.model.problem import Bounds, ControlProblem
from hjbdsl.model.solution import Array, PointValues, Rejected

FAMILY = "homogeneous in two states: equation in their ratio"
_POINTS = 200
_TINY = 1e-300
_DEGREES = np.linspace(-12.0, 12.0, 193)
"""Between two of them a degree is looked for."""


def propose_homogeneous(equation: HJBEquation) -> Proposal | Rejected:
    """Stationary problems in two states, one of them positive, with noise in their ratio."""
    problem = equation.problem
    if problem.dimension != 2 or problem.lattice_states:
        return Rejected("there are not two real states")
    if (reason := unsuitable(equation)) is not None:
        return Rejected(reason)
    if problem.modes or problem.objective.form == "average":
        return Rejected("modes, or an average, in several dimensions")
    if problem.boundaries:
        return Rejected("a boundary statement fixes one coordinate")
    if equation.optimum.status not in ("symbolic", "none"):
        return Rejected("the maximiser is not explicit")
    unit = _unit(problem)
    if unit is None:
        return Rejected("no state is positive beside one that is positive or free")
    space = space_law(equation)
    degree = _degree(problem, space)
    if degree is None:
        return Rejected("the problem changes when both states grow by the same factor")
    line = _at_unit(equation, unit, degree)
    proposal = solve_reduced(line)
    if isinstance(proposal, Rejected):
        return proposal
    assert isinstance(proposal.function, LineFunction)
    x, y = (problem.state_symbols[i].name for i in (1 - unit, unit))
    scale = {0: "", 1: f"{y} "}.get(degree, f"{y}^{degree if degree.is_integer and degree > 0 else f'({degree})'} ")
    note = f"V = {scale}v({line.state}) with {line.state} = {x}/{y} (tried at {_POINTS} random points); what follows is said of v"
    far = max(float(problem.numeric(bound)) ** float(degree) for bound in problem.region[unit])
    function = HomogeneousFunction(proposal.function, space, unit, float(degree))
    return replace(
        proposal, family=FAMILY, function=function, statements=(note, *proposal.statements), accuracy=far * proposal.accuracy
    )


def _unit(problem: ControlProblem) -> int | None:
    """The state that is the unit: it lives on (0, inf), and the other one there too or on the whole line."""
    positive = [(b.lower, b.upper, b.lower_open) == (0, sp.oo, True) for b in problem.state_bounds]
    free = [(b.lower, b.upper) == (-sp.oo, sp.oo) and not b.periodic for b in problem.state_bounds]
    away = [all(problem.numeric(bound) > 0 for bound in row) for row in problem.region]
    for unit in (1, 0):
        if positive[unit] and away[unit] and (free[1 - unit] or (positive[1 - unit] and away[1 - unit])):
            return unit
    return None


def _degree(problem: ControlProblem, space: SpaceLaw) -> sp.Expr | None:
    """The power p by which what is paid, and the optimal Hamiltonian, scale, and the exit does not; None where there is none. The
    points and factors range over four decades, so that a place where a coefficient, a bound or an exit changes is met."""
    random = np.random.default_rng(7)

    def spread(decades: float, *shape: int) -> Array:
        return 10.0 ** random.uniform(-decades, decades, shape)

    low, high = (np.array([float(problem.numeric(row[side])) for row in problem.region]) for side in (0, 1))
    x = (low + (high - low) * random.random((_POINTS, 2))) * spread(2.0, _POINTS, 2)
    factor = spread(2.0, _POINTS)
    value, *derivatives = random.standard_normal((6, _POINTS)) * spread(1.0, 6, _POINTS)
    gradient = np.stack(derivatives[:2], axis=1)
    hessian = np.stack([derivatives[k] for k in (2, 3, 3, 4)], axis=1).reshape(-1, 2, 2)
    paid = [e for e in (problem.objective.exit_value, problem.objective.stop_value) if e is not None and e != 0]
    paid += [problem.objective.running] if not space.controls and problem.objective.running != 0 else []
    amounts = [_pairs(problem, e, x, factor) for e in paid]
    rule = sp.Piecewise((sp.S.One, problem.exit.condition), (sp.S.Zero, True)) if problem.exit is not None else sp.S.One
    if not np.array_equal(*_pairs(problem, rule, x, factor)):
        return None
    plain = space.optimise(x, value, gradient, hessian)[1]

    def missed(p: float) -> Array:
        """How far each amount is from scaling by p, relative to its size."""
        by = factor**p
        grown = space.optimise(
            factor[:, None] * x, by * value, (by / factor)[:, None] * gradient, (by / factor**2)[:, None, None] * hessian
        )[1]
        pairs = ((plain, grown), *amounts)
        return np.concatenate([(after / by - before) / (np.abs(before) + np.abs(after / by) + _TINY) for before, after in pairs])

    for guess in _guesses(amounts, factor, missed):
        exact = sp.Rational(guess).limit_denominator(10_000)
        degree = exact if abs(float(exact) - guess) < 1e-9 else sp.Float(guess)
        rest = missed(float(degree))
        known = np.isfinite(rest)
        if known.mean() >= 0.25 and np.abs(rest[known]).max() < 1e-7:
            return degree
    return None


def _pairs(problem: ControlProblem, expression: sp.Basic, x: Array, factor: Array) -> tuple[Array, Array]:
    function = compiled(problem.state_symbols, (problem.numeric(expression),))
    return function(*x.T)[0], function(*(factor[:, None] * x).T)[0]


def _guesses(amounts: list[tuple[Array, Array]], factor: Array, missed: Callable[[float], Array]) -> list[float]:
    """Degrees that one number would have: what is paid at one point, else the Hamiltonian at one."""
    for before, after in amounts:
        paid = np.flatnonzero((before * after > 0.0) & np.isfinite(before * after))
        if len(paid):
            k = paid[0]
            return [float(np.log(after[k] / before[k]) / np.log(factor[k]))]
    table = np.array([missed(p) for p in _DEGREES])
    known = np.flatnonzero(np.isfinite(table).all(axis=0))
    if not len(known):
        return []
    k = known[0]
    return [
        float(brentq(lambda p: missed(p)[k], low, high, xtol=1e-14))
        for (low, below), (high, above) in pairwise(zip(_DEGREES, table[:, k], strict=True))
        if below * above <= 0.0
    ]


def _at_unit(equation: HJBEquation, unit: int, degree: sp.Expr) -> LineProblem:
    """The problem at y = 1 as one in z > 0, or in all z."""
    problem = equation.problem
    other = 1 - unit
    bounds = problem.state_bounds[other]
    z = fresh_symbol(problem, "z", positive=True if bounds.lower == 0 else None)
    slope = equation.gradient[other]
    curvature = equation.hessian.get((other, other), sp.Dummy("unused", real=True))
    ray = {problem.state_symbols[other]: z, problem.state_symbols[unit]: sp.S.One}
    second = {
        (other, other): curvature,
        (unit, unit): degree * (degree - 1) * VALUE - 2 * (degree - 1) * z * slope + z**2 * curvature,
    }
    mixed = (degree - 1) * slope - z * curvature
    on_ray = {**ray, equation.gradient[unit]: degree * VALUE - z * slope}
    on_ray |= {symbol: second.get(pair, mixed) for pair, symbol in equation.hessian.items()}

    def restricted(expression: sp.Basic, table: dict[sp.Symbol, sp.Expr] = ray) -> sp.Basic:
        return problem.numeric(expression).subs(table, simultaneous=True)

    def covariance(i: int, j: int) -> sp.Expr:
        return restricted(equation.covariance.get((min(i, j), max(i, j)), sp.S.Zero))

    candidates = tuple(
        replace(c, controls={a: restricted(e, on_ray) for a, e in c.controls.items()}, where=restricted(c.where, on_ray))
        for c in equation.optimum.candidates
    )
    flat = replace(
        equation,
        gradient=(slope,),
        hessian={(0, 0): curvature},
        optimum=replace(equation.optimum, candidates=candidates),
    )
    objective = problem.objective
    drift, growth = restricted(problem.drift[other]), restricted(problem.drift[unit])
    own, cross, units = covariance(other, other), covariance(other, unit), covariance(unit, unit)
    ratios = [float(problem.numeric(x)) / float(problem.numeric(y)) for x in problem.region[other] for y in problem.region[unit]]
    return LineProblem(
        equation=flat,
        state=z,
        bounds=Bounds(bounds.lower, bounds.upper),
        low=min(ratios),
        high=max(ratios),
        modes=((),),
        drift=(sp.expand(drift - z * growth + (degree - 1) * (cross - z * units)),),
        variance=(sp.expand(own - 2 * z * cross + z**2 * units),),
        running=(restricted(objective.running),),
        discount=(sp.expand(restricted(objective.discount) - degree * growth - degree * (degree - 1) * units / 2),),
        rates={},
        payoff=(restricted(objective.stop_value),) if objective.stop_value is not None else None,
        exit_value=(restricted(objective.exit_value or sp.S.Zero),) if problem.exit is not None else None,
        exit_when=restricted(problem.exit.condition) if problem.exit is not None else None,
        maximise=objective.sense != "minimize",
    )


@dataclass(frozen=True, slots=True)
class HomogeneousFunction(ExactFunction):
    """y^degree v(x/y), y the state number `unit`, with its derivatives."""

    ratio: LineFunction
    space: SpaceLaw
    unit: int
    degree: float

    def derivatives(self, t: Array, x: Array, mode: NDArray) -> Derivatives:
        x = np.asarray(x, dtype=np.float64)
        i, k, p = 1 - self.unit, self.unit, self.degree
        z, y = x[:, i] / x[:, k], x[:, k]
        found = self.ratio.derivatives(t, z[:, None], mode)
        v, slope, curvature = found.value, found.gradient[:, 0], found.hessian[:, 0, 0]
        gradient, hessian = np.empty((len(x), 2)), np.empty((len(x), 2, 2))
        gradient[:, i], gradient[:, k] = slope, p * v - z * slope
        hessian[:, i, i] = curvature
        hessian[:, i, k] = hessian[:, k, i] = (p - 1.0) * slope - z * curvature
        hessian[:, k, k] = p * (p - 1.0) * v - 2.0 * (p - 1.0) * z * slope + z**2 * curvature
        scale = y**p
        return Derivatives(scale * v, np.zeros(len(x)), (scale / y)[:, None] * gradient, (scale / y**2)[:, None, None] * hessian)

    def evaluate(self, t: Array, x: Array, mode: NDArray[np.int64]) -> PointValues:
        x = np.asarray(x, dtype=np.float64)
        y = x[:, self.unit]
        found = self.ratio.evaluate(t, (x[:, 1 - self.unit] / y)[:, None], mode)
        exact = self.derivatives(t, x, mode)
        controls, _ = self.space.optimise(x, exact.value, exact.gradient, exact.hessian)
        return PointValues(exact.value, y**self.degree * found.error, exact.gradient, controls, stop=found.stop)


propose = guarded(60.0, propose_homogeneous)
