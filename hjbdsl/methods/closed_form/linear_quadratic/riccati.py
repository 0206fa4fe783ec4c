"""The Riccati operator of a linear-quadratic problem in its most general form.

In: matrices of every joint mode at one time and the stack Pi (Z, N, N) of V_min = z' Pi z, z = (1, x). Out: d Pi / d(T - t),
the feedback c = -K z and the curvature of the Hamiltonian in the controls.

With curvature  Rhat = R + sum_s D_s' Pi D_s  and slope  S = N' + B' Pi + sum_s D_s' Pi G_s  the operator is

    Q + A' Pi + Pi A + sum_s G_s' Pi G_s + tr(a Pi) e_0 e_0' + 2 theta Pi a Pi - r Pi + sum_z' q_zz' Pi_z' - S' Rhat^-1 S,

less, under exploration of k controls with temperature lam, lam (k log(pi lam) - log det Rhat_EE)/2 in entry (0, 0).
Yong and Zhou, Stochastic Controls (1999), ch. 6; Jacobson (1973) for theta; Wang, Zariphopoulou and Zhou (2020) for exploration.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hjbdsl.methods.closed_form.linear_quadratic.coefficients import LinearQuadratic, Matrices
from hjbdsl.model.solution import Array


class NoSaddle(ArithmeticError):
    """The Hamiltonian is not strictly convex in the controls (concave in the adversary's): `player` is the one without an
    optimum."""

    def __init__(self, player: str):
        super().__init__(player)
        self.player = player


@dataclass(frozen=True, slots=True)
class System:
    """All joint modes at one time. `constant` says whether row and column 0 are the constant coordinate (else Pi is P alone).
    `inverses` holds the inverse curvature of each mode where no noise makes it depend on Pi, else None."""

    modes: tuple[Matrices, ...]
    switching: Array
    controllers: int
    explored: tuple[int, ...]
    risk: float | None
    constant: bool
    inverses: tuple[Array | None, ...]

    @property
    def size(self) -> int:
        return int(self.modes[0].drift.shape[0])


def system_at(problem: LinearQuadratic, t: float) -> System:
    """The matrices at time t. Raises `NoSaddle` where the costs alone rule an optimum out."""
    modes = tuple(mode.at(t) for mode in problem.modes)
    inverses = tuple(_fixed_inverse(m, problem.controllers) for m in modes)
    return System(modes, problem.switching.at(t), problem.controllers, problem.explored, problem.risk, True, inverses)


def _fixed_inverse(m: Matrices, controllers: int) -> Array | None:
    if np.any(m.control_noise):
        return None
    curvature = m.cost[m.drift.shape[0] :, m.drift.shape[0] :]
    _require_saddle(curvature, controllers)
    return np.asarray(np.linalg.inv(curvature), dtype=np.float64)


def states_only(system: System) -> System:
    """The same without the constant coordinate: its operator acts on P (Z, n, n)."""
    size = system.size

    def cut(m: Matrices) -> Matrices:
        return replace(
            m, drift=m.drift[1:, 1:], gain=m.gain[1:], cost=m.cost[1:, 1:], additive=m.additive[1:, 1:],
            noise=m.noise[:, 1:, 1:], control_noise=m.control_noise[:, 1:],
        )  # fmt: skip

    if not system.constant or size < 1:
        raise ValueError("the system has no constant coordinate")
    return replace(system, modes=tuple(cut(m) for m in system.modes), constant=False)


def curvature_and_slope(m: Matrices, pi: Array) -> tuple[Array, Array]:
    """Rhat (m, m) and S (m, N) of one mode."""
    size = len(pi)
    curvature, slope = m.cost[size:, size:], m.cost[size:, :size] + m.gain.T @ pi
    if len(m.noise):
        weighted = pi @ m.control_noise
        curvature = curvature + np.einsum("sia,sib->ab", m.control_noise, weighted)
        slope = slope + np.einsum("sia,sij->aj", weighted, m.noise)
    return curvature, slope


def feedback(system: System, pi: Array) -> tuple[Array, Array]:
    """K (Z, m, N) of the optimal control c = -K z, and the curvatures (Z, m, m). Raises `NoSaddle`."""
    gains, curvatures = [], []
    for m, value, inverse in zip(system.modes, pi, system.inverses, strict=True):
        curvature, slope = curvature_and_slope(m, value)
        if inverse is not None:
            gains.append(inverse @ slope)
        else:
            _require_saddle(curvature, system.controllers)
            gains.append(np.asarray(np.linalg.solve(curvature, slope), dtype=np.float64))
        curvatures.append(curvature)
    return np.array(gains), np.array(curvatures)


def _require_saddle(curvature: Array, controllers: int) -> None:
    for player, block in (
        ("control", curvature[:controllers, :controllers]),
        ("adversary", -curvature[controllers:, controllers:]),
    ):
        if len(block):
            values = np.linalg.eigvalsh(block)
            if not values[0] > 1e-13 * max(abs(values[-1]), float(np.abs(curvature).max()), 1e-300):
                raise NoSaddle(player)


def operator(system: System, pi: Array) -> Array:
    """d Pi / d(T - t), symmetric, (Z, N, N). Raises `NoSaddle`."""
    size = system.size
    gains, curvatures = feedback(system, pi)
    result = np.einsum("yz,zij->yij", system.switching, pi) if len(pi) > 1 else np.zeros_like(pi)
    for z, (m, value) in enumerate(zip(system.modes, pi, strict=True)):
        product = value @ m.drift
        rate = m.cost[:size, :size] + product + product.T - m.discount * value
        if len(m.noise):
            rate = rate + np.einsum("sij,sik->jk", m.noise, value @ m.noise)
        if system.risk is not None:
            rate = rate + 2 * system.risk * value @ m.additive @ value
        if curvatures.shape[1]:
            rate = rate - gains[z].T @ (curvatures[z] @ gains[z])
        if system.constant:
            rate[0, 0] += np.sum(m.additive * value) - entropy(curvatures[z], system.explored, m.temperature)
        result[z] += (rate + rate.T) / 2
    return result


def entropy(curvature: Array, explored: Sequence[int], temperature: float) -> float:
    """lam * log of the integral of exp(-a' Rhat a / lam) over the explored controls; 0 without exploration."""
    if not explored:
        return 0.0
    block = curvature[np.ix_(explored, explored)]
    return temperature * (len(explored) * math.log(math.pi * temperature) - float(np.linalg.slogdet(block)[1])) / 2


def policy_spread(curvature: Array, explored: Sequence[int], temperature: float) -> Array:
    """Standard deviation of each control under the Gaussian policy with covariance lam Rhat_EE^-1 / 2; zeros where not
    explored."""
    spread = np.zeros(len(curvature))
    if explored:
        block = curvature[np.ix_(explored, explored)]
        spread[list(explored)] = np.sqrt(temperature / 2 * np.diag(np.linalg.inv(block)))
    return spread


def closed_loop(system: System, pi: Array) -> tuple[list[Array], list[Array]]:
    """Per mode: A - B K (with the risk-adjusted drift + 2 theta a P) and the noise columns G_s - D_s K."""
    gains, _ = feedback(system, pi)
    drifts, noises = [], []
    for z, m in enumerate(system.modes):
        drift = m.drift - m.gain @ gains[z]
        if system.risk is not None:
            drift = drift + 2 * system.risk * m.additive @ pi[z]
        drifts.append(drift)
        noises.append(m.noise - m.control_noise @ gains[z])
    return drifts, noises
