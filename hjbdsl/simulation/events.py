"""Jumps and mode switches: things that happen at a rate.

In: places, controls, the length of a step. Out: new states and modes. Every jump process and every mode chain is a Poisson
process of unit rate run at the speed of its own rate: it fires when the integrated rate reaches the next exponential clock. Two
simulations that read the same clocks, with different steps, are coupled (Anderson and Higham, Multiscale Model. Simul. 10,
2012).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.model.problem import ControlProblem, Jump, MarkLaw
from hjbdsl.model.solution import Array
from hjbdsl.numeric.marks import mark_quadrature
from hjbdsl.numeric.state_space import number
from hjbdsl.simulation.coefficients import Coefficients
from hjbdsl.simulation.compiled import At, Compiled, Modes, compile_at

_MOST_EVENTS_A_STEP = 64
_ORDER = 12


class ClockTape:
    """For `count` paths and each source of events, the exponential clocks and the uniform numbers that go with them (mark, or
    target of a switch), drawn when first read. Shared by simulations that are to be coupled."""

    def __init__(self, sources: int, count: int, generator: np.random.Generator):
        self._count, self._generator = count, generator
        self._drawn: list[list[tuple[Array, Array]]] = [[] for _ in range(sources)]

    def read(self, source: int, position: NDArray[np.int64], paths: NDArray[np.int64]) -> tuple[Array, Array]:
        """Clock and uniform number `position` of each of `paths`."""
        drawn = self._drawn[source]
        while len(drawn) <= int(position.max(initial=-1)):
            drawn.append((self._generator.exponential(size=self._count), self._generator.uniform(size=self._count)))
        clock, uniform = np.empty(len(paths)), np.empty(len(paths))
        for row in np.unique(position):
            here = position == row
            clock[here], uniform[here] = drawn[row][0][paths[here]], drawn[row][1][paths[here]]
        return clock, uniform


@dataclass(frozen=True, slots=True)
class Clocks:
    """One simulation's place on a tape: `left` (sources, paths) what is left of the running clocks, `position` how many were
    read."""

    tape: ClockTape
    left: Array
    position: NDArray[np.int64]

    @classmethod
    def start(cls, tape: ClockTape, sources: int, count: int) -> Clocks:
        left, everyone = np.empty((sources, count)), np.arange(count)
        for source in range(sources):
            left[source] = tape.read(source, np.zeros(count, dtype=np.int64), everyone)[0]
        return cls(tape, left, np.zeros((sources, count), dtype=np.int64))

    def ring(self, source: int, paths: NDArray[np.int64]) -> Array:
        """The clocks of `paths` have run out: wind them anew; the uniform numbers of the events."""
        _, uniform = self.tape.read(source, self.position[source, paths], paths)
        self.position[source, paths] += 1
        self.left[source, paths] = self.tape.read(source, self.position[source, paths], paths)[0]
        return uniform


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to the paths `rows` of a step: jump number `jump` with `mark`, or -1 for a switch to mode `mode`;
    `time` since the step began."""

    rows: NDArray[np.int64]
    jump: int
    mark: Array
    mode: Modes
    time: Array

    def kept(self, stays: NDArray[np.bool_]) -> Event:
        """The event for the paths of the step that `stays` marks."""
        mine = stays[self.rows]
        return Event(self.rows[mine], self.jump, self.mark[mine], self.mode[mine], self.time[mine])


