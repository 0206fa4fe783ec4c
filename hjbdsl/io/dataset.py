"""Last stage: a solution as one labelled table, an `xarray.Dataset`.

In: equation, solution, the result object. Out: a Dataset over the file's own names: V, its error, gradient, controls and what
else the solution knows, on a tabulated region; with the source of the problem, so that a reader can make it again.

Schema `hjb.table/1`. Layout `tensor`: dimensions t (where V depends on it), each mode chain (labels), each state component.
Layout `lines` (more than four continuous states): dimension `point`, with the states as coordinates and `line`, the number of
the state component along which the point lies, -1 for a random point. Variables carry `role`, `long_name` and `latex`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hjbdsl.io import tabulation as table
from hjbdsl.io import variables as roles
from hjbdsl.io.extras import require
from hjbdsl.io.variables import VariableNames, component_dimension
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.names import latex_name
from hjbdsl.model.problem import ControlProblem, VariableGroup
from hjbdsl.model.solution import Array, PointValues, Solution
from hjbdsl.numeric.points import Points
from hjbdsl.numeric.state_space import control_groups, region_of

if TYPE_CHECKING:
    from xarray import Dataset

SCHEMA = "hjb.table/1"
RESULT, SOURCE = "hjb_result", "hjb_source"
"""Names of the two variables that hold JSON text."""

_Variable = tuple[tuple[str, ...], Any, dict[str, Any]]


def to_dataset(equation: HJBEquation, solution: Solution, result: Mapping[str, Any]) -> Dataset:
    """Tabulate. `result` is the object that `hjb solve --json` prints. Raises `UsageError` where xarray is not installed."""
    require(("xarray",), "tables")
    import xarray  # noqa: PLC0415 (an extra, slow to load)

    problem = equation.problem
    names = VariableNames.of(problem)
    if len(problem.continuous_states) <= table.MOST_CONTINUOUS:
        grid = table.tabulation(equation, solution.function)
        values = table.evaluated(problem, solution.function, grid.points())
        dimensions, shape, coordinates = _tensor(equation, names, grid)
        layout = "tensor"
    else:
        lines = table.lines(equation)
        values = table.evaluated(problem, solution.function, lines.points)
        dimensions, shape, coordinates = ("point",), (len(lines.points),), _line_coordinates(problem, names, lines)
        layout = "lines"
    variables = _value_variables(names, values, dimensions, shape)
    variables |= _gradient_variables(problem, names, values, dimensions, shape)
    variables |= _control_variables(problem, names, values, dimensions, shape)
    variables |= _tables(solution, set(variables) | set(coordinates))
    variables[RESULT] = ((), json.dumps(result, ensure_ascii=False), {"long_name": "the object that hjb solve --json prints"})
    variables[SOURCE] = (
        (),
        _source(problem),
        {"long_name": "the problem's text, the values put for its parameters, its variant"},
    )
    return xarray.Dataset(variables, coordinates, _attributes(equation, solution, layout))


def _tensor(
    equation: HJBEquation, names: VariableNames, grid: table.Tabulation
) -> tuple[tuple[str, ...], tuple[int, ...], dict[str, _Variable]]:
    problem = equation.problem
    timed = not equation.stationary
    coordinates: dict[str, _Variable] = {}
    if timed:
        coordinates[names.time] = ((names.time,), grid.times, {"long_name": "time", "latex": "t"})
    for chain in problem.modes:
        coordinates[chain.name] = ((chain.name,), list(chain.labels), {"long_name": "mode", "latex": latex_name(chain.name)})
    region = region_of(problem)
    for i, (name, axis) in enumerate(zip(names.states, grid.states, strict=True)):
        coordinates[name] = ((name,), axis, _described(_group_of(problem, i), name) | {"region": region[i]})
    times = (len(grid.times),) if timed else ()
    chains = tuple(len(chain.labels) for chain in problem.modes)
    return tuple(coordinates), (*times, *chains, *(len(axis) for axis in grid.states)), coordinates


def _line_coordinates(problem: ControlProblem, names: VariableNames, lines: table.Lines) -> dict[str, _Variable]:
    points: Points = lines.points
    coordinates: dict[str, _Variable] = {
        "line": (("point",), lines.line, {"long_name": "state component along which the point lies, -1 for a random point"})
    }
    region = region_of(problem)
    for i, name in enumerate(names.states):
        coordinates[name] = (("point",), points.x[:, i], _described(_group_of(problem, i), name) | {"region": region[i]})
    labels = [problem.mode_tuples()[m] for m in points.mode]
    for k, chain in enumerate(problem.modes):
        coordinates[chain.name] = (("point",), [chain.labels[joint[k]] for joint in labels], {"long_name": "mode"})
    return coordinates


def _value_variables(
    names: VariableNames, values: PointValues, dimensions: tuple[str, ...], shape: tuple[int, ...]
) -> dict[str, _Variable]:
    found: list[tuple[str, str, Any, str]] = [
        (names.value, roles.VALUE, values.value, "value function"),
        (names.error, roles.ERROR, values.error, "bound on |V - exact|"),
        (names.lower, roles.LOWER, values.lower, "lower end of the bracket of V"),
        (names.upper, roles.UPPER, values.upper, "upper end of the bracket of V"),
        (names.stop, roles.STOP, None if values.stop is None else values.stop.astype(np.int8), "1 where stopping is optimal"),
    ]
    variables: dict[str, _Variable] = {}
    for name, role, array, words in found:
        if array is not None:
            variables[name] = (dimensions, array.reshape(shape), {"role": role, "long_name": words})
    variables[names.value][2]["latex"] = "V"
    if values.confidence is not None:
        for name in (names.error, names.lower, names.upper):
            if name in variables:
                variables[name][2]["confidence"] = values.confidence
    return variables


def _gradient_variables(
    problem: ControlProblem, names: VariableNames, values: PointValues, dimensions: tuple[str, ...], shape: tuple[int, ...]
) -> dict[str, _Variable]:
    lattice = set(problem.lattice_states)
    return {
        variable: (
            dimensions,
            values.gradient[:, i].reshape(shape),
            {"role": roles.GRADIENT, "of": names.states[i], "long_name": f"derivative of V in {names.states[i]}",
             "latex": f"V_{{{latex_name(names.states[i])}}}"},
        )
        for i, variable in enumerate(names.gradients)
        if i not in lattice
    }  # fmt: skip


def _control_variables(
    problem: ControlProblem, names: VariableNames, values: PointValues, dimensions: tuple[str, ...], shape: tuple[int, ...]
) -> dict[str, _Variable]:
    random = set(problem.exploration.controls) if problem.exploration is not None else set()
    variables: dict[str, _Variable] = {}
    start = 0
    for group, spread in zip(control_groups(problem), names.spreads, strict=True):
        columns = slice(start, start + len(group.symbols))
        start = columns.stop
        attributes = _described(group, group.name) | {"role": roles.CONTROL}
        variables[group.name] = _grouped(group, values.control[:, columns], dimensions, shape, attributes)
        if values.spread is not None and random.intersection(group.symbols):
            words = {"role": roles.SPREAD, "of": group.name, "long_name": f"standard deviation of {group.name}"}
            variables[spread] = _grouped(group, values.spread[:, columns], dimensions, shape, words)
    return variables


def _grouped(
    group: VariableGroup, columns: Array, dimensions: tuple[str, ...], shape: tuple[int, ...], attributes: dict[str, Any]
) -> _Variable:
    if not group.shape:
        return dimensions, columns[:, 0].reshape(shape), attributes
    return (*dimensions, component_dimension(group.name)), columns.reshape(*shape, -1), attributes


def _tables(solution: Solution, taken: set[str]) -> dict[str, _Variable]:
    """Further arrays of the solution, as it names them."""
    variables: dict[str, _Variable] = {}
    for name, entries in solution.tables.items():
        own = name if name not in taken else f"table_{name}"
        array = np.asarray(entries)
        variables[own] = (tuple(f"{own}_{i}" for i in range(array.ndim)), array, {"role": roles.TABLE, "of": name})
    return variables


def _group_of(problem: ControlProblem, component: int) -> VariableGroup:
    for group in problem.states:
        if component < len(group.symbols):
            return group
        component -= len(group.symbols)
    raise IndexError(component)


def _described(group: VariableGroup, name: str) -> dict[str, Any]:
    return {"long_name": group.description or f"{group.role} {group.name}", "latex": latex_name(name)}


def _source(problem: ControlProblem) -> str:
    source = problem.source
    files = {path: "".join(f"{line}\n" for line in lines) for path, lines in source.files.items()}
    return json.dumps(
        {"path": source.path, "files": files, "overrides": dict(source.overrides), "variant": source.variant}, ensure_ascii=False
    )


def _attributes(equation: HJBEquation, solution: Solution, layout: str) -> dict[str, Any]:
    problem = equation.problem
    return {
        "schema": SCHEMA,
        "layout": layout,
        "problem": problem.name,
        "title": problem.title or problem.name,
        "kind": equation.kind,
        "equation": equation.pde.text,
        "equation_latex": equation.pde.latex,
        "method": solution.method,
        "family": solution.family,
        "status": solution.status,
        "evidence": "; ".join(solution.evidence.statements),
        **({} if solution.average is None else {"average": solution.average}),
    }
