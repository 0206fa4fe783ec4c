"""Exits on one side without discounting: does the process come back from the far end, or is it lost there?

In: a line problem without a choice. Out: its component with the right condition at a cut, or `HjbError` (HJB120) where the
expected cost until the exit is infinite. With scale density s' = exp(-int 2 b/A) and speed density 2/(A s'), both compared with
powers of x, k = lim 2 b x/A decides: for k < 1 the integral of s' diverges and the exit is certain, for k > 1 it converges and
the process is lost with a positive probability. Source: Karatzas and Shreve, Brownian Motion and Stochastic Calculus, 5.5.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import sympy as sp

from hjbdsl.budget import BudgetExceeded, time_budget
from hjbdsl.methods.closed_form.family import ill_posed
from hjbdsl.methods.closed_form.one_dimensional.component import Component, Edge
from hjbdsl.methods.closed_form.one_dimensional.line import LineProblem

_SECONDS = 3.0


def with_far_ends(component: Component) -> Component:
    """`component` with V = 0 at the cut of an end where the process is lost and then pays nothing, a reflecting cut where
    it comes back and nothing is paid meanwhile. Raises `HjbError` where the running cost until the exit adds up to
    infinity."""
    return replace(component, lower=_far(component, upper=False), upper=_far(component, upper=True))


def returns(line: LineProblem, *, upper: bool) -> bool:
    """Whether an exit on the other side is reached from this far end with certainty."""
    drift = _drift_index(line, upper=upper)
    return drift is not None and bool(drift < 1)


def _far(component: Component, *, upper: bool) -> Edge:
    edge, line = (component.upper if upper else component.lower), component.line
    if edge.kind != "growth" or np.isfinite(edge.location):
        return edge
    drift = _drift_index(line, upper=upper)
    if drift is None:
        return edge
    running = line.running[0]
    if running == 0:
        return replace(edge, kind="lost" if bool(drift > 1) else "returning") if bool(drift > 1) or bool(drift < 1) else edge
    weight = _weight_index(line, running, drift, upper=upper)
    if weight is not None and bool(weight > -1):
        raise ill_posed(
            line.equation.problem,
            "HJB120",
            "exit" if "exit" in line.equation.problem.origins else "objective",
            "the value is infinite: the expected cost until the exit is, since the process "
            + ("escapes the exit with a positive probability" if bool(drift > 1) else "stays away from the exit too long"),
            "discount what is paid, add an exit on the other side, or let the drift lead to the exit",
        )
    return edge


def _drift_index(line: LineProblem, *, upper: bool) -> sp.Expr | None:
    """k = lim 2 b x/A, a real number or +-oo; None where this file does not apply or does not know."""
    if line.controls or line.exit_when is None or line.centre or len(line.modes) > 1 or line.discount[0] != 0:
        return None
    if line.equation.problem.objective.form != "expectation" or line.variance[0] == 0:
        return None
    drift, variance, y = _outward(line, upper=upper)
    speed = _limit(drift / y, y)
    if speed is None or not speed.is_finite:
        # faster than linear: the process may explode
        return None
    return _limit(2 * drift * y / variance, y)


def _weight_index(line: LineProblem, running: sp.Expr, drift: sp.Expr, *, upper: bool) -> sp.Expr | None:
    """q where f times the speed density is like y^q; oo where the process is lost and f is not."""
    _, variance, y = _outward(line, upper=upper)
    cost = running.xreplace({line.state: y if upper else -y})
    last = _limit(cost, y)
    if last is None or last == 0:
        return None
    if bool(drift > 1):
        return sp.oo
    pieces = [_limit(y * sp.diff(sp.log(part), y), y) for part in (cost, variance)]
    if any(piece is None or not piece.is_finite for piece in pieces):
        return None
    return drift + pieces[0] - pieces[1]


def _outward(line: LineProblem, *, upper: bool) -> tuple[sp.Expr, sp.Expr, sp.Symbol]:
    """Drift and variance in y, the distance towards the end."""
    y = sp.Dummy("y", positive=True)
    place = y if upper else -y
    drift, variance = (e.xreplace({line.state: place}) for e in (line.drift[0], line.variance[0]))
    return (drift if upper else -drift), variance, y


def _limit(expression: sp.Expr, y: sp.Symbol) -> sp.Expr | None:
    """The limit at infinity, None where there is none or it was not found."""
    try:
        with time_budget(_SECONDS):
            found = sp.limit(sp.simplify(expression), y, sp.oo)
    except (BudgetExceeded, NotImplementedError, ValueError):
        return None
    return found if found.is_number and found.is_extended_real else None
