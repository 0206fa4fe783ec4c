"""Last stage: the result object as a page of plain text for a person.

In: the object of `io.result` (schema `hjb.result/1`). Out: text. Numbers are shown to as many digits as their error allows.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from hjbdsl.model.names import unicode_name

_LABEL = 11
_MOST_ROWS = 40
_WIDTH = 110
_NOTHING = 1e-9
_WORD = re.compile(r"[^\W\d]\w*")
_METHOD_TITLES = {"closed_form": "Closed form", "grid": "Grid", "neural": "Neural network"}


def report(result: Mapping[str, Any], seconds: float) -> str:
    """The whole answer: equation, formula with its proof, table of values, checks. `seconds` is what it took."""
    blocks = [_heading(result), _equation_lines(result), _method_lines(result), _table(result), _closing_lines(result, seconds)]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def explanation(considered: Sequence[Mapping[str, Any]]) -> str:
    """One paragraph a method: taken or rejected, and why."""
    lines = ["Methods"]
    for entry in considered:
        verdict = "taken" if entry["accepted"] else "rejected"
        reason = "" if entry["families"] and not entry["accepted"] else f": {entry['reason']}"
        lines += _hanging(f"  {entry['method']:<14}{verdict}{reason}", 16)
        for family, why in entry["families"]:
            lines += _hanging(f"    {family}: {why}", 16)
    return "\n".join(lines)


def significant(value: float | None, error: float | None, most: int = 8) -> str:
    """`value` to the digits that `error` leaves certain, one uncertain one included; `-` where there is no number."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    digits = most
    if error is not None and error > 0:
        digits = min(most, max(1, math.floor(math.log10(abs(value))) - math.floor(math.log10(error)) + 1))
    return f"{value:.{digits}g}"


def _heading(result: Mapping[str, Any]) -> list[str]:
    title = result["title"] or result["problem"]
    return [f"{title}    ({result['kind'].replace('_', ' ')})"]


def _equation_lines(result: Mapping[str, Any]) -> list[str]:
    equation = result["equation"]
    lines = _indented(equation["objective"]["text"]) if equation["objective"] else []
    lines += [line for entry in equation["dynamics"] for line in _indented(entry["text"])]
    lines += [""] if lines else []
    lines += _labelled("HJB", equation["pde"]["text"])
    for index, entry in enumerate(equation["maximiser"]):
        lines += _labelled("Optimum" if index == 0 else "", entry["text"])
    return lines


def _method_lines(result: Mapping[str, Any]) -> list[str]:
    title = _METHOD_TITLES.get(result["method"], result["method"])
    lines = [f"{title}, {result['status'].replace('_', ' ')}    {result['family']}"]
    formula = result.get("formula")
    if formula is not None:
        for name, entry in {"V": formula["V"], **formula["controls"]}.items():
            cases = {f"{name}[{mode}]": case for mode, case in entry.get("by_mode", {}).items()} or {name: entry}
            for left, right in cases.items():
                lines += _indented(_lettered(f"{left} = {right['text']}"))
        for entry in formula["where"]:
            lines += _indented(_lettered(f"{entry['name']} = {entry['text']}") + f" = {significant(entry['value'], None)}")
        for condition, value in zip(formula["conditions"], formula["condition_values"], strict=True):
            lines += _indented(f"needs {_lettered(condition)}: {significant(value, None)}")
    if "average" in result:
        lines.append(f"  average = {significant(result['average'], result['average_error'])} ± {tiny(result['average_error'])}")
    evidence = result["evidence"]
    if not any(statement.startswith("residual") for statement in evidence["statements"]):
        lines += _indented(f"residual {tiny(evidence['residual'])}")
    for statement in evidence["statements"]:
        lines += _indented(statement)
    return lines


