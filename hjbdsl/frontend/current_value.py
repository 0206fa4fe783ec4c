"""The objective in current value: running reward, payoffs, discount, horizon.

In: `maximize E [ integral(0, T) exp(-rho*t)*f dt + exp(-rho*T)*g(x(T)) ]` and its relatives. Out:
`model.problem.Objective`, in which the discount factor has been taken out and every payoff is a function of the
state at the time it is paid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import sympy as sp

from hjbdsl.frontend import ast
from hjbdsl.frontend.arithmetic import as_float, literal
from hjbdsl.frontend.context import EVERYTHING, Context
from hjbdsl.frontend.discounting import Weight, divided, exponents, rate_of, unmarked
from hjbdsl.frontend.evaluate import Reader
from hjbdsl.frontend.findings import Fault
from hjbdsl.frontend.horizon import common_end, read_end
from hjbdsl.frontend.notation_text import plain
from hjbdsl.frontend.scope import RuleTime
from hjbdsl.frontend.shapes import Array, scalar
from hjbdsl.frontend.walk import nodes
from hjbdsl.model.problem import TIME, Objective, VariableGroup

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


@dataclass(frozen=True, slots=True)
class Parts:
    """Running reward and payoffs, with the discount factors still marked."""

    running: sp.Expr
    payoff: sp.Expr


def read_objective(statement: ast.Objective, rules: Mapping[str, RuleTime], intervals: list[ast.Interval],
                   discount: sp.Expr, reader: Reader) -> Objective:  # fmt: skip
    """`rules` are the random times by name; `discount` the rate of a `discount` statement, 0 without one."""
    if statement.form == "average":
        running = reader.scalar(statement.body, Context("the running reward", EVERYTHING))
        return _assembled(statement, running, None, None, None, discount, sp.oo, None)
    end = common_end(statement, intervals, reader)
    if statement.form in ("running_min", "running_max"):
        return _running_extreme(statement, end, discount, reader)
    body = ObjectiveReader(reader, end, risk=statement.form == "risk", times={n: r.symbol for n, r in rules.items()})
    total = reader.scalar(statement.body, Context(PAYOFF, frozenset({"mode"}), hooks=body))
    for name, rule in rules.items():
        if rule.rule == "stopping" and name not in reader.scope.used:
            remedy = f"write `x({name})` or `integral(0, {name})`"
            raise Fault("HJB055", f"the stopping time `{name}` has no part in the objective", remedy, reader.scope.spans[name])
    parts = _split(total, body, statement)
    parts = _time_itself_is_running(parts, body)
    kinds = {*(rule.rule for rule in rules.values()), *(() if end == sp.oo else ("end",))}
    payoffs = {k: _payoff_at(k, parts.payoff, body, rules) if k in kinds else sp.S.Zero for k in ("end", "stopping", "exit")}
    return _in_current_value(statement, parts.running, payoffs, end, rules, discount, reader)


def _assembled(statement: ast.Objective, running: sp.Expr, terminal: sp.Expr | None, stop: sp.Expr | None,
               exit: sp.Expr | None, discount: sp.Expr, end: sp.Expr, risk: sp.Expr | None) -> Objective:  # fmt: skip
    return Objective(statement.sense, statement.form, running, terminal, stop, exit, discount, end, risk,
                     statement.stochastic, statement.span)  # fmt: skip


def _running_extreme(statement: ast.Objective, end: sp.Expr, discount: sp.Expr, reader: Reader) -> Objective:
    if statement.low is not None and reader.scalar(statement.low, Context("the start", numeric=True)) != 0:
        raise Fault(
            "HJB051", f"time starts at 0, not at `{plain(statement.low)}`", "write `running_min(0, T)`", statement.low.span
        )
    place = Context(f"the quantity under `{statement.form}`", frozenset({"time", "state", "mode"}))
    return _assembled(statement, reader.scalar(statement.body, place), None, None, None, discount, end, None)


def _split(total: sp.Expr, body: ObjectiveReader, statement: ast.Objective) -> Parts:
    """The body as sum of constant multiples of integrals and a payoff."""
    symbols = set(body.integrals)
    running, payoff = [], []
    for term in _terms(total, symbols):
        held = term.free_symbols & symbols
        if not held:
            payoff.append(term)
            continue
        symbol = held.pop()
        factor = term.diff(symbol)
        if held or factor.free_symbols & (symbols | _random(body)) or term.xreplace({symbol: sp.S.Zero}) != 0:
            remedy = "a cost of an integral's value needs a state that carries it: `dy = f dt` and `y(T)`"
            raise Fault("HJB051", "the integral must be a term of the objective", remedy, statement.body.span)
        running.append(unmarked(factor) * body.integrals[symbol])
    return Parts(sp.Add(*running), sp.Add(*payoff))


def _terms(total: sp.Expr, integrals: set[sp.Symbol]) -> Iterator[sp.Expr]:
    """The terms of the body; a product such as k*(integral + g) is multiplied out, nothing else is."""
    for term in sp.Add.make_args(total):
        if term.is_Mul and term.free_symbols & integrals and not any(factor in integrals for factor in term.args):
            yield from sp.Add.make_args(sp.expand_mul(term))
        else:
            yield term


def _random(body: ObjectiveReader) -> set[sp.Symbol]:
    return {symbol for symbols in body.finals.values() for symbol in symbols} | set(body.times.values())


def _time_itself_is_running(parts: Parts, body: ObjectiveReader) -> Parts:
    """A term c*tau is the integral of c up to tau: `minimize tau` has the running cost 1."""
    running, kept = [parts.running], []
    for term in sp.Add.make_args(parts.payoff):
        rate = next((term / time for time in body.times.values() if term.has(time) and not (term / time).has(time)), None)
        if rate is not None and not rate.free_symbols & _random(body) and not rate.has(Weight):
            running.append(rate)
        else:
            kept.append(term)
    return Parts(sp.Add(*running), sp.Add(*kept))


def _payoff_at(kind: str, payoff: sp.Expr, body: ObjectiveReader, rules: Mapping[str, RuleTime]) -> sp.Expr:
    """What is paid when the process ends in this way, in the state symbols; at a rule the time is t.

    A term in x(T) is paid only at the end, a term in x(tau) at tau and, since tau <= T, at the end."""
    own = {name for name, rule in rules.items() if rule.rule == kind}
    if kind == "end":
        moment = dict.fromkeys(body.times.values(), body.end)
    else:
        decided = _decided_before_end(payoff, {body.times[name] for name in own}, body.end)
        payoff = payoff.xreplace(decided) if decided else payoff
        foreign = {s for (_, rule), symbols in body.finals.items() if rule not in own for s in symbols}
        foreign |= {symbol for name, symbol in body.times.items() if name not in own}
        payoff = sp.Add(*(term for term in sp.Add.make_args(payoff) if not term.free_symbols & foreign))
        moment = {body.times[name]: TIME for name in own}
    states = {
        final: symbol
        for (group, _), finals in body.finals.items()
        for final, symbol in zip(finals, body.groups[group].symbols, strict=True)
    }
    return payoff.xreplace({**states, **moment})


def _decided_before_end(payoff: sp.Expr, times: set[sp.Symbol], end: sp.Expr) -> dict[sp.Basic, sp.Basic]:
    """Conditions such as tau < T, given that the process ended before T."""
    earlier = sp.Dummy("earlier", positive=True)
    decided = {}
    for relation in payoff.atoms(sp.core.relational.Relational):
        for time in relation.free_symbols & times:
            truth = relation.xreplace({time: end - earlier}) if end != sp.oo else relation
            if truth in (sp.true, sp.false):
                decided[relation] = truth
    return decided


def _in_current_value(statement: ast.Objective, running: sp.Expr, payoffs: Mapping[str, sp.Expr], end: sp.Expr,
                      rules: Mapping[str, RuleTime], discount: sp.Expr, reader: Reader) -> Objective:  # fmt: skip
    kinds = {rule.rule for rule in rules.values()}
    phi = _common_exponent(running, payoffs, end, reader)
    at_end = phi.xreplace({TIME: end}) if phi != 0 and end != sp.oo else sp.S.Zero
    terminal = divided(payoffs["end"], at_end) if end != sp.oo else None
    stop = divided(payoffs["stopping"], phi) if "stopping" in kinds else None
    exit = divided(payoffs["exit"], phi) if "exit" in kinds else None
    risk = reader.scalar(statement.parameter, Context("the risk parameter")) if statement.parameter is not None else None
    rate = discount + rate_of(phi)
    return _assembled(statement, divided(running, phi), terminal, stop, exit, rate, end, risk)


def _common_exponent(running: sp.Expr, payoffs: Mapping[str, sp.Expr], end: sp.Expr, reader: Reader) -> sp.Expr:
    """phi(t), zero at t = 0, of the discount factor exp(phi(t)): that of the running reward, else of a payoff."""
    candidates: tuple[sp.Expr, ...] = ()
    if running != 0:
        candidates = exponents(running)
    else:
        for kind in ("stopping", "exit"):
            candidates = candidates or tuple(phi for phi in exponents(payoffs[kind]) if phi != 0)
        candidates = candidates or tuple(_of_time(phi, end) for phi in exponents(payoffs["end"]))
    if len(candidates) > 1 and end == sp.oo:
        candidates = (max(candidates, key=lambda phi: _growth(phi, reader)),)
    if len(candidates) != 1 or candidates[0] == 0:
        return sp.S.Zero
    phi = sp.expand(candidates[0] - candidates[0].xreplace({TIME: sp.S.Zero}))
    if end == sp.oo or _growth(phi, reader) <= 0 or phi.could_extract_minus_sign():
        return phi
    return sp.S.Zero


def _of_time(phi: sp.Expr, end: sp.Expr) -> sp.Expr:
    """An exponent at the end, such as -r*T, as a function of time, -r*t."""
    if end.is_number:
        return phi * TIME / end
    moved = phi.subs(end, TIME)
    return moved if not moved.free_symbols & end.free_symbols else phi * TIME / end


def _growth(phi: sp.Expr, reader: Reader) -> float:
    """The rate of growth of exp(phi) over the first unit of time."""
    numbers = dict(reader.arithmetic.values)
    change = phi.xreplace({TIME: sp.S.One, **numbers}) - phi.xreplace({TIME: sp.S.Zero, **numbers})
    return as_float(change)
