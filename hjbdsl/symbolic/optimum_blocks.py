"""The Hamiltonian seen as a function of the controls, cut into blocks that can be optimised one by one.

In: an additive Hamiltonian and the control components. Out: `Block`s; two components share a block when a term, a joint
constraint or a bound holds both. The work is linear in the terms that hold a control.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sympy as sp

from hjbdsl.model.problem import Bounds, Constraint, ControlProblem
from hjbdsl.symbolic.expansion import separated
from hjbdsl.symbolic.signs import is_weakly


@dataclass(frozen=True, slots=True)
class Block:
    """Control components that must be chosen together.

    terms         the summands of sense * H that hold them, expanded (sense = 1 under maximize, -1 under minimize: a block is
                  always maximised)
    bounds        one a control, in the same order
    constraints   the joint constraints on them
    """

    controls: tuple[sp.Symbol, ...]
    terms: tuple[sp.Expr, ...]
    bounds: tuple[Bounds, ...]
    constraints: tuple[Constraint, ...]

    @property
    def objective(self) -> sp.Expr:
        return sp.Add(*self.terms)


@dataclass(frozen=True, slots=True)
class Branch:
    """One case of a block's maximiser: `kind` is interior, lower, upper, face, vertex, point.

    `value` is what the block's share of H becomes there, where it has a short form.
    """

    kind: str
    name: str
    controls: dict[sp.Symbol, sp.Expr]
    where: sp.Basic
    value: sp.Expr | None = None


@dataclass(frozen=True, slots=True)
class BlockOptimum:
    """What one block's maximiser is.

    `reason` is empty where the branches cover every case, else why they could not be found; `share` is the block's part of H.
    """

    branches: tuple[Branch, ...]
    stationarity: dict[sp.Symbol, sp.Expr]
    second_order: tuple[sp.Basic, ...] = ()
    reason: str = ""
    share: sp.Expr | None = None


def expanded_terms(expressions: Iterable[sp.Expr], controls: frozenset[sp.Symbol]) -> list[sp.Expr]:
    """Summands that hold a control, products multiplied out no further than the controls ask for."""
    return [part for expression in expressions for part in separated(expression, controls)[1]]


def cut(problem: ControlProblem, terms: Sequence[sp.Expr], symbols: Sequence[sp.Symbol], sense: int) -> tuple[Block, ...]:
    """The blocks of `symbols`, in order of declaration."""
    index = {symbol: k for k, symbol in enumerate(symbols)}
    parent = list(range(len(symbols)))

    def root(k: int) -> int:
        while parent[k] != k:
            parent[k] = parent[parent[k]]
            k = parent[k]
        return k

    def link(expression: sp.Basic) -> list[int]:
        members = [index[s] for s in expression.free_symbols if s in index]
        for member in members[1:]:
            parent[root(member)] = root(members[0])
        return members

    membership = [(term, link(term)) for term in terms]
    bounds = {
        s: b for group in (*problem.controls, *problem.adversaries) for s, b in zip(group.symbols, group.bounds, strict=True)
    }
    for symbol in symbols:
        link(sp.Tuple(symbol, bounds[symbol].lower, bounds[symbol].upper))
    constraints = [(c, link(c.condition)) for c in problem.constraints if c.role != "state"]

    groups: dict[int, list[sp.Symbol]] = {}
    for symbol in symbols:
        groups.setdefault(root(index[symbol]), []).append(symbol)
    terms_of: dict[int, list[sp.Expr]] = {}
    for term, members in membership:
        if members:
            terms_of.setdefault(root(members[0]), []).append(sense * term)
    constraints_of: dict[int, list[Constraint]] = {}
    for constraint, members in constraints:
        if members:
            constraints_of.setdefault(root(members[0]), []).append(constraint)
    return tuple(
        Block(
            tuple(members),
            tuple(terms_of.get(key, ())),
            tuple(bounds[m] for m in members),
            tuple(constraints_of.get(key, ())),
        )
        for key, members in groups.items()
    )


@dataclass(frozen=True, slots=True)
class Quadratic:
    """1/2 a'Qa + c'a: `hessian` holds {(i, j), i <= j: Q_ij} without zeros, `linear` {i: c_i}."""

    hessian: dict[tuple[int, int], sp.Expr]
    linear: dict[int, sp.Expr]


def quadratic(block: Block) -> Quadratic | None:
    """The coefficients of a block that is a polynomial of degree two or less in its controls, else None."""
    index = {symbol: k for k, symbol in enumerate(block.controls)}
    hessian: dict[tuple[int, int], list[sp.Expr]] = {}
    linear: dict[int, list[sp.Expr]] = {}
    for term in block.terms:
        powers: list[int] = []
        rest: list[sp.Expr] = []
        for factor in sp.Mul.make_args(term):
            base, exponent = factor.as_base_exp()
            if base in index and exponent.is_Integer and 0 < exponent <= 2:
                powers += [index[base]] * int(exponent)
            elif factor.free_symbols.isdisjoint(index):
                rest.append(factor)
            else:
                return None
        coefficient = sp.Mul(*rest)
        match sorted(powers):
            case [i]:
                linear.setdefault(i, []).append(coefficient)
            case [i, j]:
                hessian.setdefault((i, j), []).append(2 * coefficient if i == j else coefficient)
            case _:
                return None
    return Quadratic(_sums(hessian), _sums(linear))


def slopes(block: Block, coefficients: Quadratic, sense: int) -> dict[sp.Symbol, sp.Expr]:
    """dH/da of a quadratic block, from its coefficients: the work is linear in them. `sense` turns the block back into H."""
    parts: list[list[sp.Expr]] = [
        [coefficients.linear[i]] if i in coefficients.linear else [] for i in range(len(block.controls))
    ]
    for (i, j), value in coefficients.hessian.items():
        parts[i].append(value * block.controls[j])
        if i != j:
            parts[j].append(value * block.controls[i])
    return {a: sense * sp.Add(*terms) for a, terms in zip(block.controls, parts, strict=True)}


def _sums(table: dict) -> dict:
    sums = {key: collect(sp.Add(*parts)) for key, parts in table.items()}
    return {key: value for key, value in sums.items() if value != 0}


def collect(expression: sp.Expr) -> sp.Expr:
    """A small sum with its common factors taken out, a long one as it is."""
    return sp.factor_terms(expression) if expression.is_Add and len(expression.args) <= 6 else expression


def common_indicator(problem: ControlProblem, block: Block) -> sp.Expr | None:
    """A case split free of the controls, never negative, that multiplies every term: where it is zero any control will do."""
    shared = [set(sp.Mul.make_args(term)) for term in block.terms]
    if not shared:
        return None
    for factor in sorted(set.intersection(*shared), key=sp.default_sort_key):
        if isinstance(factor, sp.Piecewise) and factor.free_symbols.isdisjoint(block.controls) and is_weakly(problem, factor, 1):
            return factor
    return None


def without_factor(block: Block, factor: sp.Expr) -> Block:
    terms = tuple(sp.Mul(*(f for f in sp.Mul.make_args(term) if f != factor)) for term in block.terms)
    return Block(block.controls, terms, block.bounds, block.constraints)
