"""The soft optimum of exploratory problems: lam log of the integral of exp(H/lam) over the explored controls.

In: the Hamiltonian, the proposed mean and spread. Out: soft value, mean and spread of the Gibbs policy at each sample, by
quadrature in one dimension, by the Gaussian integral where the Hamiltonian is quadratic in several free explored controls, by a
sum over finite sets. Under `minimize` the sign turns: -lam log of the integral of exp(-H/lam). With a prior the integral is
over the prior's law.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from hjbdsl.methods.closed_form.verification.laws import panels
from hjbdsl.methods.closed_form.verification.optimum import Hamiltonian
from hjbdsl.methods.closed_form.verification.points import ControlSet, Samples
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Array

_WIDTH = 14.0
"""Half-width of the quadrature in standard deviations of the proposed policy."""


class NoSoftOptimum(ValueError):
    """The integral over the explored controls cannot be had here: the Hamiltonian of several is not quadratic, or their set is no
    box."""


@dataclass(frozen=True, slots=True)
class Gibbs:
    """The optimal random policy: soft value (k,), mean and spread of the explored components (k, explored)."""

    value: Array
    mean: Array
    spread: Array


@dataclass(frozen=True, slots=True)
class _Setting:
    """What every rule below needs: `lam` (k,) is signed (negative under minimize), `columns` the explored components."""

    hamiltonian: Hamiltonian
    at: Samples
    control: Array
    spread: Array
    columns: tuple[int, ...]
    lam: Array
    prior: tuple[float, float] | None


def soft_optimum(
    problem: ControlProblem,
    hamiltonian: Hamiltonian,
    admissible: ControlSet,
    at: Samples,
    control: Array,
    spread: Array,
    maximise: bool,
) -> Gibbs:
    """The soft optimum over the explored components, the others held at `control` (k, m)."""
    exploration = problem.exploration
    if exploration is None:
        raise ValueError("the problem is not exploratory")
    columns = tuple(problem.control_symbols.index(s) for s in exploration.controls)
    by_mode = [float(problem.numeric(problem.at_mode(exploration.temperature, m))) for m in problem.mode_tuples()]
    lam = np.array(by_mode)[at.mode] * (1.0 if maximise else -1.0)
    prior = None
    if exploration.prior is not None:
        mean, variance = (float(problem.numeric(e)) for e in exploration.prior)
        prior = (mean, variance)
    setting = _Setting(hamiltonian, at, control, spread, columns, lam, prior)
    if all(admissible.points[c] is not None for c in columns):
        sets = [p for p in (admissible.points[c] for c in columns) if p is not None]
        if prior is not None:
            raise NoSoftOptimum("a prior with a density says nothing of a finite set")
        return _summed(setting, admissible, np.array(list(itertools.product(*sets))))
    if _jointly_constrained(problem):
        raise NoSoftOptimum("a joint constraint binds explored controls that vary continuously")
    if len(columns) == 1:
        return _one_dimension(setting, admissible)
    if np.isfinite(np.concatenate(admissible.limits(at.t, at.x))[:, list(columns)]).any():
        raise NoSoftOptimum("several explored controls are bounded")
    return _gaussian(setting)


def explored_range(problem: ControlProblem, admissible: ControlSet, control: Array) -> Array:
    """`control` (k, m) with each explored component of a finite set replaced by the nearest point of the set, if it lies between
    the least and the greatest of them as the mean of a random policy does: what is left can be asked for its admissibility."""
    result = control.copy()
    for symbol in problem.exploration.controls if problem.exploration is not None else ():
        column = problem.control_symbols.index(symbol)
        points = admissible.points[column]
        if points is not None:
            between = (control[:, column] >= points.min()) & (control[:, column] <= points.max())
            nearest = points[np.argmin(np.abs(control[:, column, None] - points), axis=1)]
            result[:, column] = np.where(between, nearest, control[:, column])
    return result


def _jointly_constrained(problem: ControlProblem) -> bool:
    explored = set(problem.exploration.controls) if problem.exploration is not None else set()
    return any(c.role != "state" and not explored.isdisjoint(c.condition.free_symbols) for c in problem.constraints)


def _summed(setting: _Setting, admissible: ControlSet, points: Array) -> Gibbs:
    """Over the admissible `points` (j, explored) of finite sets."""
    count = setting.at.count
    nodes = np.broadcast_to(points, (count, *points.shape))
    rows = np.repeat(np.arange(count), len(points))
    controls = setting.control[rows]
    controls[:, list(setting.columns)] = nodes.reshape(-1, points.shape[1])
    allowed = admissible.contains(setting.at.t[rows], setting.at.x[rows], controls).reshape(count, len(points))
    return _integrate(setting, nodes, np.where(allowed, 0.0, -np.inf))


def _one_dimension(setting: _Setting, admissible: ControlSet) -> Gibbs:
    column = setting.columns[0]
    centre, width = setting.control[:, column], _WIDTH * setting.spread[:, column]
    lower, upper = (limit[:, column] for limit in admissible.limits(setting.at.t, setting.at.x))
    bounded = np.isfinite(lower) & np.isfinite(upper)
    low = np.where(bounded, lower, np.maximum(lower, centre - width))
    high = np.where(bounded, upper, np.minimum(upper, centre + width))
    unit, weights = panels(np.linspace(0.0, 1.0, 13))
    nodes = low[:, None] + (high - low)[:, None] * unit
    log_weights = np.log(weights) + np.log(high - low)[:, None]
    if setting.prior is not None:
        mean, variance = setting.prior
        log_weights = log_weights - (nodes - mean) ** 2 / (2 * variance) - math.log(2 * math.pi * variance) / 2
    return _integrate(setting, nodes[:, :, None], log_weights)


def _integrate(setting: _Setting, nodes: Array, log_weights: Array) -> Gibbs:
    """lam * log sum_j exp(log_weights_j + H(nodes_j)/lam) and the moments; nodes (k, j, explored), log_weights (k, j)."""
    k, count, explored = nodes.shape
    rows = np.repeat(np.arange(k), count)
    controls = setting.control[rows]
    controls[:, list(setting.columns)] = nodes.reshape(-1, explored)
    exponent = log_weights + setting.hamiltonian(rows, controls)[0].reshape(k, count) / setting.lam[:, None]
    top = exponent.max(axis=1)
    density = np.exp(exponent - top[:, None])
    mass = density.sum(axis=1)
    density /= mass[:, None]
    mean = np.einsum("kj,kje->ke", density, nodes)
    spread = np.sqrt(np.einsum("kj,kje->ke", density, (nodes - mean[:, None]) ** 2))
    return Gibbs(setting.lam * (top + np.log(mass)), mean, spread)


def _gaussian(setting: _Setting) -> Gibbs:
    """Exact for H quadratic in the explored controls: Hessian by differences (exact up to rounding), checked at a far point."""
    columns, m = list(setting.columns), len(setting.columns)
    step = setting.spread[:, columns]
    rows = np.arange(setting.at.count)

    def exponent(offset: Array) -> Array:
        moved = setting.control.copy()
        moved[:, columns] += offset * step
        result = setting.hamiltonian(rows, moved)[0] / setting.lam
        if setting.prior is not None:
            mean, variance = setting.prior
            result = result - ((moved[:, columns] - mean) ** 2).sum(axis=1) / (2 * variance)
        return result

    unit = np.eye(m)
    centre = exponent(np.zeros(m))
    plus, minus = [exponent(e) for e in unit], [exponent(-e) for e in unit]
    gradient = np.stack([(p - q) / 2 for p, q in zip(plus, minus, strict=True)], axis=1)
    hessian = np.empty((len(rows), m, m))
    for i, j in itertools.product(range(m), repeat=2):
        mixed = plus[i] + minus[i] - 2 * centre if i == j else exponent(unit[i] + unit[j]) - plus[i] - plus[j] + centre
        hessian[:, i, j] = mixed
    far = np.linspace(-3.0, 2.0, m)
    predicted = centre + gradient @ far + np.einsum("i,kij,j->k", far, hessian, far) / 2
    if np.any(np.abs(predicted - exponent(far)) > 1e-8 * (1 + np.abs(predicted))) or np.any(np.linalg.eigvalsh(hessian) >= 0):
        raise NoSoftOptimum("the Hamiltonian is not a concave quadratic of the explored controls")
    covariance = np.linalg.inv(-hessian)
    shift = np.einsum("kij,kj->ki", covariance, gradient)
    log_mass = m * math.log(2 * math.pi) / 2 + np.linalg.slogdet(covariance)[1] / 2 + np.log(step).sum(axis=1)
    if setting.prior is not None:
        log_mass = log_mass - m * math.log(2 * math.pi * setting.prior[1]) / 2
    value = setting.lam * (centre + np.einsum("ki,ki->k", gradient, shift) / 2 + log_mass)
    spread = step * np.sqrt(np.einsum("kii->ki", covariance))
    return Gibbs(value, setting.control[:, columns] + step * shift, spread)
