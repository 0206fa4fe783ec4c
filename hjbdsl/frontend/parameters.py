"""Parameters: exact numbers and arrays, looked up in any order.

In: `param` declarations. Out: for a scalar its symbol and its number, for an array its entries in the symbols of the scalar
parameters, for a parameter by mode a symbol with one value a mode. A parameter is read when it is first needed, so the
order of declaration does not matter; one that needs itself is a fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import sympy as sp

from hjbdsl.frontend import ast, shapes
from hjbdsl.frontend.applications import constant, whole_number
from hjbdsl.frontend.arithmetic import Arithmetic, as_float
from hjbdsl.frontend.conditions import label_index
from hjbdsl.frontend.context import CONSTANT, Context, Evaluator
from hjbdsl.frontend.findings import Consequence, Fault, Findings
from hjbdsl.frontend.notation_text import plain
from hjbdsl.frontend.scope import ChainName, Scope
from hjbdsl.frontend.shapes import Array, Shape, scalar, shape_text
from hjbdsl.model.problem import ModeParameter, Parameter

LARGEST_VALUE = 1e300


@dataclass(slots=True)
class ParameterTable:
    """The parameters read so far; `values` maps the symbols of the scalars to their exact numbers."""

    scope: Scope
    findings: Findings
    values: dict[sp.Symbol, sp.Expr] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)
    modal: dict[str, Array] = field(default_factory=dict)
    arithmetic: Arithmetic = field(init=False)
    _open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.arithmetic = Arithmetic(self.values)

    def array(self, name: ast.Name, declaration: ast.ParamDecl, reader: Evaluator, numeric: bool) -> Array:
        """The parameter in symbols, or in numbers where `numeric`."""
        if declaration.name in self._open:
            remedy = "a parameter may use only others"
            raise Fault("HJB023", f"the parameter `{name.id}` is defined by itself (recursion)", remedy, name.span)
        if declaration.name not in self.arrays:
            self.load(declaration, reader)
        array = self.arrays[declaration.name]
        return shapes.mapped(array, lambda entry: entry.xreplace(self.values)) if numeric else array

    def load(self, declaration: ast.ParamDecl, reader: Evaluator) -> None:
        """Read a parameter; when that fails the mistake is reported here, once, and the name is broken."""
        self._open.append(declaration.name)
        try:
            with self.findings.attempt():
                self.arrays[declaration.name] = self._read(declaration, reader)
        finally:
            self._open.pop()
        if declaration.name not in self.arrays:
            self.scope.broken.add(declaration.name)
            raise Consequence

    def _read(self, declaration: ast.ParamDecl, reader: Evaluator) -> Array:
        if isinstance(declaration.value, ast.ModeTable):
            message = f"`{declaration.name}` has one value a mode but names no mode"
            raise Fault("HJB049", message, f"write `param {declaration.name}(z) = ...` with the mode's name", declaration.span)
        shape = declared_shape(declaration, reader)
        if shape is None:
            array = reader.value(declaration.value, Context("a parameter", numeric=True))
            if array.is_single and array.shape == ():
                return scalar(self._symbol(declaration, declaration.value, array.entries[0], reader))
            return array
        array = reader.value(declaration.value, Context("a parameter", expected=shape))
        return _shaped(array, shape, declaration.name, declaration.value)

    def _symbol(self, declaration: ast.ParamDecl, value: ast.Expr, number: sp.Expr, reader: Evaluator) -> sp.Symbol:
        size = as_float(number)
        if not abs(size) < LARGEST_VALUE:
            reason = "is not a finite real number" if size != size else "is too large for a number"  # noqa: PLR0124
            raise Fault("HJB040", f"the value of `{declaration.name}` {reason}", "numbers must stay below 1e300", value.span)
        if declaration.domain is not None:
            check_membership(number, declaration, reader)
        symbol = sp.Symbol(declaration.name, **sign_assumption(size))
        self.values[symbol] = number
        return symbol

    def by_mode(self, call: ast.Call, declaration: ast.ParamDecl, reader: Evaluator, context: Context) -> Array:
        """`mu(z)`: a symbol for each entry that differs between modes; `mu(good)`: the value in one mode."""
        self.scope.used.add(declaration.name)
        mode = declaration.mode
        assert mode is not None
        chain = self.scope.find(mode.id, mode.span)
        if not isinstance(chain, ChainName):
            raise Fault(
                "HJB049", f"`{mode.id}` is {chain.what}, not a mode", "declare it, as in `mode z in {good, bad}`", mode.span
            )
        values = self._table(declaration, chain, reader)
        argument = call.args[0] if len(call.args) == 1 else None
        if isinstance(argument, ast.Name) and argument.id in chain.labels:
            return values[chain.labels.index(argument.id)]
        if not isinstance(argument, ast.Name) or argument.id != mode.id:
            raise Fault(
                "HJB049",
                f"`{declaration.name}` depends on the mode `{mode.id}`",
                f"write `{declaration.name}({mode.id})`",
                call.span,
            )
        self.scope.used.add(mode.id)
        if "mode" not in context.roles or context.numeric:
            raise Fault("HJB027", f"the mode `{mode.id}` may not appear in {context.place}", "use a constant", call.span)
        entries = [self._entry(declaration.name, i, [v.entries[i] for v in values], chain, reader, values[0].shape)
                   for i in range(len(values[0].entries))]  # fmt: skip
        return Array(values[0].shape, tuple(entries))

    def _entry(self, name: str, i: int, values: list[sp.Expr], chain: ChainName, reader: Evaluator, shape: Shape) -> sp.Expr:
        if all(value == values[0] for value in values):
            return values[0]
        if shape == ():
            label = name
        else:
            label = f"{name}[{i + 1}]" if len(shape) == 1 else f"{name}[{i // shape[1] + 1}, {i % shape[1] + 1}]"
        if label not in reader.mode_parameters:
            sizes = [as_float(value.xreplace(self.values)) for value in values]
            assumption = {"real": True}
            for sign, holds in (("positive", min(sizes) > 0), ("negative", max(sizes) < 0)):
                if holds:
                    assumption[sign] = True
            reader.mode_parameters[label] = ModeParameter(sp.Symbol(label, **assumption), chain.index, tuple(values))
        return reader.mode_parameters[label].symbol

    def _table(self, declaration: ast.ParamDecl, chain: ChainName, reader: Evaluator) -> tuple[Array, ...]:
        """One value a label, in the order of the labels."""
        mode, table = declaration.mode, declaration.value
        assert mode is not None
        if not isinstance(table, ast.ModeTable):
            value = reader.value(table, Context("a parameter"))
            return (value,) * len(chain.labels)
        shape = declared_shape(declaration, reader) or ()
        found: dict[int, Array] = {}
        for label, expression in table.entries:
            index = label_index(label, mode.id, chain)
            if index in found:
                raise Fault("HJB049", f"the mode `{label.id}` has two values of `{declaration.name}`", "remove one", label.span)
            value = reader.value(expression, Context("a parameter", expected=shape))
            found[index] = _shaped(value, shape, declaration.name, expression)
        missing = [word for i, word in enumerate(chain.labels) if i not in found]
        if missing:
            message = f"`{declaration.name}` has no value in the mode `{missing[0]}`"
            raise Fault("HJB049", message, f"add `{missing[0]}: ...` to the braces", declaration.span)
        return tuple(found[i] for i in range(len(chain.labels)))

    def exported(self, declarations: Mapping[str, ast.ParamDecl]) -> tuple[Parameter, ...]:
        """The parameters of the problem, in the order of declaration; those by mode are in `mode_parameters`."""
        result = []
        for name, declaration in declarations.items():
            array = self.arrays.get(name)
            if array is not None:
                symbol = array.entries[0] if array.shape == () and array.entries[0].is_Symbol else None
                result.append(Parameter(name, symbol, array.shape, array.entries, declaration.description, declaration.span))
        return tuple(result)


def sign_assumption(size: float) -> dict[str, bool]:
    """Assumptions of a symbol that stands for a number of this size."""
    if size > 0:
        return {"real": True, "positive": True}
    return {"real": True, "negative": True} if size < 0 else {"real": True}


def declared_shape(declaration: ast.ParamDecl, reader: Evaluator) -> Shape | None:
    """The extents of `R^(n,m)`; None for a scalar."""
    extents = []
    for expression in declaration.shape:
        extent = whole_number(reader, expression, CONSTANT, "a size")
        if extent < 1:
            raise Fault(
                "HJB043", f"the size {extent} of `{declaration.name}` is not >= 1", "a size is at least 1", expression.span
            )
        extents.append(extent)
    return tuple(extents) or None


def _shaped(array: Array, shape: Shape, name: str, value: ast.Expr) -> Array:
    if not shapes.fits(array, shape):
        message = f"`{name}` is declared {shape_text(shape)} but its value is {shape_text(array.shape)}"
        raise Fault("HJB030", message, "make the declaration and the value agree", value.span)
    return shapes.reshaped(array, shape)


def check_membership(number: sp.Expr, declaration: ast.ParamDecl, reader: Evaluator) -> None:
    """`param sigma = 0.2 in (0, inf)`: the value must lie in the domain written."""
    size = as_float(number)
    place = f"`{declaration.name}` = {plain(declaration.value)}" if not isinstance(declaration.value, ast.ModeTable) else ""
    match declaration.domain:
        case ast.Interval(low, high, low_open, high_open):
            below, above = (as_float(limit(reader, end, "a bound")) for end in (low, high))
            inside = (below < size if low_open else below <= size) and (size < above if high_open else size <= above)
            wanted = f"{'(' if low_open else '['}{plain(low)}, {plain(high)}{')' if high_open else ']'}"
        case ast.FiniteSet(points):
            inside = any(as_float(constant(reader, point, "a point") - number) == 0 for point in points)
            wanted = f"{{{', '.join(plain(point) for point in points)}}}"
        case ast.IntegerRange(low, high):
            ends = [as_float(constant(reader, end, "an end")) for end in (low, high)]
            inside = bool(number.is_Integer) and ends[0] <= size <= ends[1]
            wanted = f"{{{plain(low)}..{plain(high)}}}"
        case _:
            return
    if not inside:
        message = f"{place} is outside its domain {wanted}"
        raise Fault("HJB046", message, "change the value or the domain", declaration.value.span)


def limit(reader: Evaluator, expression: ast.Expr, what: str) -> sp.Expr:
    """A constant that may be `inf` or `-inf`."""
    match expression:
        case ast.Name("inf"):
            return sp.oo
        case ast.Negate(ast.Name("inf")):
            return -sp.oo
    return constant(reader, expression, what)
