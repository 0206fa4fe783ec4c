"""An equation and its derivation as text, LaTeX document, HTML page or JSON.

In: `HJBEquation`. Out: a string. The LaTeX compiles on its own; the page is self-contained and needs no network.
"""

from __future__ import annotations

import json
import textwrap
from html import escape
from typing import Literal

from hjbdsl.errors import UsageError
from hjbdsl.model.equation import HJBEquation, Step
from hjbdsl.model.problem import Notation
from hjbdsl.symbolic.account import Account, Entry, account
from hjbdsl.symbolic.folding import WIDTH, folded
from hjbdsl.symbolic.latex_document import latex_document
from hjbdsl.symbolic.mathml import mathml

Format = Literal["text", "latex", "html", "json"]
_LABEL = 18
_MOST_BOUNDARIES = 8


def render(equation: HJBEquation, format: str = "text", steps: bool = False) -> str:
    """The equation in one of the formats text, latex, html, json. Raises `UsageError` for another."""
    match format:
        case "text":
            return as_text(equation, steps)
        case "latex":
            return document(equation, steps)
        case "html":
            return as_html(equation, steps)
        case "json":
            return as_json(equation, steps)
    raise UsageError(f"no such format: {format}; there are text, latex, html and json")


def heading(equation: HJBEquation) -> str:
    problem = equation.problem
    return problem.title or problem.name


def as_text(equation: HJBEquation, steps: bool = False) -> str:
    """Plain text, one label a line; with `steps` the numbered derivation follows."""
    told = account(equation)
    lines = [f"{heading(equation)}    ({equation.kind.replace('_', ' ')})", ""]
    for entry in told.entries:
        lines += _labelled(entry)
    lines += _boundary_text(told)
    if steps:
        lines += ["", "Derivation"]
        for number, step in enumerate(equation.steps, 1):
            lines += ["", f"{number}. {step.title}", *_wrapped(step.explanation)]
            for formula in step.formulas:
                lines += folded(formula.text, " " * 7, " " * 11)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _labelled(entry: Entry) -> list[str]:
    lines = []
    for place, formula in enumerate(entry.formulas):
        label = entry.heading if place == 0 else ""
        lines += folded(formula.text, f"{label:<{_LABEL}}", " " * (_LABEL + 4))
    if entry.remark:
        label = "" if entry.formulas else entry.heading
        margin = f"{label:<{_LABEL}}"
        lines += textwrap.wrap(entry.remark, WIDTH, initial_indent=margin, subsequent_indent=" " * _LABEL)
    return lines


def _boundary_text(told: Account) -> list[str]:
    lines = []
    for place, line in enumerate(told.boundaries[:_MOST_BOUNDARIES]):
        label = "Boundaries" if place == 0 else ""
        statement = f"{line.where.text}: {line.statement.text}  ({line.condition.why})"
        lines += folded(statement, f"{label:<{_LABEL}}", " " * (_LABEL + 4))
    if len(told.boundaries) > _MOST_BOUNDARIES:
        lines.append(f"{'':<{_LABEL}}and {len(told.boundaries) - _MOST_BOUNDARIES} more, alike")
    return lines


def _wrapped(sentence: str) -> list[str]:
    return textwrap.wrap(sentence, WIDTH - 8, initial_indent=" " * 3, subsequent_indent=" " * 3)


def document(equation: HJBEquation, steps: bool = True) -> str:
    """A LaTeX article that compiles with amsmath alone."""
    told = account(equation)
    return latex_document(heading(equation), equation.kind, told, equation.steps if steps else ())


def as_json(equation: HJBEquation, steps: bool = False) -> str:
    """One object: every entry by its key with text and LaTeX, the optimum's branches, boundaries with their reason, steps."""
    told = account(equation)
    optimum = equation.optimum
    result: dict[str, object] = {
        "schema": "hjb.derivation/1",
        "problem": equation.problem.name,
        "title": equation.problem.title,
        "kind": equation.kind,
        "stationary": equation.stationary,
    }
    for entry in told.entries:
        formulas = [_pair(f) for f in entry.formulas]
        single = entry.key not in ("maximiser", "second_order", "policy", "where")
        result[entry.key] = (formulas[0] if single and formulas else formulas) or entry.remark
    result["optimum"] = {
        "status": optimum.status,
        "cases": [candidate.name for candidate in optimum.candidates],
        "isaacs": optimum.isaacs,
        "reason": optimum.reason,
    }
    result["boundaries"] = [
        {
            "state": equation.problem.state_symbols[line.condition.state].name,
            "side": line.condition.side,
            "at": _pair(line.where),
            "kind": line.condition.kind,
            "condition": _pair(line.statement),
            "written": line.condition.written,
            "why": line.condition.why,
        }
        for line in told.boundaries
    ]
    if steps:
        result["steps"] = [_step_object(step) for step in equation.steps]
    return json.dumps(result, ensure_ascii=False, indent=2)


def _pair(notation: Notation) -> dict[str, str]:
    return {"text": notation.text, "latex": notation.latex}


def _step_object(step: Step) -> dict[str, object]:
    return {"title": step.title, "explanation": step.explanation, "formulas": [_pair(f) for f in step.formulas]}


_STYLE = """body{font:16px/1.5 Georgia,serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#222}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin:1.6rem 0 .3rem}.formula{font-family:"STIX Two Math","Cambria Math",serif;
background:#f6f6f3;padding:.5rem .8rem;margin:.4rem 0;overflow-x:auto;white-space:nowrap}details{font-size:.8rem;color:#666}
code{white-space:pre-wrap;overflow-wrap:anywhere}td{padding:.15rem .8rem .15rem 0;vertical-align:top}"""


def as_html(equation: HJBEquation, steps: bool = False) -> str:
    """One self-contained page: formulas in MathML where it can be made, else in Unicode, their LaTeX folded below each."""
    told = account(equation)
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f"<title>{escape(heading(equation))}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(heading(equation))}</h1><p>{escape(equation.kind.replace('_', ' '))}</p>",
    ]
    for entry in told.entries:
        parts.append(f"<h2>{escape(entry.heading)}</h2>")
        parts += [_formula_html(f) for f in entry.formulas]
        if entry.remark:
            parts.append(f"<p>{escape(entry.remark)}</p>")
    if told.boundaries:
        parts.append("<h2>Boundary conditions</h2><table>")
        for line in told.boundaries:
            cells = (line.where.text, line.statement.text, line.condition.why)
            parts.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
        parts.append("</table>")
    if steps:
        parts.append("<h1>Derivation</h1>")
        for number, step in enumerate(equation.steps, 1):
            parts.append(f"<h2>{number}. {escape(step.title)}</h2><p>{escape(step.explanation)}</p>")
            parts += [_formula_html(f) for f in step.formulas]
    return "\n".join([*parts, "</body></html>"]) + "\n"


def _formula_html(formula: Notation) -> str:
    shown = mathml(formula.latex) or escape(formula.text)
    return f'<div class="formula">{shown}</div><details><summary>LaTeX</summary><code>{escape(formula.latex)}</code></details>'
