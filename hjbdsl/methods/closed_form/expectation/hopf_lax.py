"""Family: deterministic motion with constant coefficients and a convex running cost of the control alone (Hopf and Lax).

By Jensen's inequality a constant control is optimal, so that with s = T - t

    V(t, x) = min over u of  s L(u) + g(x + s (b + G u)),

a minimum over one number where the problem has one state, or where L and g depend on |u| and on |x - centre| in any dimension.
Under maximize the signs turn. Source: Evans, Partial Differential Equations, section 3.3.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.expectation.lax_line import LaxLine, PieceFunction, piece_function
from hjbdsl.methods.closed_form.expectation.pieces import TooManyBreaks, smooth_pieces
from hjbdsl.methods.closed_form.expectation.reduce import Probe, radial_centre
from hjbdsl.methods.closed_form.family import Derivatives, ExactFunction, Proposal
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Array, PointValues, Rejected
from hjbdsl.numeric.compile import UnsupportedExpression
from hjbdsl.numeric.polynomial import quadratic_parts
from hjbdsl.numeric.time_array import compiled

_RADIUS = sp.Symbol("radius", real=True)
_FARTHEST_CONTROL = 9.9e3


@dataclass(frozen=True, slots=True)
class LaxValue(ExactFunction):
    """`line` in the state itself, or, with a `centre` (n,), in the distance from it; `sign` -1 under maximize."""

    line: LaxLine
    centre: Array | None
    sign: float
    end: float

    def evaluate(self, t: Array, x: Array, mode: NDArray[Any]) -> PointValues:  # noqa: ARG002 (there are no modes here)
        r, direction = self._ray(x)
        best = self.line.minimum(self.end - t, r)
        value = self.sign * best.value
        return PointValues(
            value, 1e-12 * (1 + np.abs(value)), self.sign * best.slope[:, None] * direction, best.control[:, None] * direction
        )

    def derivatives(self, t: Array, x: Array, mode: NDArray[Any]) -> Derivatives:  # noqa: ARG002
        r, direction = self._ray(x)
        best = self.line.minimum(self.end - t, r)
        outer = direction[:, :, None] * direction[:, None, :]
        hessian = best.curvature[:, None, None] * outer
        if self.centre is not None:
            with np.errstate(all="ignore"):
                across = np.where(r > 0, best.slope / r, best.curvature)
            hessian = hessian + across[:, None, None] * (np.eye(x.shape[1]) - outer)
        return Derivatives(
            self.sign * best.value, self.sign * best.time, self.sign * best.slope[:, None] * direction, self.sign * hessian
        )

    def _ray(self, x: Array) -> tuple[Array, Array]:
        """Coordinate on the line and its direction in the states."""
        if self.centre is None:
            return x[:, 0], np.ones_like(x)
        away = x - self.centre
        r = np.linalg.norm(away, axis=1)
        direction = np.where(r[:, None] > 0, away / np.where(r > 0, r, 1.0)[:, None], np.eye(x.shape[1])[0])
        return r, direction


def propose(equation: HJBEquation) -> Proposal | Rejected:
    problem = equation.problem
    reason = _refuse(problem)
    if reason:
        return Rejected(reason)
    motion = _motion(problem)
    if isinstance(motion, Rejected):
        return motion
    sign = 1 if problem.objective.sense == "minimize" else -1
    cost = sp.sympify(sign * problem.numeric(problem.objective.running))
    end = sp.sympify(sign * problem.numeric(problem.objective.terminal))
    try:
        found = _scalar(problem, motion, cost, end) if problem.dimension == 1 else _radial(problem, motion, cost, end)
    except (TooManyBreaks, UnsupportedExpression, TypeError, ValueError) as error:
        return Rejected(f"the rewards cannot be cut in pieces: {error}")
    if isinstance(found, Rejected):
        return found
    line, centre = found
    if not _convex(line):
        return Rejected("the running cost is not convex in the control")
    function = LaxValue(line, centre, float(sign), float(problem.numeric(problem.objective.end)))
    if not _bounded(problem, function):
        return Rejected("the minimum over the control is not attained at a moderate control")
    where = "" if centre is None else f", radial in {problem.dimension} dimensions"
    return Proposal(
        family=f"Hopf-Lax: one constant control{where}",
        function=function,
        statements=(
            "a constant control is optimal (Jensen: the running cost is convex, the motion has constant coefficients)",
            "its global minimum found among kinks, bounds and the polished minima of a scan of 1201 controls",
        ),
        accuracy=1e-12,
    )


def _refuse(problem: ControlProblem) -> str:
    o = problem.objective
    if any(problem.numeric(d) != 0 for d in problem.diffusion.values()) or problem.jumps or problem.modes:
        return "the motion is random"
    if o.form != "expectation" or o.sense == "evaluate" or problem.adversaries or problem.exploration or problem.reversal:
        return "one controller with a sum of rewards is needed"
    if problem.exit is not None or problem.stopping is not None or problem.boundaries or o.terminal is None or o.end == sp.oo:
        return "a fixed finite end is needed"
    if problem.numeric(o.discount) != 0:
        return "there is a discount"
    if any(b.is_finite_set or b.periodic or b.lower != -sp.oo or b.upper != sp.oo for b in problem.state_bounds):
        return "the state is bounded"
    if problem.numeric(o.running).free_symbols - set(problem.control_symbols):
        return "the running cost depends on more than the control"
    if any(c.role != "control" for c in problem.constraints):
        return "the state is constrained"
    return ""


def _motion(problem: ControlProblem) -> tuple[Array, Array] | Rejected:
    """b (n,) and G (n, m), numbers."""
    n, controls = problem.dimension, problem.control_symbols
    drift, gain = np.zeros(n), np.zeros((n, len(controls)))
    for i, entry in enumerate(problem.drift):
        parts = quadratic_parts(problem.numeric(entry), controls)
        if not parts.is_affine or parts.constant.free_symbols or any(c.free_symbols for c in parts.linear.values()):
            return Rejected("the motion is no constant plus a constant matrix times the control")
        drift[i] = float(parts.constant)
        for j, c in parts.linear.items():
            gain[i, j] = float(c)
    return drift, gain


def _cut(expression: sp.Expr, symbol: sp.Symbol) -> PieceFunction:
    return piece_function(smooth_pieces(expression, symbol))


def _scalar(problem: ControlProblem, motion: tuple[Array, Array], cost: sp.Expr, end: sp.Expr) -> tuple[LaxLine, None] | Rejected:
    drift, gain = motion
    if gain.shape[1] != 1 or gain[0, 0] == 0:
        return Rejected("one control that moves the state is needed")
    if problem.constraints:
        return Rejected("the control is constrained beyond its bounds")
    bounds = problem.controls[0].bounds[0]
    low, high = (float(problem.numeric(v)) for v in (bounds.lower, bounds.upper))
    if bounds.is_finite_set:
        return Rejected("the control set is not convex")
    control, state = problem.control_symbols[0], problem.state_symbols[0]
    return LaxLine(_cut(cost, control), _cut(end, state), float(drift[0]), float(gain[0, 0]), low, high), None


def _radial(
    problem: ControlProblem, motion: tuple[Array, Array], cost: sp.Expr, end: sp.Expr
) -> tuple[LaxLine, Array] | Rejected:
    drift, gain = motion
    n = problem.dimension
    if gain.shape != (n, n) or np.any(drift) or gain[0, 0] == 0 or np.any(gain != gain[0, 0] * np.eye(n)):
        return Rejected("several states: the control must move each alike, dx = c*u dt")
    if any(b.is_finite_set or b.lower != -sp.oo or b.upper != sp.oo for g in problem.controls for b in g.bounds):
        return Rejected("several states: a bound must be one on |u|")
    centre, end_profile = _profile(end, problem.state_symbols)
    _, cost_profile = _profile(cost, problem.control_symbols, around=np.zeros(n))
    if centre is None or end_profile is None or cost_profile is None:
        return Rejected("several states: the end cost is not radial, or the running cost is no function of |u|")
    limit = _largest_control(problem)
    if limit is None:
        return Rejected("the constraint on the control is no bound on |u|")
    line = LaxLine(_cut(cost_profile, _RADIUS), _cut(end_profile, _RADIUS), 0.0, float(gain[0, 0]), -limit, limit)
    return line, centre


def _profile(
    expression: sp.Expr, symbols: tuple[sp.Symbol, ...], around: Array | None = None
) -> tuple[Array | None, sp.Expr | None]:
    """(centre, the function of the signed distance along a ray), or nothing where the expression is not radial."""
    n = len(symbols)
    if not expression.free_symbols:
        return np.zeros(n) if around is None else around, expression
    probe = Probe(expression, symbols, np.zeros(n), np.ones(n))
    exact = radial_centre(probe) if around is None else [sp.Rational(c) for c in around]
    centre = np.array([float(c) for c in exact])
    profile = expression.xreplace(dict(zip(symbols, (exact[0] + _RADIUS, *exact[1:]), strict=True)))
    distance = np.linalg.norm(probe.points - centre, axis=1)
    if profile.free_symbols - {_RADIUS} or not probe.agrees(compiled((_RADIUS,), (profile,))(distance)[0]):
        return None, None
    return centre, profile


def _largest_control(problem: ControlProblem) -> float | None:
    """R of |u| <= R; inf without a constraint."""
    if not problem.constraints:
        return np.inf
    if len(problem.constraints) > 1 or not isinstance(problem.constraints[0].condition, (sp.Le, sp.Lt, sp.Ge, sp.Gt)):
        return None
    condition = problem.constraints[0].condition
    margin = problem.numeric(condition.gts - condition.lts)
    _, profile = _profile(margin, problem.control_symbols, around=np.zeros(len(problem.control_symbols)))
    if profile is None:
        return None
    roots = [r for r in smooth_pieces(sp.Max(profile, 0), _RADIUS).breaks if r > 0]
    return roots[0] if len(roots) == 1 and float(profile.subs(_RADIUS, 0)) > 0 else None


def _convex(line: LaxLine) -> bool:
    """Midpoint convexity of the running cost at seeded pairs, and slopes that grow across its kinks."""
    random = np.random.default_rng(9)
    low, high = max(line.low, -50.0), min(line.high, 50.0)
    a, b = random.uniform(low, high, (2, 400)) * np.where(np.arange(400) % 2, 1.0, 0.05)
    a, b = np.clip(a, low, high), np.clip(b, low, high)
    middle, ends = line.cost((a + b) / 2)[0], (line.cost(a)[0] + line.cost(b)[0]) / 2
    ordered = np.sort(np.concatenate([a, b]))
    slopes = np.array([(q - p) for p, q in pairwise(line.cost(ordered)[0])]) / np.maximum(np.diff(ordered), 1e-300)
    return bool(np.all(middle <= ends + 1e-12 * (1 + np.abs(ends))) and np.all(np.isfinite(slopes)))


def _bounded(problem: ControlProblem, function: LaxValue) -> bool:
    ends = np.array([[float(problem.numeric(v)) for v in pair] for pair in problem.region])
    ends = np.where(np.isfinite(ends), ends, np.sign(ends) * 2.0)
    x = ends[:, 0] + (ends[:, 1] - ends[:, 0]) * np.linspace(0.03, 0.97, 9)[:, None]
    control = function.evaluate(np.linspace(0, 0.9 * function.end, 9), x, np.zeros(9, dtype=np.int64)).control
    return bool(np.all(np.abs(control) < _FARTHEST_CONTROL))
