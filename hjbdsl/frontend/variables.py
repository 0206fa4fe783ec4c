"""States, controls and adversaries: their symbols, shapes and the sets they live in.

In: `state`, `control`, `adversary` declarations. Out: `VariableGroup`s. The sign of a domain becomes an assumption of the symbol:
x > 0 is a positive symbol, c >= 0 a nonnegative one.
"""

from __future__ import annotations

import math
from dataclasses import replace

import sympy as sp

from hjbdsl.frontend import ast
from hjbdsl.frontend.applications import constant, whole_number
from hjbdsl.frontend.arithmetic import as_float
from hjbdsl.frontend.context import CONSTANT, Context
from hjbdsl.frontend.evaluate import Reader
from hjbdsl.frontend.findings import Fault
from hjbdsl.frontend.notation_text import plain
from hjbdsl.frontend.parameters import limit
from hjbdsl.frontend.scope import VariableName
from hjbdsl.frontend.shapes import Shape
from hjbdsl.model.problem import Bounds, VariableGroup

LARGEST_SET = 10_000


def declare_groups(reader: Reader) -> None:
    """Give every declared variable its group: states first, since bounds of controls may depend on them."""
    scope = reader.scope
    for roles in (("state",), ("control", "adversary")):
        for name, entity in list(scope.entities.items()):
            if not isinstance(entity, VariableName) or entity.role not in roles:
                continue
            with scope.findings.attempt():
                scope.entities[name] = replace(entity, group=_group(entity, reader))
            if scope.entities[name] is entity:
                scope.broken.add(name)
                del scope.entities[name]


def _group(entity: VariableName, reader: Reader) -> VariableGroup:
    declaration = entity.declaration
    domain = declaration.domain or ast.RealLine((), declaration.span)
    shape = _shape(domain, declaration.name, reader)
    per_component = _bounds(domain, shape, entity, reader)
    count = shape[0] if shape else 1
    bounds = per_component if len(per_component) == count else per_component * count
    names = [declaration.name] if shape == () else [f"{declaration.name}[{i}]" for i in range(1, count + 1)]
    symbols = tuple(sp.Symbol(n, **_assumption(b, reader)) for n, b in zip(names, bounds, strict=True))
    return VariableGroup(declaration.name, entity.role, shape, symbols, bounds, declaration.description, declaration.span)


def _shape(domain: ast.Domain, name: str, reader: Reader) -> Shape:
    extents = domain.shape if isinstance(domain, ast.RealLine | ast.Interval) else ()
    if len(extents) > 1:
        remedy = "declare a vector, as in `x in R^4`"
        raise Fault("HJB030", f"`{name}` is declared a matrix: variables are scalars or vectors", remedy, domain.span)
    shape = []
    for expression in extents:
        extent = whole_number(reader, expression, CONSTANT, "a dimension")
        if not 1 <= extent <= 2000:
            raise Fault("HJB043", f"the dimension {extent} of `{name}` is out of range", "from 1 to 2000", expression.span)
        shape.append(extent)
    return tuple(shape)


def _bounds(domain: ast.Domain, shape: Shape, entity: VariableName, reader: Reader) -> tuple[Bounds, ...]:
    name = entity.declaration.name
    match domain:
        case ast.RealLine():
            return (Bounds(-sp.oo, sp.oo),)
        case ast.Circle():
            return (Bounds(-sp.pi, sp.pi, False, True, periodic=True),)
        case ast.Interval():
            return _interval(domain, shape, entity, reader)
        case ast.FiniteSet(points):
            return (_points([constant(reader, point, "a point of a finite set") for point in points], domain),)
        case ast.IntegerRange(low, high):
            ends = [whole_number(reader, end, CONSTANT, "the end of a range") for end in (low, high)]
            if ends[1] - ends[0] >= LARGEST_SET:
                raise Fault("HJB040", f"the set of `{name}` is too large", f"at most {LARGEST_SET} points", domain.span)
            return (_points([sp.Integer(i) for i in range(ends[0], ends[1] + 1)], domain),)
        case ast.Labels(labels):
            if entity.role == "state" and all(label.id not in reader.scope.entities for label in labels):
                names = ", ".join(label.id for label in labels)
                remedy = f"write `mode {name} in {{{names}}}` for a Markov chain"
                raise Fault("HJB045", f"the state `{name}` has labels for values", remedy, domain.span)
            return (_points([constant(reader, label, "a point of a finite set") for label in labels], domain),)
    raise ValueError(f"no such domain: {domain}")


