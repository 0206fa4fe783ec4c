"""The objective in current value: running reward, payoffs, discount, horizon.

In: `maximize E [ integral(0, T) exp(-rho*t)*f dt + exp(-rho*T)*g(x(T)) ]` and its relatives. Out:
`model.problem.Objective`, in which the discount factor has been taken out and every payoff is a function of the
state at the time it is paid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import sympy as sp

from hjbdsl.frontend import ast
from hjbdsl.frontend.arithmetic import as_float
from hjbdsl.frontend.context import EVERYTHING, Context
from hjbdsl.frontend.discounting import Weight, divided, exponents, rate_of, unmarked
from hjbdsl.frontend.evaluate import Reader
from hjbdsl.frontend.findings import Fault
from hjbdsl.frontend.horizon import common_end
from hjbdsl.frontend.notation_text import plain
from hjbdsl.frontend.objective_body import PAYOFF, ObjectiveReader
from hjbdsl.frontend.scope import RuleTime
from hjbdsl.model.problem import TIME, Objective


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
    if _rises_and_falls(phi, end, reader):
        return sp.S.Zero
    if end == sp.oo or _growth(phi, reader) <= 0 or phi.could_extract_minus_sign():
        return phi
    return sp.S.Zero


def _rises_and_falls(phi: sp.Expr, end: sp.Expr, reader: Reader) -> bool:
    """Whether exp(phi) is a pulse, exp(-((t - 0.3)/0.02)^2): a weight of certain times and no discount, which would range over
    hundreds of powers of ten."""
    numbers = dict(reader.arithmetic.values)
    last, rate = end.xreplace(numbers), sp.diff(phi, TIME).xreplace(numbers)
    if not last.is_finite or not last.is_number or rate.free_symbols != {TIME}:
        return False
    rates = [as_float(rate.xreplace({TIME: last * sp.Rational(k, 16)})) for k in range(17)]
    return min(rates) < 0.0 < max(rates)


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
