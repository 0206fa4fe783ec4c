"""The discrete index of a problem: joint mode and lattice state, flattened to one number d.

In: a problem. Out: for every d the values of the lattice states and of the mode parameters, and where jumps lead.
Modes vary slowest, the last lattice state fastest.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Array

LARGEST = 20_000
"""Discrete states beyond which a coupled system of coefficients is out of reach of dense linear algebra."""


@dataclass(frozen=True, slots=True)
class DiscreteIndex:
    """`lattice` (D, n_l) values of the lattice states; `mode_parameters` (D, n_p) values of the mode parameters; `mode` (D,) the
    joint mode; `axes` the sorted points of each lattice state."""

    modes: tuple[tuple[int, ...], ...]
    mode: NDArray[np.int64]
    lattice: Array
    mode_parameters: Array
    axes: tuple[Array, ...]

    @property
    def size(self) -> int:
        return len(self.mode)

    @property
    def lattice_size(self) -> int:
        return self.size // len(self.modes)

    def locate(self, lattice: Array, mode: NDArray[np.int64]) -> NDArray[np.int64]:
        """The index of points with lattice values (k, n_l) and joint modes (k,); -1 where a value is not on the lattice."""
        index = np.zeros(len(mode), dtype=np.int64)
        inside = np.ones(len(mode), dtype=bool)
        for column, axis in enumerate(self.axes):
            place = np.abs(lattice[:, column, None] - axis).argmin(axis=1)
            inside &= np.abs(axis[place] - lattice[:, column]) < 1e-9 * (1 + np.abs(axis[place]))
            index = index * len(axis) + place
        return np.where(inside, np.asarray(mode, dtype=np.int64) * self.lattice_size + index, -1)


def discrete_index(problem: ControlProblem) -> DiscreteIndex:
    """Raises `ValueError` where a mode parameter is no number or there are too many discrete states."""
    modes = problem.mode_tuples()
    axes = tuple(
        np.sort(np.array([float(problem.numeric(point)) for point in problem.state_bounds[i].points]))
        for i in problem.lattice_states
    )
    lattice_size = int(np.prod([len(axis) for axis in axes])) if axes else 1
    if len(modes) * lattice_size > LARGEST:
        raise ValueError(f"{len(modes) * lattice_size} discrete states are too many for a coupled system")
    lattice = np.array(list(itertools.product(*axes)), dtype=float).reshape(lattice_size, len(axes))
    parameters = np.array(
        [[_value(problem, p.values[mode[p.chain]]) for p in problem.mode_parameters] for mode in modes], dtype=float
    ).reshape(len(modes), len(problem.mode_parameters))
    return DiscreteIndex(
        modes,
        np.repeat(np.arange(len(modes)), lattice_size),
        np.tile(lattice, (len(modes), 1)),
        np.repeat(parameters, lattice_size, axis=0),
        axes,
    )


def _value(problem: ControlProblem, value: sp.Basic) -> float:
    number = problem.numeric(value)
    if number in (sp.true, sp.false):
        return float(number == sp.true)
    if not number.is_number:
        raise ValueError(f"a mode parameter depends on {', '.join(sorted(str(s) for s in number.free_symbols))}")
    return float(number)
