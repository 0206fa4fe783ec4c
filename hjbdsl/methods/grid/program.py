"""A compiled program on one mesh: the generated kernels with the arrays they read.

In: equation, generated module, mesh. Out: H(V) with the best policy (`sweep`), the rows of a policy (`assemble`), node data.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from hjbdsl.methods.grid import relaxation, relaxation_general
from hjbdsl.methods.grid.compilation import await_kernels
from hjbdsl.methods.grid.mesh import CIRCLE, Mesh
from hjbdsl.model.solution import Array


@dataclass(frozen=True, slots=True)
class Rows:
    """The scheme under one policy, a row a node j: H(V)_j = constants[j] - totals[j] V_j + axial[2i, j] V(next on axis i)
    + axial[2i + 1, j] V(the one before) + sum_k weights[j, k] V[cols[j, k]] over k < counts[j]. All weights are >= 0.
    `shape`: (discrete states, nodes on each axis); `circular`: which axes close."""

    shape: tuple[int, ...]
    circular: tuple[bool, ...]
    axial: Array
    cols: NDArray[np.int64]
    weights: Array
    counts: NDArray[np.int64]
    constants: Array
    totals: Array

    def entries(self) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
        """(row, column, weight > 0) of everything off the diagonal."""
        size = self.totals.size
        number = np.arange(size).reshape(self.shape)
        lines, columns, weights = [], [], []
        for i in range(len(self.circular)):
            for k, step in ((2 * i, -1), (2 * i + 1, 1)):
                line = np.nonzero(self.axial[k] > 0.0)[0]
                lines.append(line)
                columns.append(np.roll(number, step, axis=1 + i).ravel()[line])
                weights.append(self.axial[k][line])
        if self.cols.shape[1]:
            line, place = np.nonzero(np.arange(self.cols.shape[1])[None, :] < self.counts[:, None])
            lines.append(line)
            columns.append(self.cols[line, place])
            weights.append(self.weights[line, place])
        return np.concatenate(lines), np.concatenate(columns), np.concatenate(weights)

    def apply(self, V: Array) -> Array:
        """H(V)."""
        d = len(self.circular)
        if d <= 3:
            await_kernels()
            n0, n1, n2 = (1,) * (3 - d) + self.shape[1:]
            circular, H = np.array((False,) * (3 - d) + self.circular), np.empty(V.size)
            rows = (self.axial, self.totals, self.cols, self.weights, self.counts)
            relaxation.defect(V, self.constants, *rows, n0, n1, n2, circular, H)
            return H
        H = np.empty(V.size)
        rows = (self.axial, self.totals, self.cols, self.weights, self.counts)
        relaxation_general.defect(V, self.constants, *rows, np.array(self.shape[1:]), np.array(self.circular), H)
        return H


class GridProgram:
    """Kernels bound to a mesh; vectors have one entry a (discrete state, node), nodes fastest."""

    def __init__(self, module: ModuleType, mesh: Mesh, marks: tuple[Array, ...], mark_weights: tuple[Array, ...]):
        self.module, self.mesh, self.marks, self.mark_weights = module, mesh, marks, mark_weights
        self.size = module.MODES * mesh.nodes
        d = len(mesh.axes)
        self.mesh_array = np.zeros((3 * d + 1, max(2 * d, *mesh.shape)))
        for i, n in enumerate(mesh.shape):
            # derivatives of fifth order need the map's own, and without noise upwinding over wide steps far out would spread
            steps = mesh.axes[i].steps(n) if module.NOISY[i] else (mesh.G[i], 0.0 * mesh.G[i])
            self.mesh_array[3 * i : 3 * i + 3, :n] = mesh.X[i], *steps
            self.mesh_array[3 * d, 2 * i : 2 * i + 2] = mesh.axes[i].slopes
        self._scratch: Rows | None = None
        self.gone = np.zeros(self.size, np.bool_)
        edges = np.array([axis.ends for axis in mesh.axes], np.int64)
        self.arguments = (
            self.mesh_array, *mesh.shape, edges,
            *((self.gone,) if module.EXIT else ()), *((marks, mark_weights) if module.JUMPS else ()),
        )  # fmt: skip
        if module.EXIT:
            self.gone[:] = self.data(0.0, 0) > 0.5

    def on(self, mesh: Mesh) -> GridProgram:
        """The same program on another mesh."""
        return GridProgram(self.module, mesh, self.marks, self.mark_weights)

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

    def scratch(self) -> Rows:
        """Rows to be overwritten again and again, by those who keep none."""
        if self._scratch is None:
            self._scratch = self.empty_rows()
        return self._scratch

    def empty_rows(self) -> Rows:
        """Rows to be filled."""
        width = self.module.WIDTH
        cols, weights, counts = (
            np.empty((self.size, width), np.int64),
            np.empty((self.size, width)),
            np.zeros(self.size, np.int64),
        )
        return Rows(
            (self.module.MODES, *self.mesh.shape), tuple(axis.kind == CIRCLE for axis in self.mesh.axes),
            np.empty((2 * len(self.mesh.axes), self.size)), cols, weights, counts, np.empty(self.size), np.empty(self.size),
        )  # fmt: skip

    def rows(self, policy: Array, t: float, into: Rows | None = None) -> tuple[Rows, int]:
        """The rows of a policy (written into the arrays of `into`), and the number of rows that could not be built."""
        rows = into if into is not None else self.empty_rows()
        failures = self.module.assemble(
            policy, t, *self.arguments, rows.axial, rows.cols, rows.weights, rows.counts, rows.constants, rows.totals
        )
        return rows, failures

    def central_gain(self, V: Array, values: float, policy: Array) -> Array:
        """What H(V) of an equation without time would gain from central differences in place of upwind ones; `values` 0.0: for a
        V that is only a correction, and 0 beyond exits and ends."""
        gain = np.empty(self.size)
        self.module.central_gain(V, values, policy, 0.0, *self.arguments, gain)
        return gain
