"""Jumps and mode switches as moves between discrete states: V(theta) at one place becomes V(theta') at another.

In: a problem, its discrete index and an ansatz. Out: one `Transition` a jump, and one a rank of mode switches, each with an
integrand in t, x, controls, mark, V and the coefficients of the place it leads to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.ansatz.basis import Ansatz
from hjbdsl.methods.closed_form.ansatz.discrete import DiscreteIndex
from hjbdsl.model.equation import VALUE
from hjbdsl.model.problem import ControlProblem, Jump
from hjbdsl.model.solution import Array
from hjbdsl.numeric.compile import compile_expressions
from hjbdsl.numeric.marks import MarkQuadrature, mark_quadrature

_MARK = sp.Symbol("mark", real=True)


@dataclass(frozen=True, slots=True)
class Transition:
    """integrand   intensity * rate * (V(x + displacement; theta') - V), in `unknowns` for theta'
    intensity   a symbol: `rates[d]` where the move exists at d, 0 elsewhere
    target      (D,) where it leads, -1 where it does not exist
    quadrature  of the mark, when the integrand is `marked`"""

    integrand: sp.Expr
    intensity: sp.Symbol
    unknowns: tuple[sp.Symbol, ...]
    target: NDArray[np.int64]
    rates: Array
    marked: bool
    mark: sp.Symbol
    quadrature: MarkQuadrature
    difference: sp.Expr | None = None
    """E[V(x + displacement; theta') - V] of a jump, for maximisers written in it."""

    def averages(
        self, kernel: Callable[..., tuple[Array, ...]], environment: Mapping[sp.Symbol, Array], count: int
    ) -> list[Array]:
        """Expectations over the mark of the kernel's expressions, each (count,)."""
        spread: dict[sp.Symbol, Any] = {s: np.asarray(v)[:, None] for s, v in environment.items()}
        spread[self.mark] = self.quadrature.nodes[None, :]
        return [self.quadrature.expectation(v) for v in kernel(spread, (count, len(self.quadrature.nodes)))]

    def average(self, kernel: Callable[..., tuple[Array, ...]], environment: Mapping[sp.Symbol, Array], count: int) -> Array:
        return self.averages(kernel, environment, count)[0]


def transitions_of(
    problem: ControlProblem, index: DiscreteIndex, ansatz: Ansatz, states: Sequence[sp.Symbol], order: int
) -> tuple[Transition, ...]:
    """Raises `ValueError` where a jump moves lattice states by something that depends on more than the lattice, or off it."""
    jumps = [_jump(problem, jump, number, index, ansatz, order) for number, jump in enumerate(problem.jumps)]
    return (*jumps, *_switches(problem, index, ansatz, len(jumps), states))


def _jump(problem: ControlProblem, jump: Jump, number: int, index: DiscreteIndex, ansatz: Ansatz, order: int) -> Transition:
    mark = jump.mark if jump.mark is not None else _MARK
    unknowns, landed = _landing(ansatz, number)
    moves = {problem.state_symbols[i]: problem.state_symbols[i] + d for i, d in jump.displacement.items()}
    continuous = {
        problem.state_symbols[i]: moves[problem.state_symbols[i]] for i in problem.continuous_states if i in jump.displacement
    }
    landed = landed.subs(continuous, simultaneous=True)
    intensity = sp.Symbol(f"intensity_{number}", nonnegative=True)
    rate = problem.numeric(jump.rate)
    integrand = intensity * rate * (problem.numeric(landed) - VALUE)
    difference = sp.Piecewise((problem.numeric(landed) - VALUE, intensity > 0), (0, True))
    return Transition(
        integrand,
        intensity,
        unknowns,
        _targets(problem, jump, index, rate),
        np.ones(index.size),
        mark in integrand.free_symbols,
        mark,
        mark_quadrature(jump.law, problem.values, order),
        difference,
    )


def _landing(ansatz: Ansatz, number: int) -> tuple[tuple[sp.Symbol, ...], sp.Expr]:
    unknowns = tuple(sp.Symbol(f"{s.name}_to_{number}", real=True) for s in ansatz.unknowns)
    return unknowns, ansatz.expression.xreplace(dict(zip(ansatz.unknowns, unknowns, strict=True)))


def _targets(problem: ControlProblem, jump: Jump, index: DiscreteIndex, rate: sp.Expr) -> NDArray[np.int64]:
    lattice_symbols = [problem.state_symbols[i] for i in problem.lattice_states]
    lattice_moves = [problem.numeric(jump.displacement.get(i, sp.S.Zero)) for i in problem.lattice_states]
    if all(move == 0 for move in lattice_moves):
        return np.arange(index.size)
    allowed = [*lattice_symbols, *(p.symbol for p in problem.mode_parameters)]
    stray = set().union(*(m.free_symbols for m in lattice_moves)) - set(allowed)
    if stray:
        raise ValueError(f"the jump {jump.name} moves a lattice state by something that depends on {sorted(map(str, stray))[0]}")
    arguments = [*index.lattice.T, *index.mode_parameters.T]
    landing = index.lattice + np.stack(
        [np.broadcast_to(v, index.size) for v in compile_expressions(allowed, lattice_moves)(*arguments)], 1
    )
    target = index.locate(landing, index.mode)
    for place in np.flatnonzero(target < 0):
        table = dict(zip(allowed, (sp.nsimplify(a[place], rational=True) for a in arguments), strict=True))
        if rate.subs(table) != 0:
            at = ", ".join(f"{s} = {v:g}" for s, v in zip(lattice_symbols, index.lattice[place], strict=True))
            raise ValueError(f"the jump {jump.name} leaves the finite set at {at}, where its rate is not zero")
    return target


def _switches(
    problem: ControlProblem, index: DiscreteIndex, ansatz: Ansatz, first: int, _states: Sequence[sp.Symbol]
) -> list[Transition]:
    """Mode switches, gathered so that one transition carries the k-th switch out of every discrete state."""
    exits: dict[int, list[tuple[int, sp.Expr]]] = defaultdict(list)
    position = {mode: k for k, mode in enumerate(index.modes)}
    for mode, source in position.items():
        for c, chain in enumerate(problem.modes):
            for (i, j), rate in chain.rates.items():
                if mode[c] == i and rate != 0:
                    exits[source].append((position[(*mode[:c], j, *mode[c + 1 :])], problem.numeric(rate)))
    result: list[Transition] = []
    for rank in range(max((len(e) for e in exits.values()), default=0)):
        ranked = {source: e[rank] for source, e in exits.items() if len(e) > rank}
        constant = {source: e for source, e in ranked.items() if e[1].is_number}
        groups = [(sp.S.One, constant)] if constant else []
        groups += [(e[1], {source: e}) for source, e in ranked.items() if not e[1].is_number]
        for factor, members in groups:
            result.append(_switch(problem, index, ansatz, first + len(result), factor, members))
    return result


def _switch(
    problem: ControlProblem,
    index: DiscreteIndex,
    ansatz: Ansatz,
    number: int,
    factor: sp.Expr,
    members: Mapping[int, tuple[int, sp.Expr]],
) -> Transition:
    unknowns, landed = _landing(ansatz, number)
    intensity = sp.Symbol(f"intensity_{number}", nonnegative=True)
    target, rates = np.full(index.size, -1), np.zeros(index.size)
    offset = np.arange(index.lattice_size)
    for source, (goal, rate) in members.items():
        here = slice(source * index.lattice_size, (source + 1) * index.lattice_size)
        target[here] = goal * index.lattice_size + offset
        rates[here] = float(rate) if rate.is_number else 1.0
    integrand = intensity * factor * (problem.numeric(landed) - VALUE)
    return Transition(integrand, intensity, unknowns, target, rates, False, _MARK, MarkQuadrature(np.zeros(1), np.ones(1), True))
