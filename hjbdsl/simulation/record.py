"""What is written down of a run: states, modes, controls and rewards of some paths at the times of the grid.

In: a `Run` on its way. Out: `Paths`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hjbdsl.model.solution import Array
from hjbdsl.simulation.compiled import Modes
from hjbdsl.simulation.run import Run

Ending = Literal["running", "horizon", "exit", "stop"]
ENDINGS: tuple[Ending, ...] = ("running", "horizon", "exit", "stop")
"""What the numbers in `Paths.ended` mean."""


@dataclass(frozen=True, slots=True)
class Paths:
    """P paths at the times `t` (S + 1,): x (P, S + 1, n), mode (P, S + 1), control (P, S + 1, m), cumulative discounted reward
    (P, S + 1), payoffs at the end included. After its end a path rests where it ended. `ended` (P,) indexes `ENDINGS`;
    `end_time` (P,) says when."""

    t: Array
    x: Array
    mode: Modes
    control: Array
    reward: Array
    ended: NDArray[np.int64]
    end_time: Array


def joined(parts: Sequence[Paths]) -> Paths:
    """Batches of paths as one; a batch whose paths all ended early rests at their ends."""
    longest = max(parts, key=lambda paths: len(paths.t))
    steps = len(longest.t)

    def together(name: str) -> Array:
        rows = [getattr(paths, name) for paths in parts]
        return np.concatenate([np.concatenate([r, np.repeat(r[:, -1:], steps - r.shape[1], axis=1)], axis=1) for r in rows])

    ended, end_time = (np.concatenate([getattr(paths, name) for paths in parts]) for name in ("ended", "end_time"))
    x, mode, control, reward = (together(name) for name in ("x", "mode", "control", "reward"))
    return Paths(longest.t, x, np.asarray(mode, dtype=np.int64), control, reward, ended, end_time)


class Recorder:
    """Writes down the first `count` paths of a run, step by step."""

    def __init__(self, run: Run, count: int):
        self._run, self._count = run, count
        self._times: list[float] = []
        self._columns: list[tuple[Array, Modes, Array, Array]] = []

    def note(self, time: float) -> None:
        run, rows = self._run, slice(0, self._count)
        self._times.append(time)
        self._columns.append((run.x[rows].copy(), run.mode[rows].copy(), run.control[rows].copy(), run.total[rows].copy()))

    def paths(self) -> Paths:
        """After the run has finished: its last rewards hold the payoffs at the horizon."""
        x, mode, control, reward = (np.stack(part, axis=1) for part in zip(*self._columns, strict=True))
        reward[:, -1] = self._run.total[: self._count]
        ended, time = self._run.ended[: self._count], self._run.time[: self._count]
        return Paths(np.array(self._times), x, mode, control, reward, ended.copy(), time.copy())
