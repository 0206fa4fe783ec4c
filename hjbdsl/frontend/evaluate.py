"""Stage 2, values: from syntax to arrays of sympy scalars.

In: `ast.Expr`, the scope, the parameters' values. Out: `Array` or sympy Boolean; a mistake raises `Fault` at its
place. Work is counted, so that a short text cannot ask for hours of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import sympy as sp

from hjbdsl.errors import Span
from hjbdsl.frontend import applications, ast, comprehension, conditions, operators, shapes
from hjbdsl.frontend.arithmetic import Arithmetic, Unworkable, literal
from hjbdsl.frontend.context import Context, PartialOperation, fault_of
from hjbdsl.frontend.findings import Consequence, Fault
from hjbdsl.frontend.functions import BUILTINS
from hjbdsl.frontend.notation_text import plain
from hjbdsl.frontend.parameters import ParameterTable
from hjbdsl.frontend.scope import ChainName, Definition, ParameterName, RuleTime, Scope, VariableName
from hjbdsl.frontend.shapes import Array, scalar, shape_text
from hjbdsl.model.problem import ModeParameter

T = TypeVar("T")
WORK_LIMIT = 1_000_000
VISIT = 4


@dataclass(slots=True)
class Reader:
    """`mode_parameters` collects the symbols that stand for something that depends on the mode; `partial_operations` the
    roots and logarithms by their arguments, for the check that they are real."""

    scope: Scope
    parameters: ParameterTable
    mode_parameters: dict[str, ModeParameter] = field(default_factory=dict)
    partial_operations: dict[sp.Expr, PartialOperation] = field(default_factory=dict)
    _work: int = 0
    _open_definitions: list[str] = field(default_factory=list)

    @property
    def arithmetic(self) -> Arithmetic:
        return self.parameters.arithmetic

    def spend(self, work: int, span: Span) -> None:
        if self._work > WORK_LIMIT and self.scope.findings.errors:  # said once; every later expression would only say it again
            raise Consequence
        self._work += work
        if self._work > WORK_LIMIT:
            raise too_large_to_write_out(span)

    def foresee(self, visits: float, span: Span) -> None:
        """Refuse what would take more than the work that is left, before any of it is done."""
        if self._work <= WORK_LIMIT < self._work + VISIT * visits:
            raise too_large_to_write_out(span)

    def value(self, expression: ast.Expr, context: Context) -> Array:  # noqa: PLR0912 - one case a node
        self.spend(VISIT, expression.span)
        match expression:
            case ast.Number(text):
                try:
                    return scalar(literal(text))
                except Unworkable as problem:
                    raise fault_of(problem, expression.span) from None
            case ast.Name():
                return self._name(expression, context)
            case ast.Negate(operand):
                return shapes.negate(self.value(operand, context))
            case ast.Binary():
                return operators.binary(self, expression, context)
            case ast.Call():
                return self._call(expression, context)
            case ast.Index():
                return applications.index(self, expression, context)
            case ast.Transpose(operand):
                return shapes.transpose(self.value(operand, context.inner()))
            case ast.Norm(operand):
                return applications.norm(expression, self.value(operand, context.inner()))
            case ast.ListOf():
                return applications.listed(self, expression, context)
            case ast.Comprehension():
                return comprehension.comprehension(self, expression, context)
            case ast.Integral():
                if context.hooks is None:
                    remedy = "a running reward is written `maximize E integral(0, T) f dt`"
                    raise Fault("HJB051", "an integral may stand only in the objective", remedy, expression.span)
                return context.hooks.integral(expression, context)
            case ast.Compare() | ast.Boolean() | ast.Not():
                message = f"`{plain(expression)}` is a condition, not a number"
                raise Fault("HJB034", message, f"write `indicator({plain(expression)})`", expression.span)
        raise ValueError(f"no such expression: {expression}")

    def condition(self, expression: ast.Expr, context: Context) -> sp.Basic:
        self.spend(VISIT, expression.span)
        match expression:
            case ast.Compare():
                return conditions.compare(self, expression, context, self._mode_indicator)
            case ast.Boolean(operator, operands):
                parts = [self.condition(operand, context) for operand in operands]
                return sp.And(*parts) if operator == "and" else sp.Or(*parts)
            case ast.Not(operand):
                return sp.Not(self.condition(operand, context))
            case ast.Name(word) if isinstance(self.scope.entities.get(word), Definition) and word not in context.locals:
                body, inner = self._body(ast.Call(word, (), expression.span, expression.span), context, named=True)
                return self._within(word, lambda: self.condition(body, inner))
            case ast.Call(word) if isinstance(self.scope.entities.get(word), Definition):
                body, inner = self._body(expression, context, named=False)
                return self._within(word, lambda: self.condition(body, inner))
        message = f"`{plain(expression)}` is a number where a condition is wanted"
        raise Fault("HJB034", message, "compare it, as in `x > 0`", expression.span)

    def scalar(self, expression: ast.Expr, context: Context) -> sp.Expr:
        """The value of an expression that must be a scalar."""
        value = self.value(expression, context)
        if not value.is_single:
            message = f"{context.place} must be a scalar, but `{plain(expression)}` is {shape_text(value.shape)}"
            raise Fault("HJB033", message, "write a scalar, such as a component `x[i]` or a norm `|x|`", expression.span)
        return value.entries[0]

    def _name(self, name: ast.Name, context: Context) -> Array:
        if name.id in context.locals:
            return context.locals[name.id]
        if name.id == "t":
            return applications.time(name, context)
        if name.id == "inf":
            raise Fault("HJB027", f"`inf` may not appear in {context.place}", "write a finite number", name.span)
        if name.id == "pi" and "pi" not in self.scope.entities and "pi" not in self.scope.broken:
            return scalar(sp.pi)
        entity = self.scope.find(name.id, name.span, context.locals)
        match entity:
            case ParameterName(declaration):
                if declaration.mode is not None:
                    remedy = f"write `{name.id}({declaration.mode.id})`"
                    raise Fault("HJB049", f"`{name.id}` depends on the mode `{declaration.mode.id}`", remedy, name.span)
                return self.parameters.array(name, declaration, self, numeric=context.numeric)
            case Definition(statement):
                if statement.arguments is not None:
                    names = ", ".join(argument.id for argument in statement.arguments)
                    message = f"`{name.id}` is a function of ({names})"
                    raise Fault("HJB032", message, f"write `{name.id}({names})`", name.span)
                return self._defined(ast.Call(name.id, (), name.span, name.span), context, named=True)
            case VariableName():
                return applications.variable(name, entity, context)
            case RuleTime() if context.hooks is not None:
                return scalar(context.hooks.random_time(entity))
        raise applications.unusable(name, entity)

    def _call(self, call: ast.Call, context: Context) -> Array:
        if call.name in self.scope.broken:
            raise Consequence
        entity = None if call.name in context.locals else self.scope.entities.get(call.name)
        match entity:
            case Definition():
                return self._defined(call, context, named=False)
            case ParameterName(declaration) if declaration.mode is not None:
                return self.parameters.by_mode(call, declaration, self, context)
            case VariableName() if entity.group is not None:
                self.scope.used.add(call.name)
                return self._state_at(call, entity, context)
        match call.name:
            case "if":
                return applications.choice(self, call, context)
            case "indicator":
                return applications.indicator(self, call, context)
        if entity is not None and call.name not in BUILTINS and not isinstance(entity, VariableName | Definition):
            self.scope.used.add(call.name)
            raise applications.not_a_function(call, entity)
        return applications.builtin(self, call, context)

    def _state_at(self, call: ast.Call, entity: VariableName, context: Context) -> Array:
        """`x(T)`, `x(tau)`: the state at the end; `x(t)` is x."""
        name = ast.Name(call.name, call.name_span)
        if len(call.args) == 1 and call.args[0] == ast.Name("t", call.span):
            return applications.variable(name, entity, context)
        if entity.group is None or entity.role != "state":
            message = f"`{call.name}` is {entity.what}, not a function"
            raise Fault("HJB029", message, f"write `{call.name}*(...)` for a product", call.name_span)
        if context.hooks is None or len(call.args) != 1:
            remedy = f"write `{call.name}`, the present state; `{call.name}(T)` belongs into the objective"
            raise Fault("HJB052", f"`{plain(call)}` has no meaning in {context.place}", remedy, call.span)
        return context.hooks.final_state(entity.group, call.args[0])

    def _mode_indicator(self, chain: ChainName, name: str, label: int) -> sp.Expr:
        word = f"{name}_{chain.labels[label]}"
        while word in self.scope.entities:
            word += "_"
        symbol = sp.Symbol(word, real=True, nonnegative=True)
        values = tuple(sp.S.One if i == label else sp.S.Zero for i in range(len(chain.labels)))
        self.mode_parameters.setdefault(str(symbol), ModeParameter(symbol, chain.index, values))
        return self.mode_parameters[str(symbol)].symbol

    def _body(self, call: ast.Call, context: Context, named: bool) -> tuple[ast.Expr, Context]:
        """The body of a definition with the context in which to read it."""
        definition = self.scope.find(call.name, call.name_span)
        if not isinstance(definition, Definition):
            raise ValueError(f"{call.name} is no definition")
        if call.name in self._open_definitions:
            raise recursion(call.name, call.span)
        if named and definition.statement.arguments is None:
            return definition.statement.body, context.body({})
        return applications.apply_definition(self, call, definition, context)

    def _defined(self, call: ast.Call, context: Context, named: bool) -> Array:
        body, inner = self._body(call, context, named)
        return self._within(call.name, lambda: self.value(body, replace(inner, expected=context.expected)))

    def _within(self, name: str, read: Callable[[], T]) -> T:
        """Read the body of a definition while it counts as open: a definition inside itself is a fault."""
        self._open_definitions.append(name)
        try:
            return read()
        finally:
            self._open_definitions.pop()


def too_large_to_write_out(span: Span) -> Fault:
    return Fault("HJB040", "the problem is too large to write out", "use fewer components or smaller ranges", span)


def recursion(name: str, span: Span) -> Fault:
    remedy = "a definition may use only others; write the closed form instead"
    return Fault("HJB023", f"`{name}` is defined by itself (recursion)", remedy, span)
