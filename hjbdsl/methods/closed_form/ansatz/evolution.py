"""The coefficients of a finite-horizon value: theta' = -F(t, theta) integrated backwards from the terminal reward.

In: a matching and the horizon. Out: theta(t) as piecewise Chebyshev polynomials, with the
defect of the integral equation they satisfy.

A vanishing terminal reward with consumption starts from amplitude zero, where F is infinite. There the amplitude behaves like
(time to go)^(1/kappa) with F ~ exp(-kappa*theta_0), and G = exp(kappa*theta_0) is smooth (for power utility kappa = 1/gamma,
and G solves a linear equation); so G is the variable integrated, from 1e-13 of its size over the horizon.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from hjbdsl.methods.closed_form.ansatz.matching import DEFECT, Match, Matching
from hjbdsl.model.solution import Array

_TINY = 1e-13
_DEGREE, _GAUSS = 16, 10
_EVALUATIONS = 40_000
_FAILURES = 20
_EXPLODED, _LARGE = 1e7, 10.0
_ZOOMS, _ZOOM = 7, 0.3
"""Where coefficients grow, the samples draw nearer, until the explosion is certain and its time is known."""


@dataclass(frozen=True, slots=True)
class CoefficientPath:
    """`breaks` (B+1,) of time to go; `chebyshev` (B, _DEGREE+1, D, K) of the integrated variables;
    theta_0 = log(G)/kappa where `kappa` > 0."""

    end: float
    breaks: Array
    chebyshev: Array
    kappa: float

    def at(self, t: Array) -> tuple[Array, Array]:
        """theta and dtheta/dt at times t (k,), each (k, D, K)."""
        to_go = np.clip(self.end - t, 0.0, self.end)
        panel = np.clip(np.searchsorted(self.breaks, to_go, side="right") - 1, 0, len(self.breaks) - 2)
        low, width = self.breaks[panel], self.breaks[panel + 1] - self.breaks[panel]
        s = 2 * (to_go - low) / width - 1
        value = np.einsum("kj,kjdc->kdc", np.polynomial.chebyshev.chebvander(s, _DEGREE), self.chebyshev[panel])
        slopes = np.polynomial.chebyshev.chebder(self.chebyshev, axis=1)
        slope = np.einsum("kj,kjdc->kdc", np.polynomial.chebyshev.chebvander(s, _DEGREE - 1), slopes[panel])
        slope = -slope * (2 / width)[:, None, None]
        if self.kappa > 0:
            amplitude = np.maximum(value[:, :, 0], 1e-300)
            slope[:, :, 0] = slope[:, :, 0] / amplitude / self.kappa
            value[:, :, 0] = np.log(amplitude) / self.kappa
        return value, slope


@dataclass(frozen=True, slots=True)
class Evolution:
    """`accuracy`: relative defect of the integral equation along the path; `defect`: of the matching along the path."""

    path: CoefficientPath
    accuracy: float
    defect: float
    start: str


class FlowError(Exception):
    """The flow cannot be followed; `escape` is the time to go at which coefficients explode, None where the ansatz fails."""

    def __init__(self, message: str, escape: float | None = None):
        super().__init__(message)
        self.escape = escape


def evolve(matching: Matching, terminal: Array, horizon: float) -> Evolution:
    """Raises `FlowError`."""
    flow = _Flow(matching, horizon)
    start, kappa, note = _regular_start(flow, terminal, horizon)
    flow.kappa = kappa
    first = _integrate(flow, start, horizon, 1e-12)
    breaks, series = _interpolate(first, horizon, start.shape, singular=note != "")
    path = CoefficientPath(horizon, breaks, series, kappa)
    accuracy = _integral_defect(flow, path)
    if kappa > 0:  # V vanishes exactly at the end
        series = series.copy()
        series[:, 0, :, 0] -= start[:, 0]
        path = CoefficientPath(horizon, breaks, series, kappa)
    return Evolution(path, accuracy, flow.defect, note)


def _integral_defect(flow: _Flow, path: CoefficientPath) -> float:
    """How well the interpolated path satisfies theta(b) - theta(a) = integral of the flow, panel by panel with Gauss-Legendre
    nodes: a check that shares nothing with the integrator. The sum over the panels, relative to the size of each coefficient."""
    nodes, weights = np.polynomial.legendre.leggauss(_GAUSS)
    vandermonde = np.polynomial.chebyshev.chebvander(np.append(nodes, [-1.0, 1.0]), _DEGREE)
    total = np.zeros(path.chebyshev.shape[2:])
    size = np.full(total.shape, 1e-3)
    for low, high, series in zip(path.breaks[:-1], path.breaks[1:], path.chebyshev, strict=True):
        *inside, left, right = np.tensordot(vandermonde, series, axes=1)
        times = (low + high) / 2 + (high - low) / 2 * nodes
        slopes = [flow(t, v.ravel()).reshape(total.shape) for t, v in zip(times, inside, strict=True)]
        gain = (high - low) / 2 * np.tensordot(weights, np.array(slopes), axes=1)
        total += np.abs(right - left - gain)
        size = np.maximum(size, np.abs(right))
    return float((total / size).max())


class _Flow:
    """d(theta)/d(time to go) for an integrator, with a warm start for the optimiser and the worst defect seen."""

    def __init__(self, matching: Matching, horizon: float):
        self.matching, self.horizon, self.kappa = matching, horizon, 0.0
        self.defect = 0.0
        self._control: Array | None = None
        self._last: tuple[float, Array, Array] | None = None
        self.evaluations = self.failures = self.zooms = 0

    def __call__(self, to_go: float, flat: Array) -> Array:
        theta = flat.reshape(self.matching.places, self.matching.coefficients).copy()
        if self.kappa > 0:
            if (theta[:, 0] <= 0).any():
                return np.full(flat.shape, np.nan)
            amplitude = theta[:, 0].copy()
            theta[:, 0] = np.log(amplitude) / self.kappa
        self.evaluations += 1
        if np.abs(theta[:, 1:]).max(initial=0.0) > _EXPLODED:
            raise FlowError(f"the coefficients explode {to_go:.6g} before the end", to_go)
        if self.evaluations > _EVALUATIONS:
            raise FlowError("the equation of the coefficients is too stiff to be integrated")
        match = self.matching(self.horizon - to_go, theta, self._control)
        while not match.valid and self.zooms < _ZOOMS and np.abs(theta[:, 1:]).max(initial=0.0) > _LARGE:
            self.zooms += 1
            self.matching = self.matching.zoomed(_ZOOM)
            match = self.matching(self.horizon - to_go, theta)
        if not match.valid:
            self.failures += 1
            if self.failures > _FAILURES:
                raise FlowError("the optimum is not attained along the path", self._pole())
            return np.full(flat.shape, np.nan)
        self._control = match.control
        self._last = (to_go, theta, match.flow)
        if match.defect > DEFECT:
            raise FlowError(f"not invariant (defect {match.defect:.1e})")
        self.defect = max(self.defect, match.defect)
        flow = match.flow.copy()
        if self.kappa > 0:
            flow[:, 0] *= self.kappa * amplitude
        return flow.ravel()

    def _pole(self) -> float | None:
        """Where the largest coefficient of the last good point would be infinite, growing like 1/(pole - time to go); None where
        nothing was growing fast."""
        if self._last is None or self.kappa > 0:
            return None
        to_go, theta, flow = self._last
        if theta.shape[1] == 1:
            return None
        largest = int(np.abs(theta[:, 1:]).argmax())
        size, speed = theta[:, 1:].flat[largest], flow[:, 1:].flat[largest]
        rest = self.horizon - to_go
        if size * speed <= 0 or abs(size) < _LARGE or abs(speed) * rest < 10 * abs(size):
            return None
        return float(to_go + size / speed)


def _regular_start(flow: _Flow, terminal: Array, horizon: float) -> tuple[Array, float, str]:
    """Start values in the integrated variables, kappa, and a note where the start is singular."""
    if np.isfinite(terminal).all() and flow.matching(horizon, terminal).valid:
        return terminal, 0.0, ""
    if flow.matching.ansatz.kind == "logarithm":
        start = terminal.copy()
        start[:, -1] = _TINY * horizon
        return start, 0.0, "started from a bequest of 1e-13 times the horizon"
    if np.isfinite(terminal).all():
        raise FlowError("the optimum is not attained at the terminal reward")
    level, at_low, at_lower = _small_amplitude(flow, terminal, horizon)
    if max(at_low.defect, at_lower.defect) > DEFECT:
        raise FlowError(f"not invariant (defect {max(at_low.defect, at_lower.defect):.1e})")
    if not (at_lower.flow[:, 0] > 1.01 * at_low.flow[:, 0]).all() or not (at_low.flow[:, 0] > 0).all():
        raise FlowError("no reward from which the value could grow")
    kappa = _rounded(float(np.log(at_lower.flow[0, 0] / at_low.flow[0, 0])))
    speed = kappa * np.exp(kappa * (level - 1)) * at_lower.flow[:, 0].max()
    start = terminal.copy()
    start[:, 0] = _TINY * speed * horizon
    return start, kappa, "started from 1e-13 of the amplitude, where the terminal reward is zero"


def _small_amplitude(flow: _Flow, terminal: Array, horizon: float) -> tuple[float, Match, Match]:
    """A level of theta_0 so low that consuming outweighs everything else, and the matches there and one below."""
    found = None
    for level in (-2.0, -4.0, -8.0, -16.0, -32.0, -64.0):
        pair = [flow.matching(horizon, np.where(np.isfinite(terminal), terminal, at)) for at in (level, level - 1)]
        if not (pair[0].valid and pair[1].valid) or np.abs(pair[1].flow).max() > 1e13:
            break
        found = (level, pair[0], pair[1])
    if found is None:
        raise FlowError("the optimum is not attained near the terminal time")
    return found


def _rounded(number: float) -> float:
    """The short fraction nearby: the leading exponent is seen through corrections of lower order."""
    fraction = float(Fraction(number).limit_denominator(1000))
    return fraction if abs(fraction - number) < 1e-7 else number


def _integrate(flow: _Flow, start: Array, horizon: float, tolerance: float) -> Callable[[Array], Array]:
    from scipy.integrate import solve_ivp  # noqa: PLC0415 (slow to import; only answers that need an integrator pay for it)

    scale = _scales(flow, start, horizon)
    first_step = 1e-2 * _TINY * horizon if flow.kappa > 0 or np.abs(start).min() <= 2 * _TINY * horizon else None
    with np.errstate(all="ignore"):
        answer = solve_ivp(
            flow,
            (0.0, horizon),
            start.ravel(),
            method="DOP853",
            rtol=tolerance,
            atol=tolerance * scale,
            dense_output=True,
            first_step=first_step,
        )
    if not answer.success or not np.isfinite(answer.y).all():
        last = float(answer.t[-1])
        raise FlowError(f"the coefficients explode {last:.4g} before the end", last if flow.failures == 0 else None)
    return answer.sol


def _scales(flow: _Flow, start: Array, horizon: float) -> Array:
    """Absolute sizes for the error control: one for all coefficients, or those that vanish identically would be resolved down to
    the rounding of the projection; an amplitude that starts from zero is held to its own size."""
    first = np.abs(flow(0.0, start.ravel()))
    size = max(1e-3, float(np.abs(start).max()), float(np.nan_to_num(first).max()) * horizon)
    scale = np.full(start.shape, 0.02 * min(size, 1e3))
    if flow.kappa > 0:
        scale[:, 0] = 1e-6
    return scale.ravel()


def _interpolate(
    solution: Callable[[Array], Array], horizon: float, shape: tuple[int, ...], singular: bool
) -> tuple[Array, Array]:
    """Bisect [0, horizon] until Chebyshev polynomials of degree _DEGREE reproduce the solution to rounding."""
    nodes = np.cos(np.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1))
    inverse = np.linalg.inv(np.polynomial.chebyshev.chebvander(nodes, _DEGREE))
    smallest = horizon * (1e-13 if singular else 1e-9)
    waiting = [(0.0, horizon)]
    done: list[tuple[float, float, Array]] = []
    while waiting:
        low, high = waiting.pop()
        values = np.asarray(solution((low + high) / 2 + (high - low) / 2 * nodes)).T
        series = inverse @ values
        tail = np.abs(series[-3:]).max(axis=0)
        if high - low <= smallest or len(done) > 2000 or tail.max() <= 1e-13 * max(1e-3, np.abs(series[0]).max()):
            done.append((low, high, series))
        else:
            middle = (low + high) / 2
            waiting += [(middle, high), (low, middle)]
    done.sort(key=lambda panel: panel[0])
    breaks = np.array([0.0, *(high for _, high, _ in done)])
    return breaks, np.stack([series for *_, series in done]).reshape(len(done), _DEGREE + 1, *shape)
