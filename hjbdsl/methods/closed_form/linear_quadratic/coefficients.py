"""A linear-quadratic problem as arrays, read off the control problem; everything is turned into minimisation of a cost.

In: `ControlProblem`. Out: `LinearQuadratic`, or the reason (`NotLinearQuadratic`) why the problem is none.

With z = (1, x) and controls c (adversaries last), one joint mode has

    dz = (A z + B c) dt + sum_s (G_s z + D_s c) dw_s + jumps,      cost rate  [z; c]' F [z; c],      terminal cost  z' H z,

with independent w_s. A jump with displacement affine in (x, c) and moments of its mark acts on a quadratic V as drift plus
noise columns do; it is turned into them. Affine and constant terms live in row and column 0. `sign` is -1 where the file
maximises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import sympy as sp

from hjbdsl.methods.closed_form.linear_quadratic.arrays import Index, TimeArray, time_array
from hjbdsl.methods.closed_form.linear_quadratic.polynomial import NotPolynomial, coefficients
from hjbdsl.methods.closed_form.verification.laws import quadrature
from hjbdsl.model.problem import TIME, ControlProblem, Jump
from hjbdsl.model.solution import Array


class NotLinearQuadratic(ValueError):
    """Why the problem is not linear-quadratic; one line."""


@dataclass(frozen=True, slots=True)
class Matrices:
    """Numbers at one time in one mode. A (N, N), B (N, m), F (N+m, N+m), N = n + 1. `additive` (N, N) is the covariance of
    the columns that depend neither on x nor on c; `noise` (s, N, N) and `control_noise` (s, N, m) are the others.
    `temperature` is 0 without exploration."""

    drift: Array
    gain: Array
    cost: Array
    additive: Array
    noise: Array
    control_noise: Array
    discount: float
    temperature: float


@dataclass(frozen=True, slots=True)
class JumpColumns:
    """Mean displacement (N, N+m) and the factors (s, N, N+m) of its second moment, per unit of the rate (a TimeArray of
    shape ())."""

    rate: TimeArray
    mean: Array
    factors: Array


@dataclass(frozen=True, slots=True)
class ModeCoefficients:
    """One joint mode. `drift` (N, N+m), `diffusion` (k, N, N+m), `correlation` (k, k), `cost` (N+m, N+m); `entries` keeps the
    expressions behind drift, diffusion and cost for the formula."""

    drift: TimeArray
    diffusion: TimeArray
    correlation: TimeArray
    cost: TimeArray
    discount: TimeArray
    temperature: TimeArray
    jumps: tuple[JumpColumns, ...]
    terminal: Array
    entries: Mapping[str, Mapping[Index, sp.Expr]]

    @property
    def autonomous(self) -> bool:
        arrays = (self.drift, self.diffusion, self.correlation, self.cost, self.discount, self.temperature)
        return all(a.constant for a in (*arrays, *(j.rate for j in self.jumps)))

    def at(self, t: float) -> Matrices:
        """The numbers at time t."""
        size = self.drift.base.shape[0]
        drift = self.drift.at(t)
        columns = [self._mixed(t)]
        for jump in self.jumps:
            rate = float(jump.rate.at(t))
            drift = drift + rate * jump.mean
            columns.append(np.sqrt(rate) * jump.factors)
        stack = np.concatenate(columns)
        multiplicative = np.any(stack[:, :, 1:] != 0, axis=(1, 2))
        shifts = stack[~multiplicative][:, :, 0]
        others = stack[multiplicative]
        return Matrices(
            drift[:, :size], drift[:, size:], self.cost.at(t), shifts.T @ shifts, others[:, :, :size], others[:, :, size:],
            float(self.discount.at(t)), float(self.temperature.at(t)),
        )  # fmt: skip

    def _mixed(self, t: float) -> Array:
        """The diffusion columns rotated so that their noises are independent."""
        columns = self.diffusion.at(t)
        correlation = self.correlation.at(t)
        if np.array_equal(correlation, np.eye(len(correlation))):
            return columns
        values, vectors = np.linalg.eigh(correlation)
        return np.einsum("ks,kij->sij", vectors * np.sqrt(np.maximum(values, 0)), columns)


@dataclass(frozen=True, slots=True)
class LinearQuadratic:
    """The whole problem; `switching` (Z, Z) is the rate matrix of the joint modes (rows sum to zero); `explored` are columns
    of c; `risk` is theta for the minimised cost (its sign turned under maximize); `controllers` of the m controls minimise."""

    modes: tuple[ModeCoefficients, ...]
    switching: TimeArray
    sign: float
    states: int
    controls: int
    controllers: int
    explored: tuple[int, ...]
    risk: float | None

    @property
    def autonomous(self) -> bool:
        return self.switching.constant and all(mode.autonomous for mode in self.modes)


def linear_quadratic(problem: ControlProblem) -> LinearQuadratic:
    """Read the arrays; raises `NotLinearQuadratic` with the reason."""
    try:
        return _read(problem)
    except NotPolynomial as error:
        raise NotLinearQuadratic(str(error)) from error


def _read(problem: ControlProblem) -> LinearQuadratic:
    objective = problem.objective
    if objective.form not in {"expectation", "average", "risk"}:
        raise NotLinearQuadratic(f"the objective is a {objective.form}")
    sign = -1.0 if objective.sense == "maximize" else 1.0
    tuples = problem.mode_tuples()
    modes = tuple(_mode(problem, mode, sign) for mode in tuples)
    explored: tuple[int, ...] = ()
    if problem.exploration is not None:
        explored = tuple(problem.control_symbols.index(s) for s in problem.exploration.controls)
    risk = None if objective.risk is None else sign * float(problem.numeric(objective.risk))
    controllers, adversaries = len(problem.control_symbols), len(problem.adversary_symbols)
    return LinearQuadratic(
        modes, _switching(problem, tuples), sign, problem.dimension, controllers + adversaries, controllers, explored, risk
    )


def _mode(problem: ControlProblem, mode: tuple[int, ...], sign: float) -> ModeCoefficients:
    states, controls = problem.state_symbols, (*problem.control_symbols, *problem.adversary_symbols)
    size, total = len(states) + 1, len(states) + 1 + len(controls)
    index = {symbol: i + 1 for i, symbol in enumerate((*states, *controls))}

    def here(expression: sp.Basic) -> sp.Expr:
        return sp.sympify(problem.at_mode(sp.sympify(expression), mode))

    def free(expression: sp.Basic, what: str) -> sp.Expr:
        value = here(expression)
        if not value.free_symbols.isdisjoint(index):
            raise NotLinearQuadratic(f"{what} depends on the state or the control")
        return value

    objective, noises = problem.objective, len(problem.noises)
    drift: dict[Index, sp.Expr] = {(i + 1, j): c for i, b in enumerate(problem.drift) for j, c in affine(here(b), index).items()}
    diffusion: dict[Index, sp.Expr] = {
        (k, i + 1, j): c for (i, k), g in problem.diffusion.items() for j, c in affine(here(g), index).items()
    }
    correlation: dict[Index, sp.Expr] = {(k, k): sp.S.One for k in range(noises)}
    for (k, other), value in problem.correlation.items():
        correlation[k, other] = correlation[other, k] = free(value, "a correlation")
    scale = sp.Integer(int(sign))
    cost = {ij: scale * c for ij, c in quadratic(here(objective.running), index).items()}
    temperature: dict[Index, sp.Expr] = {}
    if problem.exploration is not None:
        temperature[()] = free(problem.exploration.temperature, "the temperature")
        if problem.numeric(temperature[()]).is_positive is False:
            raise NotLinearQuadratic("the temperature is not positive")
        cost = _with_prior(problem, cost, index, temperature[()])
    terminal = {} if objective.terminal is None else quadratic(here(objective.terminal), index)
    discount: dict[Index, sp.Expr] = {}
    if objective.form != "average":
        discount[()] = free(objective.discount, "the discount rate")
    return ModeCoefficients(
        drift=time_array((size, total), drift, problem.numeric),
        diffusion=time_array((noises, size, total), diffusion, problem.numeric),
        correlation=time_array((noises, noises), correlation, problem.numeric),
        cost=time_array((total, total), cost, problem.numeric),
        discount=time_array((), discount, problem.numeric),
        temperature=time_array((), temperature, problem.numeric),
        jumps=tuple(_jump(problem, jump, here, free, index) for jump in problem.jumps),
        terminal=_terminal(problem, terminal, size, sign),
        entries={"drift": drift, "diffusion": diffusion, "correlation": correlation, "cost": cost, "terminal": terminal,
                 "discount": discount, "temperature": temperature},
    )  # fmt: skip


def affine(expression: sp.Expr, index: Mapping[sp.Symbol, int]) -> dict[int, sp.Expr]:
    """{0: constant, j: coefficient of variable j}."""
    return {(monomial[0] if monomial else 0): c for monomial, c in coefficients(expression, index, 1).items()}


def quadratic(expression: sp.Expr, index: Mapping[sp.Symbol, int]) -> dict[Index, sp.Expr]:
    """The symmetric matrix F with y' F y = expression, y = (1, variables); entries that are zero left out."""
    result: dict[Index, sp.Expr] = {}
    for monomial, c in coefficients(expression, index, 2).items():
        i, j = (*(0,) * (2 - len(monomial)), *monomial)
        result[i, j] = result[j, i] = c if i == j else c / 2
    return result


