"""What there is to draw: the table of a solution with its problem, cut to the region, one axis or plane at a time.

In: problem, Dataset (`io.dataset`), the result object. Out: `Series`, `Plane`, labels in mathematical type.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from hjbdsl.io.plot.style import MOST_SERIES, SERIES, math_text, number_text, sequence
from hjbdsl.io.variables import VariableNames
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.names import latex_name, unicode_name
from hjbdsl.model.problem import TIME, ControlProblem, VariableGroup
from hjbdsl.model.solution import Array, ValueFunction
from hjbdsl.numeric.compile import compile_expressions
from hjbdsl.numeric.state_space import control_groups

if TYPE_CHECKING:
    from xarray import DataArray, Dataset

_TIMES = 5


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a family: the table along one axis, everything else held at `place`: name -> number or label."""

    label: str
    color: Any
    table: Dataset
    place: Mapping[str, float | str]


@dataclass(frozen=True, slots=True)
class View:
    """`table` is cut to the region."""

    problem: ControlProblem
    table: Dataset
    result: Mapping[str, Any]
    names: VariableNames
    equation: HJBEquation
    function: ValueFunction
    seed: int

    @staticmethod
    def of(equation: HJBEquation, dataset: Dataset, result: Mapping[str, Any], function: ValueFunction, seed: int) -> View:
        names = VariableNames.of(equation.problem)
        return View(equation.problem, _on_region(dataset), result, names, equation, function, seed)

    @property
    def tensor(self) -> bool:
        """Whether the table is a tensor grid, not single points of many dimensions."""
        return bool(self.table.attrs.get("layout") == "tensor")

    @property
    def timed(self) -> bool:
        return self.names.time in self.table.dims

    @property
    def continuous(self) -> tuple[str, ...]:
        return tuple(self.names.states[i] for i in self.problem.continuous_states)

    @property
    def lattice(self) -> tuple[str, ...]:
        return tuple(self.names.states[i] for i in self.problem.lattice_states)

    def label(self, name: str) -> str:
        """The name of a state, a mode or the time in mathematical type."""
        return math_text(latex_name(name), unicode_name(name))

    def controls(self) -> tuple[tuple[str, VariableGroup], ...]:
        """(variable, group) of every control and adversary that the table has."""
        return tuple((group.name, group) for group in control_groups(self.problem) if group.name in self.table)

    def held(self, place: Mapping[str, float | str]) -> str:
        """`t = 0, z = good` in type."""
        parts = []
        for name, value in place.items():
            written = value if isinstance(value, str) else number_text(value)
            parts.append(f"{self.label(name)} = {written}")
        return ", ".join(parts)

    def family(self, axis: str) -> tuple[str, list[Series], dict[str, float | str]]:
        """The lines along `axis`: what tells them apart (a title), the lines, and what is held in all of them. One dimension
        varies: the modes where there are such, else a finite state, else time."""
        others = [name for name in (self.names.time, *self.names.chains, *self.names.states) if name in self.table.dims]
        others.remove(axis)
        chains = [name for name in self.names.chains if name in others]
        lattice = [name for name in self.lattice if name in others]
        time = [self.names.time] if self.names.time in others else []
        varying = chains or lattice[:1] or time
        held = {name: self.middle(name) for name in others if name not in varying}
        table = self.at(held)
        if not varying:
            return "", [Series("", SERIES[0], table, held)], held
        choices = [self._entries(name) for name in varying]
        places = [dict(zip(varying, values, strict=True)) for values in itertools.product(*choices)][:MOST_SERIES]
        colors = SERIES if varying == chains else sequence(len(places))
        lines = [
            Series(", ".join(_written(value) for value in place.values()), color, _selected(table, place), held | place)
            for place, color in zip(places, colors, strict=False)
        ]
        return ", ".join(self.label(name) for name in varying), lines, held

    def at(self, place: Mapping[str, float | str]) -> Dataset:
        return _selected(self.table, place)

    def middle(self, name: str) -> float | str:
        """Where a dimension is held: the first time, the first mode, the centre of a state."""
        coordinate = self.table[name].values
        if name == self.names.time:
            return float(coordinate[0])
        if name in self.names.chains:
            return str(coordinate[0])
        if name in self.lattice:
            return float(coordinate[np.argmin(np.abs(coordinate - coordinate.mean()))])
        low, high = self.table[name].attrs["region"]
        return float(coordinate[np.argmin(np.abs(coordinate - 0.5 * (low + high)))])

    def _entries(self, name: str) -> list[float | str]:
        coordinate = self.table[name].values
        if name in self.names.chains:
            return [str(label) for label in coordinate]
        if name == self.names.time:
            first, last = float(coordinate[0]), float(coordinate[-1])
            return [float(t) for t in np.linspace(first, last, _TIMES)]
        chosen = np.unique(np.linspace(0, len(coordinate) - 1, min(len(coordinate), MOST_SERIES)).round().astype(int))
        return [float(coordinate[k]) for k in chosen]

    def exact(self, place: Mapping[str, float | str]) -> Callable[..., Array] | None:
        """V as the file's `check V = ...` states it, a function of t and all states; None where it is not stated for this mode
        and time."""
        held = {chain.name: place.get(chain.name) for chain in self.problem.modes}
        for check in self.problem.checks:
            fixed = {symbol for symbol in check.point if symbol != TIME}
            modes = all(
                held[chain.name] == chain.labels[check.modes[chain.name]]
                for chain in self.problem.modes
                if chain.name in check.modes
            )
            time = float(self.problem.numeric(check.point[TIME])) if TIME in check.point else place.get("t", 0.0)
            if check.target == "V" and not fixed and modes and math.isclose(float(time), float(place.get("t", 0.0))):
                return self.evaluator(check.expected[0], held)
        return None

    def evaluator(self, expression: sp.Expr, modes: Mapping[str, float | str | None]) -> Callable[..., Array]:
        """An expression of the problem as a function of t and every state component, in a mode."""
        joint = tuple(chain.labels.index(str(modes.get(chain.name) or chain.labels[0])) for chain in self.problem.modes)
        expression = sp.sympify(self.problem.numeric(self.problem.at_mode(expression, joint)))
        compiled = compile_expressions((TIME, *self.problem.state_symbols), [expression])
        return lambda t, *states: compiled(t, *states)[0]

    def along(self, axis: str, place: Mapping[str, float | str], function: Callable[..., Array], x: Array) -> Array:
        """`function` of t and the states along one axis, the rest at `place`."""
        return self.over({axis: x}, place, function)

    def over(self, free: Mapping[str, Array], place: Mapping[str, float | str], function: Callable[..., Array]) -> Array:
        """`function` of t and the states, some of them arrays."""
        states = [free[name] if name in free else np.asarray(float(place[name])) for name in self.names.states]
        time = free.get(self.names.time, np.asarray(float(place.get(self.names.time, 0.0))))
        return function(time, *states)


