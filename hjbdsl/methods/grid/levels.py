"""One equation's program, run on meshes of any size; each level starts from the one before."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.codegen.store import load_generated
from hjbdsl.errors import SolverError
from hjbdsl.methods.grid.choices import noise_unbounded
from hjbdsl.methods.grid.compilation import compile_beside
from hjbdsl.methods.grid.correction import Corrected, corrected
from hjbdsl.methods.grid.emit import emit
from hjbdsl.methods.grid.feedback import Nodes
from hjbdsl.methods.grid.function import Level
from hjbdsl.methods.grid.howard import Task, improvable, obstacle_side, pseudo_time, sound
from hjbdsl.methods.grid.interpolation import beside_exits
from hjbdsl.methods.grid.marching import Marching
from hjbdsl.methods.grid.mark_rules import MarkRules
from hjbdsl.methods.grid.memory import shortage
from hjbdsl.methods.grid.mesh import CIRCLE, Axis, Mesh
from hjbdsl.methods.grid.program import GridProgram
from hjbdsl.methods.grid.prolongation import CUBIC, LINEAR, NEAREST, refined
from hjbdsl.methods.grid.recast import recast
from hjbdsl.methods.grid.stationary import settle
from hjbdsl.methods.grid.trials import beyond_formulas
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Array

SLICES = {1: 80, 2: 48, 3: 12, 4: 6}
FIRST_CELLS = {1: 24, 2: 16, 3: 16, 4: 8}
COARSEST = {1: 8, 2: 8, 3: 4, 4: 4}
"""Cells of the finest level for one of the coarsest."""
MOST_IMPROVABLE = 0.6
MOST_CROSSINGS = 1e4


@dataclass(frozen=True, slots=True)
class Central:
    """V and the average after the corrections of `correction`; the size of the last of them, at the nodes (S, *shape) and, on the
    region, as a share of the first."""

    level: Level
    average: float
    left: Level
    share: float


@dataclass(frozen=True, slots=True)
class Solved:
    """One level: V, policy of the scheme (slices, S, controls, *shape), the policy asked for likewise (means, then standard
    deviations where it is random), stopping set (slices, S, *shape), the relative change of V in the last policy iteration,
    seconds taken; `corrected`: what central differences make of V, found when it is first asked for."""

    level: Level
    policy: Array
    shown: Array
    stopped: NDArray[np.bool_] | None
    residual: float
    seconds: float
    way: str
    numbers: Mapping[str, float]
    corrected: Callable[[], Central | None] = lambda: None

    def controls(self, t: Array, y: Array, s: NDArray[np.int64]) -> list[Array]:
        """`shown` at k points, by column."""
        mesh, times = self.level.mesh, self.level.times
        return [Nodes(mesh, times, self.shown[:, :, c]).at(t, y, s) for c in range(self.shown.shape[2])]


_Parts = tuple[Array, Array, Array, NDArray[np.bool_], float, str, dict[str, float], Callable[[], Corrected | None]]


def nodes_of(axes: tuple[Axis, ...], multiple: int) -> str:
    """The size of a level in words."""
    return " x ".join(str(axis.nodes(multiple)) for axis in axes) + " nodes"


def share_done(axes: tuple[Axis, ...], multiple: int) -> float:
    """The share of the work that lies before a level: work grows with the cells."""
    return min(1.0, (multiple / (2.0 * COARSEST[len(axes)])) ** len(axes))


class TooLarge(SolverError):
    """A level that does not fit into the memory."""


class Runner:
    """Writes and loads the program once. `steps`: time steps on the finest level (0: the method's own)."""

    def __init__(self, equation: HJBEquation, steps: float, deadline: float):
        self.form, self.deadline = recast(equation), deadline
        self.equation = equation = self.form.equation
        problem = equation.problem
        d = len(problem.continuous_states)
        if equation.stationary or equation.covariance:
            compile_beside(d)
        self.rules = MarkRules.of(equation)
        self.module = load_generated(emit(self.form, self.rules.counts), "grid")
        self.noisy_axes = noise_unbounded(equation)
        self.noisy = any(self.noisy_axes)
        # where formulas give the maximiser in every case, no policy is stuck between them
        self.freely = [] if self.module.DIRECT and not self.noisy else self.unbounded()
        self.end = math.inf if equation.stationary else float(problem.numeric(problem.objective.end))
        self.slices = SLICES[d]
        self.marching = Marching(
            equation, self.end, self.slices, COARSEST[d], math.ceil(steps / COARSEST[d]), deadline, self.noisy
        )
        self.growth = 2.0 ** (d + 1) if not equation.stationary or d == 1 else 6.0 if d == 2 else 14.0

    def program(self, mesh: Mesh) -> GridProgram:
        """The program on a mesh."""
        return GridProgram(self.module, mesh, *self.rules.at(max(1, mesh.shape[0] // sum(mesh.axes[0].cells))))

    def level(self, axes: tuple[Axis, ...], multiple: int, start: Solved | None, parts: int = 0, killing: float = 0.0) -> Solved:
        """Solve on the mesh with `multiple` times the cells of the coarsest; in time with the steps of a level of `parts` times
        (0: likewise), without it with `killing` added to the discount. Raises TooLarge where memory would not do."""
        shape = tuple(axis.nodes(multiple) for axis in axes)
        short = shortage(self.module, shape, 1 if self.equation.stationary else self.slices + 1)
        if short is not None:
            raise TooLarge(short)
        return self._solved(Mesh.of(axes, shape), start, parts or multiple, killing, False)

    def _solved(self, mesh: Mesh, start: Solved | None, parts: int, killing: float, rough: bool) -> Solved:
        """`rough`: as a start only."""
        began, shape = time.thread_time(), mesh.shape
        program = self.program(mesh)
        solved = self._stationary(program, start, killing, rough) if self.equation.stationary else self._evolution(program, parts)
        times, values, policy, stopped, residual, way, numbers, correct = solved
        grid = (len(values), self.module.MODES, *shape)
        shown = self._shown(program, times, policy)
        policy, shown = (np.moveaxis(nodes.reshape((*grid, nodes.shape[-1])), -1, 2) for nodes in (policy, shown))
        halted = stopped.reshape(grid) if obstacle_side(self.equation) else None
        gone = program.gone.reshape(grid[1:]) if self.module.EXIT else None
        if gone is not None:
            shown = shown.copy()
            beside_exits(shown, gone)
        level = Level(program.mesh, times, values.reshape(grid), gone, not self.equation.stationary and self.marching.abrupt)

        @functools.cache
        def central() -> Central | None:
            found = correct()
            if found is None:
                return None
            V, left = (Level(program.mesh, times, part.reshape(grid), gone) for part in (found.V, found.left))
            return Central(V, found.average, left, found.share)

        return Solved(level, policy, shown, halted, residual, time.thread_time() - began, way, numbers, central)

    def _shown(self, program: GridProgram, times: Array, policy: Array) -> Array:
        """The policy as it is asked for, (slices, nodes, columns), from the scheme's."""
        if not self.module.SHOWN:
            return policy[:, :, : self.module.CONTROLS]
        shown = np.empty((*policy.shape[:2], self.module.SHOWN))
        for t, chosen, out in zip(times, policy, shown, strict=True):
            self.module.show(chosen, t, program.mesh_array, *program.mesh.shape, out)
        return shown

    def _evolution(self, program: GridProgram, parts: int) -> _Parts:
        march = self.marching.run(program, parts)
        numbers = {"steps": float(march.steps)}
        way = f"{march.steps} {march.way} steps in time"
        if march.way == "implicit":
            numbers["time_error"] = march.erred
            way += f", which err by {march.erred:.1g} in the mean"
        way += self.marching.why
        return march.times, march.V, march.policy, march.stopped, march.left, way, numbers, lambda: None

    def _stationary(self, program: GridProgram, start: Solved | None, killing: float, rough: bool) -> _Parts:
        """Policy iteration, from the level before; the coarsest level climbs from a handful of nodes."""
        average = self.equation.problem.objective.form == "average"
        source = np.zeros(program.size) if killing else None
        task = Task(program, 0.0, obstacle_side(self.equation), average, killing, source, noisy=self.noisy)
        V, policy, stopped = np.zeros(program.size), program.new_policy(), None
        if start is None:
            start = self._coarser(program.mesh, killing)
        if start is not None:
            closed = tuple(axis.kind == CIRCLE for axis in program.mesh.axes)
            V = refined(start.level.V[0], program.mesh.shape, closed, CUBIC).ravel()
            for c in range(self.module.CONTROLS):
                policy[:, c] = refined(start.policy[0][:, c], program.mesh.shape, closed, LINEAR).ravel()
            if start.stopped is not None:
                stopped = refined(start.stopped[0].astype(float), program.mesh.shape, closed, NEAREST).ravel() > 0.5
        else:
            V = pseudo_time(task, V, policy)
        try:
            answer = settle(task, V, policy, stopped, start is not None, rough)
        except SolverError:
            V = pseudo_time(task, np.zeros(program.size), policy)
            answer = settle(task, V, policy, None, False, rough)
        if start is None or not self.module.DIRECT or self.noisy:  # formulas go on from a coarser mesh
            answer = beyond_formulas(task, answer)
        if self.freely and improvable(task, answer, self.freely) > MOST_IMPROVABLE:
            raise SolverError("policy iteration is stuck at a policy that is not optimal")
        if self.noisy and _restless(program, answer.policy, answer.stopped) > MOST_CROSSINGS:
            raise SolverError("the best policy on the grid is noise without bound: it lives on the artificial ends")
        numbers = {"iterations": float(answer.iterations), "average": answer.average}
        parts = np.zeros(1), answer.V[None], answer.policy[None], answer.stopped[None]
        return *parts, answer.change, "policy iteration", numbers, lambda: None if task.side else corrected(task, answer)

    def unbounded(self) -> list[int]:
        """Controls that may be scaled freely: unbounded above, from 0 or without end below, bound to no other."""
        problem = self.equation.problem
        if problem.adversaries or any(c.role == "control" for c in problem.constraints):
            return []
        every = [bound for group in problem.controls for bound in group.bounds]
        return [c for c, b in enumerate(every) if not b.points and b.upper == sp.oo and b.lower in (-sp.oo, sp.S.Zero)]

    def _coarser(self, mesh: Mesh, killing: float) -> Solved | None:
        """The solution with half the cells, or nearly so, where that still is a grid; every node there is one here where an exit
        might fall between the nodes, and where a control without bound scales the noise: its policies depend on the start."""
        cells = [n - (axis.kind != CIRCLE) for axis, n in zip(mesh.axes, mesh.shape, strict=True)]
        if (
            max(cells) < FIRST_CELLS[len(cells)]
            or min(c * axis.cells[1] / sum(axis.cells) for axis, c in zip(mesh.axes, cells, strict=True)) < 4
        ):
            return None
        if (self.module.EXIT or self.noisy) and any(c % 2 for c in cells):
            return None
        shape = tuple(-(-c // 2) + (axis.kind != CIRCLE) for axis, c in zip(mesh.axes, cells, strict=True))
        try:
            return self._solved(Mesh.of(mesh.axes, shape), None, 1, killing, not self.noisy)
        except SolverError:
            return None  # too coarse to be solved is only no start


def _restless(program: GridProgram, policy: Array, stopped: NDArray[np.bool_]) -> float:
    """How many times noise crosses the whole mesh while the future is discounted by e (the median over the nodes): an
    unbounded control of the noise gains from reflection at artificial ends, where there is no law against it."""
    rows, failures = program.rows(policy, 0.0)
    sound(failures)
    discount = np.empty(program.size)
    program.module.discounts(policy, 0.0, program.mesh_array, *program.mesh.shape, discount)
    free = ~(stopped | program.gone)
    speed = np.zeros(program.size)
    for i, n in enumerate(program.mesh.shape):
        speed = np.maximum(speed, (rows.axial[2 * i] + rows.axial[2 * i + 1]) / n**2)
    return float(np.median((speed / np.maximum(discount, 1e-3))[free])) if free.any() else 0.0


__all__ = ["Runner", "Solved", "TooLarge", "nodes_of", "share_done"]
