"""`check` statements and the `solve` hint.

In: `check V(t = 0, x = 36) = 4.4867 tol 2e-3`. Out: `CheckStatement` with its point by component symbol and its expected entries.
An oracle that is not real for the parameters at hand is a warning and a check that fails, not a mistake of the file: the problem
itself may be infeasible there, and that is what must be said.
"""

from __future__ import annotations

import math

import sympy as sp

from hjbdsl.frontend import ast
from hjbdsl.frontend.applications import constant
from hjbdsl.frontend.arithmetic import as_float
from hjbdsl.frontend.conditions import label_index
from hjbdsl.frontend.context import Context
from hjbdsl.frontend.evaluate import Reader
from hjbdsl.frontend.findings import Consequence, Fault, closest
from hjbdsl.frontend.notation_text import plain
from hjbdsl.frontend.scope import ChainName, VariableName
from hjbdsl.frontend.shapes import Array, Shape, fits, shape_text
from hjbdsl.model.problem import TIME, CheckStatement, Reversal, SolveHint

DEFAULT_TOLERANCE = 1e-6
UNREAL = "HJB041"
PLACE = Context("a check", frozenset({"time", "state", "mode"}))


def read_check(statement: ast.Check, average: bool, reversal: Reversal | None, reader: Reader) -> CheckStatement:
    shape = _target_shape(statement, average, reversal, reader)
    point: dict[sp.Symbol, sp.Expr] = {}
    modes: dict[str, int] = {}
    for key, value in statement.point or ():
        _place(key, value, point, modes, reader)
    expected = _expected(statement, shape, reader)
    if not fits(expected, shape):
        message = f"`{statement.target.id}` is {shape_text(shape)} but the expected value is {shape_text(expected.shape)}"
        raise Fault("HJB060", message, "give one number a component, as in `[0, 1]`", statement.expected.span)
    tolerance = DEFAULT_TOLERANCE
    if statement.tolerance is not None:
        tolerance = as_float(constant(reader, statement.tolerance, "a tolerance"))
        if not 0 < tolerance < float("inf"):
            raise Fault("HJB060", "a tolerance is a positive number", "as in `tol 1e-3`", statement.tolerance.span)
    return CheckStatement(statement.target.id, point, modes, expected.entries, tolerance, _text(statement), statement.span)


def _expected(statement: ast.Check, shape: Shape, reader: Reader) -> Array:
    """The expected value; not-a-number where its only faults are operations without a real result, which are then warnings."""
    findings = reader.scope.findings
    before = set(findings.diagnostics)
    with findings.attempt():
        return reader.value(statement.expected, PLACE)
    fresh = [found for found in findings.diagnostics if found not in before]
    if not fresh or any(found.code != UNREAL or found.span is None for found in fresh):
        raise Consequence
    for found in fresh:
        del findings.diagnostics[found]
        if found.span is not None:
            findings.warn(UNREAL, f"{found.message}: the check of `{statement.target.id}` fails", found.help or "", found.span)
    return Array(shape, (sp.nan,) * math.prod(shape))


def _target_shape(statement: ast.Check, average: bool, reversal: Reversal | None, reader: Reader) -> Shape:
    target = statement.target
    entity = reader.scope.entities.get(target.id)
    if isinstance(entity, VariableName) and entity.role != "state" and entity.group is not None:
        reader.scope.used.add(target.id)
        return entity.group.shape
    if reversal is not None and target.id == reversal.control.name:
        return reversal.control.shape
    if target.id == "V" or (target.id == "average" and average):
        return ()
    if target.id in reader.scope.broken or (reversal is None and target.id == "u" and "reverse" in reader.scope.broken):
        raise Consequence
    names = ["V", *(["average"] if average else []), *([reversal.control.name] if reversal else [])]
    names += [n for n, e in reader.scope.entities.items() if isinstance(e, VariableName) and e.role != "state"]
    near = closest(target.id, names)
    remedy = f"did you mean `{near}`?" if near else f"a check is on {', '.join(f'`{name}`' for name in names)}"
    if target.id == "average":
        remedy = "`average` is the value of `maximize average ...`"
    raise Fault("HJB060", f"`{target.id}` is nothing that is solved for", remedy, target.span)


def _place(key: ast.Name, value: ast.Expr, point: dict[sp.Symbol, sp.Expr], modes: dict[str, int], reader: Reader) -> None:
    """One `name = value` of a point."""
    entity = reader.scope.entities.get(key.id)
    if isinstance(entity, ChainName):
        reader.scope.used.add(key.id)
        modes[key.id] = label_index(value, key.id, entity)
        return
    if key.id == "t":
        moment = constant(reader, value, "a time")
        if not as_float(moment) >= 0:
            raise Fault("HJB060", "time starts at 0", "give a time >= 0", value.span)
        point[TIME] = moment
        return
    if isinstance(entity, VariableName) and entity.role == "state" and entity.group is not None:
        group = entity.group
        found = reader.value(value, Context("a point", numeric=True))
        if not fits(found, group.shape):
            message = f"`{key.id}` is {shape_text(group.shape)} but `{plain(value)}` is {shape_text(found.shape)}"
            raise Fault("HJB060", message, "a vector is given as `[1, 0]`", value.span)
        point.update(zip(group.symbols, found.entries, strict=True))
        return
    if key.id in reader.scope.broken:
        raise Consequence
    names = ["t", *(n for n, e in reader.scope.entities.items()
                    if isinstance(e, ChainName) or (isinstance(e, VariableName) and e.role == "state"))]  # fmt: skip
    near = closest(key.id, names)
    remedy = f"did you mean `{near}`?" if near else f"a point names {', '.join(f'`{name}`' for name in names)}"
    raise Fault("HJB060", f"`{key.id}` is no state", remedy, key.span)


def _text(statement: ast.Check) -> str:
    if not statement.point:
        return statement.target.id
    return f"{statement.target.id}({', '.join(f'{key.id} = {plain(value)}' for key, value in statement.point)})"


def read_hint(statement: ast.Solve, reader: Reader) -> SolveHint:
    """`solve grid(nx = 401)`: numbers where the options are numbers, words where they are words."""
    options: dict[str, float | str] = {}
    for key, value in statement.options:
        known = isinstance(value, ast.Name) and (value.id in reader.scope.entities or value.id == "pi")
        if isinstance(value, ast.Name) and not known:
            options[key.id] = value.id
        else:
            options[key.id] = as_float(constant(reader, value, "an option"))
    return SolveHint(statement.method.id, options, statement.span)
