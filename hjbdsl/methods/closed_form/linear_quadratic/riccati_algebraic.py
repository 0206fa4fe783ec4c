"""The algebraic Riccati equation of stationary and average problems, and the choice of its root.

In: an autonomous `LinearQuadratic`. Out: `Stationary` with Pi, the feedback and what was established about the root; raises
`Infinite` where the values of growing horizons diverge, `Undecided` with the reason where the root cannot be certified.

The root is the limit of finite-horizon values (from P = 0). P comes first, then the affine part and the constant, which are
linear:
    0 = (A_K' - r + q) p + ...,      0 = (q - r) c + ...
Classical problems (one mode, additive noise, convex costs, detectable) go to scipy's Schur method, whose stabilising root is that
limit (Anderson and Moore, Optimal Control (1990), ch. 3); everything else integrates the differential equation to rest and
polishes by Newton.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lu_factor, lu_solve, solve_continuous_are, solve_continuous_lyapunov

from hjbdsl.methods.closed_form.linear_quadratic.coefficients import LinearQuadratic
from hjbdsl.methods.closed_form.linear_quadratic.failures import Infinite, Undecided
from hjbdsl.methods.closed_form.linear_quadratic.riccati import (
    System,
    closed_loop,
    feedback,
    operator,
    states_only,
    system_at,
)
from hjbdsl.model.solution import Array

_MARGINAL = 1e-9
"""Decay rates below this, relative to the drift, count as none."""
_DIRECT, _EIGENVALUES = 2600, 700
"""Largest n^2 Z whose second-moment operator is written out as a matrix, and whose eigenvalues are all computed."""


@dataclass(frozen=True, slots=True)
class Stationary:
    """`value` (Z, N, N), `gain` (Z, m, N), `curvature` (Z, m, m), `average` or None, `error` bounding |Pi - exact|,
    `decay` = -max Re of the discounted second-moment operator (positive: transversality holds), and the words for it all."""

    value: Array
    gain: Array
    curvature: Array
    average: float | None
    error: float
    decay: float
    statements: tuple[str, ...]


def solve_stationary(problem: LinearQuadratic, average: bool) -> Stationary:
    """Solve; raises `Infinite`, `Undecided`, `NoSaddle`."""
    system = system_at(problem, 0.0)
    reduced = states_only(system)
    convex = _convex(reduced)
    p = _classical(reduced) if convex else None
    how = "algebraic Riccati equation by the Schur method"
    if p is None:
        from hjbdsl.methods.closed_form.linear_quadratic.riccati_limit import (  # noqa: PLC0415 (slow to import)
            limit_from_zero,
        )

        p = limit_from_zero(reduced)
        how = "algebraic Riccati equation: the limit of finite-horizon values, by integration to rest"
    p, correction = _polish(reduced, p)
    decay = -_abscissa(reduced, p)
    if decay <= 0 and not convex:
        raise Undecided("the closed loop of the limiting Riccati solution does not satisfy the transversality condition")
    pi, constant, error = _affine_part(system, reduced, p, average, decay > 0)
    gain, curvature = feedback(system, pi)
    words = [f"{how}, polished by Newton's method (last correction {correction:.0e})"]
    if decay > 0:
        words.append(f"stabilising root: e^(-r t) E|x|^2 decays at rate {decay:.4g} under the feedback (transversality)")
    else:
        words.append("least root: costs are nonnegative, and V is the increasing limit of the finite-horizon values from 0")
    return Stationary(pi, gain, curvature, constant if average else None, max(error, correction, 1e-14), decay, tuple(words))


def _convex(reduced: System) -> bool:
    """Running cost >= 0 in (x, c) jointly, no adversary, no risk: values increase with the horizon."""
    if reduced.risk is not None or any(m.gain.shape[1] > reduced.controllers for m in reduced.modes):
        return False
    return all(np.linalg.eigvalsh(m.cost)[0] >= -1e-12 * max(1.0, np.abs(m.cost).max()) for m in reduced.modes)


def _classical(reduced: System) -> Array | None:
    """The stabilising root where scipy's conditions hold and it is the limit from zero; None elsewhere."""
    if len(reduced.modes) > 1 or len(reduced.modes[0].noise) or not reduced.modes[0].gain.shape[1]:
        return None
    m, size = reduced.modes[0], reduced.size
    a = m.drift - m.discount / 2 * np.eye(size)
    q, s, r = m.cost[:size, :size], m.cost[:size, size:], m.cost[size:, size:]
    feedback(reduced, np.zeros((1, size, size)))
    completed = a - m.gain @ np.linalg.solve(r, s.T)
    weight = q - s @ np.linalg.solve(r, s.T)
    values, vectors = np.linalg.eig(completed)
    scale = np.abs(weight).max()
    unstable = vectors[:, values.real > -1e-8 * (1 + np.abs(values))]
    if np.any(np.linalg.norm(weight @ unstable, axis=0) <= 1e-9 * max(scale, 1e-300)):
        return None
    try:
        return np.asarray(solve_continuous_are(a, m.gain, q, r, s=s))[None]
    except (np.linalg.LinAlgError, ValueError):
        return None


