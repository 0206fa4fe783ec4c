"""A formula of one line set on several, broken where the eye expects it: between summands, outside brackets as far as can be.

In: a line of text. Out: lines that fit the width; what continues is indented.
"""

from __future__ import annotations

WIDTH = 118
_LEAST = 30
"""No line is broken before this many characters of its own."""
_BREAKS = (" = ", " + ", " - ", " if ", ", ", " ")
"""What a line may break at, the best first; a sign goes to the line that follows."""


def folded(text: str, first: str, following: str, width: int = WIDTH) -> list[str]:
    """`text` behind the margin `first`, its continuation behind `following`."""
    lines, margin = [], first
    while len(margin) + len(text) > width and (place := _break(text, width - len(margin))):
        lines.append(margin + text[:place].rstrip())
        text, margin = text[place:].lstrip(), following
    return [*lines, margin + text]


def _break(text: str, room: int) -> int:
    """Where to break: the outermost place, of these the best kind, of these the last. Zero where there is none."""
    best, found, depth = (0, 0, 0), 0, 0
    for place, letter in enumerate(text[: room + 1]):
        depth += (letter in "([{") - (letter in ")]}")
        if place < min(_LEAST, room // 2) or letter not in " ,":
            continue
        kind = next((k for k, mark in enumerate(_BREAKS) if text.startswith(mark, place)), None)
        end = place + (letter == ",")
        if kind is None or end > room:
            continue
        # a brace holds what is optimised, the longest part of an equation: it counts as no bracket
        outside = depth - text[:place].count("{") + text[:place].count("}") + text[:place].count("|") % 2
        if (score := (-outside, -kind, place)) > best or not found:
            best, found = score, end
    return found
