"""The terms of the equation in numbers: f + L^a V - r V at given points, controls and derivatives of V.

In: a problem and one joint mode. Out: `ModeOperator.evaluate`, the equation's right-hand side and the size of its terms, so
that a residual can be measured against them. Everything is compiled from the problem itself, not from a derived
Hamiltonian.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.family import Derivatives
from hjbdsl.methods.closed_form.verification.laws import quadrature
from hjbdsl.methods.closed_form.verification.points import Samples, condition_test
from hjbdsl.model.problem import TIME, ControlProblem, Jump
from hjbdsl.model.solution import Array
from hjbdsl.numeric.compile import compile_expressions

ValueAt = Callable[[Array, Array, NDArray[np.int64]], Array]
"""V at t (k,), x (k, n), mode (k,)."""


@dataclass(frozen=True, slots=True)
class JumpTerm:
    """Displacements `shift(t, x, a, mark)` -> (n arrays); `nodes` and `weights` integrate over the mark's law. `controlled`
    says whether rate or displacement depends on a control."""

    rate: Callable[..., tuple[Array, ...]]
    shift: Callable[..., tuple[Array, ...]]
    nodes: Array
    weights: Array
    controlled: bool


@dataclass(frozen=True, slots=True)
class SwitchTerm:
    """A switch to the joint mode with index `target`."""

    target: int
    rate: Callable[..., tuple[Array, ...]]
    controlled: bool


@dataclass(frozen=True, slots=True)
class ModeOperator:
    """One joint mode's share of the equation. See `evaluate`. `noise_controlled` says whether a control enters the diffusion."""

    running: Callable[..., tuple[Array, ...]]
    drift: Callable[..., tuple[Array, ...]]
    covariance: Array | None
    diffusion: Callable[..., tuple[Array, ...]]
    diffusion_index: tuple[tuple[int, int], ...]
    correlation: Callable[..., tuple[Array, ...]]
    correlation_index: tuple[tuple[int, int], ...]
    noises: int
    noise_controlled: bool
    jumps: tuple[JumpTerm, ...]
    mode_rates: tuple[SwitchTerm, ...]
    risk: float | None
    has_discount: bool
    ended: Callable[[Array, Array], NDArray[np.bool_]] | None
    exit_value: Callable[..., tuple[Array, ...]] | None

    def evaluate(
        self, at: Samples, a: Array, v: Derivatives, value: ValueAt, bending: Array, whole: bool = True
    ) -> tuple[Array, Array]:
        """f + b.p + 1/2 tr(A M) + jumps + modes - r V (risk: + theta/2 p'A p, exponential jumps) and the sum of the absolute
        values of its terms, each (k,). `bending` (n, n) is the second derivative of a V that bends once over the region: the
        second-order term is never taken to be smaller than that, since in Laplace's equation it is the only one. Unless `whole`,
        noise, jumps and mode switches that no control moves are left out: enough to compare controls, and stricter."""
        arguments = (at.t, *at.x.T, *a.T)
        running, discount = self.running(*arguments)
        terms = [running]
        terms += [b * v.gradient[:, i] for i, b in enumerate(self.drift(*arguments))]
        terms += [self._jump(term, at, a, v, value) for term in self.jumps if whole or term.controlled]
        for switch in self.mode_rates:
            if whole or switch.controlled:
                other = value(at.t, at.x, np.full(at.count, switch.target))
                terms.append(switch.rate(*arguments)[0] * self._increment(other - v.value))
        if self.has_discount:
            terms.append(-discount * v.value)
        total, size = np.sum(terms, axis=0), np.sum(np.abs(terms), axis=0)
        if self.diffusion_index and (whole or self.noise_controlled):
            second, second_size = self._second_order(arguments, at.count, v, bending)
            total, size = total + second, size + second_size
        return total, size

    def _increment(self, difference: Array) -> Array:
        return difference if self.risk is None else np.expm1(self.risk * difference) / self.risk

    def _second_order(self, arguments: Sequence[Array], count: int, v: Derivatives, bending: Array) -> tuple[Array, Array]:
        """1/2 sum A_ij M_ij + theta/2 p'A p, and its size entry by entry: a trace may cancel to nothing."""
        covariance = self.covariance if self.covariance is not None else self._covariance(arguments, count, v.gradient.shape[1])
        total = np.einsum("...ij,...ij->...", covariance, v.hessian) / 2
        size = np.einsum("...ij,...ij->...", np.abs(covariance), np.abs(v.hessian) + bending) / 2
        if self.risk is not None:
            squared = self.risk / 2 * np.sum((covariance @ v.gradient[:, :, None])[:, :, 0] * v.gradient, axis=1)
            total, size = total + squared, size + np.abs(squared)
        return total, size

    def _covariance(self, arguments: Sequence[Array], count: int, dimension: int) -> Array:
        """A = sigma C sigma' at every point; (count, n, n)."""
        sigma = np.zeros((count, dimension, self.noises))
        for (i, k), entry in zip(self.diffusion_index, self.diffusion(*arguments), strict=True):
            sigma[:, i, k] = entry
        if not self.correlation_index:
            return sigma @ sigma.transpose(0, 2, 1)
        mixing = np.broadcast_to(np.eye(self.noises), (count, self.noises, self.noises)).copy()
        for (k, other), entry in zip(self.correlation_index, self.correlation(*arguments), strict=True):
            mixing[:, k, other] = mixing[:, other, k] = entry
        return np.asarray(sigma @ mixing @ sigma.transpose(0, 2, 1))

    def _jump(self, term: JumpTerm, at: Samples, a: Array, v: Derivatives, value: ValueAt) -> Array:
        """rate * E[V(x + displacement) - V]; where the rate is zero the displacement may leave the state space."""
        (rate,) = term.rate(at.t, *at.x.T, *a.T)
        live = rate != 0
        result = np.zeros(at.count)
        if live.any():
            nodes = len(term.nodes)
            repeat = np.repeat(np.flatnonzero(live), nodes)
            t, x, mode = at.t[repeat], at.x[repeat], at.mode[repeat]
            mark = np.tile(term.nodes, int(live.sum()))
            landing = x + np.column_stack(term.shift(t, *x.T, *a[repeat].T, mark))
            after = self._after_jump(t, landing, mode, value)
            increments = self._increment(after - v.value[repeat]).reshape(-1, nodes)
            result[live] = rate[live] * (increments @ term.weights)
        return result

    def _after_jump(self, t: Array, x: Array, mode: NDArray[np.int64], value: ValueAt) -> Array:
        if self.ended is None or self.exit_value is None:
            return value(t, x, mode)
        ended = self.ended(t, x)
        result = np.empty(len(t))
        result[ended] = self.exit_value(t[ended], *x[ended].T)[0]
        if (~ended).any():
            result[~ended] = value(t[~ended], x[~ended], mode[~ended])
        return result