def _table(result: Mapping[str, Any]) -> list[str]:
    entries = result["value"]
    if not entries:
        return []
    noise = _rounding(entries)
    cells = [_row(entry, noise) for entry in entries[:_MOST_ROWS]]
    header = list(cells[0])
    rows = [header, *([row.get(name, "") for name in header] for row in cells)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    left_out = len(entries) - len(cells)
    return lines + ([f"({left_out} more points: use --json)"] if left_out else [])


def _rounding(entries: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """For each control of numbers, what is nothing beside its values elsewhere: a symmetric policy's 0 comes out as 1e-14."""
    sizes: dict[str, float] = {}
    for entry in entries:
        for name, shown in entry["control"].items():
            value = shown["mean"] if isinstance(shown, dict) else shown
            if isinstance(value, (int, float)):
                sizes[name] = max(sizes.get(name, 0.0), abs(value))
    return {name: _NOTHING * size for name, size in sizes.items()}


def _row(entry: Mapping[str, Any], noise: Mapping[str, float]) -> dict[str, str]:
    row = {_lettered(name): cell(value) for name, value in entry["at"].items()}
    row["V"] = significant(entry["V"], entry["error"])
    row["±"] = tiny(entry["error"])
    if "lower" in entry:
        row["bracket"] = f"[{cell(entry['lower'])}, {cell(entry['upper'])}]"
    for name, value in entry["control"].items():
        mean = value["mean"] if isinstance(value, dict) else value
        nothing = isinstance(mean, (int, float)) and abs(mean) < noise[name]
        row[f"{_lettered(name)}*"] = cell(0.0 if nothing else mean)
        if isinstance(value, dict):
            row[f"{_lettered(name)}*"] += f" ± {cell(value['std'])}"
        elif "control_error" in entry:
            row |= _told(name, row[f"{_lettered(name)}*"], value, entry["control_error"][name])
    if "stop" in entry:
        row["stop"] = "yes" if entry["stop"] else "no"
    return row


def _told(name: str, plain: str, value: Any, error: Any) -> dict[str, str]:
    """A control in the digits that its error allows, and that error; of a vector the largest."""
    errors = error if isinstance(error, list) else [error]
    widest = None if None in errors else max(errors)
    exact = widest is None or isinstance(value, list) or plain == "0"
    return {f"{_lettered(name)}*": plain if exact else significant(value, widest), f"± {_lettered(name)}": tiny(widest)}


def cell(value: Any) -> str:
    """A value of the result object in few characters; a long vector by its first entries and its length."""
    match value:
        case None:
            return "-"
        case str():
            return value
        case list() if len(value) > 4:
            return f"[{', '.join(cell(v) for v in value[:3])}, … {len(value)}]"
        case list():
            return f"[{', '.join(cell(v) for v in value)}]"
        case _:
            return f"{value + 0.0:.6g}"  # -0 is 0


def _closing_lines(result: Mapping[str, Any], seconds: float) -> list[str]:
    lines = [f"warning: {warning}" for warning in result["warnings"]]
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for check in result["checks"]:
        by_name.setdefault(check["name"], []).append(check)
    parts = []
    for name, checks in by_name.items():
        if all(check["passed"] for check in checks):
            parts.append(f"{_lettered(name)} ✓ {tiny(max(check['max_error'] for check in checks))}")
    if parts:
        lines += _labelled("checks", "   ".join(parts))
    for check in result["checks"]:
        if not check["passed"]:
            error = "not a number" if check["max_error"] is None else f"off by {tiny(check['max_error'])}"
            lines += _labelled("", f"✗ line {check['line']}: {check['text']}  ({error}, tolerance {tiny(check['tol'])})")
    return [*lines, f"{seconds:.1f} s" + (", as worked out before" if result.get("cached") else "")]


def tiny(value: float | None) -> str:
    """An error in two digits."""
    return "-" if value is None else "0" if value == 0 else f"{value:.1e}" if not 1e-2 <= abs(value) < 1e3 else f"{value:.2g}"


def _labelled(label: str, text: str) -> list[str]:
    lines = textwrap.wrap(text, _WIDTH - _LABEL, break_long_words=False, break_on_hyphens=False) or [""]
    return [f"{(label if i == 0 else ''):<{_LABEL}}{'' if i == 0 else '  '}{line}" for i, line in enumerate(lines)]


def _lettered(text: str) -> str:
    """`sigma` as the letter it names, as the equation above shows it."""
    return _WORD.sub(lambda word: unicode_name(word[0]), text)


def _hanging(text: str, indent: int) -> list[str]:
    return textwrap.wrap(text, _WIDTH, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)


def _indented(text: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent="  ", subsequent_indent="      ", break_long_words=False, break_on_hyphens=False
    )
