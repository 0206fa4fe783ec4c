"""What was learned, as text for a person.

In: the object of `io.lesson`, which may come from the shelf: nothing here loads sympy. Out: a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hjbdsl.io.text import significant
from hjbdsl.model.names import unicode_name


def lesson_text(result: Mapping[str, Any], seconds: float) -> str:
    """The object as a page."""
    lines = [f"{result['title'] or result['problem']}    ({result['kind'].replace('_', ' ')})", ""]
    lines.append(f"Learned from transitions, {result['status'].replace('_', ' ')}    {result['family']}")
    lines += [f"  {statement}" for statement in result["evidence"]["statements"]]
    if "average" in result:
        told = f"  average = {significant(result['average'], result['average_error'])} ± {_short(result['average_error'])}"
        other = result["model"].get("average")
        lines.append(told + (f"    model {_plain(other)}" if other is not None else ""))
    lines += ["", *_table(result), ""]
    model = result["model"]
    if "method" in model:
        known = {name: value for name, value in result["errors"].items() if value is not None}
        errors = ", ".join(f"{_letter(name)} {value:.2%}" for name, value in known.items())
        how = f"{model['method']}, {model['status']}".replace("_", " ")
        lines.append(f"beside the model ({how}), over the region: {errors}")
    else:
        lines.append(f"no model-based answer to compare with: {model['reason']}")
    if "played" in result:
        played = result["played"]
        lines.append(
            f"played in the environment: mean return {played['mean_return']:.1f} ± {played['standard_error']:.1f}"
            f" over reset(seed=0..{played['episodes'] - 1})"
        )
    lines += [f"warning: {warning}" for warning in result["warnings"]]
    return "\n".join([*lines, f"{seconds:.1f} s"])


def _table(result: Mapping[str, Any]) -> list[str]:
    """Learned and model side by side. The bracket holds at the confidence of its heading."""
    rows = []
    for entry in result["value"]:
        row = {_letter(name): _plain(value) for name, value in entry["at"].items()}
        row["V learned"] = significant(entry["V"], entry["error"])
        row[_bracket_heading(entry)] = _short(entry["error"])
        if entry["model"] is not None:
            row["V model"] = significant(entry["model"]["V"], entry["model"]["error"], 6)
        for name, value in entry["control"].items():
            mean = value["mean"] if isinstance(value, Mapping) else value
            row[f"{_letter(name)} learned"] = _plain(mean)
            if not isinstance(mean, list):
                row["± " + _letter(name)] = _short(entry["control_error"][name])
            if entry["model"] is not None:
                other = entry["model"]["control"][name]
                row[f"{_letter(name)} model"] = _plain(other["mean"] if isinstance(other, Mapping) else other)
        rows.append(row)
    if not rows:
        return []
    cells = [list(rows[0]), *([row.get(name, "") for name in rows[0]] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]


def _bracket_heading(entry: Mapping[str, Any]) -> str:
    return f"± ({entry['confidence']:.0%})" if entry.get("confidence") else "±"


def _letter(name: str) -> str:
    return unicode_name(name) if name.isidentifier() else name


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_plain(v) for v in value[:4])}{', …' if len(value) > 4 else ''}]"
    return value if isinstance(value, str) else "-" if value is None else f"{value + 0.0:.5g}"


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}"
