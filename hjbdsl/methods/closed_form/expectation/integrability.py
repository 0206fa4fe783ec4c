"""Whether exp(-kappa g) may be integrated against the Gaussian law at all: growth of the payoff against the precision.

In: a value made of Gaussian expectations. Out: the time-to-go up to which every expectation is finite. A quadrature over a
box gives a number also for g = -y^4; here the exponent -kappa g(y) - (y - m)'C^-1 (y - m)/2 is followed to infinity.
"""

from __future__ import annotations

import numpy as np
import sympy as sp

from hjbdsl.errors import Diagnostic, HjbError
from hjbdsl.methods.closed_form.expectation.blocks import Block
from hjbdsl.methods.closed_form.expectation.cubature import CubatureCore
from hjbdsl.methods.closed_form.expectation.line_core import LineCore
from hjbdsl.methods.closed_form.expectation.radial_core import RadialCore
from hjbdsl.methods.closed_form.expectation.value import GaussianValue
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Array, Rejected
from hjbdsl.numeric.time_array import compiled

_FAR = (1e8, 1e10)
"""Distances from the centre."""
_DIRECTIONS = 96
_BORDER = 1e-9
_HALVINGS = 60


def require_integrable(problem: ControlProblem, function: GaussianValue, kappa: float) -> Rejected | None:
    """None where every expectation is finite on the whole horizon. Raises `HjbError` (HJB121) where one is infinite; rejects on
    the border itself, where terms of lower order decide."""
    excess = max((_excess(function, block, kappa, function.law.end) for block in function.blocks), default=-np.inf)
    if excess <= -_BORDER:
        return None
    if excess <= _BORDER:
        return Rejected("exp(-kappa cost) grows just as fast as the Gaussian density falls: terms of lower order decide")
    finite, infinite = 0.0, function.law.end
    for _ in range(_HALVINGS):
        middle = (finite + infinite) / 2
        if max(_excess(function, block, kappa, middle) for block in function.blocks) > 0:
            infinite = middle
        else:
            finite = middle
    raise _escaped(problem, infinite, function.law.end)


def _excess(function: GaussianValue, block: Block, kappa: float, remaining: float) -> float:
    """The largest limit of (-kappa g(y) - precision |y|^2/2)/(precision |y|^2/2) as |y| -> infinity, over directions and the
    times-to-go up to `remaining`: the expectation is infinite where it is positive."""
    moments = function.law.at(function.law.end - np.linspace(0.0, remaining, 9)[1:])
    worst = -np.inf
    for covariance in moments.covariance:
        full = np.diag(covariance) if covariance.ndim == 1 else covariance
        inner = full[np.ix_(block.index, block.index)]
        if block.directions is not None:
            inner = block.directions.T @ inner @ block.directions
        worst = max(worst, _largest_ratio(block, kappa, inner))
    return worst


def _largest_ratio(block: Block, kappa: float, covariance: Array) -> float:
    variances, axes = np.linalg.eigh(covariance)
    spread = np.sqrt(np.maximum(variances, 0.0))
    if not spread.max(initial=0.0) > 0:
        return -np.inf
    matrix = axes * spread
    sizes = [distance / spread.max() for distance in _FAR]
    with np.errstate(invalid="ignore"):
        near, far = (-kappa * _payoff(block, matrix, size) / (size**2 / 2) - 1.0 for size in sizes)
    # a direction counts where the ratio holds at both distances
    return float(np.nan_to_num(np.minimum(near, far), nan=-np.inf, posinf=np.inf, neginf=-np.inf).max(initial=-np.inf))


def _payoff(block: Block, matrix: Array, size: float) -> Array:
    """g at `size` standard deviations from the centre, by direction."""
    with np.errstate(all="ignore"):
        match block.core:
            case LineCore(symbol, breaks, branches):
                places = size * matrix[0, 0] * np.array([-1.0, 1.0])
                ends = (branches[0], branches[-1])
                if breaks and not (places[0] < breaks[0] and breaks[-1] < places[1]):
                    return np.full(2, np.nan)
                return np.array([_value(symbol, end[0], place) for end, place in zip(ends, places, strict=True)])
            case RadialCore(symbol, _, _, branches):
                return np.array([_value(symbol, branches[-1][0], (size * matrix[0, 0]) ** 2)])
            case CubatureCore(symbols, payoff):
                random = np.random.default_rng(3)
                axes = np.eye(len(symbols))
                rays = np.concatenate([axes, -axes, random.standard_normal((_DIRECTIONS, len(symbols)))])
                rays /= np.linalg.norm(rays, axis=1)[:, None]
                points = size * rays @ matrix.T
                return np.asarray(compiled(symbols, (payoff,))(*points.T)[0], dtype=np.float64)
            case _:
                raise TypeError(f"unknown core {type(block.core).__name__}")


def _value(symbol: sp.Symbol, expression: sp.Expr, place: float) -> float:
    return float(np.ravel(compiled((symbol,), (expression,))(np.array([place]))[0])[0])


def _escaped(problem: ControlProblem, remaining: float, horizon: float) -> HjbError:
    names = [s.name for s in sorted(problem.objective.end.free_symbols, key=str) if s.name in problem.origins]
    span = problem.origins[names[0]] if names else problem.objective.span
    at_once = remaining <= 1e-6 * horizon
    when = "at every time before the end" if at_once else f"from time-to-go {remaining:.6g} on, within the horizon {horizon:.6g}"
    worse = "falls" if problem.objective.sense == "minimize" else "grows"
    message = (
        f"the value is infinite {when}: the terminal value {worse} faster than the noise and the cost of control can bear "
        "(exp(-kappa cost) is not integrable against the Gaussian law)"
    )
    remedy = "bound the terminal value" if at_once else f"shorten the horizon below {remaining:.6g}, or bound the terminal value"
    return HjbError((Diagnostic("HJB121", message, remedy, span, problem.source.line(span)),))
