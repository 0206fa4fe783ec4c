"""The region where the answer must be accurate: as the file states it, else a default by the kind of domain.

In: `region` statements and the states' bounds. Out: exact numbers (low, high) for every state component.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from hjbdsl.frontend import ast
from hjbdsl.frontend.arithmetic import as_float
from hjbdsl.frontend.context import Context
from hjbdsl.frontend.evaluate import Reader
from hjbdsl.frontend.findings import Fault
from hjbdsl.frontend.notation_text import plain
from hjbdsl.frontend.rules import named_group
from hjbdsl.model.problem import Bounds, VariableGroup

Range = tuple[sp.Expr, sp.Expr]


def default_range(bounds: Bounds, values: Mapping[sp.Symbol, sp.Expr]) -> Range:
    """Bounded: the bounds; positive: [1/2, 2]; a half line from a: [a, a + 2]; the line: [-1, 1]."""
    low, high = bounds.lower.xreplace(dict(values)), bounds.upper.xreplace(dict(values))
    half = sp.Rational(1, 2)
    if low == -sp.oo and high == sp.oo:
        return -sp.S.One, sp.S.One
    if high == sp.oo:
        return (low + half, low + 2) if bounds.lower_open else (low, low + 2)
    if low == -sp.oo:
        return (high - 2, high - half) if bounds.upper_open else (high - 2, high)
    return low, high


def read_region_item(item: ast.RegionItem, reader: Reader) -> tuple[VariableGroup, tuple[Range, ...]]:
    """The ranges of one state's components; a scalar end serves every component."""
    group = named_group(item.state, "state", reader)
    size = len(group.symbols)
    ends = []
    for end in (item.low, item.high):
        value = reader.value(end, Context("a region", numeric=True))
        if not value.is_single and len(value.entries) != size:
            message = f"`{plain(end)}` has {len(value.entries)} entries but `{group.name}` has {size} components"
            raise Fault("HJB059", message, "one number for all components, or one for each", end.span)
        ends.append(value.entries * (size // len(value.entries)))
    ranges = tuple(zip(*ends, strict=True))
    for (low, high), bounds in zip(ranges, group.bounds, strict=True):
        _check(item, group, low, high, bounds, reader)
    return group, ranges


def _check(item: ast.RegionItem, group: VariableGroup, low: sp.Expr, high: sp.Expr, bounds: Bounds, reader: Reader) -> None:
    start, stop = as_float(low), as_float(high)
    if not start < stop:
        message = f"the region of `{group.name}` is empty: {plain(item.low)} is not below {plain(item.high)}"
        raise Fault("HJB059", message, "the low end comes first", item.span)
    if bounds.periodic:
        return
    values = reader.arithmetic.values
    below, above = (-float("inf") if bounds.lower == -sp.oo else as_float(bounds.lower.xreplace(values)),
                    float("inf") if bounds.upper == sp.oo else as_float(bounds.upper.xreplace(values)))  # fmt: skip
    slack = 1e-12 * max(1.0, abs(start), abs(stop))
    if start < below - slack or stop > above + slack:
        message = f"the region [{plain(item.low)}, {plain(item.high)}] of `{group.name}` leaves its domain"
        raise Fault("HJB059", message, f"`{group.name}` lives between {below:g} and {above:g}", item.span)
