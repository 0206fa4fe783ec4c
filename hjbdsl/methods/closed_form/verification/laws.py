"""Quadrature of the laws of jump marks.

In: a `MarkLaw`. Out: nodes and weights with sum(weights * g(nodes)) = E g(mark): exact for atoms, else composite
Gauss-Legendre, good to 1e-13 for smooth g that grow slower than the density decays.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import sympy as sp

from hjbdsl.model.problem import MarkLaw
from hjbdsl.model.solution import Array

_NODES_A_PANEL = 16


def panels(edges: Array) -> tuple[Array, Array]:
    """Composite Gauss-Legendre nodes and weights on the panels between `edges`."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES_A_PANEL)
    middle, half = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
    return (middle[:, None] + half[:, None] * nodes).ravel(), (half[:, None] * weights).ravel()


def quadrature(law: MarkLaw, exact: Callable[[sp.Basic], sp.Basic]) -> tuple[Array, Array]:
    """Nodes and weights of the law, with `exact` putting the parameters' numbers into its arguments."""
    values = [float(exact(argument)) for argument in law.arguments]
    match law.kind:
        case "none":
            return np.zeros(1), np.ones(1)
        case "discrete":
            return np.array([float(exact(a)) for a, _ in law.atoms]), np.array([float(exact(p)) for _, p in law.atoms])
        case "uniform":
            low, high = values
            nodes, weights = panels(np.linspace(low, high, 5))
            return nodes, weights / (high - low)
        case "normal":
            mean, deviation = values[0], np.sqrt(values[1])
            nodes, weights = panels(np.linspace(-11.0, 11.0, 9))
            return mean + deviation * nodes, weights * np.exp(-(nodes**2) / 2) / np.sqrt(2 * np.pi)
        case "exponential":
            (rate,) = values
            nodes, weights = panels(np.concatenate([[0.0], np.geomspace(0.05, 60.0, 14)]))
            return nodes / rate, weights * np.exp(-nodes)
        case _:
            raise ValueError(f"unknown law {law.kind}")
