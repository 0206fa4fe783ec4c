"""How an equation with time is marched: by explicit steps or by implicit ones, whichever cost less; and with which steps.

In: programs on ever finer meshes. Out: V, policy and stopping set at times, level by level; every level by the same way, with the
steps of the coarsest one cut into as many parts as its cells, so that the levels tell of the error in time as of that in space.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from hjbdsl.errors import SolverError
from hjbdsl.methods.grid.data_in_time import DataInTime
from hjbdsl.methods.grid.evolution import MOST_STAGES, SAFETY, EvolutionAnswer, March
from hjbdsl.methods.grid.implicit import ImplicitMarch, step_times
from hjbdsl.methods.grid.legendre import unchanging
from hjbdsl.methods.grid.program import GridProgram
from hjbdsl.methods.grid.time_mesh import graded_times, kept, subdivided
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Array

SWEEPS = {1: 4.0, 2: 8.0, 3: 10.0, 4: 12.0}
"""Explicit stages that cost as much as an implicit step, by dimension: two sweeps, the rows of every mesh, two cycles."""

MOST_SLICES = 3
"""How many times as many slices in time the data may ask for."""
UNCHANGING = 5.0
"""Explicit stages that cost as much as one that looks for the best policy, where no row changes."""


@dataclass(slots=True)
class Marching:
    """`slices`: times at which the answer is kept, or more where the data want more; `finest`: cells of the finest level for one
    of the coarsest; `least`: steps in time asked for on the coarsest level (in several dimensions the estimated error decides
    alone); `patient`: a first failure is passed on, for another domain to be tried. The first march decides the way and the
    steps."""

    equation: HJBEquation
    end: float
    slices: int
    finest: int
    least: int
    deadline: float
    patient: bool = False
    steps: Array | None = None
    erring: float = 0.0
    data: DataInTime | None = None
    way: str = field(default="")
    why: str = field(default="")

    def run(self, program: GridProgram, parts: int) -> EvolutionAnswer:
        """March on one mesh; `parts`: its cells for one of the coarsest level. Raises SolverError where the march would not end
        before the deadline (on the clock `time.thread_time`)."""
        if not self.way:
            self._decide(program)
        if self.steps is not None:
            times = subdivided(self.steps, parts)
            wanted = self.erring / (self.steps.size - 1) / parts**3
            march = ImplicitMarch(program, self.equation, self.end, self.deadline, wanted)
            try:
                return march.run(times, kept(self.steps, parts, self.slices))
            except SolverError as failure:
                self._explicitly(failure)
        explicit = March(program, self.equation, self.times, self.deadline)
        return explicit.front() if self.way == "front" else explicit.explicit(self._noisy_everywhere(), parts, self.abrupt)

    def _data(self) -> DataInTime:
        self.data = self.data or DataInTime(self.equation, self.end)
        return self.data

    @property
    def abrupt(self) -> bool:
        """Whether the data change fast or at once in time."""
        return self._data().abrupt

    @property
    def times(self) -> Array:
        """From 0 to the end, those at which explicit steps are recorded: dense at the end, and where the data change."""
        return self._data().turning(self._data().followed(graded_times(self.end, self.slices), MOST_SLICES * self.slices), -1.0)

    def _explicitly(self, failure: SolverError) -> None:
        """From now on: such steps ask nothing of an iteration, which in a game may go round in circles."""
        self.way, self.steps, self.why = "explicit", None, f"; implicit ones failed: {failure}"

    def _noisy_everywhere(self) -> bool:
        return all((i, i) in self.equation.covariance for i in self.equation.problem.continuous_states)

    def _decide(self, program: GridProgram) -> None:
        if program.module.FRONT:
            self.way = "front"
            return
        self.way = "explicit"
        d = len(program.mesh.axes)
        if not self.equation.covariance or d not in SWEEPS:
            return
        try:
            steps, erring = step_times(program, self.equation, self._data(), self.deadline, self.least if d == 1 else 0)
        except SolverError as failure:
            if self.patient:
                self.way, self.patient = "", False
                raise
            self._explicitly(failure)
            return
        implicit, explicit = (steps.size - 1) * self.finest * SWEEPS[d], self._stages(program)
        if not self._noisy_everywhere() and unchanging(self.equation):
            explicit /= UNCHANGING
        if d == 1 or implicit < explicit:
            self.way, self.steps, self.erring = "implicit", steps, erring
        if d > 1:
            chosen, other = (implicit, explicit) if self.way == "implicit" else (explicit, implicit)
            self.why = f", the cheaper way: for about {chosen:.2g} explicit stages on the finest level, the other for {other:.2g}"

    def _stages(self, program: GridProgram) -> float:
        """Explicit stages on the finest level, from the rows of the coarsest: in cells, noise there is `finest`**2 times as fast
        as here, drift `finest` times."""
        policy = program.new_policy()
        V = March(program, self.equation, np.array([self.end]), self.deadline).V
        program.sweep(V, policy, self.end)
        rows, _ = program.rows(policy, self.end)
        ahead, behind = rows.axial[::2], rows.axial[1::2]
        drift = self.finest * float(np.nanmax(np.sum(np.abs(ahead - behind), axis=0)))
        noise = self.finest**2 * float(np.nanmax(rows.totals - np.sum(np.abs(ahead - behind), axis=0)))
        largest = SAFETY / max(drift + noise, 1e-12)
        if not self._noisy_everywhere():
            return self.end / largest
        wanted = min(max(1.0 / max(drift, 1e-12), largest), float(np.max(np.diff(self.times))))
        stages = min(MOST_STAGES, math.ceil((math.sqrt(9.0 + 16.0 * wanted / largest) - 1.0) / 2.0) | 1)
        reach = largest if stages == 1 else largest * (stages**2 + stages - 2) / 4.0
        return self.end / min(wanted, reach) * stages


__all__ = ["Marching"]
