"""Last stage, backwards: a table as a value function.

In: a Dataset of layout `tensor` (`io.dataset`) and its problem. Out: a `ValueFunction` by interpolation, whose error is the
table's own and what interpolation may add, judged by the same table with every other node left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hjbdsl.errors import UsageError
from hjbdsl.io import variables as roles
from hjbdsl.io.interpolation import interpolate
from hjbdsl.io.variables import VariableNames
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Array, PointValues, ValueFunction
from hjbdsl.numeric.state_space import control_groups, number

if TYPE_CHECKING:
    from xarray import Dataset


@dataclass(frozen=True, slots=True)
class TableFunction(ValueFunction):
    """`axes`: the time axis (one point where nothing depends on time), then one a state component. Arrays have the shape (modes,
    *axes, columns): `smooth` holds V, its gradient and a bracket of two columns where there is one, for cubics; `rough` the
    error, the control, its standard deviation and the stopping set where there are such, for lines. Beyond the table V and the
    control go on along lines, the error is infinite, and a control stays in the range `control_range` (components, 2) of its
    bounds."""

    axes: tuple[Array, ...]
    smooth: Array
    rough: Array
    control_range: Array
    discrete: tuple[int, ...]
    bracketed: bool
    random: bool
    stops: bool
    confidence: float | None = None

    @staticmethod
    def of(problem: ControlProblem, dataset: Dataset) -> TableFunction:
        """The function of a table of layout `tensor`. Raises `UsageError` where table and problem do not fit together."""
        return _read(problem, dataset)

    def evaluate(self, t: Array, x: Array, mode: NDArray[np.int64]) -> PointValues:
        time = np.clip(t, self.axes[0][0], self.axes[0][-1]) if len(self.axes[0]) > 1 else np.zeros(len(x))
        places = np.column_stack([time, x])
        smooth, rough = self._at(self.smooth, places, mode, True), self._at(self.rough, places, mode, False)
        n, m = x.shape[1], len(self.control_range)
        error = np.abs(rough[:, 0]) + np.abs(smooth[:, 0] - self._coarser(places, mode))
        for i, axis in enumerate(self.axes[1:]):
            slack = 1e-9 * (1.0 + np.abs(x[:, i]))
            error[(x[:, i] < axis[0] - slack) | (x[:, i] > axis[-1] + slack)] = np.inf
        control = np.clip(rough[:, 1 : 1 + m], self.control_range[:, 0], self.control_range[:, 1])
        return PointValues(
            smooth[:, 0], error, smooth[:, 1 : 1 + n], control,
            np.abs(rough[:, 1 + m : 1 + 2 * m]) if self.random else None,
            rough[:, -1] > 0.5 if self.stops else None,
            smooth[:, -2] if self.bracketed else None, smooth[:, -1] if self.bracketed else None, self.confidence,
        )  # fmt: skip

    def _at(self, values: Array, places: Array, mode: NDArray[np.int64], cubic: bool) -> Array:
        result = np.empty((len(places), values.shape[-1]))
        for joint in np.unique(mode):
            here = mode == joint
            result[here] = interpolate(self.axes, values[joint], places[here], cubic)
        return result

    def _coarser(self, places: Array, mode: NDArray[np.int64]) -> Array:
        """V from every other node of the continuous axes."""
        steps = [1 if len(axis) < 9 or i - 1 in self.discrete else 2 for i, axis in enumerate(self.axes)]
        thinned = self.smooth[..., :1][(slice(None), *(slice(None, None, step) for step in steps))]
        axes = [axis[::step] for axis, step in zip(self.axes, steps, strict=True)]
        result = np.empty(len(places))
        for joint in np.unique(mode):
            here = mode == joint
            result[here] = interpolate(axes, thinned[joint], places[here], True)[:, 0]
        return result


class SinglePoints(ValueFunction):
    """Of a table of layout `lines`: points of many dimensions, between which nothing is known."""

    def evaluate(self, t: Array, x: Array, mode: NDArray[np.int64]) -> PointValues:  # noqa: ARG002 (the interface)
        raise UsageError("the result file holds single points of a high-dimensional problem; give the problem's .hjb file")


def _read(problem: ControlProblem, dataset: Dataset) -> TableFunction:
    names = VariableNames.of(problem)
    timed = names.time in dataset.dims
    axes = [np.asarray(dataset[names.time].values, dtype=float) if timed else np.zeros(1)]
    axes += [np.asarray(dataset[name].values, dtype=float) for name in names.states]
    for chain in problem.modes:
        if tuple(dataset[chain.name].values) != chain.labels:
            raise UsageError(f"the result file holds other modes of `{chain.name}` than its problem")
    shape = (len(problem.mode_tuples()), *(len(axis) for axis in axes))
    order = [*names.chains, *((names.time,) if timed else ()), *names.states]

    def table(variable: Any) -> Array:
        rest = [dimension for dimension in variable.dims if dimension not in order]
        array = np.asarray(variable.transpose(*order, *rest).values, dtype=float)
        return array.reshape(*shape, -1)

    def by_control(role: str) -> list[Array]:
        found = {v.attrs.get("of", name): v for name, v in dataset.data_vars.items() if v.attrs.get("role") == role}
        sizes = {group.name: len(group.symbols) for group in groups}
        return (
            [table(found[name]) if name in found else np.zeros((*shape, sizes[name])) for name in names.controls] if found else []
        )

    groups = control_groups(problem)
    slopes = [table(dataset[name]) if name in dataset else np.zeros((*shape, 1)) for name in names.gradients]
    bracket = [table(dataset[name]) for name in (names.lower, names.upper) if name in dataset]
    deviations = by_control(roles.SPREAD)
    stop = [table(dataset[names.stop])] if names.stop in dataset else []
    ranges = [[number(problem, b.lower), number(problem, b.upper)] for group in groups for b in group.bounds]
    control_range = np.array(ranges, dtype=float).reshape(-1, 2)
    control_range = np.where(np.isnan(control_range), np.array([-np.inf, np.inf]), control_range)
    return TableFunction(
        tuple(axes), _joined([table(dataset[names.value]), *slopes, *bracket], shape),
        _joined([table(dataset[names.error]), *by_control(roles.CONTROL), *deviations, *stop], shape), control_range,
        problem.lattice_states, len(bracket) == 2, bool(deviations), bool(stop), dataset[names.value].attrs.get("confidence"),
    )  # fmt: skip


def _joined(parts: list[Array], shape: tuple[int, ...]) -> Array:
    """Columns side by side, none where there are no parts."""
    return np.concatenate([np.zeros((*shape, 0)), *parts], axis=-1)
