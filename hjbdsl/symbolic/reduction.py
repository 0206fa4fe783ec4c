"""The reduced Hamiltonian: a maximiser put in and the result tidied. In: Hamiltonian, controls, condition. Out: an expression.

Derivatives that the case's own condition makes positive or negative are treated so while powers are gathered.
"""

from __future__ import annotations

import sympy as sp

from hjbdsl.budget import BudgetExceeded, time_budget
from hjbdsl.model.equation import Candidate
from hjbdsl.symbolic.expansion import multiplied_out

_LONGEST = 400
_SECONDS = 1.5


def reduced_hamiltonian(expression: sp.Expr, candidate: Candidate) -> sp.Expr:
    substituted = expression.xreplace(dict(candidate.controls))
    if sp.count_ops(expression) > _LONGEST:
        return substituted
    try:
        with time_budget(_SECONDS):
            tidied = _tidied(substituted, candidate.where)
    except BudgetExceeded:
        return substituted
    return tidied if sp.count_ops(tidied) <= sp.count_ops(substituted) else substituted


def _tidied(expression: sp.Expr, where: sp.Basic) -> sp.Expr:
    signed = _signed_symbols(where)
    inner = sp.powsimp(sp.powdenest(sp.expand_power_base(expression.xreplace(signed))))
    unknown = {s for s in inner.free_symbols if s.is_positive is None or s in signed.values()}
    gathered = sp.Add(*(sp.powsimp(sp.powdenest(sp.expand_power_base(t))) for t in multiplied_out(inner, unknown)))
    gathered = sp.Add(*(_grouped(list(sp.Add.make_args(gathered)))))
    return gathered.xreplace({dummy: symbol for symbol, dummy in signed.items()})


def _signed_symbols(where: sp.Basic) -> dict[sp.Symbol, sp.Symbol]:
    signed: dict[sp.Symbol, sp.Symbol] = {}
    for relation in sp.And.make_args(where):
        if isinstance(relation, sp.StrictGreaterThan) and relation.lhs.is_Symbol and relation.rhs == 0:
            signed[relation.lhs] = sp.Dummy(relation.lhs.name, positive=True)
    return signed


def _grouped(terms: list[sp.Expr]) -> list[sp.Expr]:
    """Terms that differ by a factor in parameters alone, or by a factor that adds up, are added."""
    groups: dict[sp.Expr, list[sp.Expr]] = {}
    for term in terms:
        varying = [f for f in sp.Mul.make_args(term) if any(s.name.startswith(("dV[", "d2V[", "DV[")) for s in f.free_symbols)]
        key = sp.Mul(*varying)
        groups.setdefault(key, []).append(term / key)
    return [
        key * (sp.factor_terms(sp.together(sp.Add(*parts))) if len(parts) > 1 and key != 1 else sp.Add(*parts))
        for key, parts in groups.items()
    ]
