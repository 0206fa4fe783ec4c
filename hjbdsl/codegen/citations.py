"""What a written program says of the file behind it: the file line by line, and the lines that a block computes.

In: a `ControlProblem`, spans. Out: texts for comments.
"""

from __future__ import annotations

from collections.abc import Sequence

from hjbdsl.errors import Span
from hjbdsl.model.problem import ControlProblem

_MOST_LINES = 400


def cited(problem: ControlProblem, spans: Sequence[Span]) -> list[str]:
    """Every line once, as `file:line  text`."""
    unique = dict.fromkeys((span.file, span.line) for span in spans)
    texts = {(span.file, span.line): problem.source.line(span).strip() for span in spans}
    return [f"{file.rpartition('/')[2]}:{line}  {texts[file, line]}" for file, line in unique]


def listing(problem: ControlProblem) -> str:
    """The file, line by line, so that citations can be looked up."""
    source = problem.source
    lines = []
    for path, content in source.files.items():
        name = path.rpartition("/")[2]
        lines += [f"# {name}:{number:<4} {line}".rstrip() for number, line in enumerate(content[:_MOST_LINES], start=1)]
    changed = [f"{name} = {value}" for name, value in source.overrides.items()]
    if source.variant is not None:
        changed.insert(0, f"variant {source.variant}")
    if changed:
        lines.append(f"# with {', '.join(changed)}")
    return "\n".join(lines)


__all__ = ["cited", "listing"]
