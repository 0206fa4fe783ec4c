"""Stopping, exit, exploration, joint constraints and boundary statements.

In: their syntax. Out: the rules of `model.problem`. The random times were declared with the other names; here they
get their conditions.
"""

from __future__ import annotations

import sympy as sp

from hjbdsl.frontend import ast
from hjbdsl.frontend.applications import constant
from hjbdsl.frontend.arithmetic import as_float
from hjbdsl.frontend.context import EVERYTHING, Context
from hjbdsl.frontend.evaluate import Reader
from hjbdsl.frontend.findings import Consequence, Fault, closest
from hjbdsl.frontend.horizon import read_end
from hjbdsl.frontend.notation_text import plain
from hjbdsl.frontend.scope import VariableName
from hjbdsl.frontend.shapes import shape_text
from hjbdsl.model.problem import (
    BoundaryStatement,
    Bounds,
    Constraint,
    ExitRule,
    Exploration,
    Role,
    StoppingRule,
    VariableGroup,
)


def read_stopping(statement: ast.Stopping, reader: Reader) -> StoppingRule:
    return StoppingRule(statement.time.id, _latest(statement.interval, reader), statement.span)


def read_exit(statement: ast.Exit, reader: Reader, end: sp.Expr) -> ExitRule:
    """The condition is one on states; without an interval the process may end until the objective's own end."""
    condition = reader.condition(statement.condition, Context("an exit condition", frozenset({"state", "mode"})))
    if condition in (sp.true, sp.false):
        always = condition == sp.true
        what, truth = ("happens at once", "true") if always else ("never happens", "false")
        message = f"the exit `{statement.time.id}` {what}: `{plain(statement.condition)}` is {truth} everywhere"
        raise Fault(
            "HJB102",
            message,
            "check the condition and the state's domain: an open bound, as in `x > 0`, is never reached",
            statement.condition.span,
        )
    latest = end if statement.interval is None else _latest(statement.interval, reader)
    return ExitRule(statement.time.id, condition, latest, statement.span)


def _latest(interval: ast.Interval, reader: Reader) -> sp.Expr:
    end = read_end(interval.high, reader)
    if end is None:
        raise Fault("HJB053", "a rule ends at a time, not at a random one", "write `[0, T]`", interval.high.span)
    return end.value


def read_constraint(expression: ast.Expr, reader: Reader) -> Constraint:
    """`subject to`: each constraint is on controls, on the adversary, or on states."""
    condition = reader.condition(expression, Context("a constraint", EVERYTHING))
    if condition == sp.false:
        raise Fault("HJB045", f"the constraint `{plain(expression)}` cannot hold", "check its sides", expression.span)
    roles = {role for symbol in condition.free_symbols for role in _roles_of(symbol, reader)}
    if "control" in roles and "adversary" in roles:
        remedy = "write one constraint for each"
        raise Fault("HJB027", "a constraint binds the control and the adversary together", remedy, expression.span)
    role: Role = "adversary" if "adversary" in roles else "control" if "control" in roles else "state"
    return Constraint(condition, role, expression.span)


def _roles_of(symbol: sp.Symbol, reader: Reader) -> list[str]:
    entities = reader.scope.entities.values()
    return [e.role for e in entities if isinstance(e, VariableName) and e.group is not None and symbol in e.group.symbols]


def named_group(name: ast.Name, role: str, reader: Reader) -> VariableGroup:
    """The state or control of a name, for statements that begin with one."""
    entity = reader.scope.entities.get(name.id)
    if isinstance(entity, VariableName) and entity.group is not None and entity.role == role:
        return entity.group
    if name.id in reader.scope.broken:
        raise Consequence
    if entity is not None:
        raise Fault("HJB027", f"`{name.id}` is {entity.what}, not a {role}", f"name a {role}", name.span)
    names = [n for n, e in reader.scope.entities.items() if isinstance(e, VariableName) and e.role == role]
    near = closest(name.id, names)
    listed = ", ".join(f"`{word}`" for word in names) or "none"
    remedy = f"did you mean `{near}`?" if near else f"the {role}s are {listed}"
    raise Fault("HJB021", f"`{name.id}` is no {role}", remedy, name.span)


