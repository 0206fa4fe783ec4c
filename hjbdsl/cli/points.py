"""`--at "t=0,x=1.5,X=[1,0],z=good"`: a point in text, to names and numbers. Which names must be there the problem says later."""

from __future__ import annotations

import re

from hjbdsl.errors import UsageError

Value = float | list[float] | str

_LIMIT = 100_000
_EXAMPLES = '"t=0,x=1" or "X=[1,0],z=good"'
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RATIO = re.compile(rf"\s*({_NUMBER})\s*(?:/\s*({_NUMBER}))?\s*")
_ITEM = re.compile(r"\s*([^\W\d]\w*)\s*=\s*(\[[^\[\]]*\]|[^,\[\]]+?)\s*(?:,|$)")
_LABEL = re.compile(r"[^\W\d]\w*")


def parse_point(text: str) -> dict[str, Value]:
    """Numbers may be written as fractions, `1/3`; anything that is no number is the label of a mode."""
    if len(text) > _LIMIT:
        raise UsageError(f"a point of {len(text)} characters is longer than {_LIMIT}")
    point: dict[str, Value] = {}
    position = 0
    while position < len(text):
        item = _ITEM.match(text, position)
        if item is None:
            raise UsageError(f"cannot read the point `{text}` at `{text[position:]}`; write it as {_EXAMPLES}")
        name, value = item.groups()
        if name in point:
            raise UsageError(f"the point `{text}` states `{name}` twice")
        point[name] = _value(name, value)
        position = item.end()
    if not point:
        raise UsageError('a point is empty; write it as "t=0,x=1"')
    return point


def _value(name: str, text: str) -> Value:
    if text.startswith("["):
        return [_number(name, entry) for entry in text[1:-1].split(",")] if text[1:-1].strip() else []
    return text if _LABEL.fullmatch(text) else _number(name, text)


def _number(name: str, text: str) -> float:
    found = _RATIO.fullmatch(text)
    if found is None or (found[2] is not None and float(found[2]) == 0):
        raise UsageError(f"`{text.strip()}` is not a number that `{name}` can be")
    return float(found[1]) / (float(found[2]) if found[2] is not None else 1.0)