def _terminal(problem: ControlProblem, entries: Mapping[Index, sp.Expr], size: int, sign: float) -> Array:
    end = problem.objective.end
    fixed = {k: e.xreplace({TIME: end}) for k, e in entries.items()}
    array = time_array((size, size), fixed, problem.numeric)
    if not array.constant:
        raise NotLinearQuadratic("the terminal cost is not a number at the end")
    return sign * array.base


def _with_prior(
    problem: ControlProblem, cost: dict[Index, sp.Expr], index: Mapping[sp.Symbol, int], temperature: sp.Expr
) -> dict[Index, sp.Expr]:
    """Entropy relative to a normal prior is entropy plus the cost lam*((a - mean)^2/(2 variance) + log(2 pi variance)/2)."""
    exploration = problem.exploration
    if exploration is None or exploration.prior is None:
        return cost
    mean, variance = exploration.prior
    result = dict(cost)

    def add(i: int, j: int, value: sp.Expr) -> None:
        result[i, j] = result.get((i, j), sp.S.Zero) + value
        if i != j:
            result[j, i] = result[i, j]

    for symbol in exploration.controls:
        k = index[symbol]
        add(k, k, temperature / (2 * variance))
        add(0, k, -temperature * mean / (2 * variance))
        add(0, 0, temperature * (mean**2 / (2 * variance) + sp.log(2 * sp.pi * variance) / 2))
    return result


