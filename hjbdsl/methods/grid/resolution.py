"""Whether nodes see the data: a peak between two of them is missed on every level alike, and no difference of levels tells.

In: an equation and the finest mesh. Out: what varies within a cell, in words, or None.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import sympy as sp

from hjbdsl.methods.grid.mesh import Mesh
from hjbdsl.methods.grid.steps import may_jump
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Array
from hjbdsl.numeric.compile import compile_expressions
from hjbdsl.numeric.state_space import anywhere

_WITHIN = 24
"""Places looked at in each cell."""
_LINES = 12
"""Lines along each axis, at random values of everything else."""
_MOST = 0.2
"""Of how a datum varies along a line, what lines between the nodes may miss of it, in the mean."""


def unseen(equation: HJBEquation, mesh: Mesh, box: Sequence[tuple[float, float]], end: float) -> str | None:
    """What is paid and peaks between the nodes of `mesh` within the region `box`, and where. What jumps is averaged over cells,
    and not looked at."""
    axes = [equation.problem.state_symbols[i] for i in equation.problem.continuous_states]
    for name, datum in _paid(equation):
        for i, axis in enumerate(axes):
            if axis not in datum.free_symbols or may_jump(datum):
                continue
            low, high = box[i]
            nodes = mesh.X[i][(mesh.X[i] >= low) & (mesh.X[i] <= high)]
            if nodes.size > 2:
                place = _peak(equation, datum, axis, np.sort(nodes), end)
                if place is not None:
                    return f"{name} peaks between two nodes, near {axis} = {place:.6g}"
    return None


def _paid(equation: HJBEquation) -> Iterator[tuple[str, sp.Basic]]:
    problem, objective = equation.problem, equation.problem.objective
    stop = equation.obstacle.payoff if equation.obstacle is not None else None
    for name, part in (
        ("the running reward", objective.running), ("the terminal reward", objective.terminal), ("what stopping pays", stop),
    ):  # fmt: skip
        if part is not None:
            yield name, problem.numeric(sp.sympify(part))


def _peak(equation: HJBEquation, datum: sp.Basic, axis: sp.Symbol, nodes: Array, end: float) -> float | None:
    """Where a datum leaves the lines between `nodes` the most, where on some line it leaves them altogether."""
    others = sorted(datum.free_symbols - {axis}, key=str)
    places = anywhere(equation.problem, others, end, np.random.default_rng(11), (_LINES, 1))
    shares = np.arange(_WITHIN) / _WITHIN
    fine = (nodes[:-1, None] + np.diff(nodes)[:, None] * shares).ravel()
    function = compile_expressions([axis, *others], [datum])
    values = np.broadcast_to(function(fine[None, :], *places)[0], (_LINES, fine.size))
    ends = np.broadcast_to(function(nodes[None, :], *places)[0], (_LINES, nodes.size))
    for line, at_nodes in zip(values, ends, strict=True):
        if not (np.isfinite(line).all() and np.isfinite(at_nodes).all()):
            continue
        apart = np.abs(line - np.interp(fine, nodes, at_nodes))
        if float(np.mean(apart)) > _MOST * float(np.mean(np.abs(line - np.mean(line)))):
            return float(fine[np.argmax(apart)])
    return None


__all__ = ["unseen"]
