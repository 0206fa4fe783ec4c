r"""A formula too long for the page set on several lines: broken before + and -, after commas, before `and`.

In: LaTeX of one formula. Out: the same, or an `aligned` of it (amsmath and KaTeX alike). Widths are estimates in points at 11pt.
A pair `\left \right` that a break would tear becomes `\Bigl \Bigr`; long cells of `cases` are broken in turn, and a fraction
with a long numerator becomes 1/denominator times it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

PAGE = 425.0
"""Width of a line of the article that `latex_document` writes, with something to spare."""

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\s+|.", re.DOTALL)
_ARGUMENTS = {"frac": 2, "tfrac": 2, "dfrac": 2, "sqrt": 1, "text": 1, "operatorname": 1, "mathbb": 1, "mathrm": 1, "mathcal": 1,
              "mathit": 1, "hat": 1, "bar": 1, "tilde": 1, "mathbf": 1, "dot": 1}  # fmt: skip
_SPACES = {r"\,": 2.0, r"\;": 3.5, r"\!": -2.0, r"\quad": 11.0, r"\qquad": 22.0, r"\ ": 4.0, r"\:": 3.0}
_WIDE = {r"\int": 11.0, r"\sum": 15.0, r"\max": 20.0, r"\min": 18.0, r"\log": 14.0, r"\exp": 16.0, r"\lim": 15.0, r"\nabla": 9.0,
         r"\infty": 11.0, r"\ldots": 13.0, r"\to": 15.0, r"\lVert": 5.5, r"\rVert": 5.5, r"\cdot": 8.0}  # fmt: skip
_RELATIONS = {"=", r"\le", r"\ge", "<", ">", r"\ne", r"\sim", r"\propto", r"\mid"}
_JUNCTIONS = (r"\text{ and }", r"\text{ or }", r"\text{where }", r"\text{ at time }")
_CASES = re.compile(r"\\begin\{cases\}\s*(.*?)\s*\\end\{cases\}", re.DOTALL)
_SUM, _ARGUMENT_LIST = 1, 3


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch that is never torn. `level` is 0 outside all brackets, 1 more in `\\left`, 3 more in plain ones; `partner` is the
    other bracket's index; `breakable` says that a line may begin here."""

    text: str
    width: float
    level: int = 0
    partner: int = -1
    breakable: bool = False


def on_lines(latex: str, width: float = PAGE) -> str:
    """`latex` as it is where it fits in `width` points, else an `aligned` of lines that do (as far as its sums allow)."""
    latex = _CASES.sub(lambda found: _narrow_cases(found.group(1), 0.62 * width), latex) if _width(latex) > width else latex
    pieces = pieces_of(latex)
    if sum(p.width for p in pieces) <= width:
        return latex
    if any(p.text.startswith(r"\frac") and p.width > 0.8 * width for p in pieces):
        pieces = pieces_of("".join(_spread(p, 0.8 * width) for p in pieces))
    starts = _line_starts(pieces, width)
    if len(starts) == 1:
        return latex
    return _aligned(pieces, starts)


def _spread(piece: Piece, width: float) -> str:
    r"""A fraction with a long numerator as 1/denominator times it, so that the numerator can be broken."""
    if not piece.text.startswith(r"\frac") or piece.width <= width:
        return piece.text
    tokens = _TOKEN.findall(piece.text)[1:]
    middle = _group_end(tokens, 0)
    upper, lower = _inner("".join(tokens[:middle]).strip()), "".join(tokens[middle:]).strip()
    is_sum = any(p.breakable and p.level == 0 for p in pieces_of(upper))
    return rf"\frac{{1}}{lower} \left[ {upper} \right]" if is_sum else rf"\frac{{1}}{lower} {upper}"


def _width(latex: str) -> float:
    return sum(piece.width for piece in pieces_of(latex))


def pieces_of(latex: str) -> list[Piece]:
    """The formula cut into what may not be torn, with its brackets paired."""
    tokens = _TOKEN.findall(latex)
    pieces: list[Piece] = []
    open_at: list[tuple[int, int]] = []
    place, level = 0, 0
    while place < len(tokens):
        text, place, bracket = _next(tokens, place)
        if bracket == "close" and open_at:
            opening, step = open_at.pop()
            level -= step
            pieces[opening] = replace(pieces[opening], partner=len(pieces))
            pieces.append(Piece(text, 6.0, level, opening))
            continue
        pieces.append(Piece(text, _token_width(text), level, -1, _may_break(pieces, text)))
        if bracket == "open":
            step = _SUM if text.startswith(r"\left") else _ARGUMENT_LIST
            open_at.append((len(pieces) - 1, step))
            level += step
    return pieces


def _next(tokens: Sequence[str], place: int) -> tuple[str, int, str]:
    """The next untearable text, where it ends, and whether it is a bracket."""
    token = tokens[place]
    match token:
        case r"\left" | r"\right":
            end = place + 2
            return "".join(tokens[place:end]), end, "open" if token == r"\left" else "close"
        case "(" | "[" | r"\{":
            return token, place + 1, "open"
        case ")" | "]" | r"\}":
            return token, place + 1, "close"
        case r"\begin":
            end = _environment_end(tokens, place)
            return "".join(tokens[place:end]), end, ""
        case "{":
            end = _group_end(tokens, place)
            return "".join(tokens[place:end]), end, ""
        case "^" | "_":
            end = _group_end(tokens, place + 1)
            return "".join(tokens[place:end]), end, ""
    end = place + 1
    for _ in range(_ARGUMENTS.get(token[1:], 0) if token.startswith("\\") else 0):
        end = _group_end(tokens, end)
    return "".join(tokens[place:end]), end, ""


