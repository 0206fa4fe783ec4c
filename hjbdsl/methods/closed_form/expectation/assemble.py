"""From a linear control problem to the value function made of Gaussian expectations.

In: the coefficients and the exponent kappa (0: the value itself is an expectation; else V = -log(...)/kappa). Out: the law
under the weight of discount or cost, the terminal payoff cut into blocks, and their value function.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sympy as sp

from hjbdsl.methods.closed_form.expectation.gaussian_law import (
    EscapeError,
    GaussianLaw,
    gaussian_law,
)
from hjbdsl.methods.closed_form.expectation.linear_control import LinearControl
from hjbdsl.methods.closed_form.expectation.reduce import orthogonal_summands, reduce_payoff
from hjbdsl.methods.closed_form.expectation.value import GaussianValue
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Array, Rejected
from hjbdsl.numeric.linear_diffusion import FrozenCoefficients, LinearDiffusion
from hjbdsl.numeric.polynomial import additive_terms, expanded, quadratic_parts

_LONGEST_EXPANSION = 400


@dataclass(frozen=True, slots=True)
class PayoffParts:
    """payoff = constant + linear'z + z'matrix z/2 + sum of `rest`, each with the indices of the coordinates in it."""

    constant: float
    linear: Array
    matrix: Array
    rest: tuple[tuple[sp.Expr, frozenset[int]], ...]


def payoff_parts(payoff: sp.Expr, coordinates: tuple[sp.Symbol, ...]) -> PayoffParts:
    """Cut a payoff in numbers and coordinates. Raises `TypeError` where it depends on anything else."""
    n = len(coordinates)
    position = {z: i for i, z in enumerate(coordinates)}
    constant, linear, matrix = 0.0, np.zeros(n), np.zeros((n, n))
    rest: dict[frozenset[int], list[sp.Expr]] = {}
    for whole in additive_terms(payoff, frozenset(coordinates)):
        small = len(whole.free_symbols) <= 1 or sp.count_ops(whole) < _LONGEST_EXPANSION or _is_polynomial(whole, position)
        for term in sp.Add.make_args(expanded(whole)) if small else (whole,):
            parts = quadratic_parts(term, coordinates)
            if parts.rest:
                rest.setdefault(frozenset(position[s] for s in term.free_symbols), []).append(term)
                continue
            constant += float(parts.constant)
            for i, c in parts.linear.items():
                linear[i] += float(c)
            for (i, j), c in parts.quadratic.items():
                matrix[i, j] += float(c)
                matrix[j, i] += float(c)
    return PayoffParts(constant, linear, matrix, tuple((sp.Add(*terms), index) for index, terms in rest.items()))


def _is_polynomial(term: sp.Expr, position: dict[sp.Symbol, int]) -> bool:
    return not term.has(sp.Function, sp.Piecewise) and all(
        p.exp.is_Integer and p.exp > 0 for p in term.atoms(sp.Pow) if p.free_symbols & position.keys()
    )


def gaussian_value(control: LinearControl, payoff: sp.Expr, kappa: float, problem: ControlProblem) -> GaussianValue | Rejected:
    """The value function of the final `payoff` (in the chart's coordinates)."""
    parts = payoff_parts(payoff, control.chart.coordinates)
    tilt, parts = (None, parts) if kappa == 0 else _tilt(parts, kappa, control.chart.coordinates)
    try:
        law = gaussian_law(diffusion(control, kappa, tilt), law_end(control))
    except EscapeError as error:
        return Rejected(str(error))
    groups = parts.rest if kappa == 0 else _independent(parts.rest, law)
    region = np.array([[float(problem.numeric(v)) for v in ends] for ends in problem.region])
    low, high = control.chart.forward(region.T)
    start = law.at(np.zeros(1))
    transition = _full(start.transition[0])
    centre = transition @ np.nan_to_num((low + high) / 2, nan=0.0, posinf=2.0, neginf=-2.0) + start.offset[0]
    variance = np.diagonal(_full(start.covariance[0]))
    width = np.abs(transition) @ np.nan_to_num((high - low) / 2, nan=1.0, posinf=2.0) + np.sqrt(np.maximum(variance, 0))
    blocks = []
    for term, index in groups:
        order = sorted(index)
        symbols = [control.chart.coordinates[i] for i in order]
        isotropic, reach = _isotropic(law, order), width[order] + 1e-3
        split = isotropic and len(order) > 1
        for part in orthogonal_summands(term, symbols, centre[order], reach) if split else (term,):
            block = reduce_payoff(part, symbols, order, kappa, isotropic, centre[order], reach)
            if isinstance(block, Rejected):
                return block
            blocks.append(block)
    quadratic = (parts.constant, parts.linear, parts.matrix) if kappa == 0 else None
    return GaussianValue(control, law, tuple(blocks), quadratic, kappa)


def law_end(control: LinearControl) -> float:
    """The end of the law's clock; with an infinite horizon constant coefficients need none."""
    return control.end if np.isfinite(control.end) else 0.0


def _tilt(parts: PayoffParts, kappa: float, coordinates: tuple[sp.Symbol, ...]) -> tuple[tuple[float, Array, Array], PayoffParts]:
    """The quadratic part moves into the Gaussian weight where that keeps it integrable; else it stays with the payoff."""
    if not parts.rest or np.linalg.eigvalsh(kappa * parts.matrix).min(initial=0.0) >= -1e-12:
        return (kappa * parts.constant, kappa * parts.linear, kappa * parts.matrix), PayoffParts(
            0.0, np.zeros_like(parts.linear), np.zeros_like(parts.matrix), parts.rest
        )
    rest = list(parts.rest)
    for i, j in zip(*np.nonzero(np.triu(parts.matrix)), strict=True):
        amount = parts.matrix[i, j] / 2 if i == j else parts.matrix[i, j]
        rest.append((sp.Float(float(amount), 17) * coordinates[i] * coordinates[j], frozenset({int(i), int(j)})))
    zero = np.zeros_like(parts.matrix)
    return (kappa * parts.constant, kappa * parts.linear, zero), PayoffParts(0.0, 0 * parts.linear, zero, tuple(rest))


def diffusion(control: LinearControl, kappa: float, tilt: tuple[float, Array, Array] | None) -> LinearDiffusion:
    """Dynamics, rate and terminal exponent of the weighted law: the discount (kappa = 0) or kappa times the running cost."""
    n = len(control.chart.states)
    terminal = tilt if tilt is not None else (0.0, np.zeros(n), np.zeros((n, n)))
    whole = _Coefficients(control, kappa, diagonal=False)
    times = [float(t) for t in np.linspace(0.0, law_end(control), 5)]
    rates = [whole.rate(t) for t in times]
    matrices = [terminal[2], *(whole.drift(t)[0] for t in times), *(whole.noise(t) for t in times), *(r[2] for r in rates)]
    diagonal = all(np.count_nonzero(m) == np.count_nonzero(np.diagonal(m)) for m in matrices)
    tilted = bool(np.any(terminal[1]) or np.any(terminal[2]) or any(np.any(r[1]) or np.any(r[2]) for r in rates))
    constant = is_constant(control)
    varying = _Coefficients(control, kappa, diagonal)
    coefficients = FrozenCoefficients(varying.drift(0.0), varying.noise(0.0), varying.rate(0.0)) if constant else varying
    final = np.diagonal(terminal[2]).copy() if diagonal else terminal[2]
    return LinearDiffusion(
        coefficients.drift, coefficients.noise, coefficients.rate, (terminal[0], terminal[1], final), diagonal, constant, tilted
    )


def is_constant(control: LinearControl) -> bool:
    """Whether no coefficient of the dynamics or of the exponent depends on time."""
    c = control
    arrays = [c.matrix, c.offset, c.noise, c.gain, c.cost, c.cross_offset, c.cross]
    for rate in (c.running, c.discount):
        arrays += [rate.constant, rate.linear, rate.quadratic]
    return all(a.is_constant for a in arrays)


@dataclass(frozen=True, slots=True)
class _Coefficients:
    """The weighted law's coefficients at any time; bound methods pickle."""

    control: LinearControl
    kappa: float
    diagonal: bool

    def drift(self, t: float) -> tuple[Array, Array]:
        matrix, offset = self.control.drift(t)
        return self._shape(matrix), offset

    def noise(self, t: float) -> Array:
        return self._shape(self.control.noise(t))

    def rate(self, t: float) -> tuple[Array, Array, Array]:
        if self.kappa == 0:
            d = self.control.discount
            constant, linear, quadratic = d.constant(t), d.linear(t), d.quadratic(t)
        else:
            constant, linear, quadratic = (self.kappa * part for part in self.control.reward(t))
        return constant, linear, self._shape(quadratic)

    def _shape(self, matrix: Array) -> Array:
        return np.diagonal(matrix).copy() if self.diagonal else matrix


def _independent(
    rest: tuple[tuple[sp.Expr, frozenset[int]], ...], law: GaussianLaw
) -> tuple[tuple[sp.Expr, frozenset[int]], ...]:
    """Summands merged until the final coordinates of different groups are independent."""
    coupled: list[set[int]] = []
    if not law.coefficients.diagonal:
        n = len(law.coefficients.terminal[1])
        strong = np.zeros((n, n), dtype=bool)
        for covariance in law.at(np.linspace(0.0, law.end, 5)[:-1]).covariance:
            size = np.sqrt(np.abs(np.diagonal(covariance)))
            strong |= np.abs(covariance) > 1e-13 * np.outer(size, size) + 1e-300
        coupled = [{int(i), int(j)} for i, j in zip(*np.nonzero(np.triu(strong, 1)), strict=True)]
    parent = list(range(len(law.coefficients.terminal[1])))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for group in (*coupled, *(index for _, index in rest)):
        first, *others = sorted(group)
        for other in others:
            parent[root(other)] = root(first)
    merged: dict[int, tuple[list[sp.Expr], set[int]]] = {}
    for term, index in rest:
        terms, found = merged.setdefault(root(min(index)), ([], set()))
        terms.append(term)
        found |= index
    return tuple((sp.Add(*terms), frozenset(found)) for terms, found in merged.values())


def _isotropic(law: GaussianLaw, index: list[int]) -> bool:
    """Whether the covariance of these coordinates is a multiple of the identity at every time (tested at several)."""
    for covariance in law.at(np.linspace(0.0, law.end, 7)).covariance:
        block = _full(covariance)[np.ix_(index, index)]
        if np.max(np.abs(block - block[0, 0] * np.eye(len(index)))) > 1e-11 * abs(block[0, 0]):
            return False
    return True


def _full(matrix: Array) -> Array:
    return matrix if matrix.ndim == 2 else np.diag(matrix)
