"""Coordinates in which a diffusion is linear: a state itself, or its logarithm where the state moves in proportion to itself.

In: the problem. Out: the chart, expressions carried into it, derivatives carried back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sympy as sp

from hjbdsl.methods.closed_form.family import Derivatives
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Array, Rejected


@dataclass(frozen=True, slots=True)
class Chart:
    """`coordinates[i]` stands for states[i], or for log(states[i]) where `logarithmic[i]`."""

    states: tuple[sp.Symbol, ...]
    coordinates: tuple[sp.Symbol, ...]
    logarithmic: tuple[bool, ...]

    def carry(self, expression: sp.Expr) -> sp.Expr:
        """`expression` in the chart's coordinates."""
        table = {x: sp.exp(z) for x, z, log in zip(self.states, self.coordinates, self.logarithmic, strict=True) if log}
        return expression.xreplace(table) if table else expression

    def forward(self, x: Array) -> Array:
        """States (k, n) to coordinates (k, n); NaN or -inf outside the domain."""
        mask = np.array(self.logarithmic)
        with np.errstate(all="ignore"):
            return np.where(mask, np.log(np.where(mask, x, 1.0)), x)

    def gradient_back(self, x: Array, gradient: Array) -> Array:
        """V_x from V_z."""
        return np.where(np.array(self.logarithmic), gradient / np.where(np.array(self.logarithmic), x, 1.0), gradient)

    def back(self, x: Array, v: Derivatives) -> Derivatives:
        """Derivatives in the states from derivatives in the coordinates: V_x = V_z/x, V_xx = (V_zz - V_z)/x^2 for a logarithm."""
        mask = np.array(self.logarithmic)
        scale = np.where(mask, 1.0 / np.where(mask, x, 1.0), 1.0)
        hessian = v.hessian.copy()
        diagonal = np.einsum("kii->ki", hessian)
        diagonal -= np.where(mask, v.gradient, 0.0)
        return Derivatives(v.value, v.time, v.gradient * scale, hessian * scale[:, :, None] * scale[:, None, :])


def choose_chart(problem: ControlProblem) -> Chart | Rejected:
    """A logarithm for each state whose own noise depends on it, the state itself otherwise. Rejects other domains."""
    rows: dict[int, set[sp.Symbol]] = {}
    for (i, _), entry in problem.diffusion.items():
        rows.setdefault(i, set()).update(entry.free_symbols)
    logarithmic = []
    for i, (symbol, bounds) in enumerate(zip(problem.state_symbols, problem.state_bounds, strict=True)):
        lower, upper = problem.numeric(bounds.lower), problem.numeric(bounds.upper)
        if bounds.is_finite_set or bounds.periodic:
            return Rejected(f"{symbol} does not move on the real line")
        log = symbol in rows.get(i, set()) or (lower == 0 and _proportional(problem, i))
        stays_positive = lower == -sp.oo and float(problem.numeric(problem.region[i][0])) > 0 and _proportional(problem, i)
        if log and not ((lower == 0 or stays_positive) and upper == sp.oo):
            return Rejected(f"the noise of {symbol} depends on it, and {symbol} is not a positive state")
        if not log and not (lower == -sp.oo and upper == sp.oo):
            return Rejected(f"{symbol} is bounded, and the law of a linear diffusion is not")
        logarithmic.append(log)
    names = tuple(
        sp.Symbol(f"log {s.name}", real=True) if log else s for s, log in zip(problem.state_symbols, logarithmic, strict=True)
    )
    return Chart(problem.state_symbols, names, tuple(logarithmic))


def one_sided(problem: ControlProblem, chart: Chart) -> tuple[str, ...]:
    """A warning for each state that is declared on the whole line but answered for where it is positive."""
    return tuple(
        f"{x} keeps its sign; the answer is given for {x} > 0, where the region lies"
        for x, bounds, log in zip(problem.state_symbols, problem.state_bounds, chart.logarithmic, strict=True)
        if log and bounds.lower == -sp.oo
    )


def _proportional(problem: ControlProblem, i: int) -> bool:
    """Whether the drift of state i is a multiple of it, so that a positive state stays positive."""
    symbol = problem.state_symbols[i]
    return sp.expand(problem.drift[i]).subs(symbol, 0) == 0
