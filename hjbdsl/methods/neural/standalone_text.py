"""What the written programs share: their head, the lines of the file behind each function, helpers that are left out.

In: an equation, functions, a text. Out: texts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from hjbdsl.codegen.citations import cited
from hjbdsl.methods.neural.emit import Function
from hjbdsl.model.equation import HJBEquation

_HELPERS = ("negation", "larger", "smaller", "_extreme", "select", "_tensor", "constant")
"""Of the template `neural_helpers.py.j2`, callers before what they call."""


def on_clock(function: Function) -> Function:
    """The batch whose shape results take is the clock's."""
    lines = tuple(re.sub(r"\blike\b", "t", line) for line in function.lines)
    return replace(function, lines=lines, result=re.sub(r"\blike\b", "t", function.result))


def without_unused(text: str) -> str:
    """The text without the helpers that this problem does not call."""
    for name in _HELPERS:
        if len(re.findall(rf"\b{name}\(", text)) == 1:
            text = re.sub(rf"^def {name}\(.*?(?=^\S)", "", text, flags=re.DOTALL | re.MULTILINE)
    return text


def notes(equation: HJBEquation) -> dict[str, list[str]]:
    """For each function the lines of the file behind it."""
    problem = equation.problem
    origins, objective = problem.origins, problem.objective.span
    motion = [origins[f"d{group.name}"] for group in problem.states if f"d{group.name}" in origins]
    players = [group.span for group in problem.controls]
    told = {
        "drift": motion, "diffusion": motion, "running": [objective], "terminal": [objective], "lowest": players,
        "discount": [origins.get("discount", objective)],
    }  # fmt: skip
    notes = {name: cited(problem, spans) for name, spans in told.items()}
    notes["candidate_0"] = [f"maximiser: {entry.text}" for entry in equation.maximiser]
    return notes


def header(equation: HJBEquation, about: Sequence[str]) -> str:
    problem = equation.problem
    name = problem.source.path.rpartition("/")[2]
    lines = [f"{problem.title or problem.name}, solved by neural policy iteration.", "", f"    {equation.pde.text}"]
    lines += [f"    {entry.text}" for entry in equation.maximiser]
    lines += [
        "", f"Written by `hjb compile {name} --method neural`; run it with `python train.py`. It needs torch.",
        "", *about,
    ]  # fmt: skip
    text = "\n".join(lines).replace("\\", "\\\\").replace('"""', "'''")
    return f'"""{text}\n"""'


__all__ = ["header", "notes", "on_clock", "without_unused"]
