"""The body of an objective, read as one expression that is linear in its integrals.

In: the syntax, with integrals, final states `x(T)`, random times and discount factors. Out: symbols that stand for them, and what
they stand for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import sympy as sp

from hjbdsl.frontend import ast
from hjbdsl.frontend.arithmetic import literal
from hjbdsl.frontend.context import EVERYTHING, Context
from hjbdsl.frontend.discounting import Weight
from hjbdsl.frontend.evaluate import Reader
from hjbdsl.frontend.findings import Fault
from hjbdsl.frontend.horizon import read_end
from hjbdsl.frontend.notation_text import plain
from hjbdsl.frontend.scope import RuleTime
from hjbdsl.frontend.shapes import Array, scalar
from hjbdsl.frontend.walk import nodes
from hjbdsl.model.problem import TIME, VariableGroup

PAYOFF = "the terminal value"


@dataclass(slots=True)
class ObjectiveReader:
    """Reads a body. Integrals and final states become symbols of their own, so that the body is one expression, linear in the
    integrals. `finals` maps (state, rule or "end") to those symbols; `times` the rules to their random times."""

    reader: Reader
    end: sp.Expr
    risk: bool = False
    integrals: dict[sp.Symbol, sp.Expr] = field(default_factory=dict)
    finals: dict[tuple[str, str], tuple[sp.Symbol, ...]] = field(default_factory=dict)
    groups: dict[str, VariableGroup] = field(default_factory=dict)
    times: dict[str, sp.Symbol] = field(default_factory=dict)
    ends_at_rule: set[str] = field(default_factory=set)
    _inside: bool = False

    def time_factor(self, argument: sp.Expr, written: ast.Expr) -> sp.Expr | None:
        """The mark of exp(argument) when the argument is a function of time alone."""
        if self.risk:
            return None
        clocks = {TIME, *self.times.values()}
        free = argument.free_symbols
        if any(symbol not in self.reader.arithmetic.values and symbol not in clocks for symbol in free):
            return None
        if free & clocks or (not self._inside and self._holds_end(argument, written)):
            return Weight(argument)
        return None

    def _holds_end(self, argument: sp.Expr, written: ast.Expr) -> bool:
        """Whether the end stands in the exponent: its symbol, or its number as a factor, as in exp(-0.05*2) with x(2)."""
        if self.end.free_symbols:
            return bool(argument.free_symbols & self.end.free_symbols)
        if self.end == sp.oo or not argument.could_extract_minus_sign():
            return False
        if argument.free_symbols:
            return True
        products = [node for node in nodes(written) if isinstance(node, ast.Binary) and node.op == "*"]
        factors = [side for node in products for side in (node.left, node.right)]
        return any(isinstance(side, ast.Number) and literal(side.text) == self.end for side in factors)

    def integral(self, node: ast.Integral, context: Context) -> Array:
        if self._inside:
            raise Fault("HJB051", "an integral inside an integral", "carry the inner one as a state", node.span)
        if node.differential.id != "dt":
            remedy = "end the integral with `dt`"
            raise Fault(
                "HJB051", f"the integral runs over time, not over `{node.differential.id}`", remedy, node.differential.span
            )
        if isinstance(node.high, ast.Name) and isinstance(self.reader.scope.entities.get(node.high.id), RuleTime):
            self.reader.scope.used.add(node.high.id)
            self.ends_at_rule.add(node.high.id)
        self._inside = True
        try:
            integrand = self.reader.scalar(
                node.integrand, Context("the running reward", EVERYTHING, locals=context.locals, hooks=self)
            )
        finally:
            self._inside = False
        symbol = sp.Dummy("integral", real=True)
        self.integrals[symbol] = integrand
        return scalar(symbol)

    def final_state(self, group: VariableGroup, when: ast.Expr) -> Array:
        if self._inside:
            remedy = f"inside an integral write `{group.name}`, the state at time t"
            raise Fault("HJB052", f"`{group.name}({plain(when)})` stands inside an integral", remedy, when.span)
        rule = "end"
        if isinstance(when, ast.Name) and isinstance(self.reader.scope.entities.get(when.id), RuleTime):
            rule = when.id
            self.reader.scope.used.add(rule)
        else:
            end = read_end(when, self.reader)
            if end is not None and end.value == sp.oo:
                raise Fault("HJB053", "there is no final state at infinity", "use a finite horizon", when.span)
        key = (group.name, rule)
        if key not in self.finals:
            self.finals[key] = tuple(sp.Dummy(str(s), **s.assumptions0) for s in group.symbols)
            self.groups[group.name] = group
        return Array(group.shape, self.finals[key])

    def random_time(self, entity: RuleTime) -> sp.Expr:
        self.times[str(entity.symbol)] = entity.symbol
        return entity.symbol

    def misplaced(self, name: ast.Name, role: str) -> Fault:
        """A state, control or the time where only what is known at the end may stand."""
        rules = [n for n, e in self.reader.scope.entities.items() if isinstance(e, RuleTime)]
        moment = rules[0] if rules else "T"
        if role == "state":
            remedy = f"write `{name.id}({moment})` for the state at the end, or put it under `integral(0, {moment}) ... dt`"
            return Fault("HJB052", f"the state `{name.id}` stands in {PAYOFF} without its time", remedy, name.span)
        if role == "time":
            remedy = f"write `{moment}`, the time at which it is paid"
            return Fault("HJB052", f"the time `t` stands in {PAYOFF}", remedy, name.span)
        remedy = "a control acts on the way, not at the end: put its cost under `integral(...) ... dt`"
        return Fault("HJB052", f"the control `{name.id}` may not appear in {PAYOFF}", remedy, name.span)