def _points(points: list[sp.Expr], domain: ast.Domain) -> Bounds:
    if not points:
        raise Fault("HJB045", "the set is empty", "the low end of a range comes first, as in `{-4..4}`", domain.span)
    ordered = sorted(dict.fromkeys(points), key=as_float)
    return Bounds(ordered[0], ordered[-1], False, False, tuple(ordered))


def _interval(domain: ast.Interval, shape: Shape, entity: VariableName, reader: Reader) -> tuple[Bounds, ...]:
    """One bound for all components, or one each where an end is a vector."""
    name = entity.declaration.name
    roles = frozenset() if entity.role == "state" else frozenset({"time", "state", "mode"})
    count = shape[0] if shape else 1
    lows, highs = (_ends(end, roles, count, name, reader) for end in (domain.low, domain.high))
    size = max(len(lows), len(highs))
    bounds = []
    for low, high in zip(lows * (size // len(lows)), highs * (size // len(highs)), strict=True):
        numbers = [value if value in (sp.oo, -sp.oo) else reader.arithmetic.number(value) for value in (low, high)]
        if numbers[0] is not None and numbers[1] is not None:
            below, above = as_float(numbers[0]), as_float(numbers[1])
            if not below < above:
                message = f"the domain of `{name}` is empty: {plain(domain.low)} is not below {plain(domain.high)}"
                raise Fault("HJB045", message, "the low end comes first", domain.span)
        low_open = domain.low_open or low == -sp.oo
        bounds.append(Bounds(low, high, low_open, domain.high_open or high == sp.oo))
    return tuple(bounds)


def _ends(end: ast.Expr, roles: frozenset[str], count: int, name: str, reader: Reader) -> tuple[sp.Expr, ...]:
    match end:
        case ast.Name("inf") | ast.Negate(ast.Name("inf")):
            return (limit(reader, end, "a bound"),)
    place = f"the domain of `{name}`"
    value = reader.value(end, Context(place, roles))
    if value.shape != () and len(value.entries) not in (1, count):
        message = f"the bound `{plain(end)}` has {len(value.entries)} components, `{name}` has {count}"
        raise Fault("HJB030", message, "one number for all components, or one for each", end.span)
    return value.entries


def _assumption(bounds: Bounds, reader: Reader) -> dict[str, bool]:
    """`real`, and the sign where the bounds decide it."""
    assumption = {"real": True}
    low, high = (_size(end, reader) for end in (bounds.lower, bounds.upper))
    if low > 0 or (low == 0 and bounds.lower_open):
        assumption["positive"] = True
    elif low == 0:
        assumption["nonnegative"] = True
    elif high < 0 or (high == 0 and bounds.upper_open):
        assumption["negative"] = True
    elif high == 0:
        assumption["nonpositive"] = True
    return assumption


def _size(end: sp.Expr, reader: Reader) -> float:
    """The number of an end; nan, which decides nothing, where it depends on the state."""
    if end in (sp.oo, -sp.oo):
        return math.inf if end == sp.oo else -math.inf
    number = reader.arithmetic.number(end)
    return math.nan if number is None else as_float(number)


def groups_of(reader: Reader, role: str) -> tuple[VariableGroup, ...]:
    found = []
    for entity in reader.scope.entities.values():
        if isinstance(entity, VariableName) and entity.role == role and entity.group is not None:
            found.append(entity.group)
    return tuple(found)
