"""The limit of finite-horizon values: the Riccati differential equation from P = 0, integrated until it rests.

In: an autonomous system without its constant coordinate. Out: P to about 1e-7, for Newton's method to polish. Raises `Infinite`.
"""

from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp

from hjbdsl.methods.closed_form.linear_quadratic.failures import Infinite
from hjbdsl.methods.closed_form.linear_quadratic.riccati import System, operator
from hjbdsl.methods.closed_form.linear_quadratic.trajectory import packing
from hjbdsl.model.solution import Array

_GROWTH = 1e7
"""Growth of P beyond this multiple of its natural size counts as divergence."""


def limit_from_zero(reduced: System) -> Array:
    """Integrate from P = 0 over doubling horizons until the rate is negligible beside its parts."""
    pack, unpack = packing(len(reduced.modes), reduced.size)
    pi = np.zeros((len(reduced.modes), reduced.size, reduced.size))
    first = float(np.abs(operator(reduced, pi)).max())
    if first == 0.0:
        return pi
    speed = max(1e-3, *(float(np.abs(m.drift).max() + m.discount) for m in reduced.modes))
    span, elapsed, limit = 1.0 / speed, 0.0, _GROWTH * (1 + first / speed)
    vector = pack(pi)

    def rate(_remaining: float, packed: Array) -> Array:
        return pack(operator(reduced, unpack(packed)))

    def escape(_remaining: float, packed: Array) -> float:
        return float(limit - np.abs(packed).max())

    escape.terminal = True  # type: ignore[attr-defined]
    method = "LSODA" if len(vector) <= 60 else "DOP853"
    for _ in range(40):
        with np.errstate(all="ignore"):
            result = solve_ivp(
                rate, (elapsed, elapsed + span), vector, method, rtol=1e-8, atol=1e-10 * first / speed, events=escape
            )
        vector, elapsed = result.y[:, -1], float(result.t[-1])
        if result.status == 1 or not result.success:
            raise Infinite(elapsed, "the Riccati equation has no finite solution")
        change = float(np.abs(rate(0.0, vector)).max())
        if change <= 1e-7 * first and change <= 1e-7 * speed * max(float(np.abs(vector).max()), 1e-300):
            return unpack(vector)
        span *= 2
        if elapsed * speed > 1e7:
            break
    raise Infinite(np.inf, "the finite-horizon values grow without settling")
