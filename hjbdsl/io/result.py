"""Last stage: a solution as the one JSON object that `hjb solve --json` prints (schema `hjb.result/1`).

In: equation, solution, the points asked for, checks. Out: plain dicts, lists, strings, numbers and None; what is not a finite
number becomes None, so that the object is JSON to the letter. The text report is made from this object alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.evidence import CheckResult
from hjbdsl.model.names import latex_name, unicode_name
from hjbdsl.model.problem import ControlProblem, Notation, Parameter
from hjbdsl.model.solution import Array, Formula, PointValues, Solution
from hjbdsl.numeric.points import Points
from hjbdsl.numeric.state_space import control_groups, number

SCHEMA = "hjb.result/1"


def result_object(
    equation: HJBEquation,
    solution: Solution,
    points: Points,
    checks: Sequence[CheckResult],
    timings: Mapping[str, float],
) -> dict[str, Any]:
    """The object of the contract. `timings` is in seconds by stage."""
    problem = equation.problem
    result: dict[str, Any] = {
        "schema": SCHEMA,
        "problem": problem.name,
        "title": problem.title,
        "kind": equation.kind,
        "method": solution.method,
        "family": solution.family,
        "status": solution.status,
        "parameters": {p.name: parameter_value(problem, p) for p in problem.parameters},
        "equation": _equation(equation),
    }
    if solution.formula is not None:
        result["formula"] = _formula(problem, solution.formula)
    if solution.average is not None:
        result["average"] = finite(solution.average)
        result["average_error"] = finite(solution.average_error)
    result["value"] = value_entries(equation, solution, points)
    result["evidence"] = {
        "kind": solution.evidence.kind,
        "residual": finite(solution.evidence.residual),
        **{name: finite(value) for name, value in solution.evidence.numbers.items()},
        "statements": list(solution.evidence.statements),
    }
    result["checks"] = [check_entry(check) for check in checks]
    result["timings"] = {stage: round(seconds, 6) for stage, seconds in timings.items()}
    result["warnings"] = [*(d.message for d in problem.warnings), *solution.warnings]
    return result


def finite(value: object) -> float | None:
    """A float, or None for what JSON cannot say."""
    if value is None:
        return None
    as_float = float(value)  # type: ignore[arg-type]
    return as_float if math.isfinite(as_float) else None


def parameter_value(problem: ControlProblem, parameter: Parameter) -> Any:
    """A number, a list or a list of lists; what depends on the mode is an object by label."""
    by_mode = {entry.symbol: entry for entry in problem.mode_parameters}
    entries: list[Any] = []
    for entry in parameter.entries:
        varying = by_mode.get(entry)
        if varying is None:
            entries.append(finite(number(problem, entry)))
        else:
            labels = problem.modes[varying.chain].labels
            entries.append({label: finite(number(problem, value)) for label, value in zip(labels, varying.values, strict=True)})
    if not parameter.shape:
        return entries[0] if entries else None
    if len(parameter.shape) == 1:
        return entries
    _, columns = parameter.shape
    return [entries[i : i + columns] for i in range(0, len(entries), columns)]


def check_entry(check: CheckResult) -> dict[str, Any]:
    return {
        "name": check.name,
        "line": check.span.line,
        "passed": check.passed,
        "max_error": finite(check.max_error),
        "tol": check.tolerance,
        "samples": check.samples,
        "text": check.text,
    }


def value_entries(equation: HJBEquation, solution: Solution, points: Points) -> list[dict[str, Any]]:
    """One object a point: where, V with its error and bracket, control, gradient; the control's error, `stop` and `score` where
    there are such."""
    if not len(points):
        return []
    values = solution.function.evaluate(points.t, points.x, points.mode)
    errors = solution.function.control_error(points.t, points.x, points.mode)
    return [_entry(equation, points, values, errors, index) for index in range(len(points))]


def _entry(equation: HJBEquation, points: Points, values: PointValues, errors: Array | None, index: int) -> dict[str, Any]:
    problem = equation.problem
    entry: dict[str, Any] = {"at": place(equation, points, index), "V": finite(values.value[index])}
    entry["error"] = finite(values.error[index])
    if values.lower is not None and values.upper is not None:
        entry |= {"lower": finite(values.lower[index]), "upper": finite(values.upper[index]), "confidence": values.confidence}
    entry["control"] = _controls(problem, values, index)
    if errors is not None:
        entry["control_error"] = _by_control(problem, errors[index])
    entry["gradient"] = _by_state(problem, values.gradient[index])
    if values.stop is not None:
        entry["stop"] = bool(values.stop[index])
    if problem.reversal is not None:
        entry["score"] = [finite(-slope) for slope in values.gradient[index]]
    return entry


def place(equation: HJBEquation, points: Points, index: int = 0) -> dict[str, Any]:
    """One point by the file's names: vectors as lists, modes by label."""
    problem = equation.problem
    result: dict[str, Any] = {} if equation.stationary else {"t": float(points.t[index])}
    result |= _by_state(problem, points.x[index])
    labels = problem.mode_tuples()[int(points.mode[index])]
    return result | {chain.name: chain.labels[label] for chain, label in zip(problem.modes, labels, strict=True)}


