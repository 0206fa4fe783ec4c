"""Products multiplied out only where they hold given symbols, so that denominators and long constant factors stay whole.

In: an expression and symbols. Out: its summands.
"""

from __future__ import annotations

from collections.abc import Iterable, Set

import sympy as sp

_HIGHEST_POWER = 6


def multiplied_out(expression: sp.Expr, symbols: Set[sp.Symbol]) -> list[sp.Expr]:
    """The summands of `expression`, every product or small power of sums that hold a symbol distributed."""
    if expression.is_Add:
        return [part for term in expression.args for part in multiplied_out(term, symbols)]
    if symbols.isdisjoint(expression.free_symbols):
        return [expression]
    if expression.is_Pow and not isinstance(expression, sp.exp):
        base, exponent = expression.base, expression.exp
        if base.is_Add and exponent.is_Integer and 1 < exponent <= _HIGHEST_POWER:
            return _distributed([list(base.args)] * int(exponent), symbols)
    if expression.is_Mul:
        sums = [multiplied_out(factor, symbols) for factor in expression.args]
        if any(len(parts) > 1 for parts in sums):
            return _distributed(sums, symbols)
    return [expression]


def separated(expression: sp.Expr, symbols: Set[sp.Symbol]) -> tuple[list[sp.Expr], list[sp.Expr]]:
    """Summands without and with `symbols`; a long factor without them is never multiplied out."""
    free: list[sp.Expr] = []
    bound: list[sp.Expr] = []
    for term in sp.Add.make_args(expression):
        if symbols.isdisjoint(term.free_symbols):
            free.append(term)
            continue
        holding = [f for f in sp.Mul.make_args(term) if not symbols.isdisjoint(f.free_symbols)]
        if term.is_Mul and len(holding) == 1 and holding[0].is_Add:
            outside = sp.Mul(*(f for f in term.args if f is not holding[0]))
            inner_free, inner_bound = separated(holding[0], symbols)
            if inner_free:
                free.append(outside * sp.Add(*inner_free))
            bound += [outside * part for part in inner_bound]
            continue
        for part in multiplied_out(term, symbols):
            (free if symbols.isdisjoint(part.free_symbols) else bound).append(part)
    return free, bound


def _distributed(sums: Iterable[list[sp.Expr]], symbols: Set[sp.Symbol]) -> list[sp.Expr]:
    products: list[sp.Expr] = [sp.Integer(1)]
    for parts in sums:
        products = list(sp.Add.make_args(sp.Add(*(p * q for p in products for q in parts))))
    return [
        part for product in products for part in ([product] if not _open(product, symbols) else multiplied_out(product, symbols))
    ]


def _open(product: sp.Expr, symbols: Set[sp.Symbol]) -> bool:
    return any(factor.is_Add and not symbols.isdisjoint(factor.free_symbols) for factor in sp.Mul.make_args(product))


def split_powers(expression: sp.Expr) -> sp.Expr:
    """(k*x)^e as k^e*x^e and log(k*x) as a sum, where the signs allow it."""
    return sp.expand_log(sp.expand_power_base(expression))
