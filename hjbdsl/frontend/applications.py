"""What a name, a call, an index, a list stands for.

In: `ast.Name`, `ast.Call`, `ast.Index`, `ast.ListOf`. Out: arrays. A name that stands for
something that is no number (a noise, a mode, a random time, a function without its arguments) is a fault that says
how it is used.
"""

from __future__ import annotations

import sympy as sp

from hjbdsl.frontend import ast, shapes
from hjbdsl.frontend.arithmetic import Unworkable
from hjbdsl.frontend.context import Context, Evaluator, PartialOperation, fault_of
from hjbdsl.frontend.findings import Fault, closest
from hjbdsl.frontend.functions import BUILTINS
from hjbdsl.frontend.notation_text import plain
from hjbdsl.frontend.scope import (
    ChainName,
    Definition,
    JumpName,
    NoiseName,
    ParameterName,
    RuleTime,
    VariableName,
)
from hjbdsl.frontend.shapes import Array, scalar, shape_text
from hjbdsl.model.problem import TIME

ROLE_WORDS = {"state": "the state", "control": "the control", "adversary": "the adversary's control"}


def variable(name: ast.Name, entity: VariableName, context: Context) -> Array:
    if entity.role not in context.roles:
        if context.hooks is not None:
            raise context.hooks.misplaced(name, entity.role)
        remedy = "states and controls may stand in dynamics, rates and the objective"
        raise Fault("HJB027", f"{ROLE_WORDS[entity.role]} `{name.id}` may not appear in {context.place}", remedy, name.span)
    if entity.group is None:
        raise Fault("HJB027", f"`{name.id}` is used before its domain is known", "declare it in an earlier line", name.span)
    return Array(entity.group.shape, entity.group.symbols)


def time(name: ast.Name, context: Context) -> Array:
    if "time" not in context.roles:
        if context.hooks is not None:
            raise context.hooks.misplaced(name, "time")
        raise Fault("HJB027", f"the time `t` may not appear in {context.place}", "use a constant", name.span)
    return scalar(TIME)


def unusable(name: ast.Name, entity: object) -> Fault:
    """A name that is no number where a number is wanted."""
    match entity:
        case NoiseName():
            return Fault("HJB027", f"`{name.id}` is a noise, not a number", f"it enters the dynamics as `d{name.id}`", name.span)
        case JumpName():
            return Fault("HJB027", f"`{name.id}` is a jump process, not a number", f"it enters as `d{name.id}`", name.span)
        case ChainName(_, labels):
            remedy = f"compare it, as in `if({name.id} == {labels[0]}, a, b)`, or use a parameter by mode"
            return Fault("HJB027", f"`{name.id}` is a mode, not a number", remedy, name.span)
        case RuleTime():
            remedy = f"write `x({name.id})` or `exp(-r*{name.id})` in the objective"
            return Fault("HJB027", f"the random time `{name.id}` is known only in the objective", remedy, name.span)
    raise ValueError(f"no such entity: {entity}")


def apply_definition(reader: Evaluator, call: ast.Call, definition: Definition, context: Context) -> tuple[ast.Expr, Context]:
    """The body of a definition and the context that holds its arguments."""
    wanted = definition.statement.arguments
    if wanted is None:
        message = f"`{call.name}` is a definition without arguments"
        raise Fault("HJB032", message, f"write `{call.name}*(...)` for a product", call.name_span)
    if len(wanted) != len(call.args):
        names = ", ".join(argument.id for argument in wanted)
        message = f"`{call.name}({names})` takes {len(wanted)} argument{'s' * (len(wanted) != 1)}, not {len(call.args)}"
        raise Fault("HJB032", message, f"it is defined in line {definition.statement.span.line}", call.span)
    inner = context.inner()
    values = {argument.id: reader.value(given, inner) for argument, given in zip(wanted, call.args, strict=True)}
    return definition.statement.body, context.body(values)


def builtin(reader: Evaluator, call: ast.Call, context: Context) -> Array:
    function = BUILTINS.get(call.name)
    if function is None:
        raise unknown_function(reader, call)
    inner = context.inner()
    arguments = [reader.value(argument, inner) for argument in call.args]
    try:
        if call.name == "exp" and context.hooks is not None and len(arguments) == 1 and arguments[0].is_single:
            factor = context.hooks.time_factor(arguments[0].entries[0], call.args[0])
            if factor is not None:
                return scalar(factor)
        result = function(reader.arithmetic, arguments)
    except Unworkable as problem:
        raise fault_of(problem, call.span) from None
    reader.spend(len(result.entries), call.span)
    if call.name in ("sqrt", "log") and context.roles:
        argument = arguments[0].entries[0]
        operation = PartialOperation(argument, plain(call), plain(call.args[0]), call.name == "log", call.span)
        reader.partial_operations.setdefault(argument, operation)
    return result


def unknown_function(reader: Evaluator, call: ast.Call) -> Fault:
    scope = reader.scope
    callable_names = [n for n, e in scope.entities.items() if isinstance(e, Definition | VariableName)]
    near = closest(call.name, [*BUILTINS, "if", "indicator", *callable_names])
    if near is None:
        remedy = f"define it, as in `let {call.name}(y) = ...`; a product is written `{call.name}*(...)`"
    else:
        remedy = f"did you mean `{near}`?"
    return Fault("HJB029", f"unknown function `{call.name}`", remedy, call.name_span)