def _polish(reduced: System, p: Array) -> tuple[Array, float]:
    """Newton's method on the Riccati operator; returns P and the size of the last correction relative to P."""
    correction = np.inf
    for _ in range(12):
        step = -_solve_linearised(reduced, p, operator(reduced, p))
        previous, correction = correction, float(np.abs(step).max() / max(np.abs(p).max(), 1e-300))
        if not np.isfinite(correction):
            raise Undecided("Newton's method broke down at the Riccati solution: the root is a double one")
        if correction > 0.5 * previous and previous < 1e-10:
            break
        if correction > 0.1 and np.abs(p).max() > 0:
            raise Undecided("the limiting Riccati solution is not an isolated root")
        p = p + step
        if correction < 3e-15:
            break
    if correction > 1e-9:
        raise Undecided(f"Newton's method stalled at the Riccati solution (correction {correction:.0e})")
    return p, correction


def _solve_linearised(reduced: System, p: Array, right: Array) -> Array:
    """H with  A_K' H + H A_K + sum_s G_K' H G_K - r H + switching = right."""
    if not np.any(right):
        return np.zeros_like(p)
    drifts, noises = closed_loop(reduced, p)
    stable = _abscissa(reduced, p) < -_MARGINAL * (1 + max(float(np.abs(d).max()) for d in drifts))
    if stable and len(p) == 1 and not noises[0].shape[0]:
        shifted = drifts[0] - reduced.modes[0].discount / 2 * np.eye(reduced.size)
        h = solve_continuous_lyapunov(shifted.T, right[0])
        return ((h + h.T) / 2)[None]
    matrix = _moment_operator(reduced, drifts, noises)
    # a state that costs nothing and is not steered leaves the operator singular; the least solution leaves it alone
    flat = np.linalg.solve(matrix, right.reshape(-1)) if stable else np.linalg.lstsq(matrix, right.reshape(-1), rcond=1e-11)[0]
    solution = flat.reshape(p.shape)
    return (solution + np.swapaxes(solution, 1, 2)) / 2


def _moment_operator(reduced: System, drifts: list[Array], noises: list[Array]) -> Array:
    """The adjoint second-moment operator as a matrix on the stacked entries of H."""
    size, count = reduced.size, len(reduced.modes)
    if size * size * count > _DIRECT:
        raise Undecided(f"{size} states with state-dependent noise or modes are too many to certify the Riccati root")
    eye = np.eye(size)
    matrix: Array = np.kron(reduced.switching, np.eye(size * size)).astype(np.float64)
    for z, (drift, columns) in enumerate(zip(drifts, noises, strict=True)):
        block = np.kron(drift.T, eye) + np.kron(eye, drift.T) - reduced.modes[z].discount * np.eye(size * size)
        for column in columns:
            block += np.kron(column.T, column.T)
        place = slice(z * size * size, (z + 1) * size * size)
        matrix[place, place] += block
    return matrix


