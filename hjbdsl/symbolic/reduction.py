"""The reduced Hamiltonian: a maximiser put in and the result tidied. In: Hamiltonian, controls, condition. Out: an expression.

Derivatives that the case's own condition makes positive or negative are treated so while powers are gathered.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from hjbdsl.budget import BudgetExceeded, time_budget
from hjbdsl.model.equation import Candidate
from hjbdsl.symbolic.derivatives import is_derivative
from hjbdsl.symbolic.expansion import multiplied_out, separated
from hjbdsl.symbolic.optimum_blocks import BlockOptimum

_LONGEST = 400
_SECONDS = 1.5
_MOST_PARTS = 8


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


def reduced_by_blocks(
    terms: Sequence[sp.Expr], controls: frozenset[sp.Symbol], blocks: Sequence[BlockOptimum], candidate: Candidate
) -> sp.Expr | None:
    """The reduced Hamiltonian as control-free terms plus what each block becomes; None where a block has no short value."""
    values = [block.branches[0].value for block in blocks]
    if any(value is None for value in values):
        return None
    chosen = {a: v for block in blocks for a, v in block.branches[0].controls.items()}
    if chosen != dict(candidate.controls):
        return None
    free = [part for term in terms for part in separated(term, controls)[0]]
    return sp.Add(*_grouped([*free, *(v for v in values if v is not None)]))


def _tidied(expression: sp.Expr, where: sp.Basic) -> sp.Expr:
    signed = _signed_symbols(where)
    inner = sp.expand_log(sp.expand_power_base(expression.xreplace(signed)))
    unknown = {s for s in inner.free_symbols if is_derivative(s)}
    terms = [_gathered_powers(t) for t in multiplied_out(_powers_of_products(inner), unknown)]
    back = {dummy: symbol for symbol, dummy in signed.items()}
    return sp.Add(*_grouped(terms)).xreplace(back)


def _powers_of_products(expression: sp.Expr) -> sp.Expr:
    """(a^e b)^f as a^(e f) b^f for positive a, b."""
    return sp.powdenest(sp.expand_power_base(expression))


def _gathered_powers(term: sp.Expr) -> sp.Expr:
    """Exponents of one base added and multiplied out: V'^(-1/g) V' is V'^(1 - 1/g)."""
    exponents: dict[sp.Expr, sp.Expr] = {}
    for factor in sp.Mul.make_args(term):
        base, exponent = factor.as_base_exp()
        exponents[base] = exponents.get(base, sp.Integer(0)) + exponent
    return sp.Mul(*(base ** sp.expand(exponent) for base, exponent in exponents.items()))


def _signed_symbols(where: sp.Basic) -> dict[sp.Symbol, sp.Symbol]:
    signed: dict[sp.Symbol, sp.Symbol] = {}
    for relation in sp.And.make_args(where):
        if isinstance(relation, sp.StrictGreaterThan) and relation.lhs.is_Symbol and relation.rhs == 0:
            signed[relation.lhs] = sp.Dummy(relation.lhs.name, positive=True)
    return signed


def _grouped(terms: list[sp.Expr]) -> list[sp.Expr]:
    """Terms in the same derivatives of V are added, their coefficients brought together."""
    groups: dict[sp.Expr, list[sp.Expr]] = {}
    for term in terms:
        varying: list[sp.Expr] = []
        constant: list[sp.Expr] = []
        for factor in sp.Mul.make_args(term):
            (varying if any(is_derivative(s) for s in factor.free_symbols) else constant).append(factor)
        groups.setdefault(sp.Mul(*varying), []).append(sp.Mul(*constant))
    return [key * _sum(parts, key) for key, parts in groups.items()]


def _sum(parts: list[sp.Expr], key: sp.Expr) -> sp.Expr:
    total = sp.Add(*parts)
    short = len(parts) <= _MOST_PARTS and key != 1
    return sp.factor_terms(sp.together(total)) if len(parts) > 1 and short else total