def not_a_function(call: ast.Call, entity: ParameterName | NoiseName | JumpName | ChainName | RuleTime) -> Fault:
    remedy = f"write `{call.name}*(...)` for a product"
    return Fault("HJB029", f"`{call.name}` is {entity.what}, not a function", remedy, call.name_span)


def choice(reader: Evaluator, call: ast.Call, context: Context) -> Array:
    """`if(condition, a, b)`: an array of Piecewise entries."""
    if len(call.args) != 3:
        message = f"`if` takes a condition and two values, not {len(call.args)} arguments"
        raise Fault("HJB032", message, "as in `if(x > 0, x, 0)`", call.span)
    inner = context.inner()
    condition = reader.condition(call.args[0], inner)
    if condition in (sp.true, sp.false):
        return reader.value(call.args[1] if condition == sp.true else call.args[2], inner)
    one, other = (reader.value(branch, inner) for branch in call.args[1:])
    if not shapes.fits(other, one.shape):
        message = f"the branches of `if` differ: {shape_text(one.shape)} and {shape_text(other.shape)}"
        raise Fault("HJB030", message, "both values need one shape", call.span)
    pairs = zip(one.entries, other.entries, strict=True)
    return Array(one.shape, tuple(piecewise(a, condition, b) for a, b in pairs))


def piecewise(value: sp.Expr, condition: sp.Basic, otherwise: sp.Expr) -> sp.Expr:
    """a where the condition holds, else b. Unevaluated: sympy would try to solve the condition."""
    if value == otherwise:
        return value
    if isinstance(otherwise, sp.Piecewise):
        return sp.Piecewise((value, condition), *otherwise.args, evaluate=False)
    return sp.Piecewise((value, condition), (otherwise, True), evaluate=False)


def indicator(reader: Evaluator, call: ast.Call, context: Context) -> Array:
    if len(call.args) != 1:
        raise Fault("HJB032", "`indicator` takes one condition", "as in `indicator(x > 0)`", call.span)
    condition = reader.condition(call.args[0], context.inner())
    if condition in (sp.true, sp.false):
        return scalar(sp.S.One if condition == sp.true else sp.S.Zero)
    return scalar(piecewise(sp.S.One, condition, sp.S.Zero))


def whole_number(reader: Evaluator, expression: ast.Expr, context: Context, what: str) -> int:
    """A constant that must be a whole number, such as an index, a size or the end of a range."""
    constant = Context(what, numeric=True, locals=context.locals)
    value = reader.value(expression, constant)
    number = value.entries[0] if value.is_single else None
    if number is None or not number.is_Integer:
        message = f"`{plain(expression)}` is no whole number, as {what} must be"
        raise Fault("HJB043", message, "use a whole number or a parameter that is one", expression.span)
    if abs(number) > 10**9:
        raise Fault("HJB040", f"`{plain(expression)}` is too large for {what}", "use a smaller number", expression.span)
    return int(number)


def index(reader: Evaluator, node: ast.Index, context: Context) -> Array:
    base = reader.value(node.base, context.inner())
    where = [whole_number(reader, i, context, "an index") for i in node.indices]
    text = plain(node.base)
    shape = base.shape
    if len(shape) == 2 and 1 in shape and len(where) == 1:
        shape = (len(base.entries),)
    if len(where) != len(shape):
        word = "index" if len(shape) == 1 else "indices"
        message = f"`{text}` is {shape_text(base.shape)} and takes {len(shape)} {word}, not {len(where)}"
        raise Fault("HJB031", message, "a vector is indexed `x[i]`, a matrix `A[i, j]`", node.span)
    for i, extent, expression in zip(where, shape, node.indices, strict=True):
        if not 1 <= i <= extent:
            message = f"index {i} is out of range: `{text}` is {shape_text(base.shape)}"
            raise Fault("HJB031", message, f"indices run from 1 to {extent}", expression.span)
    position = where[0] - 1 if len(where) == 1 else (where[0] - 1) * shape[1] + where[1] - 1
    return scalar(base.entries[position])


def norm(node: ast.Norm, operand: Array) -> Array:
    try:
        return shapes.norm(operand)
    except shapes.ShapeMismatch:
        message = f"`{plain(node)}` is the norm of a vector, but `{plain(node.operand)}` is {shape_text(operand.shape)}"
        raise Fault("HJB030", message, "take the norm of `A*x`, or of a row", node.span) from None


def listed(reader: Evaluator, node: ast.ListOf, context: Context) -> Array:
    if not node.items:
        raise Fault("HJB030", "an empty list has no shape", "write at least one entry", node.span)
    return stacked([reader.value(item, context.inner()) for item in node.items], node)


def stacked(rows: list[Array], node: ast.ListOf | ast.Comprehension) -> Array:
    try:
        return shapes.stack(rows)
    except shapes.ShapeMismatch:
        found = ", ".join(dict.fromkeys(shape_text(row.shape) for row in rows))
        raise Fault(
            "HJB030", f"the entries of a list differ in shape: {found}", "all rows of a matrix need one length", node.span
        ) from None


def constant(reader: Evaluator, expression: ast.Expr, what: str) -> sp.Expr:
    """The exact number of a constant scalar expression."""
    value = reader.value(expression, Context(what, numeric=True))
    if not value.is_single:
        raise Fault("HJB033", f"{what} must be a number, not {shape_text(value.shape)}", "write a scalar", expression.span)
    return value.entries[0]