def _abscissa(reduced: System, p: Array) -> float:
    """Largest real part of the discounted second-moment operator under the feedback (under risk: of the worst-case measure)."""
    drifts, noises = closed_loop(reduced, p)
    if len(p) == 1 and not noises[0].shape[0]:
        return 2 * float(np.linalg.eigvals(drifts[0]).real.max()) - reduced.modes[0].discount
    matrix = _moment_operator(reduced, drifts, noises)
    if len(matrix) <= _EIGENVALUES:
        return float(np.linalg.eigvals(matrix).real.max())
    return _abscissa_of_positive(matrix, len(p), reduced.size)


def _abscissa_of_positive(matrix: Array, count: int, size: int) -> float:
    """The same for wide problems: a stable second-moment operator L generates a positive semigroup, so -L^-1 maps positive
    matrices to positive ones and its largest eigenvalue, found by iteration from the identity, is -1/abscissa. inf where it
    is unstable."""
    factors = lu_factor(matrix)
    current = np.broadcast_to(np.eye(size), (count, size, size)).reshape(-1)
    growth = 0.0
    for _ in range(200):
        following = -lu_solve(factors, current)
        stack = following.reshape(count, size, size)
        if np.linalg.eigvalsh((stack + np.swapaxes(stack, 1, 2)) / 2).min() < 0:
            return np.inf
        previous, growth = growth, float(np.linalg.norm(following) / np.linalg.norm(current))
        current = following / np.linalg.norm(following)
        if abs(growth - previous) < 1e-8 * growth:
            break
    return -1.0 / growth


def _affine_part(system: System, reduced: System, p: Array, average: bool, stable: bool) -> tuple[Array, float, float]:
    """Pi with its affine and constant parts, the constant rate (average problems), and the backward error."""
    count, size = len(p), reduced.size
    pi = np.zeros((count, size + 1, size + 1))
    pi[:, 1:, 1:] = p
    drifts, _ = closed_loop(reduced, p)
    matrix = np.kron(system.switching, np.eye(size))
    for z, drift in enumerate(drifts):
        place = slice(z * size, (z + 1) * size)
        matrix[place, place] += drift.T - system.modes[z].discount * np.eye(size)
    right = operator(system, pi)[:, 0, 1:]
    if np.any(np.abs(right) > 1e-15 * (1 + np.abs(p).max())):
        if not stable and np.linalg.eigvals(matrix).real.max() >= 0:
            raise Undecided("the affine part of the value has no limit: the closed loop is unstable")
        solution = -np.linalg.solve(matrix, right.reshape(-1)).reshape(count, size)
        pi[:, 0, 1:] = pi[:, 1:, 0] = solution
    rates = operator(system, pi)[:, 0, 0]
    discounts = np.array([m.discount for m in system.modes])
    constant, rate = _constants(system.switching, discounts, rates, average)
    pi[:, 0, 0] = constant
    return pi, rate, _backward_error(reduced, p)


def _backward_error(reduced: System, p: Array) -> float:
    residual = operator(reduced, p)
    return float(np.abs(_solve_linearised(reduced, p, residual)).max() / max(np.abs(p).max(), 1e-300))


def _constants(switching: Array, discounts: Array, rates: Array, average: bool) -> tuple[Array, float]:
    """Solve (q - r) c + rates = 0; in average problems q c + rates = average, c of the first mode 0 (Poisson equation)."""
    count = len(rates)
    matrix = switching - np.diag(discounts)
    if average:
        bordered = np.zeros((count + 1, count + 1))
        bordered[:count, :count], bordered[:count, count], bordered[count, 0] = matrix, -1.0, 1.0
        if np.linalg.matrix_rank(bordered) <= count:
            raise Undecided("the modes do not communicate: the long-run average depends on the first mode")
        solution = np.linalg.solve(bordered, np.concatenate([-rates, [0.0]]))
        return solution[:count], float(solution[count])
    if not np.any(rates):
        return np.zeros(count), 0.0
    if np.linalg.eigvals(matrix).real.max() > -1e-13 * (1 + np.abs(matrix).max()):
        scale = float(np.abs(rates).max())
        raise Infinite(np.inf, f"costs of {scale:.4g} per unit time go on for ever without a discount")
    return np.asarray(-np.linalg.solve(matrix, rates), dtype=np.float64), 0.0