def read_exploration(statement: ast.Explore, reader: Reader) -> Exploration:
    group = named_group(statement.control, "control", reader)
    temperature = reader.scalar(statement.temperature, Context("the temperature"))
    number = reader.arithmetic.number(temperature)
    if number is not None and not as_float(number) > 0:
        message = f"the temperature `{plain(statement.temperature)}` is not positive"
        raise Fault("HJB056", message, "a temperature is above 0", statement.temperature.span)
    return Exploration(group.symbols, temperature, _prior(statement, reader), statement.span)


def _prior(statement: ast.Explore, reader: Reader) -> tuple[sp.Expr, sp.Expr] | None:
    prior = statement.prior
    if prior is None:
        return None
    if prior.name != "normal" or len(prior.args) != 2:
        raise Fault("HJB056", f"the prior `{prior.name}` is not known", "write `prior normal(mean, variance)`", prior.span)
    place = Context("the prior", frozenset({"time", "state", "mode"}))
    mean, variance = (reader.scalar(arg, place) for arg in prior.args)
    number = reader.arithmetic.number(variance)
    if number is not None and not as_float(number) > 0:
        raise Fault(
            "HJB047", f"the variance `{plain(prior.args[1])}` is not positive", "normal(mean, variance)", prior.args[1].span
        )
    return mean, variance


def read_boundary(statement: ast.Boundary, reader: Reader) -> BoundaryStatement:
    value = reader.value(statement.state, Context("a boundary", frozenset({"state"})))
    symbol = value.entries[0]
    states = [e.group for e in reader.scope.entities.values() if isinstance(e, VariableName) and e.role == "state"]
    group = next((g for g in states if g is not None and symbol in g.symbols), None)
    if not value.is_single or group is None:
        message = f"`{plain(statement.state)}` is {shape_text(value.shape)}, not one component of the state"
        raise Fault("HJB058", message, "write `boundary x = 0 : ...` or `boundary x[1] = 0 : ...`", statement.state.span)
    location = constant(reader, statement.location, "a boundary")
    symbolic = reader.scalar(statement.location, Context("a boundary"))
    _check_on_domain(statement, location, group.bounds[group.symbols.index(symbol)], reader)
    kinds = ("value", "slope", "reflect", "outflow", "constrain")
    if statement.kind.id not in kinds:
        near = closest(statement.kind.id, kinds)
        remedy = f"did you mean `{near}`?" if near else f"the kinds are {', '.join(kinds)}"
        raise Fault("HJB058", f"`{statement.kind.id}` is no boundary condition", remedy, statement.kind.span)
    place = Context("a boundary value", frozenset({"time", "state", "mode"}))
    amount = None if statement.amount is None else reader.scalar(statement.amount, place)
    if amount is None and statement.kind.id in ("value", "slope"):
        raise Fault("HJB058", f"`{statement.kind.id}` needs an amount", f"as in `{statement.kind.id} 0`", statement.kind.span)
    return BoundaryStatement(symbol, symbolic, statement.kind.id, amount, statement.span)  # type: ignore[arg-type]


def _check_on_domain(statement: ast.Boundary, location: sp.Expr, bounds: Bounds, reader: Reader) -> None:
    below, above = (as_float(end.xreplace(reader.arithmetic.values)) if end.is_finite is not False else
                    float("inf") * (1 if end == sp.oo else -1) for end in (bounds.lower, bounds.upper))  # fmt: skip
    if not below - 1e-12 <= as_float(location) <= above + 1e-12:
        message = f"the boundary `{plain(statement.state)} = {plain(statement.location)}` lies outside the domain"
        raise Fault("HJB058", message, f"the state lives between {below:g} and {above:g}", statement.location.span)