def _jump(
    problem: ControlProblem,
    jump: Jump,
    here: Callable[[sp.Basic], sp.Expr],
    free: Callable[[sp.Basic, str], sp.Expr],
    index: Mapping[sp.Symbol, int],
) -> JumpColumns:
    """Moments of the displacement by quadrature over the mark; their factors by a singular value decomposition."""
    size, total = problem.dimension + 1, len(index) + 1
    entries = {(i + 1, j): c for i, d in jump.displacement.items() for j, c in affine(here(d), index).items()}
    nodes, weights = quadrature(jump.law, lambda e: problem.numeric(here(e)))
    values = np.zeros((len(nodes), size, total))
    for place, expression in entries.items():
        for k, node in enumerate(nodes):
            mark = {} if jump.mark is None else {jump.mark: sp.Float(node, 17)}
            number = sp.sympify(problem.numeric(expression)).xreplace(mark)
            if number.free_symbols:
                raise NotLinearQuadratic(f"the displacement of jump {jump.name} depends on t")
            values[(k, *place)] = float(number)
    mean = np.einsum("k,kij->ij", weights, values)
    _, scales, directions = np.linalg.svd((np.sqrt(weights)[:, None] * values.reshape(len(nodes), -1)), full_matrices=False)
    kept = scales > 1e-15 * max(scales[0], 1e-300)
    factors = (scales[kept, None] * directions[kept]).reshape(-1, size, total)
    rate = time_array((), {(): free(jump.rate, f"the rate of jump {jump.name}")}, problem.numeric)
    return JumpColumns(rate, mean, factors)


def _switching(problem: ControlProblem, tuples: tuple[tuple[int, ...], ...]) -> TimeArray:
    place = {mode: i for i, mode in enumerate(tuples)}
    entries: dict[Index, sp.Expr] = {}
    forbidden = {*problem.state_symbols, *problem.control_symbols, *problem.adversary_symbols}
    for mode in tuples:
        leaving: list[sp.Expr] = []
        for number, chain in enumerate(problem.modes):
            for (source, target), rate in chain.rates.items():
                if source != mode[number]:
                    continue
                value = sp.sympify(problem.at_mode(sp.sympify(rate), mode))
                if not value.free_symbols.isdisjoint(forbidden):
                    raise NotLinearQuadratic(f"a rate of the mode {chain.name} depends on the state or the control")
                entries[place[mode], place[(*mode[:number], target, *mode[number + 1 :])]] = value
                leaving.append(value)
        entries[place[mode], place[mode]] = -sp.Add(*leaving)
    return time_array((len(tuples), len(tuples)), entries, problem.numeric)