def columns(variable: DataArray, axis: str) -> Array:
    """A variable along one axis as (n, components)."""
    rest = [name for name in variable.dims if name != axis]
    return np.asarray(variable.transpose(axis, *rest).values, dtype=float).reshape(variable.sizes[axis], -1)


def _on_region(dataset: Dataset) -> Dataset:
    chosen = {}
    for name, coordinate in dataset.coords.items():
        region = coordinate.attrs.get("region")
        if region is not None and coordinate.dims == (name,):
            slack = 1e-9 * (region[1] - region[0])
            inside = (coordinate.values >= region[0] - slack) & (coordinate.values <= region[1] + slack)
            chosen[name] = np.flatnonzero(inside)
    return dataset.isel(chosen)


def _selected(table: Dataset, place: Mapping[str, float | str]) -> Dataset:
    """Labels exactly, numbers by interpolation between their neighbours."""
    labels = {name: value for name, value in place.items() if isinstance(value, str)}
    result = table.sel(labels) if labels else table
    for name, value in place.items():
        if isinstance(value, str):
            continue
        nodes = result[name].values
        nearest = int(np.argmin(np.abs(nodes - value)))
        if len(nodes) == 1 or math.isclose(float(nodes[nearest]), value, abs_tol=1e-12):
            result = result.isel({name: nearest})
            continue
        right = int(np.clip(np.searchsorted(nodes, value), 1, len(nodes) - 1))
        share = (value - nodes[right - 1]) / (nodes[right] - nodes[right - 1])
        numeric = [key for key, v in result.data_vars.items() if name in v.dims]
        blended = result[numeric].isel({name: right - 1}) * (1.0 - share) + result[numeric].isel({name: right}) * share
        attributes = {key: result[key].attrs for key in numeric}
        result = result.isel({name: nearest}).assign({key: blended[key].assign_attrs(attributes[key]) for key in numeric})
    return result


def _written(value: float | str) -> str:
    return value if isinstance(value, str) else number_text(value)