def mode_operator(problem: ControlProblem, mode: tuple[int, ...]) -> ModeOperator:
    """Compile the operator of the joint mode `mode`, the parameters' exact numbers put in."""
    arguments = (TIME, *problem.state_symbols, *problem.control_symbols, *problem.adversary_symbols)

    def exact(expression: sp.Basic) -> sp.Basic:
        return problem.numeric(problem.at_mode(sp.sympify(expression), mode))

    def compiled(expressions: Sequence[sp.Basic]) -> Callable[..., tuple[Array, ...]]:
        return compile_expressions(arguments, [exact(e) for e in expressions])

    objective = problem.objective
    dynamic = objective.form not in {"running_min", "running_max"}
    running = objective.running if dynamic else sp.S.Zero
    exit_value = objective.exit_value if problem.exit is not None else None
    return ModeOperator(
        running=compiled([running, objective.discount]),
        drift=compiled(problem.drift),
        covariance=_constant_covariance(problem, exact),
        diffusion=compiled(list(problem.diffusion.values())),
        diffusion_index=tuple(problem.diffusion),
        correlation=compiled(list(problem.correlation.values())),
        correlation_index=tuple(problem.correlation),
        noises=len(problem.noises),
        noise_controlled=_depends_on_control(problem, (*problem.diffusion.values(), *problem.correlation.values())),
        jumps=tuple(_jump_term(problem, jump, arguments, exact) for jump in problem.jumps),
        mode_rates=_mode_rates(problem, mode, compiled),
        risk=float(exact(objective.risk)) if objective.risk is not None else None,
        has_discount=objective.form != "average" and exact(objective.discount) != 0,
        ended=condition_test(problem, [problem.exit.condition]) if problem.exit is not None else None,
        exit_value=compile_expressions((TIME, *problem.state_symbols), [exact(exit_value)]) if exit_value is not None else None,
    )


def _constant_covariance(problem: ControlProblem, exact: Callable[[sp.Basic], sp.Basic]) -> Array | None:
    """Sigma C Sigma' where it is made of numbers, so that wide problems multiply their matrices once."""
    entries = {place: exact(e) for place, e in problem.diffusion.items()}
    mixing = {place: exact(e) for place, e in problem.correlation.items()}
    if any(e.free_symbols for e in (*entries.values(), *mixing.values())):
        return None
    sigma, correlation = np.zeros((problem.dimension, len(problem.noises))), np.eye(len(problem.noises))
    for place, entry in entries.items():
        sigma[place] = float(entry)
    for (k, other), entry in mixing.items():
        correlation[k, other] = correlation[other, k] = float(entry)
    return np.asarray(sigma @ correlation @ sigma.T)


def _depends_on_control(problem: ControlProblem, expressions: Sequence[sp.Basic]) -> bool:
    return not sp.Tuple(*expressions).free_symbols.isdisjoint((*problem.control_symbols, *problem.adversary_symbols))


def _jump_term(
    problem: ControlProblem, jump: Jump, arguments: tuple[sp.Symbol, ...], exact: Callable[[sp.Basic], sp.Basic]
) -> JumpTerm:
    mark = jump.mark if jump.mark is not None else sp.Dummy("mark", real=True)
    shifts = [exact(jump.displacement.get(i, sp.S.Zero)) for i in range(problem.dimension)]
    nodes, weights = quadrature(jump.law, exact)
    return JumpTerm(
        compile_expressions(arguments, [exact(jump.rate)]),
        compile_expressions((*arguments, mark), shifts),
        nodes,
        weights,
        _depends_on_control(problem, (jump.rate, *jump.displacement.values())),
    )


def _mode_rates(
    problem: ControlProblem, mode: tuple[int, ...], compiled: Callable[[Sequence[sp.Basic]], Callable[..., tuple[Array, ...]]]
) -> tuple[SwitchTerm, ...]:
    """Every switch out of `mode`."""
    index = {m: i for i, m in enumerate(problem.mode_tuples())}
    result = []
    for number, chain in enumerate(problem.modes):
        for (source, target), rate in chain.rates.items():
            if source == mode[number]:
                other = (*mode[:number], target, *mode[number + 1 :])
                result.append(SwitchTerm(index[other], compiled([rate]), _depends_on_control(problem, (rate,))))
    return tuple(result)
