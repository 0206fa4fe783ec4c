"""One interval of the state on which the equation is solved: its coordinate, its two ends, its coefficients on a mesh.

In: a line problem and the ends found by `ends`. Out: what one linear solve needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import sympy as sp

from hjbdsl.methods.closed_form.one_dimensional.compiled import compiled
from hjbdsl.methods.closed_form.one_dimensional.coordinate import Coordinate
from hjbdsl.methods.closed_form.one_dimensional.elements import Coefficients, EndCondition, Mesh, System
from hjbdsl.methods.closed_form.one_dimensional.line import LineProblem
from hjbdsl.methods.closed_form.one_dimensional.policy import Law
from hjbdsl.model.solution import Array


@dataclass(frozen=True, slots=True)
class Edge:
    """One end in x (+-inf allowed). `amount`: by mode, V for "value" and V_x for "slope"; "growth": the end is never
    reached, the domain is cut at a distance; "lost": the same, and V = 0
    at the cut; "returning": the same, and V_y = 0 there. `why`: a clause for the reader."""

    kind: Literal["value", "slope", "natural", "growth", "lost", "returning"]
    location: float
    amount: tuple[float, ...]
    why: str

    @property
    def is_cut(self) -> bool:
        return self.kind in ("growth", "lost", "returning")


@dataclass(frozen=True, slots=True)
class Component:
    """The interval (lower.location, upper.location) with everything the solver reads."""

    line: LineProblem
    laws: tuple[Law, ...]
    coordinate: Coordinate
    lower: Edge
    upper: Edge

    @property
    def modes(self) -> int:
        return len(self.laws)

    @property
    def average(self) -> bool:
        return self.line.equation.problem.objective.form == "average"

    def window(self) -> tuple[float, float]:
        """The part of the region inside this component, in y."""
        low, high = max(self.line.low, self.lower.location), min(self.line.high, self.upper.location)
        y = self.coordinate.from_state(np.array([low, high]))
        inner = self.coordinate.from_state(np.array([low + 1e-6 * (high - low), high - 1e-6 * (high - low)]))
        y = np.where(np.isfinite(y), y, inner)
        return float(y[0]), float(y[1])

    def span(self, padding: float) -> tuple[float, float]:
        """The interval in y, cut `padding` window widths (in an unbounded logarithm: units) beyond the region at
        growth ends.
        """
        low, high = self.window()
        unit = high - low if self.coordinate.kind == "identity" else max(1.0, (high - low) / 2)
        ends = self.coordinate.from_state(np.array([self.lower.location, self.upper.location]))
        left = low - padding * unit if self.lower.is_cut else float(ends[0])
        right = high + padding * unit if self.upper.is_cut else float(ends[1])
        return left, right

    def payoff(self, y: Array) -> Array:
        """(m, ...) payoff of stopping, zeros without a stopping rule."""
        if self.line.payoff is None:
            return np.zeros((self.modes, *y.shape))
        return np.array(compiled((self.line.state,), self.line.payoff)(self.coordinate.to_state(y)))

    def payoff_derivatives(self, y: Array) -> tuple[Array, Array, Array]:
        """g, g_x, g_xx, each (m, k)."""
        assert self.line.payoff is not None
        state = self.line.state
        orders = _payoff_orders(self.line.payoff, state)
        x = self.coordinate.to_state(y)
        value, slope, curvature = (np.array(compiled((state,), row)(x)) for row in orders)
        return value, slope, curvature

    def coefficients(self, y: Array, controls: Array) -> Coefficients:
        """At positions `y` (...), with `controls` (m, ..., number of controls)."""
        x = self.coordinate.to_state(y)
        first, ratio = self.coordinate.rates(y)
        alpha, beta, discount, running = (np.empty((self.modes, *y.shape)) for _ in range(4))
        for k, law in enumerate(self.laws):
            found = law.coefficients_at(x.ravel(), controls[k].reshape(x.size, -1))
            drift, variance, f, r = (part.reshape(y.shape) for part in found)
            alpha[k] = variance / (2 * first**2)
            beta[k] = drift / first - ratio * variance / (2 * first**2)
            running[k], discount[k] = f, (np.zeros_like(r) if self.average else r)
        return Coefficients(alpha, beta, discount, running, self.rates(x))

    def rates(self, x: Array) -> Array:
        """(m, m, ...) intensities between modes."""
        result = np.zeros((self.modes, self.modes, *x.shape))
        for (i, j), rate in self.line.rates.items():
            result[i, j] = compiled((self.line.state,), (rate,))(x)[0]
        return result

    def system(self, mesh: Mesh, reference: int | None) -> System:
        """The linear system's frame on `mesh`."""
        conditions = []
        for edge, y, upper in ((self.lower, mesh.breaks[0], False), (self.upper, mesh.breaks[-1], True)):
            amount = np.array(edge.amount)
            if edge.kind == "slope":
                amount = amount * self.coordinate.rates(np.array([y]))[0][0]
            conditions.append(EndCondition(_condition(edge), amount, self.coordinate.growth(upper)))
        return System(mesh, conditions[0], conditions[1], self.payoff(mesh.nodes()), self.payoff(mesh.breaks), reference)


def _condition(edge: Edge) -> Literal["value", "slope", "natural", "growth"]:
    match edge.kind:
        case "lost":
            return "value"
        case "returning":
            return "slope"
        case _:
            return edge.kind


@lru_cache(maxsize=64)
def _payoff_orders(payoff: tuple[sp.Expr, ...], state: sp.Symbol) -> tuple[tuple[sp.Expr, ...], ...]:
    """g, g_x, g_xx, each a tuple over the modes."""
    smooth = [_without_deltas(g) for g in payoff]
    return tuple(tuple(sp.diff(g, state, order) for g in smooth) for order in range(3))


def _without_deltas(expression: sp.Expr) -> sp.Expr:
    """max and min as cases, |y| too, so that derivatives hold no Dirac deltas."""
    return expression.rewrite(sp.Piecewise).doit() if expression.has(sp.Max, sp.Min, sp.Abs, sp.sign) else expression
