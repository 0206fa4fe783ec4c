"""Sums that stand for the mean over a jump's mark, for each level its own.

In: a problem. Out: nodes and weights a jump. V after a jump is smooth enough for the few nodes of a Gauss rule where nothing ends
the process, noise smooths it and no formula of the file bends. Otherwise the mark's law is cut into panels, more of them on every
level, so that levels that agree have also agreed on the mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sympy as sp

from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import MarkLaw
from hjbdsl.model.solution import Array
from hjbdsl.numeric.marks import MarkSupport, mark_quadrature, mark_support

MARK_NODES = 16
PANEL_NODES = 4
PANELS = {1: 8, 2: 4, 3: 2, 4: 1}
"""Panels on the coarsest level by the number of continuous states; half as many, and growing slower, where noise smooths V."""
MOST_PANELS = {1: 128, 2: 16, 3: 8, 4: 4}
FAR_MARK = 1e9
"""Stands for the infinite end of a mark's law."""


def panel_rule(kind: str, first: float, second: float, panels: int, nodes: int) -> tuple[Array, Array]:
    """Marks and weights of normal(first, second), exponential(first) or uniform(first, second): Gauss-Legendre nodes on equal
    panels of a variable in which the law is spread out."""
    z, w = np.polynomial.legendre.leggauss(nodes)
    y = ((np.arange(panels)[:, None] + 0.5 * (z + 1.0)) / panels).ravel()
    w = np.tile(w, panels)
    if kind == "exponential":
        marks, w = -4.0 * np.log1p(-y) / first, w * (1.0 - y) ** 3
    elif kind == "normal":
        y = 2.0 * y - 1.0
        z = y * (3.0 + 5.0 * y * y)  # to 8 deviations, closest where the mass is
        marks, w = first + np.sqrt(second) * z, w * (3.0 + 15.0 * y * y) * np.exp(-0.5 * z * z)
    else:
        marks = first + (second - first) * y
    return marks, w / w.sum()


@dataclass(frozen=True, slots=True)
class MarkRules:
    """`fixed`: marks and weights a jump that serve on every level, None where the jump's law has panels; `laws`: (kind, its
    numbers) of those; `ends`: of the law's support, with weight 0: no mass to speak of, but a jump there must not leave the state
    space; `dimension`: continuous states; `coarsest`: panels on the coarsest level, `growth`: the power of the cells that their
    number grows with."""

    fixed: tuple[tuple[Array, Array] | None, ...]
    laws: tuple[tuple[str, float, float], ...]
    ends: tuple[Array, ...]
    dimension: int
    coarsest: int = 1
    growth: float = 1.0

    @staticmethod
    def of(equation: HJBEquation) -> MarkRules:
        problem = equation.problem
        d = len(problem.continuous_states)
        ends = problem.exit is not None or any(c.kind == "value" for c in equation.boundaries)
        broken = ends or problem.stopping is not None or not _smoothed(equation)
        cut = d in PANELS and (broken or _bent(equation))
        coarsest, growth = (PANELS.get(d, 1), 1.0) if broken else (max(1, PANELS.get(d, 1) // 2), 0.5)
        fixed: list[tuple[Array, Array] | None] = []
        for jump in problem.jumps:
            rule = mark_quadrature(jump.law, problem.values, MARK_NODES)
            fixed.append(None if cut and not rule.exact else (rule.nodes, rule.weights))
        laws = tuple(_numbers(jump.law, equation) for jump in problem.jumps)
        limits = tuple(_support_ends(mark_support(jump.law, problem.values)) for jump in problem.jumps)
        return MarkRules(tuple(fixed), laws, limits, d, coarsest, growth)

    @property
    def same(self) -> bool:
        """Whether every level has the same rules."""
        return None not in self.fixed

    def panels(self, multiple: int) -> int:
        """On a level with `multiple` times the cells of the coarsest."""
        return min(round(self.coarsest * multiple**self.growth), MOST_PANELS.get(self.dimension, 1))

    def at(self, multiple: int) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """Marks and weights, an array a jump each."""
        rules = [
            given if given is not None else panel_rule(*law, self.panels(multiple), PANEL_NODES)
            for given, law in zip(self.fixed, self.laws, strict=True)
        ]
        marks = tuple(np.append(rule[0], end) for rule, end in zip(rules, self.ends, strict=True))
        return marks, tuple(np.append(rule[1], np.zeros(2)) for rule in rules)

    @property
    def counts(self) -> list[int]:
        """The most nodes that a jump has on any level."""
        return [len(marks) for marks in self.at(MOST_PANELS.get(self.dimension, 1))[0]]


def _smoothed(equation: HJBEquation) -> bool:
    """Whether there is noise in every state that a jump moves."""
    moved = {axis for jump in equation.problem.jumps for axis, by in jump.displacement.items() if by != 0}
    return all((axis, axis) in equation.covariance for axis in moved & set(equation.problem.continuous_states))


def _bent(equation: HJBEquation) -> bool:
    """Whether a formula of the file has a kink or jumps."""
    problem, objective = equation.problem, equation.problem.objective
    formulas = [objective.running, objective.terminal, objective.discount, *problem.drift, *(jump.rate for jump in problem.jumps)]
    return any(sp.sympify(e).has(sp.Piecewise, sp.Min, sp.Max, sp.Abs, sp.sign) for e in formulas if e is not None)


def _numbers(law: MarkLaw, equation: HJBEquation) -> tuple[str, float, float]:
    numbers = [float(equation.problem.numeric(sp.sympify(argument))) for argument in law.arguments]
    first, second = [*numbers, 0.0, 0.0][:2]
    return law.kind, first, second


def _support_ends(support: MarkSupport) -> Array:
    return np.clip([support.low, support.high], -FAR_MARK, FAR_MARK)


__all__ = ["MarkRules", "panel_rule"]