def _group_end(tokens: Sequence[str], place: int) -> int:
    """One past the argument that begins at `place`: a letter, a command or a group in braces."""
    while place < len(tokens) and tokens[place].isspace():
        place += 1
    if place >= len(tokens) or tokens[place] != "{":
        return min(place + 1, len(tokens))
    depth = 0
    for end in range(place, len(tokens)):
        depth += {"{": 1, "}": -1}.get(tokens[end], 0)
        if depth == 0:
            return end + 1
    return len(tokens)


def _environment_end(tokens: Sequence[str], place: int) -> int:
    depth = 0
    for end in range(place, len(tokens)):
        depth += {r"\begin": 1, r"\end": -1}.get(tokens[end], 0)
        if depth == 0:
            return _group_end(tokens, end + 1)
    return len(tokens)


def _token_width(text: str) -> float:
    """Points, from the fonts' average widths."""
    if text.isspace():
        return 0.0
    if text.startswith(("^", "_")):
        return 0.72 * _width(_inner(text[1:].strip()))
    if text.startswith(r"\begin"):
        rows = re.sub(r"\\(begin|end)\{\w+\}", "", text).split(r"\\")
        return 18.0 + max(sum(_width(cell) for cell in row.split("&")) + 11.0 * row.count("&") for row in rows)
    command = re.match(r"\\([A-Za-z]+)\s*", text)
    if command and command.group(1) in ("frac", "tfrac", "dfrac"):
        tokens = _TOKEN.findall(text[command.end() :])
        middle = _group_end(tokens, 0)
        upper, lower = "".join(tokens[:middle]), "".join(tokens[middle:])
        return (0.72 if command.group(1) == "tfrac" else 1.0) * max(_width(_inner(upper)), _width(_inner(lower))) + 3.0
    if command and command.group(1) in ("text", "operatorname", "mathrm", "mathit"):
        return 5.4 * len(_inner(text[command.end() :].strip())) + 2.0
    if command and command.group(1) in _ARGUMENTS:
        return _width(_inner(text[command.end() :].strip())) + (9.0 if command.group(1) == "sqrt" else 1.0)
    if text.startswith("{"):
        return _width(_inner(text))
    if text in _RELATIONS:
        return 14.0
    if text in "+-":
        return 13.0
    return _SPACES.get(text, _WIDE.get(text, 6.3))


def _inner(argument: str) -> str:
    return argument[1:-1] if argument.startswith("{") and argument.endswith("}") else argument


def _may_break(before: Sequence[Piece], text: str) -> bool:
    """Before a binary sign or a junction, and after a comma or a wide space."""
    previous = next((p for p in reversed(before) if not p.text.isspace() and p.text not in (r"\;", r"\,")), None)
    if previous is None or text.isspace() or text in _SPACES:
        return False
    if text in "+-":
        opened = previous.partner == -1 and previous.text.startswith((r"\left", "(", "[", r"\{"))
        return not opened and previous.text not in {"+", "-", ",", "&", r"\cdot", "/", *_RELATIONS}
    return text in _JUNCTIONS or text == "=" or previous.text in (",", r"\quad", r"\qquad")


def _line_starts(pieces: Sequence[Piece], width: float) -> list[int]:
    """First pieces of the lines: each line as full as breaks at the shallowest level allow."""
    starts, used = [0], 0.0
    place, options = 0, []
    while place < len(pieces):
        if pieces[place].breakable and place > starts[-1]:
            options.append((place, used))
        used += pieces[place].width
        if used > width - (22.0 if len(starts) > 1 else 0.0) and options:
            chosen = _best_break(pieces, options, width)
            starts.append(chosen)
            place, used, options = chosen, 0.0, []
            used += pieces[place].width
        place += 1
    return starts


def _best_break(pieces: Sequence[Piece], options: Sequence[tuple[int, float]], width: float) -> int:
    """The last of the shallowest breaks that fill a third of the line, after a comma rather than before a sign; the last of all
    where none fills that much."""
    full = [place for place, used in options if used > 0.33 * width] or [options[-1][0]]
    best = min(_depth(pieces[place]) for place in full)
    return [place for place in full if _depth(pieces[place]) == best][-1]


def _depth(piece: Piece) -> tuple[int, bool]:
    return piece.level, piece.text in ("+", "-")


def _aligned(pieces: Sequence[Piece], starts: Sequence[int]) -> str:
    line_of = [sum(start <= place for start in starts) - 1 for place in range(len(pieces))]
    lines = []
    for number, start in enumerate(starts):
        end = starts[number + 1] if number + 1 < len(starts) else len(pieces)
        texts = [_untorn(piece, line_of, place) for place, piece in enumerate(pieces[start:end], start)]
        body = "".join(texts).strip()
        joint = "{}" if body[:1] in "+-=" else ""
        lines.append(f"& {body}" if number == 0 else rf"& \quad {joint}{body}")
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def _untorn(piece: Piece, line_of: Sequence[int], place: int) -> str:
    """The bracket itself, of fixed size where its partner is on another line."""
    if piece.partner >= 0 and line_of[piece.partner] != line_of[place]:
        return piece.text.replace(r"\left", r"\Bigl", 1).replace(r"\right", r"\Bigr", 1)
    return piece.text


def _narrow_cases(body: str, width: float) -> str:
    """`cases` whose long values and conditions are broken themselves."""
    if r"\begin" in body:
        return rf"\begin{{cases}} {body} \end{{cases}}"
    rows = [" & ".join(on_lines(cell.strip(), width) for cell in row.split("&")) for row in body.split(r"\\")]
    return "\\begin{cases} " + r" \\ ".join(rows) + r" \end{cases}"
