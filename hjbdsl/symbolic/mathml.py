r"""Formulas as MathML, which browsers set without a script or a network, where the optional package latex2mathml is installed.

In: LaTeX of one formula. Out: a `<math>` element, or None without the package (the page then shows the line of text).
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

_NAMED = (("\\left\\{", "\\left\\lbrace "), ("\\right\\}", "\\right\\rbrace "), ("\\Bigl\\{", "\\Bigl\\lbrace "),
           ("\\Bigr\\}", "\\Bigr\\rbrace "), ("<", "\\lt "), (">", "\\gt "))  # fmt: skip
"""The package prints an escaped brace after a size as it stands, backslash and all, and leaves < and > bare."""


@cache
def _converter() -> Any | None:
    return import_module("latex2mathml.converter") if find_spec("latex2mathml") else None


def mathml(latex: str) -> str | None:
    """The formula as a display, its namespace left out as HTML asks."""
    converter = _converter()
    if converter is None:
        return None
    for mark, named in _NAMED:
        latex = latex.replace(mark, named)
    written: str = converter.convert(latex, display="block")
    return written.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "")
