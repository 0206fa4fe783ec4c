"""A compiled program on one mesh: the generated kernels with the arrays they read.

In: equation, generated module, mesh. Out: H(V) with the best policy (`sweep`), the rows of a policy (`assemble`), node data.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from hjbdsl.methods.grid.mesh import Mesh
from hjbdsl.model.solution import Array


@dataclass(frozen=True, slots=True)
class Rows:
    """The scheme under one policy, a row a node: H(V)_j = constant_j + sum_i weights[j, i] V[cols[j, i]] - total_j V_j."""

    cols: NDArray[np.int64]
    weights: Array
    counts: NDArray[np.int64]
    constants: Array
    totals: Array


class GridProgram:
    """Kernels bound to a mesh; vectors have one entry a (discrete state, node), nodes fastest."""

    def __init__(self, module: ModuleType, mesh: Mesh, marks: tuple[Array, ...], mark_weights: tuple[Array, ...]):
        self.module, self.mesh = module, mesh
        self.size = module.MODES * mesh.nodes
        d = len(mesh.axes)
        self.mesh_array = np.zeros((3 * d + 1, max(2 * d, *mesh.shape)))
        for i, n in enumerate(mesh.shape):
            self.mesh_array[3 * i : 3 * i + 3, :n] = mesh.X[i], mesh.G[i], mesh.C[i]
            self.mesh_array[3 * d, 2 * i : 2 * i + 2] = mesh.axes[i].slopes
        self.gone = np.zeros(self.size, np.bool_)
        edges = np.array([axis.ends for axis in mesh.axes], np.int64)
        self.arguments = (
            self.mesh_array, *mesh.shape, edges,
            *((self.gone,) if module.EXIT else ()), *((marks, mark_weights) if module.JUMPS else ()),
        )  # fmt: skip
        if module.EXIT:
            self.gone[:] = self.data(0.0, 0) > 0.5

    def data(self, t: float, kind: int) -> Array:
        """kind 1: exit value, 2: obstacle, 3: terminal value at time t."""
        out = np.empty(self.size)
        self.module.node_data(t, self.mesh_array, *self.mesh.shape, kind, out)
        return out

    def new_policy(self) -> Array:
        return np.zeros((self.size, max(self.module.CONTROLS, 1)))

    def sweep(self, V: Array, policy: Array, t: float) -> tuple[Array, Array, int]:
        """H(V) and row totals under the best policy, which is written into `policy`; and the number of failed nodes."""
        H, totals = np.empty(self.size), np.empty(self.size)
        failures = self.module.sweep(V, H, totals, policy, t, *self.arguments)
        return H, totals, failures

    def rows(self, policy: Array, t: float) -> tuple[Rows, int]:
        width = self.module.WIDTH
        cols, weights = np.zeros((self.size, width), np.int64), np.zeros((self.size, width))
        counts, constants, totals = np.zeros(self.size, np.int64), np.zeros(self.size), np.zeros(self.size)
        failures = self.module.assemble(policy, t, *self.arguments, cols, weights, counts, constants, totals)
        return Rows(cols, weights, counts, constants, totals), failures