@dataclass(frozen=True, slots=True)
class EventLaw:
    """Jumps and switches of a problem. `displacements[j]` needs the mark as last argument; `joint[mode, chain, label]` is the
    joint mode after a switch; `lattice` the points of the states that live in finite sets; `quadratures` nodes and weights of
    the marks' laws."""

    jumps: tuple[Jump, ...]
    laws: tuple[tuple[str, tuple[float, ...], Array, Array], ...]
    displacements: tuple[Compiled, ...]
    moved: tuple[tuple[int, ...], ...]
    coefficients: Coefficients
    labels: NDArray[np.int64]
    joint: NDArray[np.int64]
    chains: int
    lattice: dict[int, Array]
    quadratures: tuple[tuple[Array, Array], ...]

    @property
    def sources(self) -> int:
        return len(self.jumps) + self.chains

    def rates(self, at: At) -> tuple[Array, Array]:
        """Rate of every source (sources, k), and of every possible switch (switches, k), 0 out of other modes."""
        jumps = np.maximum(self.coefficients.rates(at), 0.0)
        switches = np.maximum(self.coefficients.switches(at), 0.0)
        total = np.zeros((self.chains, len(at.t)))
        for row, (chain, start, _) in zip(switches, self.coefficients.switch_index, strict=True):
            row[self.labels[at.mode, chain] != start] = 0.0
            total[chain] += row
        return np.concatenate([jumps, total]), switches

    def happened(self, at: At, dt: float, clocks: Clocks, paths: NDArray[np.int64]) -> list[Event]:
        """What happens at `at` within dt, in order; `paths` are the numbers of the rows on the tape."""
        events: list[Event] = []
        x, mode, rest = at.x.copy(), at.mode.copy(), np.full(len(at.t), dt)
        rows = np.arange(len(at.t))
        for _ in range(_MOST_EVENTS_A_STEP):
            here = At(at.t[rows], x[rows], mode[rows], at.control[rows])
            rates, switches = self.rates(here)
            with np.errstate(divide="ignore", invalid="ignore"):
                wait = np.where(rates > 0, clocks.left[:, paths[rows]] / rates, np.inf)
            source = np.argmin(wait, axis=0)
            soonest = np.min(wait, axis=0)
            elapsed = np.minimum(soonest, rest[rows])
            clocks.left[:, paths[rows]] = np.maximum(clocks.left[:, paths[rows]] - rates * elapsed, 0.0)
            fires = soonest < rest[rows]
            rest[rows] -= elapsed
            if not fires.any():
                break
            for s in np.unique(source[fires]):
                hit = np.flatnonzero(fires & (source == s))
                event = self._event(
                    int(s),
                    rows[hit],
                    here.rows(hit),
                    switches[:, hit],
                    clocks.ring(int(s), paths[rows[hit]]),
                    dt - rest[rows[hit]],
                )
                events.append(event)
                x[event.rows], mode[event.rows] = self.after(event, At(at.t, x, mode, at.control))
            rows = rows[fires]
        return events

    def _event(self, source: int, rows: NDArray[np.int64], at: At, switches: Array, uniform: Array, time: Array) -> Event:
        if source < len(self.jumps):
            return Event(rows, source, self._mark(source, uniform), at.mode, time)
        chain = source - len(self.jumps)
        own = [i for i, (c, _, _) in enumerate(self.coefficients.switch_index) if c == chain]
        ladder = np.cumsum(switches[own], axis=0)
        chosen = (uniform * ladder[-1] >= ladder).sum(axis=0).clip(max=len(own) - 1)
        labels = np.array([self.coefficients.switch_index[i][2] for i in own])[chosen]
        return Event(rows, -1, np.zeros(len(rows)), self.joint[at.mode, chain, labels], time)

    def _mark(self, jump: int, uniform: Array) -> Array:
        kind, arguments, points, ladder = self.laws[jump]
        match kind:
            case "none":
                return np.zeros(len(uniform))
            case "discrete":
                return points[np.searchsorted(ladder, uniform, side="right").clip(max=len(points) - 1)]
            case "normal":
                from scipy.special import ndtri  # noqa: PLC0415 (only problems with such marks pay for the import)

                return np.asarray(arguments[0] + np.sqrt(arguments[1]) * ndtri(uniform))
            case "exponential":
                return -np.log1p(-uniform) / arguments[0]
            case "uniform":
                return arguments[0] + (arguments[1] - arguments[0]) * uniform
            case _:
                raise ValueError(f"unknown mark law `{kind}`")

    def after(self, event: Event, at: At) -> tuple[Array, Modes]:
        """State and mode of the event's rows after it, from those in `at` before it."""
        x, rows = at.x[event.rows].copy(), event.rows
        if event.jump < 0:
            return x, event.mode
        landing = x.copy()
        for i, shift in zip(self.moved[event.jump], self.displacements[event.jump](at.rows(rows), event.mark), strict=True):
            landing[:, i] += shift
        for i in self.moved[event.jump]:
            if i in self.lattice:  # a jump that would leave the finite set does not happen
                points = self.lattice[i]
                nearest = points[np.argmin(np.abs(landing[:, i, None] - points), axis=1)]
                stays = np.abs(nearest - landing[:, i]) > 1e-9
                landing[:, i] = nearest
                landing[stays] = x[stays]
        return landing, at.mode[rows]


def event_law(problem: ControlProblem, coefficients: Coefficients, lattice: dict[int, Array]) -> EventLaw:
    """Compile the displacements and the tables of joint modes."""
    marks = [jump.mark if jump.mark is not None else sp.Dummy("mark", real=True) for jump in problem.jumps]
    labels = np.array(problem.mode_tuples(), dtype=np.int64).reshape(len(problem.mode_tuples()), len(problem.modes))
    index = {tuple(row): i for i, row in enumerate(labels.tolist())}
    widest = max((len(chain.labels) for chain in problem.modes), default=0)
    joint = np.zeros((len(labels), len(problem.modes), widest), dtype=np.int64)
    for number_, row in enumerate(labels.tolist()):
        for c, chain in enumerate(problem.modes):
            for label in range(len(chain.labels)):
                joint[number_, c, label] = index[(*row[:c], label, *row[c + 1 :])]
    return EventLaw(
        problem.jumps,
        tuple(_law(problem, jump.law) for jump in problem.jumps),
        tuple(
            compile_at(problem, list(jump.displacement.values()), mark) for jump, mark in zip(problem.jumps, marks, strict=True)
        ),
        tuple(tuple(jump.displacement) for jump in problem.jumps),
        coefficients,
        labels,
        joint,
        len(problem.modes),
        lattice,
        tuple((q.nodes, q.weights) for q in (mark_quadrature(jump.law, problem.values, _ORDER) for jump in problem.jumps)),
    )


def _law(problem: ControlProblem, law: MarkLaw) -> tuple[str, tuple[float, ...], Array, Array]:
    arguments = tuple(number(problem, a) for a in law.arguments)
    points = np.array([number(problem, value) for value, _ in law.atoms])
    return law.kind, arguments, points, np.cumsum([number(problem, p) for _, p in law.atoms])