def _by_state(problem: ControlProblem, row: Array) -> dict[str, Any]:
    """Numbers of one point by state: a number for a scalar, a list for a vector."""
    result: dict[str, Any] = {}
    start = 0
    for group in problem.states:
        entries = [finite(value) for value in row[start : start + len(group.symbols)]]
        result[group.name] = entries if group.shape else entries[0]
        start += len(group.symbols)
    return result


def _controls(problem: ControlProblem, values: PointValues, index: int) -> dict[str, Any]:
    """The control by name; mean and standard deviation where it is random."""
    mean = _by_control(problem, values.control[index])
    if values.spread is None or problem.exploration is None:
        return mean
    spread, random = _by_control(problem, values.spread[index]), set(problem.exploration.controls)
    shaken = [group.name for group in control_groups(problem) if random.intersection(group.symbols)]
    return mean | {name: {"mean": mean[name], "std": spread[name]} for name in shaken}


def _by_control(problem: ControlProblem, row: Array) -> dict[str, Any]:
    """Numbers of one point by control: a number for a scalar, a list for a vector."""
    result: dict[str, Any] = {}
    start = 0
    for group in control_groups(problem):
        result[group.name] = _shaped(row[start : start + len(group.symbols)], group.shape)
        start += len(group.symbols)
    return result


def _shaped(row: Array, shape: tuple[int, ...]) -> Any:
    entries = [finite(value) for value in np.atleast_1d(row)]
    return entries if shape else entries[0]


def _equation(equation: HJBEquation) -> dict[str, Any]:
    problem = equation.problem
    objective = problem.notation.get(("objective",))
    return {
        "objective": _notation(objective) if objective is not None else None,
        "dynamics": [_notation(entry) for entry in _dynamics(problem)],
        "pde": _notation(equation.pde),
        "maximiser": [_notation(entry) for entry in equation.maximiser],
    }


def _dynamics(problem: ControlProblem) -> list[Notation]:
    """`dx = (drift) dt + (coefficient) dW + ...` for each state, as the file writes it."""
    lines = []
    for group in problem.states:
        terms = [
            (entry, "t" if key[0] == "drift" else key[2])
            for key, entry in problem.notation.items()
            if key[0] in ("drift", "diffusion", "jump") and key[1] == group.name and entry.text != "0"
        ]
        text = " + ".join(f"{_bracketed(entry.text)} d{unicode_name(name)}" for entry, name in terms).replace("+ -", "- ")
        latex = " + ".join(f"{_bracketed(entry.latex)} \\, d{latex_name(name)}" for entry, name in terms).replace("+ -", "- ")
        lines.append(Notation(f"d{unicode_name(group.name)} = {text or '0'}", f"d{latex_name(group.name)} = {latex or '0'}"))
    return lines


def _bracketed(text: str) -> str:
    """Brackets round what would fall apart before a differential: a sum outside all brackets."""
    depth = 0
    for position, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if depth == 0 and position and letter in "+-" and text[position - 1] == " ":
            return f"({text})"
    return text


def _formula(problem: ControlProblem, formula: Formula) -> dict[str, Any]:
    return {
        "V": _over_modes(problem, formula.value)["V"],
        "controls": _over_modes(problem, formula.controls),
        "where": [
            {"name": name.text, "text": entry.text, "latex": entry.latex, "value": finite(value)}
            for name, entry, value in formula.where
        ],
        "conditions": [condition.text for condition, _ in formula.conditions],
        "condition_values": [finite(value) for _, value in formula.conditions],
    }


def _over_modes(problem: ControlProblem, entries: Mapping[str, Notation]) -> dict[str, Any]:
    """By name, with the modes as cases of one formula where it differs from mode to mode; `by_mode` has them apart."""
    written = {f"[{', '.join(labels)}]": labels for mode in problem.mode_tuples() if (labels := _labels(problem, mode))}
    found: dict[str, dict[str, Notation]] = {}
    for key, entry in entries.items():
        suffix = next((suffix for suffix in written if key.endswith(suffix)), "")
        found.setdefault(key.removesuffix(suffix), {})[suffix] = entry
    result: dict[str, Any] = {}
    for name, cases in found.items():
        first, *others = cases.values()
        result[name] = _notation(first)
        if any(other != first for other in others):
            result[name] = _cases(problem, {written[suffix]: entry for suffix, entry in cases.items()})
            result[name]["by_mode"] = {", ".join(written[suffix]): _notation(entry) for suffix, entry in cases.items()}
    return result


def _labels(problem: ControlProblem, mode: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(chain.labels[i] for chain, i in zip(problem.modes, mode, strict=True))


def _cases(problem: ControlProblem, cases: Mapping[tuple[str, ...], Notation]) -> dict[str, Any]:
    text, latex = [], []
    for labels, entry in cases.items():
        chains = [(chain.name, label) for chain, label in zip(problem.modes, labels, strict=True)]
        text.append(f"{entry.text} if {' and '.join(f'{name} = {label}' for name, label in chains)}")
        where = ",\\ ".join(f"{latex_name(name)} = \\text{{{label.replace('_', chr(92) + '_')}}}" for name, label in chains)
        latex.append(f"{entry.latex} & \\text{{if }} {where}")
    return {"text": "{ " + ", ".join(text) + " }", "latex": "\\begin{cases}" + " \\\\ ".join(latex) + "\\end{cases}"}


def _notation(entry: Notation) -> dict[str, str]:
    return {"text": entry.text, "latex": entry.latex}
