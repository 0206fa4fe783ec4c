"""Sums that stand for the mean over a jump's mark, for each level its own.

In: a problem. Out: nodes and weights a jump. Where no jump ends the process, V after it is smooth enough for the few nodes of a
Gauss rule. Where one may, V after it is discontinuous: the mark's law is cut into panels, more of them on every level, so that
levels that agree have also agreed on the mean.
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
PANELS = {1: 8, 2: 4}
"""Panels on the coarsest level by the number of continuous states."""
MOST_PANELS = {1: 128, 2: 16}
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
        marks, w = first + np.sqrt(second) * (16.0 * y - 8.0), w * np.exp(-0.5 * (16.0 * y - 8.0) ** 2)
    else:
        marks = first + (second - first) * y
    return marks, w / w.sum()


@dataclass(frozen=True, slots=True)
class MarkRules:
    """`fixed`: marks and weights a jump that serve on every level, None where the jump's law has panels; `laws`: (kind, its
    numbers) of those; `ends`: of the law's support, with weight 0: no mass to speak of, but a jump there must not leave the state
    space; `dimension`: continuous states."""

    fixed: tuple[tuple[Array, Array] | None, ...]
    laws: tuple[tuple[str, float, float], ...]
    ends: tuple[Array, ...]
    dimension: int

    @staticmethod
    def of(equation: HJBEquation) -> MarkRules:
        problem = equation.problem
        d = len(problem.continuous_states)
        cut = d in PANELS and (problem.exit is not None or any(c.kind == "value" for c in equation.boundaries))
        fixed: list[tuple[Array, Array] | None] = []
        for jump in problem.jumps:
            rule = mark_quadrature(jump.law, problem.values, MARK_NODES)
            fixed.append(None if cut and not rule.exact else (rule.nodes, rule.weights))
        laws = tuple(_numbers(jump.law, equation) for jump in problem.jumps)
        ends = tuple(_support_ends(mark_support(jump.law, problem.values)) for jump in problem.jumps)
        return MarkRules(tuple(fixed), laws, ends, d)

    @property
    def same(self) -> bool:
        """Whether every level has the same rules."""
        return None not in self.fixed

    def panels(self, multiple: int) -> int:
        """On a level with `multiple` times the cells of the coarsest."""
        return min(PANELS.get(self.dimension, 1) * multiple, MOST_PANELS.get(self.dimension, 1))

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


def _numbers(law: MarkLaw, equation: HJBEquation) -> tuple[str, float, float]:
    numbers = [float(equation.problem.numeric(sp.sympify(argument))) for argument in law.arguments]
    first, second = [*numbers, 0.0, 0.0][:2]
    return law.kind, first, second


def _support_ends(support: MarkSupport) -> Array:
    return np.clip([support.low, support.high], -FAR_MARK, FAR_MARK)


__all__ = ["MarkRules", "panel_rule"]
