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
    *axes, columns). Beyond the table V and the control go on along lines, the error is infinite, and a control stays in the
    range `control_range` (components, 2) of its bounds."""

    axes: tuple[Array, ...]
    value: Array
    error: Array
    gradient: Array
    control: Array
    control_range: Array
    discrete: tuple[int, ...]
    spread: Array | None = None
    stop: Array | None = None
    bracket: Array | None = None
    confidence: float | None = None

    @staticmethod
    def of(problem: ControlProblem, dataset: Dataset) -> TableFunction:
        """The function of a table of layout `tensor`. Raises `UsageError` where table and problem do not fit together."""
        return _read(problem, dataset)

    def evaluate(self, t: Array, x: Array, mode: NDArray[np.int64]) -> PointValues:
        time = np.clip(t, self.axes[0][0], self.axes[0][-1]) if len(self.axes[0]) > 1 else np.zeros(len(x))
        places = np.column_stack([time, x])
        value, moved = self._at(self.value, places, mode, True), self._coarser(self.value, places, mode)
        error = np.abs(self._at(self.error, places, mode, False)) + np.abs(value - moved)
        beyond = np.zeros(len(x), dtype=bool)
        for i, axis in enumerate(self.axes[1:]):
            slack = 1e-9 * (1.0 + np.abs(x[:, i]))
            beyond |= (x[:, i] < axis[0] - slack) | (x[:, i] > axis[-1] + slack)
        error[beyond] = np.inf
        control = np.clip(self._at(self.control, places, mode, False), self.control_range[:, 0], self.control_range[:, 1])
        bracket = None if self.bracket is None else self._at(self.bracket, places, mode, True)
        return PointValues(
            value[:, 0], error[:, 0], self._at(self.gradient, places, mode, True), control,
            None if self.spread is None else np.abs(self._at(self.spread, places, mode, False)),
            None if self.stop is None else self._at(self.stop, places, mode, False)[:, 0] > 0.5,
            None if bracket is None else bracket[:, 0], None if bracket is None else bracket[:, 1], self.confidence,
        )  # fmt: skip

    def _at(self, values: Array, places: Array, mode: NDArray[np.int64], cubic: bool) -> Array:
        result = np.empty((len(places), values.shape[-1]))
        for joint in np.unique(mode):
            here = mode == joint
            result[here] = interpolate(self.axes, values[joint], places[here], cubic)
        return result

    def _coarser(self, values: Array, places: Array, mode: NDArray[np.int64]) -> Array:
        """As `_at` from every other node of the continuous axes."""
        steps = [1 if len(axis) < 9 or i - 1 in self.discrete else 2 for i, axis in enumerate(self.axes)]
        thinned = values[(slice(None), *(slice(None, None, step) for step in steps))]
        axes = [axis[::step] for axis, step in zip(self.axes, steps, strict=True)]
        result = np.empty((len(places), values.shape[-1]))
        for joint in np.unique(mode):
            here = mode == joint
            result[here] = interpolate(axes, thinned[joint], places[here], True)
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

    def stacked(role: str, wanted: tuple[str, ...]) -> Array | None:
        found = {v.attrs.get("of", name): v for name, v in dataset.data_vars.items() if v.attrs.get("role") == role}
        parts = [table(found[name]) for name in wanted if name in found]
        return np.concatenate(parts, axis=-1) if parts else None

    controls = stacked(roles.CONTROL, names.controls)
    slopes = [
        table(dataset[gradient]) if gradient in dataset else np.zeros((*shape, 1))
        for gradient in names.gradients
    ]  # fmt: skip
    lower, upper = (table(dataset[name]) if name in dataset else None for name in (names.lower, names.upper))
    bounds = [bound for group in control_groups(problem) for bound in group.bounds]
    ranges = [[number(problem, b.lower), number(problem, b.upper)] for b in bounds]
    control_range = np.array(ranges, dtype=float).reshape(-1, 2)
    control_range = np.where(np.isnan(control_range), np.array([-np.inf, np.inf]), control_range)
    return TableFunction(
        tuple(axes), table(dataset[names.value]), table(dataset[names.error]), _joined(slopes, shape),
        _joined([controls] if controls is not None else [], shape), control_range, problem.lattice_states,
        stacked(roles.SPREAD, names.controls), table(dataset[names.stop]) if names.stop in dataset else None,
        None if lower is None or upper is None else np.concatenate([lower, upper], axis=-1),
        dataset[names.value].attrs.get("confidence"),
    )  # fmt: skip


def _joined(parts: list[Array], shape: tuple[int, ...]) -> Array:
    """Columns side by side, none where there are no parts."""
    return np.concatenate([np.zeros((*shape, 0)), *parts], axis=-1)
