"""Tilting a Gaussian mixture by the exponential of a quadratic: p_0(y) exp(k + b'y - y'B y/2)/Z is a mixture again.

In: the law, a reward of the state. Out: the tilted law and log Z, or None where the reward is no quadratic or the tilted weights
have no finite sum. Component (w, m, C): C' = (C^-1 + B)^-1, m' = C'(C^-1 m + b), w' ~ w |C'|^(1/2) |C|^(-1/2) exp(...).
"""

from __future__ import annotations

import numpy as np
import sympy as sp
from scipy.special import logsumexp

from hjbdsl.methods.generative.start import MixtureLaw
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Array
from hjbdsl.numeric.polynomial import quadratic_parts


def quadratic_reward(problem: ControlProblem, reward: sp.Expr) -> tuple[float, Array, Array] | None:
    """k, b (n,) and B (n, n) with reward = k + b'y - y'B y/2; None for any other reward."""
    parts = quadratic_parts(problem.numeric(reward), problem.state_symbols)
    if parts.rest:
        return None
    n = problem.dimension
    slope, bend = np.zeros(n), np.zeros((n, n))
    for i, coefficient in parts.linear.items():
        slope[i] = float(coefficient)
    for (i, j), coefficient in parts.quadratic.items():
        bend[i, j] -= float(coefficient)
        bend[j, i] -= float(coefficient)
    return float(parts.constant), slope, bend


def tilted_mixture(law: MixtureLaw, reward: tuple[float, Array, Array]) -> tuple[MixtureLaw, float] | None:
    """The law of density p_0 exp(reward)/Z and log Z; None where the integral is infinite."""
    constant, slope, bend = reward
    levels, means, spreads = [], [], []
    for weight, mean, spread in zip(law.weights, law.means, law.covariances, strict=True):
        precision = np.linalg.inv(spread)
        tilted = precision + bend
        if np.linalg.eigvalsh((tilted + tilted.T) / 2)[0] <= 0:
            return None
        narrow = np.linalg.inv(tilted)
        pull = precision @ mean + slope
        moved = narrow @ pull
        volume = (np.linalg.slogdet(narrow)[1] - np.linalg.slogdet(spread)[1]) / 2
        levels.append(np.log(weight) + volume + (pull @ moved - mean @ precision @ mean) / 2)
        means.append(moved)
        spreads.append((narrow + narrow.T) / 2)
    total = float(logsumexp(levels))
    return MixtureLaw(np.exp(np.array(levels) - total), np.stack(means), np.stack(spreads)), total + constant
